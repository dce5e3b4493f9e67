"""The checksum of a whole file, made beside its transfer: SHA-256, because every system has a tool that prints it.

It costs more than all the rest of receiving a file, and the bytes must go through it in order; so it runs on a thread
of its own while the chunks are on their way to the workers.
"""

from __future__ import annotations

import hashlib
from concurrent.futures import Executor, Future

ALGORITHM = "sha256"
# Less than this is hashed sooner than another thread is woken.
_INLINE_BYTES = 256 * 1024


class FileHash:
    """Takes the bytes of one file in order. For one thread at a time."""

    def __init__(self, executor: Executor) -> None:
        """executor: runs tasks in the order in which they are submitted, each on a thread of its own."""
        self._executor = executor
        self._hash = hashlib.sha256()
        self._last: Future[None] | None = None

    def add(self, view: memoryview) -> Future[None] | None:
        """Hash the next bytes, which must stay as they are until the future is done; None: they are hashed already."""
        if self._last is None and len(view) < _INLINE_BYTES:
            self._hash.update(view)
            return None
        self._last = self._executor.submit(self._update_after, self._last, view)
        return self._last

    def hexdigest(self) -> str:
        """The checksum of all bytes so far."""
        if self._last is not None:
            self._last.result()
        return self._hash.hexdigest()

    def _update_after(self, earlier: Future[None] | None, view: memoryview) -> None:
        if earlier is not None:
            earlier.result()
        self._hash.update(view)
