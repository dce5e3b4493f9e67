"""The bytes of a chunk on their way from the network to the disk: hashed in a window, never held whole."""

from __future__ import annotations

import mmap
from collections.abc import Callable
from typing import Protocol

from common.checksums import block_digests, checksum_of, digest_list_size
from common.chunk_notes import MAX_NOTE_BYTES
from common.durable import StagedFile
from common.errors import IncompleteBody
from storage.chunk_file import ALIGNMENT, encode_tail

WINDOW_BYTES = 1024 * 1024
MAX_CHUNK_BYTES = 64 * 1024 * 1024
# A window also takes the tail of the file.
LONGEST_TAIL_BYTES = digest_list_size(MAX_CHUNK_BYTES) + MAX_NOTE_BYTES + 2 * ALIGNMENT


class ChunkSource(Protocol):
    """The bytes of a chunk, such as a request's body."""

    def fill(self, buffer: mmap.mmap, start: int, stop: int) -> int:
        """Put the next bytes at buffer[start:stop]; returns how many, 0 only at the end. Raises IncompleteBody."""


def copy_hashing(
    source: ChunkSource, staged: StagedFile, window: mmap.mmap, size_bytes: int, note: Callable[[], bytes]
) -> tuple[str, int]:
    """Write exactly `size_bytes` from `source`, window by window, and the tail.

    note: asked for once all bytes have come. Returns the chunk's checksum and the size of its file.
    """
    view = memoryview(window)
    digests: list[bytes] = []
    missing = size_bytes
    while True:
        length = min(missing, WINDOW_BYTES)
        _fill(source, window, length, missing)
        digests.append(block_digests(view[:length]))
        missing -= length
        if not missing:
            break
        staged.write(view[:length])
    tail = encode_tail(size_bytes, b"".join(digests), note())
    window[length : length + len(tail)] = tail
    staged.write(view[: length + len(tail)])
    return checksum_of(b"".join(digests)), size_bytes + len(tail)


def _fill(source: ChunkSource, window: mmap.mmap, length: int, missing: int) -> None:
    filled = 0
    while filled < length:
        count = source.fill(window, filled, length)
        if not count:
            raise IncompleteBody(f"the chunk ended {missing - filled} bytes early")
        filled += count
