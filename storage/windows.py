"""A fixed number of page-aligned buffers through which chunks pass between the network and the disk.

They bound a worker's memory, however many chunks are under way and whatever their size. Direct I/O needs the alignment
(open(2), O_DIRECT).
"""

from __future__ import annotations

import contextlib
import mmap
import threading
from collections.abc import Iterator

from common.errors import WorkerBusy


class WindowPool:
    """At most `count` windows of `size_bytes`, made when first needed and then reused."""

    def __init__(self, count: int, size_bytes: int, wait_seconds: float) -> None:
        """wait_seconds: how long `window` waits for a free one before it raises WorkerBusy."""
        self.size_bytes = size_bytes
        self._wait_seconds = wait_seconds
        self._slots = threading.BoundedSemaphore(count)
        self._free: list[mmap.mmap] = []

    @contextlib.contextmanager
    def window(self) -> Iterator[mmap.mmap]:
        """A window for as long as the block runs; its content is undefined."""
        if not self._slots.acquire(timeout=self._wait_seconds):
            raise WorkerBusy(f"all windows were in use for {self._wait_seconds:g} s")
        try:
            window = self._take()
            try:
                yield window
            finally:
                self._free.append(window)
        finally:
            self._slots.release()

    def _take(self) -> mmap.mmap:
        try:
            return self._free.pop()
        except IndexError:
            pass
        try:
            return mmap.mmap(-1, self.size_bytes)
        except OSError as error:
            raise WorkerBusy(f"no memory for a window: {error}") from error
