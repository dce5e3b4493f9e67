"""Reading `/files`: listing, metadata, chunk map, download, preview, by file id."""

from __future__ import annotations

from api_gateway.checksums import describe
from api_gateway.preview import preview_headers
from api_gateway.routes.answers import (
    GatewayServices,
    bytes_answer,
    file_answer,
    wanted_level,
    wanted_map,
)
from common.calls import Answer, Call, Started, json_answer
from common.edge import Edge
from common.errors import FileDeleted, FileUnknown
from common.master_client import Located

LISTING_PARAMETERS = ("prefix", "delimiter", "limit", "cursor", "status", "order", "until")
MAX_MAP_PAGE = 1000
MAX_VERSION = 2**53


def add_file_routes(edge: Edge, services: GatewayServices) -> None:
    masters = services.masters

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
        return bytes_answer(services, call, _located(services, call, file_id))

    @edge.route("GET", "/files/<file_id>/preview")
    def preview(call: Call, file_id: str) -> Answer:
        """The same bytes to be shown on the page, of the types that are safe there."""
        return bytes_answer(services, call, _located(services, call, file_id), preview_headers)

    @edge.route("GET", "/files/<file_id>/checksum")
    def get_checksum(call: Call, file_id: str) -> Answer:
        """That of the whole file; where it has none, all of it is read for that."""
        found = _located(services, call, file_id)
        headers = [("ETag", found.file.etag)]
        if (checksum := found.file.checksum) is not None:
            return json_answer(describe(found.file, checksum, is_kept=True), 200, headers)
        headers.append(("Content-Type", "application/json"))
        if call.method == "HEAD":
            return Answer(200, headers)
        pieces = Started(services.checksums.make(found))
        return Answer(200, headers, pieces, pieces.close)


def _located(services: GatewayServices, call: Call, file_id: str) -> Located:
    """The file, or an old version of it, with what the request needs of its chunk map."""
    version = call.number("version", 0, MAX_VERSION, minimum=1) or None
    found = services.masters.find_file(file_id, wanted_map(services, call), wanted_level(call), version)
    call.permit(found.file.path)
    return _active(found)


def _active(located: Located) -> Located:
    if located.file.status == "deleted":
        raise FileDeleted("the file is in the trash; restore it first", file_id=located.file.file_id)
    if located.file.status != "active":
        raise FileUnknown("no file has this id", file_id=located.file.file_id)
    return located
