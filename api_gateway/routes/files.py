"""`/files`: upload forms, listing, metadata, download, delete, restore, rename, by file id."""

from __future__ import annotations

from dataclasses import asdict

from flask import Flask, Response, jsonify, request

from api_gateway.receiving import receive_form
from api_gateway.routes.answers import (
    FIRST_MAP_PAGE,
    GatewayServices,
    bytes_response,
    committed_response,
    file_response,
    is_html_form,
    receive,
    to_page,
)
from common.bodies import BodyReader
from common.edge import json_body, query_flag, query_number
from common.errors import FileDeleted, FileUnknown
from common.master_client import Located
from common.records import take

LISTING_PARAMETERS = ("prefix", "delimiter", "limit", "cursor", "status")
MAX_MAP_PAGE = 1000


def add_file_routes(app: Flask, services: GatewayServices) -> None:
    masters = services.masters

    @app.post("/files")
    def upload_form() -> Response:
        def task(body: BodyReader) -> Response:
            content_type = request.headers.get("Content-Type", "")
            done = receive_form(services.uploads, body, content_type, services.max_files_per_request)
            if is_html_form(request):
                return to_page(done[0].file.path)
            if len(done) == 1:
                return committed_response(done[0]) if done[0].is_new else file_response(done[0].file, 201)
            response = jsonify(files=[committed.file.to_json() for committed in done])
            response.status_code = 201
            response.headers["Location"] = "/files"
            return response

        return receive(task)

    @app.get("/files")
    def list_files() -> Response:
        query = {name: request.args[name] for name in LISTING_PARAMETERS if name in request.args}
        return jsonify(masters.list_files(query))

    @app.get("/files/<file_id>")
    def get_file(file_id: str) -> Response:
        return file_response(masters.find_file(file_id).file)

    @app.get("/files/<file_id>/chunks")
    def get_chunk_map(file_id: str) -> Response:
        """A page of the chunk map: where each chunk's replicas are."""
        start = query_number(request, "start", 0, 2**32)
        limit = query_number(request, "limit", 100, MAX_MAP_PAGE, minimum=1)
        file = masters.find_file(file_id).file
        chunks = masters.list_chunks(file.version_id, start, limit) if file.chunk_count else ()
        more = bool(chunks) and chunks[-1].index + 1 < file.chunk_count
        return jsonify(
            file_id=file.file_id,
            version=file.version,
            chunk_count=file.chunk_count,
            chunks=[asdict(chunk) for chunk in chunks],
            next_start=chunks[-1].index + 1 if more else None,
        )

    @app.get("/files/<file_id>/download")
    def download(file_id: str) -> Response:
        return bytes_response(services, _active(masters.find_file(file_id, FIRST_MAP_PAGE)))

    @app.delete("/files/<file_id>")
    def delete_file(file_id: str) -> Response:
        is_permanent = query_flag(request, "permanent")
        return file_response(masters.delete_file(file_id, is_permanent, request.headers.get("If-Match")))

    @app.post("/files/<file_id>/delete")
    def delete_by_form(file_id: str) -> Response:
        """The same for an HTML form, which knows only GET and POST."""
        deleted = masters.delete_file(file_id, query_flag(request, "permanent"))
        return to_page(deleted.path) if is_html_form(request) else file_response(deleted)

    @app.post("/files/<file_id>/restore")
    def restore_file(file_id: str) -> Response:
        """Out of the trash; or with {"version": n} an old version, with {"path": ...} under another path."""
        body = {} if is_html_form(request) else json_body(request)
        version = None if body.get("version") is None else take(body, "version", int)
        path = None if body.get("path") is None else take(body, "path", str)
        restored = masters.restore_file(file_id, version, path)
        return to_page(restored.path) if is_html_form(request) else file_response(restored)

    @app.patch("/files/<file_id>")
    def rename_file(file_id: str) -> Response:
        path = take(json_body(request), "path", str)
        return file_response(masters.rename_file(file_id, path, request.headers.get("If-Match")))


def _active(located: Located) -> Located:
    if located.file.status == "deleted":
        raise FileDeleted("the file is in the trash; restore it first", file_id=located.file.file_id)
    if located.file.status != "active":
        raise FileUnknown("no file has this id", file_id=located.file.file_id)
    return located
