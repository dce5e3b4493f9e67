"""What an upload's document says of a resumable upload: whose turn it is, and what earlier turns have left behind.

Everything here is pure. docs/decisions/010-resumable-uploads.md says why it is as it is.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from common.records import Checksum, chunk_id

# From so many loose ranges on, garbage collection frees them while the upload goes on.
MANY_LOOSE = 64
# An upload that was resumed this often without what it left behind being freed is not resumed again until it is.
MAX_LOOSE = 2000


@dataclass(frozen=True)
class Loose:
    """Chunks that one attempt was placed and may have written, and that the upload does not count.

    Those with the indexes from `start` to `end` - 1.
    """

    attempt: int
    start: int
    end: int

    def ids(self, upload_id: str) -> Iterator[str]:
        return (chunk_id(upload_id, index, self.attempt) for index in range(self.start, self.end))


@dataclass(frozen=True)
class Sealed:
    """All that a commit needs to know of an upload that has all its bytes; the conditions as HTTP has them."""

    size_bytes: int
    chunk_count: int
    checksum: Checksum | None
    content_type: str
    if_match: str | None = None
    if_none_match: str | None = None


@dataclass(frozen=True)
class Resumable:
    """The part of an upload's document that only a resumable one has.

    path: "" for a partial one. length: None while the client has not said it. attempt: the present one; whoever has
    another is fenced off. session: whose call made it, so that a copy of that call does not make another.
    tail_attempt: the attempt of the short chunk at the end, 0 where there is none.
    """

    path: str
    length: int | None
    metadata: str
    content_type: str
    file_name: str
    is_partial: bool
    attempt: int = 0
    session: str = ""
    tail_attempt: int = 0
    loose: tuple[Loose, ...] = ()
    sealed: Sealed | None = None


def without(loose: Collection[Loose], upload_id: str, freed: Collection[str]) -> tuple[Loose, ...]:
    """The ranges with the chunks that were freed taken out."""
    return tuple(left for one in loose for left in _left_of(one, upload_id, freed))


def _left_of(one: Loose, upload_id: str, freed: Collection[str]) -> Iterator[Loose]:
    start = one.start
    for index in range(one.start, one.end):
        if chunk_id(upload_id, index, one.attempt) in freed:
            if start < index:
                yield Loose(one.attempt, start, index)
            start = index + 1
    if start < one.end:
        yield Loose(one.attempt, start, one.end)
