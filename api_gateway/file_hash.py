"""The checksum of a whole file, made beside its transfer: SHA-256, because every system has a tool that prints it.

It costs more than all the rest of receiving a file, and the bytes must go through it in order; so it runs on a thread
of its own while the chunks are on their way to the workers. Where the processors are what limits uploads, it can be
left out (gateway.file_checksum): what is stored is verified by the checksums of its chunks, with it or without.
"""

from __future__ import annotations

import hashlib
from concurrent.futures import Executor, Future
from typing import Protocol

from common.checksums import Buffer
from common.records import Checksum

ALGORITHM = "sha256"
# Less than this is hashed sooner than another thread is woken.
_INLINE_BYTES = 256 * 1024


class Hasher(Protocol):
    """Takes bytes in order."""

    def update(self, view: Buffer, /) -> None: ...


class OrderedHash:
    """Gives bytes to a hasher in their order, off the caller's thread. For one thread at a time."""

    def __init__(self, executor: Executor, hasher: Hasher) -> None:
        """executor: runs tasks in the order in which they are submitted, each on a thread of its own."""
        self._executor = executor
        self._hasher = hasher
        self._last: Future[None] | None = None

    def add(self, view: memoryview) -> Future[None] | None:
        """Hash the next bytes, which must stay as they are until the future is done; None: they are hashed already."""
        if self._last is None and len(view) < _INLINE_BYTES:
            self._hasher.update(view)
            return None
        self._last = self._executor.submit(self._update_after, self._last, view)
        return self._last

    def finish(self) -> None:
        """Wait until the hasher has all bytes so far."""
        if self._last is not None:
            self._last.result()

    def _update_after(self, earlier: Future[None] | None, view: memoryview) -> None:
        if earlier is not None:
            earlier.result()
        self._hasher.update(view)


class FileHash(OrderedHash):
    """The checksum of one file, whose bytes it takes in order."""

    def __init__(self, executor: Executor) -> None:
        self._sha256 = hashlib.sha256()
        super().__init__(executor, self._sha256)

    def checksum(self) -> Checksum:
        """Of all bytes so far."""
        self.finish()
        return Checksum(ALGORITHM, self._sha256.hexdigest())
