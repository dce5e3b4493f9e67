"""How fast a client is while it is waited for: one that drips is no better than one that is silent."""

from __future__ import annotations

import time


class TooSlow(TimeoutError):
    """The client sent or took less than the least that is asked of it."""


class Pace:
    """Of the bytes that one request brings, or of those that its answer takes.

    Only the time counts in which the client was waited for, not what we do ourselves in between; so an upload that our
    own disks hold up is never slow.
    """

    def __init__(self, window_seconds: float, least_bytes_per_second: int) -> None:
        """window_seconds: of waiting, over which the least is asked; so a client may stand still for almost as long."""
        self._window_seconds = window_seconds
        self._least_bytes = window_seconds * least_bytes_per_second
        self._waited_seconds = 0.0
        self._moved_bytes = 0

    def note(self, started: float, count: int) -> None:
        """`count` bytes came or went, waited for since `started` on the monotonic clock; raises TooSlow."""
        self._moved_bytes += count
        self._waited_seconds += time.monotonic() - started
        if self._waited_seconds < self._window_seconds:
            return
        if self._moved_bytes < self._least_bytes:
            raise TooSlow(f"{self._moved_bytes} bytes in {self._waited_seconds:.0f} s are too few")
        self._waited_seconds, self._moved_bytes = 0.0, 0
