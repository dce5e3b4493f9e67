"""A fixed number of chunk buffers for all transfers together: what bounds the gateway's memory."""

from __future__ import annotations

import threading

from common.errors import GatewayBusy


class BufferPool:
    """At most `count` buffers of `size_bytes`, made when first needed and then reused."""

    def __init__(self, count: int, size_bytes: int, wait_seconds: float) -> None:
        """wait_seconds: how long `acquire` waits before it raises GatewayBusy."""
        self.size_bytes = size_bytes
        self.count = count
        self._wait_seconds = wait_seconds
        self._slots = threading.BoundedSemaphore(count)
        self._lock = threading.Lock()
        self._used = 0
        self._free: list[bytearray] = []

    def acquire(self) -> bytearray:
        """A buffer, waiting for one that another transfer gives back; its content is undefined."""
        if not self._slots.acquire(timeout=self._wait_seconds):
            raise GatewayBusy(f"all buffers were in use for {self._wait_seconds:g} s")
        return self._take()

    def try_acquire(self) -> bytearray | None:
        """One more buffer for a transfer that has one, while fewer than half are in use.

        So a few transfers that stand still with all they fetched ahead cannot keep the others from working.
        """
        if self.is_scarce:
            return None
        return self._take() if self._slots.acquire(blocking=False) else None

    @property
    def is_scarce(self) -> bool:
        """Whether half of the buffers or more are in use."""
        return 2 * self._used >= self.count

    @property
    def used(self) -> int:
        """How many buffers transfers hold."""
        return self._used

    def release(self, buffer: bytearray) -> None:
        """Give a buffer back; nobody may touch it afterwards."""
        with self._lock:
            self._used -= 1
            self._free.append(buffer)
        self._slots.release()

    def _take(self) -> bytearray:
        with self._lock:
            self._used += 1
            if self._free:
                return self._free.pop()
        return bytearray(self.size_bytes)
