"""The table from what the disk says to what the caller is told."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator

from common.errors import ChunkCorrupt, DFSError, DiskFailed, DiskFull

_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)


@contextlib.contextmanager
def disk_errors() -> Iterator[None]:
    """Turn every OSError into DiskFull or DiskFailed."""
    try:
        yield
    except DFSError:
        raise
    except OSError as error:
        if error.errno in _NO_SPACE:
            raise DiskFull(f"the disk is full: {error}") from error
        raise DiskFailed(f"the disk refuses: {error}") from error


@contextlib.contextmanager
def unreadable_is_corrupt() -> Iterator[None]:
    """A bad sector shows as EIO: the bytes are as lost as if they were wrong."""
    try:
        yield
    except OSError as error:
        if error.errno == errno.EIO:
            raise ChunkCorrupt(f"the disk cannot read the chunk: {error}") from error
        raise
