"""`/static`: what the pages look like and run. All of it is read when the service is built; nothing else is served.

The types stand here, for what a machine's own table says of `.js` differs. An entity tag is made of the content, so it
is the same at every gateway of one release: after the first visit each file costs an answer without a body.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

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


@dataclass(frozen=True)
class StaticFile:
    """One file as it is answered."""

    content: bytes
    content_type: str
    etag: str


def add_static_routes(edge: Edge) -> None:
    files = read_static(FOLDER)

    @edge.route("GET", "/static/<path:filename>")
    def get_static(call: Call, filename: str) -> Answer:
        file = files.get(filename)
        if file is None:
            raise NotFound("the page has no such file")
        # Asked for again each time, and mostly answered without the content: no page runs with parts of two releases.
        headers = [("ETag", file.etag), ("Cache-Control", "no-cache")]
        known = call.headers.get("If-None-Match", "")
        if file.etag in known or known.strip() == "*":
            return Answer(304, headers)
        own = [("Content-Type", file.content_type), ("Content-Length", str(len(file.content)))]
        return Answer(200, [*headers, *own, ("X-Content-Type-Options", "nosniff")], (file.content,))


def read_static(folder: Path) -> Mapping[str, StaticFile]:
    """Every file below the folder that has one of the types, by its name there."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix in TYPES and path.is_file():
            content = path.read_bytes()
            etag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
            found[path.relative_to(folder).as_posix()] = StaticFile(content, TYPES[path.suffix], etag)
    return found
