"""How fast bytes are moved: a limit, and a meter. Both may be used by any thread."""

from __future__ import annotations

import threading
from collections import deque

from common.clock import Clock

METER_SECONDS = 10.0


class RateLimit:
    """A token bucket that holds one second's bytes; what does not fit is owed, so that any size passes."""

    def __init__(self, bytes_per_second: int, clock: Clock) -> None:
        """bytes_per_second: 0 lets nothing pass."""
        self._rate = bytes_per_second
        self._clock = clock
        self._lock = threading.Lock()
        self._tokens = float(bytes_per_second)
        self._filled_at = clock.monotonic()

    def is_open(self) -> bool:
        """Whether something may be moved now."""
        with self._lock:
            return self._fill() > 0

    def spend(self, size_bytes: int) -> None:
        with self._lock:
            self._tokens = self._fill() - size_bytes

    def _fill(self) -> float:
        now = self._clock.monotonic()
        self._tokens = min(float(self._rate), self._tokens + (now - self._filled_at) * self._rate)
        self._filled_at = now
        return self._tokens


class Meter:
    """Bytes moved in all, and per second of late."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._recent: deque[tuple[float, int]] = deque()
        self.total_bytes = 0
        self.count = 0

    def add(self, size_bytes: int) -> None:
        with self._lock:
            second = float(int(self._clock.monotonic()))
            if self._recent and self._recent[-1][0] == second:
                self._recent.append((second, self._recent.pop()[1] + size_bytes))
            else:
                self._recent.append((second, size_bytes))
            self.total_bytes += size_bytes
            self.count += 1
            self._forget()

    def bytes_per_second(self) -> float:
        """The mean since the first of the last ten seconds in which something was moved."""
        with self._lock:
            self._forget()
            if not self._recent:
                return 0.0
            elapsed = self._clock.monotonic() - self._recent[0][0]
            return sum(size for _, size in self._recent) / max(1.0, elapsed)

    def _forget(self) -> None:
        while self._recent and self._recent[0][0] <= self._clock.monotonic() - METER_SECONDS:
            self._recent.popleft()
