"""Replicas that are late although their chunk counts as stored: they get some time, then they are broken off.

One thread for all of them, since they all get the same time; started with the first.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import Protocol

from common.clock import Clock


class LateWrite(Protocol):
    """What is asked of a write with late replicas; none of it waits."""

    @property
    def is_over(self) -> bool: ...

    def break_off(self) -> None: ...

    def give_up(self) -> None: ...


class Stragglers:
    """The late writes of one gateway, at most `limit` of them."""

    def __init__(self, clock: Clock, seconds: float, limit: int) -> None:
        """seconds: after which late replicas are broken off, and again until spares are given up."""
        self._clock = clock
        self.seconds = seconds
        self._limit = limit
        self._changed = threading.Condition()
        self._waiting: deque[tuple[float, LateWrite, bool]] = deque()
        self._thread: threading.Thread | None = None
        self._is_closed = False

    def admit(self, write: LateWrite) -> bool:
        """Watch over a write from here on; False where there are too many."""
        with self._changed:
            if self._is_closed or len(self._waiting) >= self._limit:
                return False
            self._waiting.append((self._clock.monotonic() + self.seconds, write, True))
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="stragglers", daemon=True)
                self._thread.start()
            self._changed.notify_all()
        return True

    def close(self) -> None:
        """Give up all that is late."""
        with self._changed:
            self._is_closed = True
            late = [write for _, write, _ in self._waiting]
            self._waiting.clear()
            self._changed.notify_all()
        for write in late:
            write.give_up()

    def _run(self) -> None:
        while (due := self._next()) is not None:
            write, is_first = due
            if write.is_over:
                continue
            if is_first:
                write.break_off()
                with self._changed:
                    self._waiting.append((self._clock.monotonic() + self.seconds, write, False))
            else:
                write.give_up()

    def _next(self) -> tuple[LateWrite, bool] | None:
        """The write whose time is over, once it is; None when closed."""
        with self._changed:
            while not self._is_closed:
                if not self._waiting:
                    self._changed.wait()
                    continue
                left = self._waiting[0][0] - self._clock.monotonic()
                if left <= 0:
                    return self._waiting.popleft()[1:]
                self._changed.wait(left)
        return None
