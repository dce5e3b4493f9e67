"""Small chunks that were read lately, kept in memory: a chunk never changes, so a copy is never out of date.

Which chunk makes up a file is still asked of a master every time. What is kept has been verified when it was read; the
store is bounded in bytes, and what was used longest ago goes first.
"""

from __future__ import annotations

import threading
from collections import OrderedDict

# Up to here asking a worker costs far more than the bytes; and it takes many to fill the memory.
LARGEST_BYTES = 32 * 1024
# What an entry costs beside its bytes.
_OVERHEAD_BYTES = 512


class SmallChunks:
    """At most `capacity_bytes` of chunks. Safe for any number of threads."""

    def __init__(self, capacity_bytes: int) -> None:
        """capacity_bytes: 0 keeps nothing."""
        self._capacity_bytes = capacity_bytes
        self._lock = threading.Lock()
        self._used_bytes = 0
        self._chunks: OrderedDict[str, bytes] = OrderedDict()

    @property
    def used_bytes(self) -> int:
        return self._used_bytes

    def get(self, chunk_id: str) -> bytes | None:
        """All bytes of the chunk, if it is here."""
        with self._lock:
            content = self._chunks.get(chunk_id)
            if content is not None:
                self._chunks.move_to_end(chunk_id)
            return content

    def keep(self, chunk_id: str, content: bytes) -> None:
        """Keep a whole chunk, verified by the caller, of at most LARGEST_BYTES."""
        cost = len(content) + _OVERHEAD_BYTES
        if len(content) > LARGEST_BYTES or cost > self._capacity_bytes:
            return
        with self._lock:
            if chunk_id in self._chunks:
                return
            self._chunks[chunk_id] = content
            self._used_bytes += cost
            while self._used_bytes > self._capacity_bytes:
                _, oldest = self._chunks.popitem(last=False)
                self._used_bytes -= len(oldest) + _OVERHEAD_BYTES
