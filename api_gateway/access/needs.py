"""What each route of the gateway needs: one table. A route without a row is not served: see `require_complete`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from common.actors import ADMIN, DELETE, READ, WRITE, Actor

Route = tuple[str, str]


class Scope(Enum):
    """Over what a right must hold."""

    OPEN = "anybody may ask, without a key"
    ANY_KEY = "whoever may come in at all"
    PATHS = "the right, for the paths concerned: the handler asks `Call.permit`"
    CLUSTER = "the right, of a key without a prefix"


@dataclass(frozen=True)
class Need:
    """What a route needs: one of the rights. is_audited: whether it is a line in the audit log."""

    scope: Scope
    rights: tuple[str, ...] = ()
    is_audited: bool = True

    def check(self, actor: Actor) -> None:
        """Raise RightMissing or OutsidePrefix as far as that can be told before anything is looked up."""
        if self.rights:
            actor.require(*self.rights)
        if self.scope is Scope.CLUSTER:
            actor.require_everywhere()


def _paths(*rights: str) -> Need:
    return Need(Scope.PATHS, rights)


def _cluster(*rights: str) -> Need:
    return Need(Scope.CLUSTER, rights)


_OPEN = Need(Scope.OPEN, is_audited=False)
_ANY_KEY = Need(Scope.ANY_KEY, is_audited=False)
# What is not there is 404 to those only who may come in.
NO_ROUTE = _ANY_KEY
# A route that the table does not name: there should be none.
_UNKNOWN = _cluster(ADMIN)

NEEDS: dict[Route, Need] = {
    ("GET", "/health"): _OPEN,
    ("GET", "/ready"): _OPEN,
    ("GET", "/openapi.json"): _ANY_KEY,
    ("GET", "/docs"): _ANY_KEY,
    # Or the token of those who watch.
    ("GET", "/metrics"): Need(Scope.CLUSTER, (READ, ADMIN), is_audited=False),
    ("GET", "/static/<path:filename>"): _OPEN,
    ("GET", "/"): _paths(READ),
    ("GET", "/trash"): _paths(READ),
    ("GET", "/sign-in"): _OPEN,
    ("POST", "/sign-in"): Need(Scope.OPEN),
    ("POST", "/sign-out"): Need(Scope.OPEN),
    ("POST", "/files"): _paths(WRITE),
    ("GET", "/files"): _paths(READ),
    ("GET", "/files/<file_id>"): _paths(READ),
    ("GET", "/files/<file_id>/chunks"): _paths(READ),
    # What it may write is what anybody can work out who reads the file.
    ("GET", "/files/<file_id>/checksum"): _paths(READ),
    ("GET", "/files/<file_id>/download"): _paths(READ),
    ("GET", "/files/<file_id>/preview"): _paths(READ),
    ("DELETE", "/files/<file_id>"): _paths(DELETE),
    ("POST", "/files/<file_id>/delete"): _paths(DELETE),
    ("POST", "/files/<file_id>/restore"): _paths(WRITE),
    ("PATCH", "/files/<file_id>"): _paths(WRITE),
    ("PUT", "/fs/<anypath:path>"): _paths(WRITE),
    ("GET", "/fs/<anypath:path>"): _paths(READ),
    ("DELETE", "/fs/<anypath:path>"): _paths(DELETE),
    ("POST", "/trash/empty"): _paths(DELETE),
    ("GET", "/archive"): _paths(READ),
    ("POST", "/archive"): _paths(READ),
    # Whoever may write a path may also give up what is on its way there.
    ("POST", "/uploads"): _paths(WRITE),
    ("GET", "/uploads/<upload_id>"): _paths(WRITE),
    ("PATCH", "/uploads/<upload_id>"): _paths(WRITE),
    ("DELETE", "/uploads/<upload_id>"): _paths(WRITE),
    ("POST", "/uploads/<upload_id>"): _paths(WRITE),
    # The right that the link is to give.
    ("POST", "/links"): _paths(READ, WRITE),
    ("POST", "/keys"): _cluster(ADMIN),
    ("GET", "/keys"): _cluster(ADMIN),
    ("DELETE", "/keys/<key_id>"): _cluster(ADMIN),
    ("GET", "/quotas"): _cluster(ADMIN),
    ("PUT", "/quotas"): _cluster(ADMIN),
    ("DELETE", "/quotas"): _cluster(ADMIN),
    # How the cluster is tells nothing of any file; still it is not for a key that is to see one folder.
    ("GET", "/cluster"): _cluster(READ, ADMIN),
    ("GET", "/cluster-view"): _cluster(READ, ADMIN),
    ("GET", "/cluster/jobs"): _cluster(READ, ADMIN),
    ("POST", "/cluster/workers/<worker_id>/drain"): _cluster(ADMIN),
    ("POST", "/cluster/workers/<worker_id>/undrain"): _cluster(ADMIN),
    ("POST", "/cluster/fsck"): _cluster(ADMIN),
    # It names files.
    ("GET", "/cluster/fsck"): _cluster(ADMIN),
}


def need_of(method: str, rule: str) -> Need:
    """What a request needs, by its method and the rule of its route; HEAD goes with GET, OPTIONS with what is there."""
    otherwise = NO_ROUTE if not rule or method == "OPTIONS" else _UNKNOWN
    return NEEDS.get(("GET" if method == "HEAD" else method, rule), otherwise)


def require_complete(routes: Iterable[Route]) -> None:
    """Raise LookupError for routes of which the table says nothing."""
    missing = sorted({route for route in routes if route[0] not in ("HEAD", "OPTIONS")} - NEEDS.keys())
    if missing:
        raise LookupError(f"api_gateway/access/needs.py does not say what these routes need: {missing}")
