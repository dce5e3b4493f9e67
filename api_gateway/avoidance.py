"""Which workers have failed a call of late: they are asked last for a while, not never."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from common.clock import Clock
from common.records import Target


class Avoidance:
    """What this gateway remembers of failed calls."""

    def __init__(self, clock: Clock, avoid_seconds: float) -> None:
        self._clock = clock
        self._avoid_seconds = avoid_seconds
        self._lock = threading.Lock()
        self._until: dict[str, float] = {}

    def note_failure(self, worker_id: str) -> None:
        with self._lock:
            self._until[worker_id] = self._clock.monotonic() + self._avoid_seconds

    def note_success(self, worker_id: str) -> None:
        with self._lock:
            self._until.pop(worker_id, None)

    def order(self, targets: Sequence[Target]) -> list[Target]:
        """The same targets, those to avoid moved to the end."""
        now = self._clock.monotonic()
        with self._lock:
            avoided = {worker_id for worker_id, until in self._until.items() if until > now}
        return sorted(targets, key=lambda target: target.worker_id in avoided)
