"""Who makes a request to the gateway, and what they may do. Knows no keys and no HTTP."""

from __future__ import annotations

from dataclasses import dataclass

from common.errors import OutsidePrefix, RightMissing

READ, WRITE, DELETE, ADMIN = "read", "write", "delete", "admin"
RIGHTS = (READ, WRITE, DELETE, ADMIN)


@dataclass(frozen=True)
class Actor:
    """One who may come in. prefix: the beginning that every path must have; empty: all paths.

    label: as the audit log names the actor; key_id: of the key that vouches for it, empty where there is none.
    """

    label: str
    rights: frozenset[str] = frozenset()
    prefix: str = ""
    key_id: str = ""
    key_name: str = ""
    is_session: bool = False

    def require(self, *rights: str) -> None:
        """Raise RightMissing unless the actor has one of these rights."""
        if self.rights.isdisjoint(rights):
            wanted = " or ".join(rights)
            raise RightMissing(f"this needs the right {wanted}, which the key does not have", right=wanted)

    def require_everywhere(self) -> None:
        """Raise OutsidePrefix where the actor is bound to some paths."""
        if self.prefix:
            raise OutsidePrefix("the key is bound to a prefix, and this concerns the whole cluster", prefix=self.prefix)

    def require_path(self, path: str) -> None:
        """Raise OutsidePrefix unless the actor may deal with this path, given its rights."""
        if not path.startswith(self.prefix):
            raise OutsidePrefix("the path lies outside of the key's prefix", prefix=self.prefix)


NOBODY = Actor("nobody")
EVERY_RIGHT = frozenset(RIGHTS)
