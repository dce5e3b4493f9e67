"""The values that the masters keep. The changes that a file can undergo stand in file_changes.py.

Sizes are in bytes. Times named `..._at` with a number are seconds of
the cluster clock (election.py); those that are text are RFC 3339 for people.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from common.errors import FileUnknown, PreconditionFailed
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
