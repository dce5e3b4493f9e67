"""The embedded store: one SQLite database in WAL mode, shared by the masters of one machine.

Writes take the database's write lock at their start, so a conditional write reads and writes one state; those that come
at the same time are committed together (group_commit.py). Readers have a connection per thread and never wait for a
writer (WAL). A write is on the disk when its call returns, but for the few that are *relaxed*: those are covered by the
next that is not (docs/decisions/007-group-commit.md).
"""

from __future__ import annotations

import random
import sqlite3
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

from common.api_keys import KeyRecord
from common.errors import MetadataUnavailable
from common.records import Heartbeat, place_of
from master_node.documents import (
    file_from_document,
    lease_from_document,
    quota_from_document,
    quota_to_document,
    upload_from_document,
)
from master_node.model import Chunk, File, JobRecord, Lease, Upload, WorkerRecord
from master_node.quotas.model import Quota
from master_node.store.base import Holding, IdTaken, KeyTaken, Owed, Pending, ReadLevel
from master_node.store.group_commit import GroupCommit, Operation
from master_node.store.sqlite_rows import (
    CHUNK_COLUMNS,
    INSERT_CHUNK,
    INSERT_FILE,
    INSERT_KEY,
    INSERT_LEASE,
    INSERT_QUOTA,
    INSERT_UPLOAD,
    PUT_JOB,
    SELECT_WORKERS,
    chunk_from_row,
    chunk_key,
    chunk_row,
    decode,
    encode,
    file_row,
    key_from_row,
    key_row,
    upload_row,
    worker_from_row,
)
from master_node.store.sqlite_schema import prepare

Result = TypeVar("Result")
BUSY_TIMEOUT_SECONDS = 10.0
# Another master may be bringing a large database up to date: ten seconds for each million chunks.
UPGRADE_TIMEOUT_SECONDS = 120.0
# By whether the beginning of the range belongs to it, and whether its end comes first.
_SCANS = {
    (False, False): "SELECT body FROM files WHERE key > ? AND key < ? ORDER BY key LIMIT ?",
    (True, False): "SELECT body FROM files WHERE key >= ? AND key < ? ORDER BY key LIMIT ?",
    (False, True): "SELECT body FROM files WHERE key > ? AND key < ? ORDER BY key DESC LIMIT ?",
    (True, True): "SELECT body FROM files WHERE key >= ? AND key < ? ORDER BY key DESC LIMIT ?",
}


class SqliteStore:
    """A MetadataStore in one file."""

    def __init__(self, path: Path) -> None:
        """Open the database at `path`, made with its folder where missing."""
        self._path = path
        self._local = threading.local()
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            connection = self._connect()
            _wait_for_locks(connection, UPGRADE_TIMEOUT_SECONDS)
            self._commits = GroupCommit(connection)
            self._write(lambda connection: prepare(connection, str(path)), is_one_statement=False)
            _wait_for_locks(connection, BUSY_TIMEOUT_SECONDS)
        except sqlite3.Error as error:
            raise _unavailable(error) from error

    # --- files ---

    def insert_file(self, file: File) -> None:
        row = file_row(file)

        def insert(connection: sqlite3.Connection) -> None:
            try:
                connection.execute(INSERT_FILE, row)
            except sqlite3.IntegrityError:
                if connection.execute("SELECT 1 FROM files WHERE file_id = ?", (file.file_id,)).fetchone() is not None:
                    raise IdTaken(file.file_id) from None
                raise KeyTaken(file.key) from None

        self._write(insert)

    def replace_file(self, file: File) -> bool:
        statement = (
            "UPDATE files SET key = ?2, revision = ?3, due_at = ?4, pending_bytes = ?5, body = ?6"
            " WHERE file_id = ?1 AND revision = ?3 - 1"
        )
        try:
            return self._change_one(statement, file_row(file))
        except sqlite3.IntegrityError:
            raise KeyTaken(file.key) from None

    def delete_file(self, file_id: str, revision: int) -> bool:
        return self._change_one("DELETE FROM files WHERE file_id = ? AND revision = ?", (file_id, revision))

    def find_file(self, file_id: str) -> File | None:
        return _first(self._files("SELECT body FROM files WHERE file_id = ?", file_id))

    def find_file_by_key(self, key: str) -> File | None:
        return _first(self._files("SELECT body FROM files WHERE key = ?", key))

    def scan_files(
        self, after: str, before: str, limit: int, is_inclusive: bool = False, is_reverse: bool = False
    ) -> list[File]:
        return self._files(_SCANS[is_inclusive, is_reverse], after, before, limit)

    def find_due_files(self, clock_seconds: float, limit: int) -> list[File]:
        statement = "SELECT body FROM files WHERE due_at <= ? AND due_at < 1e15 ORDER BY due_at LIMIT ?"
        return self._files(statement, clock_seconds, limit)

    def pending(self, clock_seconds: float) -> Pending:
        statement = (
            "SELECT COALESCE(SUM(pending_bytes), 0), COALESCE(SUM(CASE WHEN due_at <= ? THEN pending_bytes END), 0)"
            " FROM files WHERE due_at < 1e15"
        )
        return Pending(*self._rows(statement, clock_seconds)[0])

    # --- chunks ---

    def insert_chunks(self, chunks: Sequence[Chunk]) -> None:
        self._change_many(INSERT_CHUNK, [chunk_row(chunk) for chunk in chunks], is_relaxed=True)

    def replace_chunks(self, chunks: Sequence[Chunk]) -> list[bool]:
        statement = (
            "UPDATE chunks SET revision = ?3, size_bytes = ?4, checksum = ?5, replicas = ?6, copies = ?7, owed = ?8,"
            " doubtful = ?9, attempt = ?10 WHERE version_id = ?1 AND chunk_index = ?2 AND revision = ?3 - 1"
        )

        def replace(connection: sqlite3.Connection) -> list[bool]:
            return [connection.execute(statement, chunk_row(chunk)).rowcount == 1 for chunk in chunks]

        return self._write(replace, is_one_statement=len(chunks) == 1) if chunks else []

    def delete_chunks(self, chunks: Sequence[Chunk]) -> list[bool]:
        statement = "DELETE FROM chunks WHERE version_id = ?1 AND chunk_index = ?2 AND revision = ?3"
        left = "SELECT 1 FROM chunks WHERE version_id = ?1 AND chunk_index = ?2"

        def delete(connection: sqlite3.Connection) -> list[bool]:
            is_gone = []
            for chunk in chunks:
                key = (chunk.version_id, chunk.index)
                is_deleted = connection.execute(statement, (*key, chunk.revision)).rowcount == 1
                is_gone.append(is_deleted or connection.execute(left, key).fetchone() is None)
            return is_gone

        return self._write(delete, is_one_statement=False) if chunks else []

    def list_chunks(self, version_id: str, start: int, limit: int) -> list[Chunk]:
        return self._chunks(
            "version_id = ? AND chunk_index >= ? ORDER BY chunk_index LIMIT ?", version_id, start, limit
        )

    def find_chunks(self, chunk_ids: Sequence[str]) -> list[Chunk]:
        # One look-up by the primary key each: cheap beside the call, and no limit on their number.
        return [
            chunk
            for chunk_id in chunk_ids
            for chunk in self._chunks("version_id = ? AND chunk_index = ? AND attempt = ?", *place_of(chunk_id))
        ]

    def scan_chunks(self, after: str, limit: int) -> list[Chunk]:
        where = "(version_id, chunk_index) > (?, ?) ORDER BY version_id, chunk_index LIMIT ?"
        return self._chunks(where, *chunk_key(after), limit)

    def find_held(self, worker_id: str, kind: Holding, after: str, limit: int) -> list[Chunk]:
        columns = ", ".join(f"chunks.{name}" for name in CHUNK_COLUMNS.split(", "))
        statement = (
            f"SELECT {columns} FROM holdings CROSS JOIN chunks USING (version_id, chunk_index)"  # noqa: S608 - constants
            " WHERE holdings.worker_id = ? AND holdings.kind = ?"
            " AND (holdings.version_id, holdings.chunk_index) > (?, ?)"
            " ORDER BY holdings.version_id, holdings.chunk_index LIMIT ?"
        )
        return [chunk_from_row(row) for row in self._rows(statement, worker_id, kind.value, *chunk_key(after), limit)]

    def find_owed(self, copies: int, after: str, limit: int) -> list[Chunk]:
        where = (
            "owed > 0 AND copies = ? AND (version_id, chunk_index) > (?, ?) ORDER BY version_id, chunk_index LIMIT ?"
        )
        return self._chunks(where, copies, *chunk_key(after), limit)

    def find_surplus(self, after: str, limit: int) -> list[Chunk]:
        where = "owed < 0 AND (version_id, chunk_index) > (?, ?) ORDER BY version_id, chunk_index LIMIT ?"
        return self._chunks(where, *chunk_key(after), limit)

    def owed(self) -> Owed:
        statement = (
            "SELECT copies, COUNT(*), SUM(owed), SUM(owed * size_bytes) FROM chunks WHERE owed > 0 GROUP BY copies"
        )
        rows = self._rows(statement)
        chunks, replicas, size = (sum(row[column] for row in rows) for column in (1, 2, 3))
        lost = sum(row[3] for row in rows if not row[0])
        return Owed(chunks, replicas, size, {copies: count for copies, count, _, _ in rows}, lost)

    # --- uploads ---

    def insert_upload(self, upload: Upload) -> None:
        try:
            self._change_one(INSERT_UPLOAD, upload_row(upload), is_relaxed=True)
        except sqlite3.IntegrityError:
            raise IdTaken(upload.upload_id) from None

    def replace_upload(self, upload: Upload, is_relaxed: bool = False) -> bool:
        statement = (
            "UPDATE uploads SET revision = ?2, state = ?3, last_activity_at = ?4, body = ?5"
            " WHERE upload_id = ?1 AND revision = ?2 - 1"
        )
        return self._change_one(statement, upload_row(upload), is_relaxed)

    def find_upload(self, upload_id: str) -> Upload | None:
        rows = self._rows("SELECT body FROM uploads WHERE upload_id = ?", upload_id)
        return upload_from_document(decode(rows[0][0])) if rows else None

    def find_uploads(self, upload_ids: Sequence[str]) -> list[Upload]:
        found = (self.find_upload(upload_id) for upload_id in upload_ids)
        return [upload for upload in found if upload is not None]

    def find_idle_uploads(self, state: str, idle_since: float, limit: int) -> list[Upload]:
        statement = (
            "SELECT body FROM uploads WHERE state = ? AND last_activity_at <= ? ORDER BY last_activity_at LIMIT ?"
        )
        return [upload_from_document(decode(body)) for (body,) in self._rows(statement, state, idle_since, limit)]

    def delete_uploads(self, upload_ids: Sequence[str]) -> None:
        statement = "DELETE FROM uploads WHERE upload_id = ?"
        self._change_many(statement, [(upload_id,) for upload_id in upload_ids], is_relaxed=True)

    # --- workers ---

    def record_heartbeat(self, worker_id: str, heartbeat: Heartbeat) -> WorkerRecord:
        statement = (
            "INSERT INTO workers (worker_id, heartbeat_count, heartbeat, incarnation) VALUES (?, 1, ?, ?)"
            " ON CONFLICT (worker_id) DO UPDATE SET heartbeat_count = heartbeat_count + 1,"
            " heartbeat = excluded.heartbeat, incarnation = excluded.incarnation, left_at = NULL,"
            " inventory_wanted = inventory_wanted + (incarnation <> excluded.incarnation)"
        )
        row = (worker_id, encode(asdict(heartbeat)), heartbeat.incarnation)

        def record(connection: sqlite3.Connection) -> WorkerRecord:
            connection.execute(statement, row)
            return worker_from_row(connection.execute(f"{SELECT_WORKERS} WHERE worker_id = ?", row[:1]).fetchone())

        return self._write(record, is_relaxed=True, is_one_statement=False)

    def change_worker(self, worker_id: str, *, is_draining: bool | None = None, left_at: float | None = None) -> bool:
        statement = (
            "UPDATE workers SET is_draining = COALESCE(?2, is_draining), left_at = COALESCE(?3, left_at)"
            " WHERE worker_id = ?1"
        )
        return self._change_one(statement, (worker_id, is_draining, left_at))

    def want_inventory(self, worker_id: str) -> None:
        self._change_one("UPDATE workers SET inventory_wanted = inventory_wanted + 1 WHERE worker_id = ?", (worker_id,))

    def finish_inventory(self, worker_id: str, wanted: int) -> None:
        statement = "UPDATE workers SET inventory_done = MAX(inventory_done, ?2) WHERE worker_id = ?1"
        self._change_one(statement, (worker_id, wanted))

    def forget_worker(self, worker_id: str) -> None:
        self._change_one("DELETE FROM workers WHERE worker_id = ?", (worker_id,))

    def list_workers(self) -> list[WorkerRecord]:
        return [worker_from_row(row) for row in self._rows(f"{SELECT_WORKERS} ORDER BY worker_id")]

    # --- jobs ---

    def put_jobs(self, jobs: Sequence[JobRecord]) -> None:
        rows = [(job.name, encode(dict(job.status))) for job in jobs]
        self._change_many(PUT_JOB, rows, is_relaxed=True)

    def list_jobs(self) -> list[JobRecord]:
        rows = self._rows("SELECT name, status FROM jobs ORDER BY name")
        return [JobRecord(name, decode(status)) for name, status in rows]

    # --- quotas ---

    def insert_quota(self, quota: Quota) -> None:
        row = (quota.prefix, quota.revision, encode(quota_to_document(quota)))
        if not self._change_one(INSERT_QUOTA, row):
            raise IdTaken(quota.prefix)

    def replace_quota(self, quota: Quota) -> bool:
        row = (quota.prefix, quota.revision, encode(quota_to_document(quota)))
        statement = "UPDATE quotas SET revision = ?2, body = ?3 WHERE prefix = ?1 AND revision = ?2 - 1"
        return self._change_one(statement, row)

    def delete_quota(self, prefix: str) -> bool:
        return self._change_one("DELETE FROM quotas WHERE prefix = ?", (prefix,))

    def find_quota(self, prefix: str) -> Quota | None:
        rows = self._rows("SELECT body FROM quotas WHERE prefix = ?", prefix)
        return quota_from_document(decode(rows[0][0])) if rows else None

    def list_quotas(self) -> list[Quota]:
        rows = self._rows("SELECT body FROM quotas ORDER BY prefix")
        return [quota_from_document(decode(body)) for (body,) in rows]

    # --- keys ---

    def put_key(self, key: KeyRecord) -> None:
        self._change_one(INSERT_KEY, key_row(key))
        found = self.find_key(key.key_id)
        if found is None or found.digest != key.digest:
            raise IdTaken(key.key_id)

    def revoke_key(self, key_id: str, revoked_at: str) -> KeyRecord | None:
        statement = "UPDATE keys SET revoked_at = ?2 WHERE key_id = ?1 AND revoked_at IS NULL"
        self._change_one(statement, (key_id, revoked_at))
        return self.find_key(key_id)

    def find_key(self, key_id: str) -> KeyRecord | None:
        rows = self._rows("SELECT revoked_at, body FROM keys WHERE key_id = ?", key_id)
        return key_from_row(rows[0]) if rows else None

    def list_keys(self, after: str, limit: int, is_active_only: bool = False) -> list[KeyRecord]:
        statement = (
            "SELECT revoked_at, body FROM keys WHERE key_id > ?1 AND (revoked_at IS NULL OR NOT ?3)"
            " ORDER BY key_id LIMIT ?2"
        )
        return [key_from_row(row) for row in self._rows(statement, after, limit, is_active_only)]

    # --- lease ---

    def read_lease(self) -> Lease | None:
        rows = self._rows("SELECT body FROM lease WHERE name = 'leader'")
        return lease_from_document(decode(rows[0][0])) if rows else None

    def swap_lease(self, expected: Lease | None, lease: Lease) -> bool:
        values = (lease.epoch, lease.renewals, encode(asdict(lease)))
        if expected is None:
            return self._change_one(INSERT_LEASE, values)
        statement = (
            "UPDATE lease SET epoch = ?, renewals = ?, body = ? WHERE name = 'leader' AND epoch = ? AND renewals = ?"
        )
        return self._change_one(statement, (*values, expected.epoch, expected.renewals))

    def reading(self, level: ReadLevel) -> SqliteStore:  # noqa: ARG002
        """Every read of one database file is linearizable."""
        return self

    def close(self) -> None:
        # A reading connection goes with its thread: closing one that another thread is using would end the process.
        self._commits.close()

    # --- connections ---

    def _write(
        self, operation: Operation[Result], *, is_relaxed: bool = False, is_one_statement: bool = True
    ) -> Result:
        """See GroupCommit.run. A constraint that fails is raised as it is, every other error as MetadataUnavailable."""
        try:
            return self._commits.run(operation, is_relaxed=is_relaxed, is_one_statement=is_one_statement)
        except sqlite3.IntegrityError:
            raise
        except sqlite3.Error as error:
            raise _unavailable(error) from error

    def _change_one(self, statement: str, values: Sequence[Any], is_relaxed: bool = False) -> bool:
        """Whether the statement changed a row."""
        return self._write(
            lambda connection: connection.execute(statement, values).rowcount == 1, is_relaxed=is_relaxed
        )

    def _change_many(self, statement: str, rows: Sequence[Sequence[Any]], is_relaxed: bool = False) -> None:
        """The statement once for each of the rows, all or none."""

        def change(connection: sqlite3.Connection) -> None:
            connection.executemany(statement, rows)

        if rows:
            self._write(change, is_relaxed=is_relaxed, is_one_statement=len(rows) == 1)

    def _chunks(self, where: str, *values: Any) -> list[Chunk]:
        statement = f"SELECT {CHUNK_COLUMNS} FROM chunks WHERE {where}"  # noqa: S608 - constants of this module
        return [chunk_from_row(row) for row in self._rows(statement, *values)]

    def _rows(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        try:
            connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
            if connection is None:
                connection = self._local.connection = self._connect()
            return connection.execute(statement, values).fetchall()
        except sqlite3.Error as error:
            raise _unavailable(error) from error

    def _files(self, statement: str, *values: Any) -> list[File]:
        return [file_from_document(decode(body)) for (body,) in self._rows(statement, *values)]

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._path, timeout=BUSY_TIMEOUT_SECONDS, isolation_level=None, check_same_thread=False
        )
        _switch_to_wal(connection)
        return connection


def _wait_for_locks(connection: sqlite3.Connection, seconds: float) -> None:
    """How long the connection waits while others write."""
    connection.execute(f"PRAGMA busy_timeout = {round(1000 * seconds)}")


def _switch_to_wal(connection: sqlite3.Connection) -> None:
    """SQLite does not wait when several connections change a new database to WAL at once, so this does."""
    give_up_at = time.monotonic() + BUSY_TIMEOUT_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError:
            if time.monotonic() >= give_up_at:
                raise
            time.sleep(random.uniform(0.01, 0.05))
        else:
            return


def _first(files: Sequence[File]) -> File | None:
    return files[0] if files else None


def _unavailable(error: sqlite3.Error) -> MetadataUnavailable:
    return MetadataUnavailable(f"the SQLite database does not answer: {error}")
