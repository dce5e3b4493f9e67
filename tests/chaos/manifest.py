"""What the cluster has promised: every change of every path that it acknowledged, and what a read may give now.

Each path belongs to one writer, so its changes follow one another. A change whose answer was lost may have happened or
not, also later; its paths are then *retired*: nobody changes them any more, and both contents are right.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

from tests.support.client import sha256, some_bytes


@dataclass(frozen=True)
class Content:
    """What a path holds: bytes that follow from their size and seed. ABSENT: no file."""

    size: int
    seed: str
    digest: str = ""

    def read(self) -> bytes:
        return some_bytes(self.size, self.seed)


ABSENT = Content(-1, "")


def make_content(size: int, seed: str) -> Content:
    return Content(size, seed, sha256(some_bytes(size, seed)))


class Outcome(Enum):
    """What became of a change: it happened; it certainly did not; nobody knows."""

    ACKNOWLEDGED = "acknowledged"
    REFUSED = "refused"
    LOST = "lost"


@dataclass(frozen=True)
class Change:
    """One operation: the content that each of its paths has afterwards."""

    kind: str
    contents: tuple[tuple[str, Content], ...]


@dataclass
class _Path:
    """allowed: what a read may give. begun: all that was ever tried, in order."""

    allowed: list[Content] = field(default_factory=lambda: [ABSENT])
    begun: list[Content] = field(default_factory=list)
    is_retired: bool = False


@dataclass(frozen=True)
class Watch:
    """A path at the moment at which a read of it began."""

    path: str
    allowed: tuple[Content, ...]
    begun_count: int


class Manifest:
    """For any number of threads. Kept in a file too, one line an operation, written once its outcome is known."""

    def __init__(self, file: Path) -> None:
        self._file = open(file, "a", encoding="utf-8")  # noqa: SIM115 - closed by close()
        self._lock = threading.Lock()
        self._paths: dict[str, _Path] = {}
        self._lost_renames: list[tuple[str, str]] = []
        self._started_at = time.monotonic()
        self.acknowledged = 0
        self.lost = 0

    def begin(self, change: Change) -> None:
        """The operation is about to be sent: from now on a read may see it."""
        with self._lock:
            for name, content in change.contents:
                path = self._paths.setdefault(name, _Path())
                path.begun.append(content)
                path.allowed.append(content)

    def end(self, change: Change, outcome: Outcome) -> None:
        """The outcome is known: of an acknowledged operation a read must see the new content, of a refused one not."""
        with self._lock:
            for name, content in change.contents:
                path = self._paths[name]
                if outcome is Outcome.ACKNOWLEDGED:
                    path.allowed = [content]
                elif outcome is Outcome.REFUSED:
                    path.allowed.remove(content)
                else:
                    path.is_retired = True
            self._count(change, outcome)

    def watch(self, path: str) -> Watch:
        with self._lock:
            known = self._paths[path]
            return Watch(path, tuple(known.allowed), len(known.begun))

    def allowed_since(self, watch: Watch) -> list[Content]:
        """What a read that began at `watch` and has ended now may have given."""
        with self._lock:
            return [*watch.allowed, *self._paths[watch.path].begun[watch.begun_count :]]

    def paths(self) -> list[str]:
        with self._lock:
            return list(self._paths)

    def certain(self) -> dict[str, Content]:
        """The paths of which only one content is right."""
        with self._lock:
            return {name: path.allowed[0] for name, path in self._paths.items() if len(set(path.allowed)) == 1}

    def lost_renames(self) -> list[tuple[str, str]]:
        """Source and target of each rename whose answer was lost: exactly one of the two is there."""
        with self._lock:
            return list(self._lost_renames)

    def close(self) -> None:
        self._file.close()

    def _count(self, change: Change, outcome: Outcome) -> None:
        if outcome is Outcome.REFUSED:
            return
        if outcome is Outcome.ACKNOWLEDGED:
            self.acknowledged += 1
        else:
            self.lost += 1
            if change.kind == "rename":
                source, target = (name for name, _ in change.contents)
                self._lost_renames.append((source, target))
        self._file.write(json.dumps(self._line(change, outcome)) + "\n")
        self._file.flush()

    def _line(self, change: Change, outcome: Outcome) -> dict[str, Any]:
        return {
            "seconds": round(time.monotonic() - self._started_at, 3),
            "outcome": outcome.value,
            "kind": change.kind,
            "contents": [_describe(name, content) for name, content in change.contents],
        }


def _describe(path: str, content: Content) -> dict[str, Any]:
    if content == ABSENT:
        return {"path": path, "is_absent": True}
    return {"path": path, "size": content.size, "seed": content.seed, "sha256": content.digest}


def names(contents: Iterable[Content]) -> str:
    """For messages: what would have been right."""
    return " or ".join(
        "no file" if content == ABSENT else f"{content.digest[:8]} ({content.size} bytes)" for content in contents
    )
