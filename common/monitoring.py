"""What a service shows to those who watch it: /metrics and /ready, and who may ask for them.

/ready is open to everybody, as /health is. /metrics names workers, routes and how full the disks are, so it is for
whoever shows the token in DFS_METRICS_TOKEN; who shows many wrong ones has to wait. Besides, the gateway's is for those
whom its own rules let in, a master's or a worker's for callers on the same machine.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass, field

from common.addresses import is_loopback, is_own_name
from common.calls import Answer, Call, json_answer
from common.clock import SystemClock
from common.errors import TooManySignIns, Unauthorized
from common.failed_sign_ins import FailedSignIns
from common.metrics import Metrics
from common.readiness import Readiness

METRICS_PATH, READY_PATH = "/metrics", "/ready"
_HOW = "from another machine /metrics needs 'Authorization: Bearer <DFS_METRICS_TOKEN>', set in .env on every host"
_FORWARDED = ("Forwarded", "Via", "X-Forwarded-For", "X-Real-IP")
Guard = Callable[[Call], None]
_WRONG_TOKENS_PER_MINUTE = 30


@dataclass(frozen=True)
class Monitoring:
    """token: empty where none is configured. is_internal: whether the service is one that no client calls."""

    metrics: Metrics
    readiness: Readiness = field(default_factory=Readiness)
    token: str = field(default="", repr=False)
    is_internal: bool = False
    failures: FailedSignIns = field(default_factory=lambda: FailedSignIns(SystemClock(), _WRONG_TOKENS_PER_MINUTE))

    def guarded(self, guard: Guard) -> Guard:
        """The service's own guard, but for what watchers may ask for."""

        def check(call: Call) -> None:
            if call.path == METRICS_PATH:
                self._admit(call, guard)
            elif call.path != READY_PATH:
                guard(call)

        return check

    def answer_metrics(self, call: Call) -> Answer:
        text, media_type = self.metrics.render(call.headers.get("Accept", ""))
        return Answer(200, [("Content-Type", media_type), ("Content-Length", str(len(text)))], (text,))

    def answer_ready(self, _call: Call) -> Answer:
        """200 when every check holds, else 503."""
        ready = self.readiness.look()
        return json_answer(ready.to_json(), 200 if ready.is_ready else 503)

    def _admit(self, call: Call, guard: Guard) -> None:
        """Let a caller see the metrics, or raise Unauthorized, TooManySignIns, or what the guard raises."""
        shown = _shown_token(call) if self.token else None
        if shown is None:
            self._admit_without_token(call, guard)
        elif hmac.compare_digest(shown, self.token.encode()):
            # Who has to wait must not learn that this guess was right.
            self.failures.require_patience(call.client)
        else:
            self._admit_with_another(call, guard)

    def _admit_without_token(self, call: Call, guard: Guard) -> None:
        if not self.is_internal:
            guard(call)
        elif not _is_from_here(call):
            raise Unauthorized(_HOW)

    def _admit_with_another(self, call: Call, guard: Guard) -> None:
        """It may be a key that the guard knows; else it is a wrong guess of the token."""
        try:
            if self.is_internal:
                raise Unauthorized(_HOW)
            guard(call)
        except (Unauthorized, TooManySignIns):
            self.failures.require_patience(call.client)
            self.failures.note(call.client)
            raise


def _shown_token(call: Call) -> bytes | None:
    scheme, _, shown = call.headers.get("Authorization", "").partition(" ")
    return shown.strip().encode("utf-8", "surrogateescape") if scheme.lower() == "bearer" else None


def _is_from_here(call: Call) -> bool:
    """Whether somebody on this machine asks, and neither a proxy for others nor a page that gave its name to us."""
    if any(name in call.headers for name in _FORWARDED):
        return False
    return is_loopback(call.client or "") and is_own_name(call.headers.get("Host", ""))
