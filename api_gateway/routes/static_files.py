"""`/static`: what the pages look like and run. All of it is read when the service is built; nothing else is served.

The types stand here, for what a machine's own table says of `.js` differs. An entity tag is made of the content, so it
is the same at every gateway of one release: after the first visit each file costs an answer without a body. Scripts and
sheets go out slimmed, and compressed to who takes it.
"""

from __future__ import annotations

import gzip
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from api_gateway.routes.slim import slim
from common.calls import Answer, Call
from common.edge import Edge
from common.errors import NotFound

FOLDER = Path(__file__).parent.parent / "static"
TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml",
}
_CODE = (".css", ".js")
_NO_GZIP = re.compile(r"q=0(?:\.0*)?")


@dataclass(frozen=True)
class StaticFile:
    """One file as it is answered. compressed: by gzip; empty where that does not pay."""

    content: bytes
    compressed: bytes
    content_type: str
    digest: str


def add_static_routes(edge: Edge) -> None:
    files = read_static(FOLDER)

    @edge.route("GET", "/static/<path:filename>")
    def get_static(call: Call, filename: str) -> Answer:
        file = files.get(filename)
        if file is None:
            raise NotFound("the page has no such file")
        is_compressed = bool(file.compressed) and takes_gzip(call.headers.get("Accept-Encoding", ""))
        content, tag = (
            (file.compressed, f'"{file.digest}-gzip"') if is_compressed else (file.content, f'"{file.digest}"')
        )
        # Asked for again each time, and mostly answered without the content: no page runs with parts of two releases.
        headers = [("ETag", tag), ("Cache-Control", "no-cache"), ("Vary", "Accept-Encoding")]
        known = call.headers.get("If-None-Match", "")
        if tag in known or known.strip() == "*":
            return Answer(304, headers)
        headers += [("Content-Encoding", "gzip")] if is_compressed else []
        headers += [("Content-Type", file.content_type), ("Content-Length", str(len(content)))]
        return Answer(200, [*headers, ("X-Content-Type-Options", "nosniff")], (content,))


def read_static(folder: Path) -> Mapping[str, StaticFile]:
    """Every file below the folder that has one of the types, by its name there."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix in TYPES and path.is_file():
            content = path.read_bytes()
            if path.suffix in _CODE:
                content = slim(content.decode("utf-8"), path.suffix).encode()
            compressed = gzip.compress(content, mtime=0)
            found[path.relative_to(folder).as_posix()] = StaticFile(
                content,
                compressed if len(compressed) < len(content) else b"",
                TYPES[path.suffix],
                hashlib.sha256(content).hexdigest()[:32],
            )
    return found


def takes_gzip(accepted: str) -> bool:
    """Whether the header Accept-Encoding names gzip (RFC 9110, 12.5.3)."""
    for coding in accepted.lower().split(","):
        name, _, weight = coding.partition(";")
        if name.strip() == "gzip":
            return _NO_GZIP.fullmatch(weight.replace(" ", "")) is None
    return False
