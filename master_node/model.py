"""The values that the masters keep, and every change that a file can undergo, as pure functions.

A change takes a File and gives the next one, with `revision` one higher; the store writes it on condition that the
revision in the database is still the old one. Sizes are in bytes. Times named `..._at` with a number are seconds of
the cluster clock (election.py); those that are text are RFC 3339 for people.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from common.errors import (
    Conflict,
    FileDeleted,
    FileUnknown,
    PathTaken,
    PreconditionFailed,
    TooManyVersions,
    VersionUnknown,
)
from common.records import Checksum, FileInfo, Heartbeat, chunk_id, describe_checksum
from master_node.attempts import MANY_LOOSE, Loose, Resumable

ACTIVE, DELETED, PURGED = "active", "deleted", "purged"
OPEN, COMMITTED, ABORTED = "open", "committed", "aborted"
# Of resumable uploads besides: it takes bytes; so does a littered one, of which much waits to be freed; a sealed one
# has all its bytes and can be committed; of a kept one, which was committed, nothing is left to be freed.
RESUMABLE, LITTERED, SEALED, KEPT = "resumable", "littered", "sealed", "kept"
# The states from which an upload can still be given up.
GOING_ON = (OPEN, RESUMABLE, LITTERED, SEALED)
# Later than any cluster clock; a number, not null, because null has no place in some databases' range queries.
NEVER = 1e15
# A commit is held back, to be tried again, while a file has this many times its allowed old versions.
VERSIONS_HARD_FACTOR = 4
# How long a purged file's document stays, so that no late copy of an old commit can bring the file back.
TOMBSTONE_SECONDS = 86400.0
# For so long after an upload's last sign of life a replica of it may still be arriving at a worker.
ARRIVAL_SECONDS = 60.0


@dataclass(frozen=True)
class Version:
    """One content of a file; its chunks carry `version_id` in their ids."""

    version_id: str
    number: int
    size_bytes: int
    chunk_count: int
    chunk_size_bytes: int
    replication_factor: int
    checksum: Checksum | None
    content_type: str
    created_at: str
    restored_from: int = 0


@dataclass(frozen=True)
class OldVersion:
    """A superseded version, freed from `expires_at` on; it can be restored until it `is_released`."""

    version: Version
    expires_at: float
    superseded_at: str
    is_released: bool = False


@dataclass(frozen=True)
class File:
    """One named file. `version` is None only in the document that bars an aborted commit (commit.py)."""

    file_id: str
    path: str
    status: str
    revision: int
    version: Version | None
    old_versions: tuple[OldVersion, ...]
    last_number: int
    created_at: str
    modified_at: str
    expires_at: float = NEVER

    @property
    def key(self) -> str:
        """Unique among all files, and the order of the listing: see `listing.py`."""
        if self.status == ACTIVE:
            return f"a/{self.path}"
        if self.status == DELETED:
            # No path has a NUL, so the order is that of the paths.
            return f"d/{self.path}\x00{self.file_id}"
        return f"x/{self.file_id}"

    @property
    def due_at(self) -> float:
        """When garbage collection has something to do here; a purged file's own document goes last."""
        due = [old.expires_at for old in self.old_versions]
        return min(due) if due and self.status == PURGED else min([self.expires_at, *due])

    @property
    def pending_bytes(self) -> int:
        """Bytes that wait to be freed, the replicas not counted."""
        waiting = [old.version.size_bytes for old in self.old_versions]
        if self.status == DELETED and self.version is not None:
            waiting.append(self.version.size_bytes)
        return sum(waiting)

    def has_version(self, version_id: str) -> bool:
        """Whether the version is, or was, the content of this file, as far as the document remembers."""
        versions = [old.version for old in self.old_versions] + ([self.version] if self.version else [])
        return any(version.version_id == version_id for version in versions)

    def to_info(self) -> FileInfo:
        """The file as clients see it; only for a file with a version."""
        if self.version is None:
            raise FileUnknown(f"no file {self.file_id}")
        version = self.version
        return FileInfo(
            file_id=self.file_id,
            path=self.path,
            status=self.status,
            version=version.number,
            version_id=version.version_id,
            size=version.size_bytes,
            content_type=version.content_type,
            checksum=version.checksum,
            chunk_size=version.chunk_size_bytes,
            # The chunk of an empty file is the cluster's own affair: there is nothing to read in it.
            chunk_count=version.chunk_count if version.size_bytes else 0,
            replication_factor=version.replication_factor,
            created_at=self.created_at,
            modified_at=self.modified_at,
            old_versions=tuple(_describe_old(old) for old in reversed(self.old_versions) if self.status != PURGED),
        )


@dataclass(frozen=True)
class Chunk:
    """One chunk of a version. `replicas` are the workers whose copies count: those are read from.

    owed: how many replicas are missing to the version's replication factor; below zero where there are too many.
    doubtful: workers that may hold a copy that does not count: never read from; it is adopted where one is owed, else
    freed. Every change has a `revision` one higher, see `replicas.py`. attempt: which file on the workers is meant; of
    one record it never goes down.
    """

    version_id: str
    index: int
    size_bytes: int
    checksum: str
    replicas: tuple[str, ...]
    owed: int
    doubtful: tuple[str, ...] = ()
    revision: int = 1
    attempt: int = 0

    @property
    def chunk_id(self) -> str:
        return chunk_id(self.version_id, self.index, self.attempt)

    @property
    def slot(self) -> str:
        """What the record is kept under: one version has one record of an index."""
        return chunk_id(self.version_id, self.index)

    @property
    def factor(self) -> int:
        """The replication factor of the version."""
        return self.owed + len(self.replicas)


@dataclass(frozen=True)
class CommitTarget:
    """The one write that a commit may make: insert the file, or replace it at exactly this revision."""

    file_id: str
    path: str
    revision: int
    is_insert: bool


@dataclass(frozen=True)
class Upload:
    """A version in the making. `upload_id` becomes its version id, and the file id of a new file.

    write_quorum: how many replicas of each chunk must be on disk before it is recorded. recorded_count: of a resumable
    upload that takes bytes, the full chunks alone; recorded_bytes: its offset, the short chunk at the end included.
    placed_count: up to which index the present attempt has been told where to write.
    """

    upload_id: str
    state: str
    revision: int
    chunk_size_bytes: int
    replication_factor: int
    recorded_count: int
    recorded_bytes: int
    placed_count: int
    workers: tuple[str, ...]
    last_activity_at: float
    target: CommitTarget | None = None
    file_id: str = ""
    is_collected: bool = False
    refusal: str = ""
    write_quorum: int = 1
    resumable: Resumable | None = None

    @property
    def takes_bytes(self) -> bool:
        """Whether it is a resumable upload that can be resumed."""
        return self.state in (RESUMABLE, LITTERED)

    @property
    def tail_bytes(self) -> int:
        """The length of the short chunk at the end of a resumable upload that takes bytes."""
        return self.recorded_bytes - self.recorded_count * self.chunk_size_bytes

    @property
    def unrecorded(self) -> tuple[Loose, ...]:
        """What the present attempt of a resumable upload was placed and has not recorded."""
        if self.resumable is None:
            return ()
        has_tail = self.takes_bytes and self.resumable.tail_attempt == self.resumable.attempt
        start = self.recorded_count + (has_tail and self.tail_bytes > 0)
        return (Loose(self.resumable.attempt, start, self.placed_count),) if start < self.placed_count else ()


@dataclass(frozen=True)
class WorkerRecord:
    """A row of the heartbeat table. `heartbeat_count` moves with every heartbeat received by any master.

    left_at: the cluster clock when the worker said goodbye, until its next heartbeat. Its disk is compared with the
    records while `inventory_wanted`, raised with every start of the worker, is above `inventory_done`.
    """

    worker_id: str
    heartbeat: Heartbeat
    heartbeat_count: int
    is_draining: bool = False
    left_at: float | None = None
    inventory_wanted: int = 1
    inventory_done: int = 0

    @property
    def is_reconciled(self) -> bool:
        """Whether what its disk holds has been compared with the records since it last started or was dead."""
        return self.inventory_done >= self.inventory_wanted


@dataclass(frozen=True)
class JobRecord:
    """What the leader last wrote down of a job, for every master to show. `status`: plain JSON."""

    name: str
    status: Mapping[str, Any]


@dataclass(frozen=True)
class Lease:
    """Who leads. `epoch` names one leadership and never repeats; `clock_seconds` is the cluster clock."""

    holder: str
    epoch: int
    renewals: int
    clock_seconds: float


@dataclass(frozen=True)
class Preconditions:
    """If-Match and If-None-Match of a write, as entity tags: "*", one quoted tag, several, or None."""

    if_match: str | None = None
    if_none_match: str | None = None

    def check(self, file: File | None) -> None:
        """Raise PreconditionFailed unless the present content, or its absence, satisfies both (RFC 9110, 13.1)."""
        etag = f'"{file.version.version_id}"' if file is not None and file.version is not None else None
        if self.if_match is not None and not _matches(self.if_match, etag, is_weak_enough=False):
            raise PreconditionFailed("the file does not have the content that If-Match names", etag=etag)
        if self.if_none_match is not None and _matches(self.if_none_match, etag, is_weak_enough=True):
            raise PreconditionFailed("the file has content that If-None-Match rules out", etag=etag)


def with_loose(upload: Upload, resumable: Resumable) -> Upload:
    """The upload with this as its resumable part, in the state that the number of its loose ranges asks for."""
    state = upload.state
    if upload.takes_bytes:
        state = LITTERED if len(resumable.loose) > MANY_LOOSE else RESUMABLE
    return replace(upload, state=state, resumable=resumable)


def new_file(upload: Upload, path: str, version: Version, now: str) -> File:
    """The file that an upload to a free path makes."""
    return File(
        file_id=upload.upload_id,
        path=path,
        status=ACTIVE,
        revision=1,
        version=replace(version, number=1),
        old_versions=(),
        last_number=1,
        created_at=now,
        modified_at=now,
    )


def overwrite(file: File, version: Version, *, expires_at: float, max_versions: int, now: str) -> File:
    """The file with a new content; the old one can be restored until `expires_at`.

    Beyond `max_versions` the oldest are due at once; TooManyVersions while they are made faster than freed.
    """
    if len(file.old_versions) >= VERSIONS_HARD_FACTOR * max_versions:
        raise TooManyVersions(f"{len(file.old_versions)} old versions of this file wait to be freed")
    number = file.last_number + 1
    return replace(
        _supersede(file, expires_at, max_versions, now),
        revision=file.revision + 1,
        version=replace(version, number=number),
        last_number=number,
        modified_at=now,
    )


def rename(file: File, path: str, now: str) -> File:
    """The active file under another path."""
    require_active(file)
    return replace(file, path=path, revision=file.revision + 1, modified_at=now)


def trash(file: File, *, expires_at: float, now: str) -> File:
    """The file in the trash; it can be restored until `expires_at`."""
    require_active(file)
    return replace(file, status=DELETED, revision=file.revision + 1, expires_at=expires_at, modified_at=now)


def purge(file: File, clock_seconds: float, now: str) -> File:
    """The file gone for good: all its versions are due. The document stays for a while, and names its last version,
    so that late copies of old requests see what has been.
    """
    last = (OldVersion(file.version, clock_seconds, now, is_released=True),) if file.version else ()
    old_versions = tuple(replace(old, expires_at=clock_seconds, is_released=True) for old in file.old_versions)
    return replace(
        file,
        status=PURGED,
        revision=file.revision + 1,
        old_versions=old_versions + last,
        expires_at=clock_seconds + TOMBSTONE_SECONDS,
        modified_at=now,
    )


def restore_from_trash(file: File, path: str | None, now: str) -> File:
    """The deleted file active again, under its old path or another."""
    return replace(
        file, status=ACTIVE, path=path or file.path, revision=file.revision + 1, expires_at=NEVER, modified_at=now
    )


def at_version(file: File, number: int) -> File:
    """The file with the content that it had as this version; for reading, it is never written."""
    if file.version is not None and number == file.version.number:
        return file
    version = _require_old(file, number).version
    return replace(file, version=version, old_versions=(), modified_at=version.created_at)


def restore_version(file: File, number: int, *, expires_at: float, max_versions: int, now: str) -> File:
    """The active file with an old version's content again, under a new number; the present content becomes old.

    Where that is so already, the file itself, so that the call can be repeated.
    """
    require_active(file)
    if number > 0 and file.version is not None and number in (file.version.number, file.version.restored_from):
        return file
    chosen = _require_old(file, number)
    rest = replace(file, old_versions=tuple(old for old in file.old_versions if old is not chosen))
    content = replace(chosen.version, restored_from=number)
    return overwrite(rest, content, expires_at=expires_at, max_versions=max_versions, now=now)


def with_checksum(file: File, version_id: str, checksum: Checksum) -> File:
    """The file with the checksum of a version that had none; the file itself where that has this one already."""
    versions = [file.version, *(old.version for old in file.old_versions)]
    found = next((version for version in versions if version is not None and version.version_id == version_id), None)
    if found is None:
        raise VersionUnknown("the file has no such version any more, or never had it", version_id=version_id)
    if found.checksum is not None:
        if found.checksum != checksum:
            raise Conflict("the version has another checksum", version_id=version_id)
        return file
    summed = replace(found, checksum=checksum)
    return replace(
        file,
        revision=file.revision + 1,
        version=summed if file.version is found else file.version,
        old_versions=tuple(replace(old, version=summed) if old.version is found else old for old in file.old_versions),
    )


def _require_old(file: File, number: int) -> OldVersion:
    chosen = next((old for old in file.old_versions if old.version.number == number and not old.is_released), None)
    if chosen is None:
        raise VersionUnknown(f"the file has no version {number} any more, or never had one")
    return chosen


def without_version(file: File, version_id: str) -> File:
    """The file once an old version's bytes are freed."""
    kept = tuple(old for old in file.old_versions if old.version.version_id != version_id)
    return replace(file, old_versions=kept, revision=file.revision + 1)


def postponed(file: File, until: float) -> File:
    """The file with everything that was due put off: something could not be freed now."""
    return replace(
        file,
        revision=file.revision + 1,
        old_versions=tuple(replace(old, expires_at=max(old.expires_at, until)) for old in file.old_versions),
    )


def released(file: File, version_id: str) -> File:
    """The file with an old version given up: from here on it cannot be restored, only freed."""
    old_versions = tuple(
        replace(old, is_released=True) if old.version.version_id == version_id else old for old in file.old_versions
    )
    return replace(file, revision=file.revision + 1, old_versions=old_versions)


def touched(file: File) -> File:
    """The same file at the next revision, so that a commit aimed at the present one can no longer happen."""
    return replace(file, revision=file.revision + 1)


def bar(upload_id: str, clock_seconds: float, now: str) -> File:
    """A document that takes the id of a file which must never come to be."""
    return File(
        file_id=upload_id,
        path="",
        status=PURGED,
        revision=1,
        version=None,
        old_versions=(),
        last_number=0,
        created_at=now,
        modified_at=now,
        expires_at=clock_seconds + TOMBSTONE_SECONDS,
    )


def revive(barrier: File, path: str, version: Version, now: str) -> File:
    """The file that an upload makes whose own bar stands in its place."""
    return replace(
        barrier,
        path=path,
        status=ACTIVE,
        revision=barrier.revision + 1,
        version=replace(version, number=1),
        last_number=1,
        modified_at=now,
        expires_at=NEVER,
    )


def as_of(file: File, version_id: str) -> File:
    """The file as it was with this version, which it must have."""
    for old in file.old_versions:
        if old.version.version_id == version_id:
            return replace(file, version=old.version)
    return file


def require_active(file: File) -> None:
    """Raise FileDeleted or FileUnknown for a file that is not there to be used."""
    if file.status == DELETED:
        raise FileDeleted("the file is in the trash; restore it first", file_id=file.file_id)
    if file.status != ACTIVE:
        raise FileUnknown(f"no file {file.file_id}")


def path_taken(path: str) -> PathTaken:
    return PathTaken("another file has this path", path=path)


def _supersede(file: File, expires_at: float, max_versions: int, now: str) -> File:
    if file.version is None:
        raise FileUnknown(f"no file {file.file_id}")
    old_versions = (*file.old_versions, OldVersion(file.version, expires_at, now))
    surplus = len(old_versions) - max_versions
    return replace(
        file,
        old_versions=tuple(
            replace(old, expires_at=0.0, is_released=True) if position < surplus else old
            for position, old in enumerate(old_versions)
        ),
    )


def _describe_old(old: OldVersion) -> dict[str, object]:
    return {
        "version": old.version.number,
        "size": old.version.size_bytes,
        "checksum": describe_checksum(old.version.checksum),
        "created_at": old.version.created_at,
        "superseded_at": old.superseded_at,
        "is_restorable": not old.is_released,
    }


def _matches(header: str, etag: str | None, is_weak_enough: bool) -> bool:
    if header.strip() == "*":
        return etag is not None
    tags = [tag.strip() for tag in header.split(",")]
    return etag is not None and etag in (tag.removeprefix("W/") if is_weak_enough else tag for tag in tags)
