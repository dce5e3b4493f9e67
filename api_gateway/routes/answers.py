"""What the routes answer with: a file's JSON, a file's bytes, or the way back to the page for an HTML form."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import quote

from werkzeug.datastructures import MIMEAccept
from werkzeug.http import parse_accept_header

from api_gateway.archive.service import ArchiveService
from api_gateway.checksums import ChecksumService
from api_gateway.conditions import decide, last_modified
from api_gateway.disposition import attachment
from api_gateway.downloads import DownloadService
from api_gateway.redundancy import READ_LEVEL_HEADER
from api_gateway.resumable.service import ResumableService
from api_gateway.uploads import Committed, UploadService
from common.calls import Answer, Call, Started, json_answer
from common.clock import Clock
from common.master_client import Located, MapPart, MasterClient
from common.paths import file_name
from common.records import FileInfo
from common.security_headers import PAGE_HEADERS
from common.wire import Headers

# How much of the chunk map comes with the first answer of a master.
FIRST_MAP_PAGE = 64
# Each gap has one reading only: two that meet would cost the square of a header's length.
_FIRST_BYTE = re.compile(r"\s*bytes\s*=\s*(\d{1,18})\s*-\s*(?:(\d{1,18})\s*)?$", re.IGNORECASE | re.ASCII)
# Browsers send less than a quarter of it. Longer ones are not read: that, too, costs the square of the length, half a
# minute for a header of 60 KiB, in which no other thread runs.
_MAX_ACCEPT_LENGTH = 1024
HTML_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; media-src 'self';"
        " connect-src 'self'; frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
    **PAGE_HEADERS,
}


@dataclass(frozen=True)
class GatewayServices:
    """Everything that the routes call."""

    masters: MasterClient
    uploads: UploadService
    downloads: DownloadService
    archives: ArchiveService
    clock: Clock
    max_files_per_request: int
    resumables: ResumableService
    max_file_bytes: int
    checksums: ChecksumService


def file_answer(file: FileInfo, status: int = 200) -> Answer:
    """A file's JSON, with its address where it was just made."""
    headers = [("ETag", file.etag)]
    if status == 201:
        headers.append(("Location", f"/files/{file.file_id}"))
    return json_answer(file.to_json(), status, headers)


def committed_answer(committed: Committed) -> Answer:
    """201 for a new file, 200 for a new version of one that was there."""
    return file_answer(committed.file, 201 if committed.is_new else 200)


def download_headers(file: FileInfo) -> dict[str, str]:
    """What makes a browser save the file."""
    return {
        "Content-Type": file.content_type,
        "Content-Disposition": attachment(file_name(file.path)),
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "sandbox; default-src 'none'",
    }


def bytes_answer(
    services: GatewayServices,
    call: Call,
    located: Located,
    describe: Callable[[FileInfo], Mapping[str, str]] = download_headers,
) -> Answer:
    """The file's bytes, or the part asked for. Stored content is never run as a page of this origin.

    describe: gives the header fields that say what it is, and what a browser may do with it.
    """
    file = located.file
    answer = decide(_conditions(call), file, services.clock.timestamp())
    headers = [
        ("ETag", file.etag),
        ("Last-Modified", last_modified(file)),
        ("Accept-Ranges", "bytes"),
        ("Cache-Control", "no-cache"),
        *describe(file).items(),
        ("X-DFS-Version", str(file.version)),
    ]
    if file.checksum is not None:
        headers.append(("X-DFS-Checksum", f"{file.checksum.algorithm}={file.checksum.value}"))
    if answer.status != 304:
        headers.append(("Content-Length", str(answer.span.length)))
    if answer.status == 206:
        headers.append(("Content-Range", answer.span.content_range(file.size)))
    if answer.status == 304 or call.method == "HEAD" or not answer.span.length:
        return Answer(answer.status, headers)
    pieces = Started(services.downloads.stream(located, answer.span))
    return Answer(answer.status, headers, pieces, pieces.close)


def wanted_map(services: GatewayServices, call: Call) -> MapPart:
    """The part of the chunk map that a request for a file will need, before anything is known of the file.

    A guess only: a file may have chunks of another size, or be shorter. What is missing is asked for later.
    """
    found = _FIRST_BYTE.match(call.headers.get("Range", ""))
    if call.method == "HEAD" or found is None:
        return MapPart(0, 0 if call.method == "HEAD" else FIRST_MAP_PAGE)
    chunk_size = services.uploads.chunk_size_bytes
    first = int(found[1]) // chunk_size
    last = int(found[2]) // chunk_size if found[2] else first + FIRST_MAP_PAGE
    return MapPart(min(first, 2**32), max(1, min(FIRST_MAP_PAGE, last - first + 1)))


def wanted_level(call: Call) -> str | None:
    """How fresh the client wants its read to be; the masters know the choices."""
    return call.headers.get(READ_LEVEL_HEADER)


def page_answer(text: str, status: int = 200) -> Answer:
    """A page for a browser."""
    encoded = text.encode()
    own = {"Content-Type": "text/html; charset=utf-8", "Content-Length": str(len(encoded)), **HTML_HEADERS}
    return Answer(status, list(own.items()), (encoded,))


def is_html_form(call: Call) -> bool:
    """Whether a browser waits for a page, not a script for JSON."""
    text = call.headers.get("Accept", "")
    if len(text) > _MAX_ACCEPT_LENGTH:
        return False
    accepted = parse_accept_header(text, MIMEAccept)
    return accepted.best_match(["application/json", "text/html"]) == "text/html"


def to_page(path: str = "") -> Answer:
    """Send the browser back to the page, to the folder of `path`."""
    folder = path.rpartition("/")[0]
    query = f"?prefix={quote(folder + '/', safe='')}" if folder else ""
    return Answer(303, [("Location", f"/{query}"), ("Content-Length", "0")])


def _conditions(call: Call) -> Headers:
    """The header fields that count: Range is defined for GET alone (RFC 9110, 14.2)."""
    if call.method == "GET":
        return call.headers
    return Headers({name: value for name, value in call.headers.items() if name != "range"})
