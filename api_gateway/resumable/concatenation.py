"""The bytes of finished partial uploads, one after the other, as the source of another upload."""

from __future__ import annotations

import re
from collections.abc import Generator, Sequence

from api_gateway.downloads import DownloadService
from api_gateway.resumable.stored import read_back
from common.checksums import Buffer
from common.errors import InvalidRequest
from common.resumables import ResumableInfo

# Behind whatever a proxy puts before it: an id says by itself which upload is meant.
_UPLOAD_URL = re.compile(r"(?:.*/)?uploads/([0-9a-f]{32})/?")


def partial_ids(urls: Sequence[str]) -> list[str]:
    """The ids in the URLs of partial uploads, relative or absolute. Raises InvalidRequest."""
    found = [_UPLOAD_URL.fullmatch(url) for url in urls]
    if not all(found):
        raise InvalidRequest("Upload-Concat must name uploads of this server by their URLs")
    return [match[1] for match in found if match is not None]


def require_finished(partials: Sequence[ResumableInfo]) -> int:
    """How many bytes they have together; raises InvalidRequest unless all are partial uploads with all their bytes."""
    for partial in partials:
        if not partial.is_partial:
            raise InvalidRequest("only partial uploads can be put together", upload_id=partial.upload_id)
        if partial.offset != partial.length:
            raise InvalidRequest("a partial upload does not have all its bytes yet", upload_id=partial.upload_id)
    return sum(partial.offset for partial in partials)


class PartialsSource:
    """A ByteSource. To be closed: it holds buffers."""

    def __init__(self, downloads: DownloadService, partials: Sequence[ResumableInfo]) -> None:
        self._pieces = _pieces_of(downloads, partials)
        self._piece = memoryview(b"")

    def fill(self, buffer: bytearray, start: int, stop: int) -> int:
        """As `ByteSource.fill`; raises as `DownloadService.stream`."""
        while not self._piece:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._piece = memoryview(piece)
        taken, self._piece = self._piece[: stop - start], self._piece[stop - start :]
        buffer[start : start + len(taken)] = taken
        return len(taken)

    def close(self) -> None:
        self._piece = memoryview(b"")
        self._pieces.close()


def _pieces_of(downloads: DownloadService, partials: Sequence[ResumableInfo]) -> Generator[Buffer, None, None]:
    for partial in partials:
        yield from read_back(downloads, partial, 0, partial.offset)
