"""Who looks at a page, as its templates see them: shown is what they may do. What counts is the guard's own check."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from api_gateway.access.needs import need_of
from common.actors import NOBODY, RIGHTS, Actor
from common.calls import Call
from common.errors import Forbidden

# Name, address and label, as the header has them.
_VIEWS = (
    ("files", "/", "Files"),
    ("trash", "/trash", "Trash"),
    ("cluster", "/cluster-view", "Cluster"),
    ("docs", "/docs", "API"),
)


@dataclass(frozen=True)
class Visitor:
    """rights: in their usual order. bound: the beginning of all paths that they may see. views: those open to them."""

    rights: Sequence[str]
    bound: str
    is_signed_in: bool
    views: Sequence[tuple[str, str, str]]

    def may(self, right: str) -> bool:
        return right in self.rights

    @property
    def can_only_read(self) -> bool:
        return self.may("read") and not (self.may("write") or self.may("delete"))


def visitor_of(call: Call) -> Visitor:
    """Of a call that the guard refused, or that anybody may make, one who may do nothing."""
    actor = call.actor or NOBODY
    rights = tuple(right for right in RIGHTS if right in actor.rights)
    views = tuple(view for view in _VIEWS if rights and _is_open(view[1], actor))
    return Visitor(rights, actor.prefix, actor.is_session, views)


def _is_open(address: str, actor: Actor) -> bool:
    try:
        need_of("GET", address).check(actor)
    except Forbidden:
        return False
    return True
