"""What the routes answer with: a file's JSON, a file's bytes, or the way back to the page for an HTML form."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import quote

from flask import Request, Response, jsonify, redirect, request

from api_gateway.conditions import decide, last_modified
from api_gateway.disposition import attachment
from api_gateway.downloads import DownloadService
from api_gateway.uploads import Committed, UploadService
from common.bodies import BodyReader
from common.clock import Clock
from common.errors import DFSError
from common.master_client import Located, MasterClient
from common.records import FileInfo

# How much of the chunk map comes with the first answer of a master.
FIRST_MAP_PAGE = 64
_DRAIN_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True)
class GatewayServices:
    """Everything that the routes call."""

    masters: MasterClient
    uploads: UploadService
    downloads: DownloadService
    clock: Clock
    max_files_per_request: int


def file_response(file: FileInfo, status: int = 200) -> Response:
    """A file's JSON, with its address where it was just made."""
    response = jsonify(file.to_json())
    response.status_code = status
    response.headers["ETag"] = file.etag
    if status == 201:
        response.headers["Location"] = f"/files/{file.file_id}"
    return response


def committed_response(committed: Committed) -> Response:
    """201 for a new file, 200 for a new version of one that was there."""
    return file_response(committed.file, 201 if committed.is_new else 200)


def bytes_response(services: GatewayServices, located: Located) -> Response:
    """The file's bytes, or the part asked for. Stored content is never run as a page of this origin."""
    file = located.file
    # Range is defined for GET alone (RFC 9110, 14.2).
    headers = {name: value for name, value in request.headers.items() if request.method == "GET" or name != "Range"}
    answer = decide(headers, file, services.clock.timestamp())
    body: Iterator[bytes] = iter(())
    if answer.status != 304 and request.method != "HEAD" and answer.span.length:
        body = _started(services.downloads.stream(located, answer.span))
    response = Response(body, status=answer.status, content_type=file.content_type, direct_passthrough=True)
    response.headers.update(
        {
            "ETag": file.etag,
            "Last-Modified": last_modified(file),
            "Accept-Ranges": "bytes",
            "Cache-Control": "no-cache",
            "Content-Disposition": attachment(_download_name(file)),
            "X-Content-Type-Options": "nosniff",
            "Content-Security-Policy": "sandbox; default-src 'none'",
            "X-DFS-Version": str(file.version),
            "X-DFS-Checksum": f"{file.checksum.algorithm}={file.checksum.value}",
        }
    )
    if answer.status != 304:
        response.content_length = answer.span.length
    if answer.status == 206:
        response.headers["Content-Range"] = answer.span.content_range(file.size)
    return response


def receive(task: Callable[[BodyReader], Response]) -> Response:
    """Run an upload on the request's body. After an error some of the rest is read, so that the client, which may
    still be sending, gets to see the answer."""
    body = BodyReader(request.environ)
    try:
        return task(body)
    except DFSError:
        _drain(body)
        raise


def is_html_form(incoming: Request) -> bool:
    """Whether a browser waits for a page, not a script for JSON."""
    return incoming.accept_mimetypes.best_match(["application/json", "text/html"]) == "text/html"


def to_page(path: str = "") -> Response:
    """Send the browser back to the page, to the folder of `path`."""
    folder = path.rpartition("/")[0]
    query = f"?prefix={quote(folder + '/', safe='')}" if folder else ""
    return redirect(f"/{query}", 303)  # type: ignore[return-value]


def _download_name(file: FileInfo) -> str:
    return str(file.to_json()["file_name"])


def _started(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The same pieces, the first one fetched already, so that an unreadable file is an error and not a broken body."""
    first = next(pieces, b"")
    return _Chained(first, pieces)


class _Chained:
    """An iterator with a `close` that reaches the generator behind it even when nothing was read."""

    def __init__(self, first: bytes, rest: Iterator[bytes]) -> None:
        self._first: bytes | None = first
        self._rest = rest

    def __iter__(self) -> _Chained:
        return self

    def __next__(self) -> bytes:
        if self._first is not None:
            first, self._first = self._first, None
            return first
        return next(self._rest)

    def close(self) -> None:
        self._rest.close()  # type: ignore[attr-defined]


def _drain(body: BodyReader) -> None:
    drained = 0
    try:
        while drained < _DRAIN_BYTES and (piece := body.read(256 * 1024)):
            drained += len(piece)
    except DFSError:
        return
