"""What a service shows to those who watch it: /metrics and /ready, and who may ask for them.

/ready is open to everybody, as /health is. /metrics names workers, routes and how full the disks are, so it is for
whoever shows the token in DFS_METRICS_TOKEN. Besides, the gateway's is for those whom its own rules let in, a master's
or a worker's for callers on the same machine.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass, field

from common.addresses import is_loopback, is_own_name
from common.calls import Answer, Call, json_answer
from common.errors import Unauthorized
from common.metrics import Metrics
from common.readiness import Readiness

METRICS_PATH, READY_PATH = "/metrics", "/ready"
_HOW = "from another machine /metrics needs 'Authorization: Bearer <DFS_METRICS_TOKEN>', set in .env on every host"
_FORWARDED = ("Forwarded", "Via", "X-Forwarded-For", "X-Real-IP")
Guard = Callable[[Call], None]


@dataclass(frozen=True)
class Monitoring:
    """token: empty where none is configured. is_internal: whether the service is one that no client calls."""

    metrics: Metrics
    readiness: Readiness = field(default_factory=Readiness)
    token: str = field(default="", repr=False)
    is_internal: bool = False

    def guarded(self, guard: Guard) -> Guard:
        """The service's own guard, but for what watchers may ask for."""

        def check(call: Call) -> None:
            path = call.path
            if path == READY_PATH or (path == METRICS_PATH and self._may_see(call)):
                return
            if path == METRICS_PATH and self.is_internal:
                raise Unauthorized(_HOW)
            guard(call)

        return check

    def answer_metrics(self, call: Call) -> Answer:
        text, media_type = self.metrics.render(call.headers.get("Accept", ""))
        return Answer(200, [("Content-Type", media_type), ("Content-Length", str(len(text)))], (text,))

    def answer_ready(self, _call: Call) -> Answer:
        """200 when every check holds, else 503."""
        ready = self.readiness.look()
        return json_answer(ready.to_json(), 200 if ready.is_ready else 503)

    def _may_see(self, call: Call) -> bool:
        scheme, _, shown = call.headers.get("Authorization", "").partition(" ")
        if self.token and scheme.lower() == "bearer":
            return hmac.compare_digest(shown.strip().encode("utf-8", "surrogateescape"), self.token.encode())
        return self.is_internal and _is_from_here(call)


def _is_from_here(call: Call) -> bool:
    """Whether somebody on this machine asks, and neither a proxy for others nor a page that gave its name to us."""
    if any(name in call.headers for name in _FORWARDED):
        return False
    return is_loopback(call.client or "") and is_own_name(call.headers.get("Host", ""))
