"""A quota and every change that it can undergo, as pure functions; each gives the next revision.

What counts is what a listing shows: the current contents of active files. Old versions and the trash do not.

Every change of a file below the prefix is *announced* in the quota's document before it is made, and *settled* after.
So at any revision the document names all changes that may be under way, and a recount can tell which files stand still.
A recount goes through the files page by page; the place that it has come to, its cursor, stands in the document, and a
change that is settled counts in the new sums exactly if the file lies at or before the cursor.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from common.errors import LargerThanQuota, QuotaExceeded
from master_node.model import ACTIVE, File


@dataclass(frozen=True)
class Part:
    """What one path comes to hold more, or less."""

    path: str
    size_bytes: int
    files: int


@dataclass(frozen=True)
class Announcement:
    """A change of one file that may be under way. announced_at: on the cluster clock."""

    change_id: str
    parts: tuple[Part, ...]
    announced_at: float

    @property
    def size_bytes(self) -> int:
        return sum(part.size_bytes for part in self.parts)

    @property
    def files(self) -> int:
        return sum(part.files for part in self.parts)


@dataclass(frozen=True)
class Recount:
    """How far a recount has come, and what it has counted up to there."""

    cursor: str = ""
    used_bytes: int = 0
    used_files: int = 0


@dataclass(frozen=True)
class Quota:
    """max_bytes, max_files: None for no limit. is_counted: False until the first recount; nothing is refused before.

    changed_at, counted_at: on the cluster clock, when it was set and when the last recount ended.
    """

    prefix: str
    max_bytes: int | None
    max_files: int | None
    revision: int = 1
    used_bytes: int = 0
    used_files: int = 0
    announced: tuple[Announcement, ...] = ()
    is_counted: bool = False
    changed_at: float = 0.0
    counted_at: float = 0.0
    recount: Recount | None = None

    def covers(self, path: str) -> bool:
        return path.startswith(self.prefix)

    def describe(self) -> dict[str, Any]:
        """As clients see it."""
        return {
            "prefix": self.prefix,
            "max_bytes": self.max_bytes,
            "max_files": self.max_files,
            # Before the first count they know only what has come and gone since.
            "used_bytes": max(0, self.used_bytes),
            "used_files": max(0, self.used_files),
            "is_counted": self.is_counted,
        }


def parts_of(before: File | None, after: File | None) -> tuple[Part, ...]:
    """What a change of a file does to the sums; nothing where it does not."""
    gone, come = _held(before, -1), _held(after, 1)
    if gone and come and gone.path == come.path:
        difference = gone.size_bytes + come.size_bytes
        return (Part(come.path, difference, 0),) if difference else ()
    return tuple(part for part in (gone, come) if part is not None)


def covered(quota: Quota, parts: Iterable[Part]) -> tuple[Part, ...]:
    return tuple(part for part in parts if quota.covers(part.path))


def announce(quota: Quota, announcement: Announcement) -> Quota:
    """The quota with a change under way; raises LargerThanQuota or QuotaExceeded where it would go beyond."""
    check_room(quota, announcement.size_bytes, announcement.files, max(part.size_bytes for part in announcement.parts))
    return _next(quota, announced=(*quota.announced, announcement))


def check_room(quota: Quota, size_bytes: int, files: int, largest_bytes: int) -> None:
    """Raise LargerThanQuota or QuotaExceeded where so much more would go beyond. What frees or keeps is never refused.

    largest_bytes: of one file alone, as far as it is known.
    """
    if quota.max_bytes is not None and largest_bytes > quota.max_bytes:
        raise LargerThanQuota(
            f"the file has {largest_bytes} bytes, the quota of {quota.prefix!r} is {quota.max_bytes}",
            prefix=quota.prefix,
            limit_bytes=quota.max_bytes,
        )
    if not quota.is_counted:
        return
    used_bytes = quota.used_bytes + sum(max(0, one.size_bytes) for one in quota.announced)
    used_files = quota.used_files + sum(max(0, one.files) for one in quota.announced)
    is_over_bytes = quota.max_bytes is not None and size_bytes > 0 and used_bytes + size_bytes > quota.max_bytes
    is_over_files = quota.max_files is not None and files > 0 and used_files + files > quota.max_files
    if is_over_bytes or is_over_files:
        raise QuotaExceeded(
            f"{quota.prefix!r} may hold {_limits(quota)}; it holds {used_bytes} bytes in {used_files} files",
            prefix=quota.prefix,
            limit_bytes=quota.max_bytes,
            limit_files=quota.max_files,
            used_bytes=used_bytes,
            used_files=used_files,
        )


def settle(quota: Quota, announcement: Announcement, is_made: bool) -> Quota:
    """The quota once it is known whether the change was made."""
    announced = tuple(one for one in quota.announced if one.change_id != announcement.change_id)
    if not is_made:
        return _next(quota, announced=announced)
    recount = quota.recount
    if recount is not None:
        seen = [part for part in announcement.parts if part.path <= recount.cursor]
        recount = _counted(recount, seen)
    return _next(
        quota,
        announced=announced,
        used_bytes=quota.used_bytes + announcement.size_bytes,
        used_files=quota.used_files + announcement.files,
        recount=recount,
    )


def begin_recount(quota: Quota, stale_before: float) -> Quota:
    """The quota at the start of a recount; announcements that nobody can settle any more are given up."""
    kept = tuple(one for one in quota.announced if one.announced_at >= stale_before)
    return _next(quota, announced=kept, recount=Recount())


def has_under_way(quota: Quota, after: str, up_to: str | None) -> bool:
    """Whether a change of a file in this range is announced. up_to: None for all that follow."""
    return any(
        after < part.path and (up_to is None or part.path <= up_to) for one in quota.announced for part in one.parts
    )


def recount_page(quota: Quota, cursor: str, parts: Iterable[Part]) -> Quota:
    """The quota with one page counted, up to and with the path `cursor`."""
    return _next(quota, recount=replace(_counted(quota.recount or Recount(), parts), cursor=cursor))


def end_recount(quota: Quota, parts: Iterable[Part], now: float) -> Quota:
    """The quota with the last page counted."""
    total = _counted(quota.recount or Recount(), parts)
    return _next(
        quota,
        used_bytes=total.used_bytes,
        used_files=total.used_files,
        is_counted=True,
        counted_at=now,
        recount=None,
    )


def with_limits(quota: Quota, max_bytes: int | None, max_files: int | None) -> Quota:
    return _next(quota, max_bytes=max_bytes, max_files=max_files)


def _held(file: File | None, sign: int) -> Part | None:
    if file is None or file.status != ACTIVE or file.version is None:
        return None
    return Part(file.path, sign * file.version.size_bytes, sign)


def _counted(recount: Recount, parts: Iterable[Part]) -> Recount:
    counted = list(parts)
    return replace(
        recount,
        used_bytes=recount.used_bytes + sum(part.size_bytes for part in counted),
        used_files=recount.used_files + sum(part.files for part in counted),
    )


def _limits(quota: Quota) -> str:
    limits = [f"{quota.max_bytes} bytes" if quota.max_bytes is not None else ""]
    limits.append(f"{quota.max_files} files" if quota.max_files is not None else "")
    return " and ".join(limit for limit in limits if limit)


def _next(quota: Quota, **changes: Any) -> Quota:
    return replace(quota, revision=quota.revision + 1, **changes)
