"""A clock that a test moves, so that nobody waits."""

from __future__ import annotations


class StepClock:
    """Stands still except that sleeping moves it, and `now` can be set; the wall clock shows the same."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def timestamp(self) -> str:
        return "2026-01-31T12:00:00.000Z"

    def unix_seconds(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
