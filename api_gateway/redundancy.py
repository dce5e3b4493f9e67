"""How many replicas a client asks for, and how many of them on disk before it is answered. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from common.errors import InvalidRequest

CONSISTENCY_HEADER = "X-DFS-Consistency"
# How fresh a read is to be.
READ_LEVEL_HEADER = "X-DFS-Read-Consistency"
FACTOR_HEADER = "X-DFS-Replication"
FACTOR_FIELD = "replication_factor"


@dataclass(frozen=True)
class Redundancy:
    """What the client asks for; None: what the masters are configured for. The masters know what is possible."""

    consistency: str | None = None
    replication_factor: int | None = None

    def with_factor(self, source: str, text: str) -> Redundancy:
        """The same with another factor. source: where the text comes from. Raises InvalidRequest."""
        if not (text.isascii() and text.isdigit() and len(text) <= 4):
            raise InvalidRequest(f"{source} must be a whole number, not {text!r}")
        return replace(self, replication_factor=int(text))


AS_CONFIGURED = Redundancy()


def read_redundancy(headers: Mapping[str, str]) -> Redundancy:
    """What the headers of a write ask for. Raises InvalidRequest."""
    wanted = Redundancy(headers.get(CONSISTENCY_HEADER))
    text = headers.get(FACTOR_HEADER)
    return wanted if text is None else wanted.with_factor(f"the header {FACTOR_HEADER}", text)
