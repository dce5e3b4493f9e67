"""The bytes that an upload has so far, read as if it were a file."""

from __future__ import annotations

import contextlib
from collections.abc import Generator

from api_gateway.downloads import DownloadService
from common.checksums import Buffer
from common.errors import ChunkUnavailable
from common.master_client import Located
from common.ranges import ByteRange
from common.records import FileInfo
from common.resumables import ResumableInfo


def as_file(info: ResumableInfo) -> FileInfo:
    """What reading needs to know of it; nothing else is true of a file that is none yet."""
    return FileInfo(
        file_id=info.upload_id,
        path=info.path,
        status=info.state,
        version=0,
        version_id=info.upload_id,
        size=info.offset,
        content_type=info.content_type,
        checksum=None,
        chunk_size=info.chunk_size,
        chunk_count=0,
        replication_factor=0,
        created_at="",
        modified_at="",
    )


def read_back(downloads: DownloadService, info: ResumableInfo, start: int, stop: int) -> Generator[Buffer, None, None]:
    """The recorded bytes from `start` to `stop`, verified; see `DownloadService.stream`. To be closed."""
    if start == stop:
        return
    with contextlib.closing(downloads.stream(Located(as_file(info), ()), ByteRange(start, stop))) as pieces:
        for piece in pieces:
            # A record that is older than the offset would name a shorter chunk.
            if start // info.chunk_size != (start + len(piece) - 1) // info.chunk_size:
                raise ChunkUnavailable("the map of the upload does not fit its offset")
            start += len(piece)
            yield piece
    if start != stop:
        raise ChunkUnavailable("the map of the upload does not fit its offset")
