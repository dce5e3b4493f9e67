"""`/files`: upload forms, listing, metadata, download, delete, restore, rename, by file id."""

from __future__ import annotations

from api_gateway.preview import preview_headers
from api_gateway.receiving import receive_form
from api_gateway.redundancy import read_redundancy
from api_gateway.routes.answers import (
    GatewayServices,
    bytes_answer,
    file_answer,
    is_html_form,
    to_page,
    wanted_level,
    wanted_map,
)
from common.calls import Answer, Call, json_answer
from common.edge import Edge
from common.errors import FileDeleted, FileUnknown
from common.fields import take, take_optional
from common.master_client import Located
from common.records import FileInfo

LISTING_PARAMETERS = ("prefix", "delimiter", "limit", "cursor", "status")
MAX_MAP_PAGE = 1000
MAX_VERSION = 2**53
_TO_TRASH = (("Location", "/trash"), ("Content-Length", "0"))


def add_file_routes(edge: Edge, services: GatewayServices) -> None:
    masters = services.masters

    @edge.route("POST", "/files")
    def upload_form(call: Call) -> Answer:
        content_type = call.headers.get("Content-Type", "")
        redundancy = read_redundancy(call.headers)
        done = receive_form(
            services.uploads, call.body, content_type, services.max_files_per_request, redundancy, call.permit, call.may
        )
        if is_html_form(call):
            return to_page(done[0].file.path)
        if len(done) == 1:
            return file_answer(done[0].file, 201)
        return json_answer({"files": [committed.file.to_json() for committed in done]}, 201, [("Location", "/files")])

    @edge.route("GET", "/files")
    def list_files(call: Call) -> Answer:
        """Without a prefix: all that the key may see."""
        query = {name: call.query[name] for name in LISTING_PARAMETERS if name in call.query}
        if not query.get("prefix") and call.actor is not None:
            query["prefix"] = call.actor.prefix
        call.permit(query.get("prefix", ""))
        return json_answer(masters.list_files(query, wanted_level(call)))

    @edge.route("GET", "/files/<file_id>")
    def get_file(call: Call, file_id: str) -> Answer:
        file = masters.find_file(file_id, level=wanted_level(call)).file
        call.permit(file.path)
        return file_answer(file)

    @edge.route("GET", "/files/<file_id>/chunks")
    def get_chunk_map(call: Call, file_id: str) -> Answer:
        """A page of the chunk map: where each chunk's replicas are."""
        start = call.number("start", 0, 2**32)
        limit = call.number("limit", 100, MAX_MAP_PAGE, minimum=1)
        level = wanted_level(call)
        file = masters.find_file(file_id, level=level).file
        call.permit(file.path)
        chunks = masters.list_chunks(file.version_id, start, limit, level) if file.chunk_count else ()
        more = bool(chunks) and chunks[-1].index + 1 < file.chunk_count
        return json_answer(
            {
                "file_id": file.file_id,
                "version": file.version,
                "chunk_count": file.chunk_count,
                "chunks": [chunk.to_json() for chunk in chunks],
                "next_start": chunks[-1].index + 1 if more else None,
            }
        )

    @edge.route("GET", "/files/<file_id>/download")
    def download(call: Call, file_id: str) -> Answer:
        return bytes_answer(services, call, located(call, file_id))

    @edge.route("GET", "/files/<file_id>/preview")
    def preview(call: Call, file_id: str) -> Answer:
        """The same bytes to be shown on the page, of the types that are safe there."""
        return bytes_answer(services, call, located(call, file_id), preview_headers)

    @edge.route("DELETE", "/files/<file_id>")
    def delete_file(call: Call, file_id: str) -> Answer:
        return file_answer(delete(call, file_id, call.headers.get("If-Match")))

    @edge.route("POST", "/files/<file_id>/delete")
    def delete_by_form(call: Call, file_id: str) -> Answer:
        """The same for an HTML form, which knows only GET and POST."""
        deleted = delete(call, file_id)
        return to_page(deleted.path) if is_html_form(call) else file_answer(deleted)

    @edge.route("POST", "/files/<file_id>/restore")
    def restore_file(call: Call, file_id: str) -> Answer:
        """Out of the trash; or with {"version": n} an old version, with {"path": ...} under another path."""
        body = {} if is_html_form(call) else call.json()
        version = take_optional(body, "version", int)
        path = take_optional(body, "path", str)
        if path is not None:
            call.permit(path)
        restored = masters.restore_file(file_id, version, path, bound_path(call, file_id))
        call.subjects += (restored.path,)
        return to_page(restored.path) if is_html_form(call) else file_answer(restored)

    @edge.route("POST", "/trash/empty")
    def empty_trash(call: Call) -> Answer:
        """A part of it, at most about a second's work; to be repeated while there is more."""
        body = {} if is_html_form(call) else call.json()
        own = call.actor.prefix if call.actor is not None else ""
        prefix = take_optional(body, "prefix", str)
        if prefix is None:
            prefix = own
        call.permit(prefix)
        emptied = masters.empty_trash(prefix)
        return Answer(303, list(_TO_TRASH)) if is_html_form(call) else json_answer(emptied)

    @edge.route("PATCH", "/files/<file_id>")
    def rename_file(call: Call, file_id: str) -> Answer:
        path = take(call.json(), "path", str)
        call.permit(path)
        from_path = bound_path(call, file_id)
        return file_answer(masters.rename_file(file_id, path, call.headers.get("If-Match"), from_path))

    def located(call: Call, file_id: str) -> Located:
        """The file, or an old version of it, with what the request needs of its chunk map."""
        version = call.number("version", 0, MAX_VERSION, minimum=1) or None
        found = masters.find_file(file_id, wanted_map(services, call), wanted_level(call), version)
        call.permit(found.file.path)
        return _active(found)

    def delete(call: Call, file_id: str, if_match: str | None = None) -> FileInfo:
        is_permanent = call.flag("permanent")
        deleted = masters.delete_file(file_id, is_permanent, if_match, bound_path(call, file_id))
        call.subjects += (deleted.path,)
        return deleted

    def bound_path(call: Call, file_id: str) -> str | None:
        """Where the file is, for one who may change some paths only: the change is then made only while it is there.

        Nobody else pays for the look.
        """
        if call.actor is not None and not call.actor.prefix:
            return None
        path = masters.find_file(file_id).file.path
        call.permit(path)
        return path


def _active(located: Located) -> Located:
    if located.file.status == "deleted":
        raise FileDeleted("the file is in the trash; restore it first", file_id=located.file.file_id)
    if located.file.status != "active":
        raise FileUnknown("no file has this id", file_id=located.file.file_id)
    return located
