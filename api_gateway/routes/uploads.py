"""`/uploads`: resumable uploads by tus 1.0.0 (https://tus.io/protocols/resumable-upload)."""

from __future__ import annotations

from email.utils import formatdate
from urllib.parse import quote

from api_gateway.redundancy import read_redundancy
from api_gateway.resumable.checksums import ALGORITHMS
from api_gateway.resumable.concatenation import partial_ids
from api_gateway.resumable.metadata import Destination, read_destination, recall
from api_gateway.resumable.protocol import (
    EXTENSIONS,
    METHOD_OVERRIDE,
    VERSION,
    Creation,
    read_addition,
    read_creation,
    require_version,
)
from api_gateway.resumable.service import ResumableService
from common.calls import Answer, Call, json_answer
from common.clock import Clock
from common.edge import Edge, Explain
from common.errors import DFSError, InsufficientStorage, MethodNotAllowed, TusVersionUnsupported
from common.records import FileInfo
from common.resumables import COMMITTED, ResumableInfo

# When to look again at an upload that lacks nothing but room to be a file.
ROOM_SECONDS = 60
Headers = list[tuple[str, str]]


def add_upload_routes(edge: Edge, resumables: ResumableService, clock: Clock, max_file_bytes: int) -> None:
    """max_file_bytes: as Tus-Max-Size has it; 0: no limit to tell."""
    _add_looking_routes(edge, resumables, clock, max_file_bytes)
    _add_sending_routes(edge, resumables, clock)


def _add_looking_routes(edge: Edge, resumables: ResumableService, clock: Clock, max_file_bytes: int) -> None:
    @edge.route("OPTIONS", "/uploads")
    def describe_uploads(_call: Call) -> Answer:
        return _empty(204, _abilities(max_file_bytes))

    @edge.route("OPTIONS", "/uploads/<upload_id>")
    def describe_upload(_call: Call, _upload_id: str) -> Answer:
        return _empty(204, _abilities(max_file_bytes))

    @edge.route("GET", "/uploads/<upload_id>")
    def look_at_upload(call: Call, upload_id: str) -> Answer:
        """HEAD is the protocol's own; GET says the same as JSON, and which file it has become: for scripts."""
        if call.method == "HEAD":
            require_version(call.headers)
        _permit(resumables, call, upload_id)
        info = resumables.look(upload_id)
        call.subjects += (info.path,)
        file = resumables.file_of(info) if call.method == "GET" else None
        return json_answer(_described(info, file), 200, [*_state(info, clock), ("Cache-Control", "no-store")])


def _add_sending_routes(edge: Edge, resumables: ResumableService, clock: Clock) -> None:
    @edge.route("POST", "/uploads")
    def create_upload(call: Call) -> Answer:
        require_version(call.headers)
        creation = read_creation(call.headers)
        destination = read_destination(creation.metadata, is_partial=creation.is_partial)
        call.permit(destination.path or "")
        info, has_begun = _create(resumables, call, creation, destination)
        headers = _progress(info, clock) if has_begun else _expiry(info, clock)
        return _empty(201, [("Location", f"/uploads/{info.upload_id}"), *headers])

    @edge.route("PATCH", "/uploads/<upload_id>")
    def append_to_upload(call: Call, upload_id: str) -> Answer:
        require_version(call.headers)
        addition = read_addition(call.headers)
        call.is_step = True
        _permit(resumables, call, upload_id)
        info = resumables.append(upload_id, addition, call.body, call.body.expected_bytes)
        if info.state == COMMITTED:
            call.is_step = False
            call.subjects += (info.path,)
        return _empty(204, _progress(info, clock))

    @edge.route("DELETE", "/uploads/<upload_id>")
    def terminate_upload(call: Call, upload_id: str) -> Answer:
        require_version(call.headers)
        _permit(resumables, call, upload_id)
        resumables.terminate(upload_id)
        return _empty(204, [])

    @edge.route("POST", "/uploads/<upload_id>")
    def override_method(call: Call, upload_id: str) -> Answer:
        """For clients that cannot send the method itself."""
        method = call.headers.get(METHOD_OVERRIDE, "")
        if method == "PATCH":
            return append_to_upload(call, upload_id)
        if method == "DELETE":
            return terminate_upload(call, upload_id)
        raise MethodNotAllowed(f"POST stands here for PATCH or DELETE, named in {METHOD_OVERRIDE}")


def _create(
    resumables: ResumableService, call: Call, creation: Creation, destination: Destination
) -> tuple[ResumableInfo, bool]:
    """The upload, and whether it has got any further than to be there."""
    redundancy = read_redundancy(call.headers)
    concatenation = creation.concatenation
    if concatenation is not None and not concatenation.is_partial:
        partials = [resumables.find(upload_id) for upload_id in partial_ids(concatenation.partials)]
        call.permit(*(partial.path for partial in partials))
        return resumables.concatenate(creation, destination, redundancy, partials), True
    if creation.has_body or creation.length == 0:
        expected = call.body.expected_bytes
        return resumables.create_with(creation, destination, redundancy, call.body, expected), True
    return resumables.find(resumables.create(creation, destination, creation.length, redundancy)), False


def _permit(resumables: ResumableService, call: Call, upload_id: str) -> None:
    """An id is no secret: what counts is the right for the path. Who may use all paths pays for no look."""
    if call.actor is None or call.actor.prefix:
        call.permit(resumables.find(upload_id).path)


def explained_for_tus(explain: Explain) -> Explain:
    """The same answers to errors, with what the protocol adds to them."""

    def explain_tus(error: DFSError, call: Call, request_id: str) -> Answer:
        answer = explain(error, call, request_id)
        if call.rule.startswith("/uploads"):
            answer.headers.append(("Tus-Resumable", VERSION))
            if isinstance(error, InsufficientStorage) and call.method in ("HEAD", "GET"):
                # All bytes are there, and the commit waits for room: the client is to look again, not to give up.
                answer.headers.append(("Retry-After", str(ROOM_SECONDS)))
            if isinstance(error, TusVersionUnsupported):
                answer.headers.append(("Tus-Version", VERSION))
        return answer

    return explain_tus


def _abilities(max_file_bytes: int) -> Headers:
    return [
        ("Tus-Version", VERSION),
        ("Tus-Extension", ",".join(EXTENSIONS)),
        ("Tus-Checksum-Algorithm", ",".join(ALGORITHMS)),
        *([("Tus-Max-Size", str(max_file_bytes))] if max_file_bytes else []),
    ]


def _progress(info: ResumableInfo, clock: Clock) -> Headers:
    """How far an upload is; of one that is complete, the file that it has become."""
    headers = [("Upload-Offset", str(info.offset))]
    if info.state != COMMITTED:
        return [*headers, *_expiry(info, clock)]
    return [*headers, ("X-DFS-File-Id", info.file_id), ("X-DFS-Path", quote(info.path))]


def _expiry(info: ResumableInfo, clock: Clock) -> Headers:
    return [("Upload-Expires", formatdate(clock.unix_seconds() + info.expires_in_seconds, usegmt=True))]


def _state(info: ResumableInfo, clock: Clock) -> Headers:
    metadata, concatenation = recall(info.metadata)
    length = ("Upload-Defer-Length", "1") if info.length is None else ("Upload-Length", str(info.length))
    return [
        ("Tus-Resumable", VERSION),
        length,
        *_progress(info, clock),
        *([("Upload-Metadata", metadata)] if metadata else []),
        *([("Upload-Concat", concatenation)] if concatenation else []),
    ]


def _described(info: ResumableInfo, file: FileInfo | None) -> dict[str, object]:
    return {
        "upload_id": info.upload_id,
        "state": info.state,
        "offset": info.offset,
        "length": info.length,
        "path": info.path,
        "content_type": info.content_type,
        "is_partial": info.is_partial,
        "expires_in_seconds": info.expires_in_seconds,
        "file_id": info.file_id,
        "file": file.to_json() if file is not None else None,
    }


def _empty(status: int, headers: Headers) -> Answer:
    return Answer(status, [("Tus-Resumable", VERSION), *headers, ("Content-Length", "0")])
