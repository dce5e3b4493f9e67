"""What a rebuild says of each file, and the sums."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

INTACT = "intact"
LOST = "lost"
UNSURE = "unsure"
FOUND = "found"
INCOMPLETE = "incomplete"
GIVEN_UP = "given_up"

EXPLANATIONS = {
    INTACT: "the backup knew it, and every chunk of it is there",
    LOST: "the backup knew it, and some of its chunks are on no worker",
    UNSURE: "the backup knew it, and chunks may be on the workers that were not asked",
    FOUND: "the backup did not know it; all its bytes were read and it is a file again",
    INCOMPLETE: "the backup did not know it, and not all of it is there: lost",
    GIVEN_UP: "an upload that was given up, or a file that was purged, before the backup; its bytes will be freed",
}
LOSSES = (LOST, INCOMPLETE, UNSURE)


@dataclass(frozen=True)
class Finding:
    """One version of a file. path: where it is now; known_as: what its note says, if that is another.

    completeness, of what was found: "proven" by the mark of its last chunk, or "likely": it has no gap and ends in a
    short chunk, but was stored by a release without marks.
    """

    kind: str
    version_id: str
    path: str = ""
    known_as: str = ""
    is_current: bool = True
    chunk_count: int = 0
    missing_chunks: int = 0
    size_bytes: int = 0
    uploaded_at: str = ""
    completeness: str = ""
    detail: str = ""

    def to_json(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "version_id": self.version_id,
            "path": self.path,
            "known_as": self.known_as,
            "is_current": self.is_current,
            "chunk_count": self.chunk_count,
            "missing_chunks": self.missing_chunks,
            "size_bytes": self.size_bytes,
            "uploaded_at": self.uploaded_at,
            "completeness": self.completeness,
            "detail": self.detail,
        }

    def to_line(self) -> str:
        """For people."""
        name = self.path or self.known_as or "(no name known)"
        parts = [f"{self.kind:10} {name}"]
        if self.known_as not in ("", name):
            parts.append(f"uploaded as {self.known_as}")
        if not self.is_current:
            parts.append("an old version")
        if self.missing_chunks:
            parts.append(f"{self.missing_chunks} of {self.chunk_count or '?'} chunks missing")
        if self.kind == FOUND:
            parts.append(f"completeness {self.completeness}; was never seen committed")
        if self.detail:
            parts.append(self.detail)
        return f"{', '.join(parts)} [{self.version_id}]"


class Findings:
    """Passes each finding on as it comes, and keeps the sums."""

    def __init__(self, tell: Callable[[Finding], None]) -> None:
        self._tell = tell
        self.counts: Counter[str] = Counter()

    def add(self, finding: Finding) -> None:
        self.counts[finding.kind] += 1
        self._tell(finding)

    @property
    def has_losses(self) -> bool:
        return any(self.counts[kind] for kind in LOSSES)
