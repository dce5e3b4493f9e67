"""Whether a service can do its work now: what it depends on, asked at most once a second.

/health says that the process lives, and nothing of what it needs; a service that is alive and not ready is to be waited
for, not started again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from common.clock import Clock, SystemClock
from common.errors import DFSError

KEPT_SECONDS = 1.0
Check = Callable[[], bool]


@dataclass(frozen=True)
class Ready:
    """What the checks came to, by their names. No reasons: whoever may not come in can ask, too."""

    checks: Mapping[str, bool] = field(default_factory=dict)

    @property
    def is_ready(self) -> bool:
        return all(self.checks.values())

    def to_json(self) -> dict[str, object]:
        return {"status": "ready" if self.is_ready else "not_ready", "checks": dict(self.checks)}


class Readiness:
    """The checks of one service. Safe for any number of threads: one of them looks, the others get what it saw."""

    def __init__(self, checks: Mapping[str, Check] | None = None, clock: Clock | None = None) -> None:
        """checks: each returns within seconds; what one raises counts as no."""
        self._checks = dict(checks or {})
        self._clock = clock or SystemClock()
        self._lock = threading.Lock()
        self._seen = Ready()
        self._seen_at = float("-inf")

    def look(self) -> Ready:
        """What holds now, or did a second ago; while another thread looks for longer than that, what held before."""
        is_seen_before = self._seen_at != float("-inf")
        if not self._lock.acquire(blocking=not is_seen_before):
            return self._seen
        try:
            if self._clock.monotonic() - self._seen_at >= KEPT_SECONDS:
                self._seen = Ready({name: _holds(check) for name, check in self._checks.items()})
                self._seen_at = self._clock.monotonic()
            return self._seen
        finally:
            self._lock.release()


def _holds(check: Check) -> bool:
    try:
        return check()
    except (DFSError, OSError):
        return False
