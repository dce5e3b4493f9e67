"""The interface that every metadata store offers, and all that the masters may ask of one.

Each method is one atomic step on one document, or on documents of which nobody else writes (the chunks of an upload);
there are no transactions. Every method raises MetadataUnavailable when the database does not answer; a write whose
answer was lost is resolved inside the store by reading, so a returned value is always true.

A write survives a power cut once it has returned, but for the *relaxed* ones: insert_upload, insert_chunks,
record_heartbeat, put_jobs, and replace_upload where the caller says so. Of those, a store may lose the ones after the
last write that was not relaxed; never one and keep a later one. docs/decisions/007-group-commit.md says why that does
no harm.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

from common.api_keys import KeyRecord
from common.records import Heartbeat
from master_node.model import Chunk, File, JobRecord, Lease, Upload, WorkerRecord
from master_node.quotas.model import Quota


class KeyTaken(Exception):
    """Another file has the unique key that a write would give this one."""


class IdTaken(Exception):
    """A document with this id exists."""


@dataclass(frozen=True)
class Pending:
    """Bytes waiting to be freed, replicas not counted: all of them, and those whose time has come."""

    total_bytes: int
    due_bytes: int


@dataclass(frozen=True)
class Owed:
    """Chunks with fewer replicas than their factor, and how many replicas, and bytes of those, are missing in all.

    by_copies: how many of the chunks have 0, 1, 2, ... replicas left. lost_bytes: those of the bytes that are of chunks
    without any.
    """

    chunks: int
    replicas: int
    size_bytes: int = 0
    by_copies: Mapping[int, int] = field(default_factory=dict)
    lost_bytes: int = 0


class Holding(Enum):
    """In which of its lists a chunk's record names a worker."""

    REPLICA = "replica"
    DOUBTFUL = "doubtful"


class ReadLevel(Enum):
    """How fresh a read must be: docs/consistency.md."""

    LINEARIZABLE = "linearizable"
    MAJORITY = "majority"
    EVENTUAL = "eventual"


class MetadataStore(Protocol):
    """See the module's docstring for what holds of every method."""

    # --- files ---

    def insert_file(self, file: File) -> None:
        """Raises IdTaken or KeyTaken; IdTaken when both."""

    def replace_file(self, file: File) -> bool:
        """Write `file` if the stored revision is one lower; False when it is another or the file is gone.

        Raises KeyTaken when another file has its key.
        """

    def delete_file(self, file_id: str, revision: int) -> bool:
        """Remove the document if it is at this revision."""

    def find_file(self, file_id: str) -> File | None: ...

    def find_file_by_key(self, key: str) -> File | None: ...

    def scan_files(
        self, after: str, before: str, limit: int, is_inclusive: bool = False, is_reverse: bool = False
    ) -> list[File]:
        """Files with after < key < before (after <= key when inclusive), in the order of the key; one index range.

        is_reverse: from the other end of the range, the highest key first.
        """

    def find_due_files(self, clock_seconds: float, limit: int) -> list[File]:
        """Files in which something is due, the longest due first; from an index."""

    def pending(self, clock_seconds: float) -> Pending: ...

    # --- chunks ---

    def insert_chunks(self, chunks: Sequence[Chunk]) -> None:
        """Write these chunk records; one of the same version and index, of any attempt, stays as it is."""

    def replace_chunks(self, chunks: Sequence[Chunk]) -> list[bool]:
        """Write each record if the stored revision is one lower; says for each whether it was written."""

    def delete_chunks(self, chunks: Sequence[Chunk]) -> list[bool]:
        """Remove each record if it is at this revision; says for each whether it is gone, by whomever."""

    def list_chunks(self, version_id: str, start: int, limit: int) -> list[Chunk]:
        """The chunks of a version from index `start` in order."""

    def find_chunks(self, chunk_ids: Sequence[str]) -> list[Chunk]:
        """Those of these chunks that have a record, in any order; none where the record is of another attempt."""

    def scan_chunks(self, after: str, limit: int) -> list[Chunk]:
        """All chunk records in the order of their ids, from the first whose id is above `after` ("": the first).

        One version and index has one record, whatever its attempt, and comes after `after` by these two alone.
        """

    def find_held(self, worker_id: str, kind: Holding, after: str, limit: int) -> list[Chunk]:
        """The chunks that name this worker among their replicas or doubtful, as `scan_chunks`; from an index."""

    def find_owed(self, copies: int, after: str, limit: int) -> list[Chunk]:
        """The chunks with replicas owed and exactly `copies` present, as `scan_chunks`; from an index."""

    def find_surplus(self, after: str, limit: int) -> list[Chunk]:
        """The chunks with more replicas than their factor (owed < 0), as `scan_chunks`; from an index."""

    def owed(self) -> Owed:
        """From an index: its cost is that of what is owed."""

    # --- uploads ---

    def insert_upload(self, upload: Upload) -> None:
        """Raises IdTaken."""

    def replace_upload(self, upload: Upload, is_relaxed: bool = False) -> bool:
        """Write `upload` if the stored revision is one lower. is_relaxed: see the module's docstring."""

    def find_upload(self, upload_id: str) -> Upload | None: ...

    def find_uploads(self, upload_ids: Sequence[str]) -> list[Upload]:
        """Those of these uploads that there are, in any order."""

    def find_idle_uploads(self, state: str, idle_since: float, limit: int) -> list[Upload]:
        """Uploads in this state whose last activity is not after `idle_since`, the oldest first; from an index."""

    def delete_uploads(self, upload_ids: Sequence[str]) -> None:
        """Relaxed: after a power cut they may be back."""

    # --- workers ---

    def record_heartbeat(self, worker_id: str, heartbeat: Heartbeat) -> WorkerRecord:
        """Store what the worker says, count the heartbeat and forget a goodbye, in one step; returns the row.

        Another `incarnation` than the row's, or a first heartbeat, raises `inventory_wanted`.
        """

    def change_worker(self, worker_id: str, *, is_draining: bool | None = None, left_at: float | None = None) -> bool:
        """Set what is given; False where there is no such worker. left_at: see WorkerRecord."""

    def want_inventory(self, worker_id: str) -> None:
        """Raise `inventory_wanted` by one."""

    def finish_inventory(self, worker_id: str, wanted: int) -> None:
        """Raise `inventory_done` to what `inventory_wanted` was when the comparison began."""

    def forget_worker(self, worker_id: str) -> None: ...

    def list_workers(self) -> list[WorkerRecord]:
        """In the order of their ids."""

    # --- jobs ---

    def put_jobs(self, jobs: Sequence[JobRecord]) -> None:
        """Relaxed."""

    def list_jobs(self) -> list[JobRecord]:
        """In the order of their names."""

    # --- quotas ---

    def insert_quota(self, quota: Quota) -> None:
        """Raises IdTaken where its prefix has one."""

    def replace_quota(self, quota: Quota) -> bool:
        """Write `quota` if the stored revision is one lower."""

    def delete_quota(self, prefix: str) -> bool:
        """Whether there was one."""

    def find_quota(self, prefix: str) -> Quota | None: ...

    def list_quotas(self) -> list[Quota]:
        """In the order of their prefixes."""

    # --- keys ---

    def put_key(self, key: KeyRecord) -> None:
        """Insert a key. The same one again changes nothing, not even its revocation; raises IdTaken for another."""

    def revoke_key(self, key_id: str, revoked_at: str) -> KeyRecord | None:
        """Note that the key counts no more, unless that is noted already; None where there is no such key."""

    def find_key(self, key_id: str) -> KeyRecord | None: ...

    def list_keys(self, after: str, limit: int, is_active_only: bool = False) -> list[KeyRecord]:
        """Keys in the order of their ids, from the first above `after` ("": the first); or only unrevoked ones."""

    # --- lease ---

    def read_lease(self) -> Lease | None: ...

    def swap_lease(self, expected: Lease | None, lease: Lease) -> bool:
        """Write `lease` if the stored one has the epoch and renewals of `expected` (None: there is none yet)."""

    def reading(self, level: ReadLevel) -> MetadataStore:
        """The same store, whose `find_file`, `find_file_by_key`, `scan_files` and `list_chunks` read at this level.

        Where the database has no such level: at the next stronger, or the strongest that it has. Only for reading;
        it is not to be closed.
        """

    def close(self) -> None: ...
