"""The embedded store: one SQLite database in WAL mode, shared by the masters of one machine.

Writes take the database's write lock at their start, so a conditional write reads and writes one state; those that come
at the same time are committed together (group_commit.py). Readers have a connection per thread and never wait for a
writer (WAL). A write is on the disk when its call returns, but for the few that are *relaxed*: those are covered by the
next that is not (docs/decisions/007-group-commit.md).
"""

from __future__ import annotations

import json
import random
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

from common.errors import MetadataUnavailable
from common.records import Heartbeat
from master_node.documents import (
    file_from_document,
    file_to_document,
    lease_from_document,
    upload_from_document,
    upload_to_document,
)
from master_node.model import NEVER, Chunk, File, JobRecord, Lease, Upload, WorkerRecord
from master_node.store.base import Holding, IdTaken, KeyTaken, Owed, Pending, ReadLevel
from master_node.store.group_commit import GroupCommit, Operation

Result = TypeVar("Result")
_decode = json.JSONDecoder().decode
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode

SCHEMA_VERSION = 3
BUSY_TIMEOUT_SECONDS = 10.0
_FILES = """
CREATE TABLE files (file_id TEXT NOT NULL UNIQUE, key TEXT PRIMARY KEY NOT NULL, revision INTEGER NOT NULL,
                    due_at REAL NOT NULL, pending_bytes INTEGER NOT NULL, body TEXT NOT NULL) WITHOUT ROWID;
CREATE INDEX files_due ON files (due_at, pending_bytes) WHERE due_at < 1e15;
"""
# `holdings` turns the workers of each chunk record into rows, so that what one worker holds is found by an index.
_CHUNKS = """
CREATE TABLE chunks (version_id TEXT NOT NULL, chunk_index INTEGER NOT NULL, revision INTEGER NOT NULL,
                     size_bytes INTEGER NOT NULL, checksum TEXT NOT NULL, replicas TEXT NOT NULL,
                     copies INTEGER NOT NULL, owed INTEGER NOT NULL, doubtful TEXT NOT NULL,
                     PRIMARY KEY (version_id, chunk_index)) WITHOUT ROWID;
CREATE INDEX chunks_owed ON chunks (copies, version_id, chunk_index, owed, size_bytes) WHERE owed > 0;
CREATE INDEX chunks_surplus ON chunks (version_id, chunk_index) WHERE owed < 0;
CREATE TABLE holdings (worker_id TEXT NOT NULL, kind TEXT NOT NULL, version_id TEXT NOT NULL,
                       chunk_index INTEGER NOT NULL,
                       PRIMARY KEY (worker_id, kind, version_id, chunk_index)) WITHOUT ROWID;
CREATE TRIGGER chunk_inserted AFTER INSERT ON chunks BEGIN
    INSERT INTO holdings SELECT value, 'replica', NEW.version_id, NEW.chunk_index FROM json_each(NEW.replicas);
    INSERT INTO holdings SELECT value, 'doubtful', NEW.version_id, NEW.chunk_index FROM json_each(NEW.doubtful);
END;
CREATE TRIGGER chunk_updated AFTER UPDATE ON chunks BEGIN
    DELETE FROM holdings WHERE kind = 'replica' AND version_id = OLD.version_id AND chunk_index = OLD.chunk_index
                           AND worker_id IN (SELECT value FROM json_each(OLD.replicas));
    DELETE FROM holdings WHERE kind = 'doubtful' AND version_id = OLD.version_id AND chunk_index = OLD.chunk_index
                           AND worker_id IN (SELECT value FROM json_each(OLD.doubtful));
    INSERT INTO holdings SELECT value, 'replica', NEW.version_id, NEW.chunk_index FROM json_each(NEW.replicas);
    INSERT INTO holdings SELECT value, 'doubtful', NEW.version_id, NEW.chunk_index FROM json_each(NEW.doubtful);
END;
CREATE TRIGGER chunk_deleted AFTER DELETE ON chunks BEGIN
    DELETE FROM holdings WHERE kind = 'replica' AND version_id = OLD.version_id AND chunk_index = OLD.chunk_index
                           AND worker_id IN (SELECT value FROM json_each(OLD.replicas));
    DELETE FROM holdings WHERE kind = 'doubtful' AND version_id = OLD.version_id AND chunk_index = OLD.chunk_index
                           AND worker_id IN (SELECT value FROM json_each(OLD.doubtful));
END;
"""
_WORKERS = """
CREATE TABLE workers (worker_id TEXT PRIMARY KEY, heartbeat_count INTEGER NOT NULL, heartbeat TEXT NOT NULL,
                      incarnation TEXT NOT NULL, is_draining INTEGER NOT NULL DEFAULT 0, left_at REAL,
                      inventory_wanted INTEGER NOT NULL DEFAULT 1, inventory_done INTEGER NOT NULL DEFAULT 0);
CREATE TABLE jobs (name TEXT PRIMARY KEY, status TEXT NOT NULL);
"""
_REST = """
CREATE TABLE uploads (upload_id TEXT PRIMARY KEY, revision INTEGER NOT NULL, state TEXT NOT NULL,
                      last_activity_at REAL NOT NULL, body TEXT NOT NULL);
CREATE INDEX uploads_idle ON uploads (state, last_activity_at);
CREATE TABLE lease (name TEXT PRIMARY KEY, epoch INTEGER NOT NULL, renewals INTEGER NOT NULL, body TEXT NOT NULL);
"""


# Schema 1 kept files in the order in which they came, so that a page of a listing read a disk page for each file.
_FROM_SCHEMA_1 = f"""
ALTER TABLE files RENAME TO files_1;
DROP INDEX files_due;
{_FILES}
INSERT INTO files SELECT * FROM files_1 ORDER BY key;
DROP TABLE files_1;
"""
# Schema 2 did not know which chunks a worker holds.
_FROM_SCHEMA_2 = f"""
ALTER TABLE chunks RENAME TO chunks_2;
DROP INDEX chunks_owed;
{_CHUNKS}
INSERT INTO chunks SELECT version_id, chunk_index, 1, size_bytes, checksum, replicas, json_array_length(replicas), owed,
                          doubtful FROM chunks_2 ORDER BY version_id, chunk_index;
DROP TABLE chunks_2;
DROP TABLE workers;
{_WORKERS}
"""
_STEPS = {
    0: _FILES + _CHUNKS + _WORKERS + _REST,
    1: _FROM_SCHEMA_1 + _FROM_SCHEMA_2,
    2: _FROM_SCHEMA_2,
    SCHEMA_VERSION: "",
}
_SELECT_WORKERS = (
    "SELECT worker_id, heartbeat_count, heartbeat, is_draining, left_at, inventory_wanted, inventory_done FROM workers"
)
_CHUNK_COLUMNS = "version_id, chunk_index, size_bytes, checksum, replicas, owed, doubtful, revision"


class SqliteStore:
    """A MetadataStore in one file."""

    def __init__(self, path: Path) -> None:
        """Open the database at `path`, made with its folder where missing."""
        self._path = path
        self._local = threading.local()
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._commits = GroupCommit(self._connect())
        except sqlite3.Error as error:
            raise _unavailable(error) from error
        self._write(self._prepare, is_one_statement=False)

    # --- files ---

    def insert_file(self, file: File) -> None:
        row = _file_row(file)

        def insert(connection: sqlite3.Connection) -> None:
            try:
                connection.execute("INSERT INTO files VALUES (?, ?, ?, ?, ?, ?)", row)
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
            return self._change_one(statement, _file_row(file))
        except sqlite3.IntegrityError:
            raise KeyTaken(file.key) from None

    def delete_file(self, file_id: str, revision: int) -> bool:
        return self._change_one("DELETE FROM files WHERE file_id = ? AND revision = ?", (file_id, revision))

    def find_file(self, file_id: str) -> File | None:
        return _first(self._files("SELECT body FROM files WHERE file_id = ?", file_id))

    def find_file_by_key(self, key: str) -> File | None:
        return _first(self._files("SELECT body FROM files WHERE key = ?", key))

    def scan_files(self, after: str, before: str, limit: int, is_inclusive: bool = False) -> list[File]:
        if is_inclusive:
            statement = "SELECT body FROM files WHERE key >= ? AND key < ? ORDER BY key LIMIT ?"
        else:
            statement = "SELECT body FROM files WHERE key > ? AND key < ? ORDER BY key LIMIT ?"
        return self._files(statement, after, before, limit)

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
        statement = "INSERT OR IGNORE INTO chunks VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
        self._change_many(statement, [_chunk_row(chunk) for chunk in chunks], is_relaxed=True)

    def replace_chunks(self, chunks: Sequence[Chunk]) -> list[bool]:
        statement = (
            "UPDATE chunks SET revision = ?3, size_bytes = ?4, checksum = ?5, replicas = ?6, copies = ?7, owed = ?8,"
            " doubtful = ?9 WHERE version_id = ?1 AND chunk_index = ?2 AND revision = ?3 - 1"
        )
        return self._change_each(statement, [_chunk_row(chunk) for chunk in chunks])

    def delete_chunks(self, chunks: Sequence[Chunk]) -> list[bool]:
        statement = "DELETE FROM chunks WHERE version_id = ? AND chunk_index = ? AND revision = ?"
        return self._change_each(statement, [(chunk.version_id, chunk.index, chunk.revision) for chunk in chunks])

    def list_chunks(self, version_id: str, start: int, limit: int) -> list[Chunk]:
        return self._chunks(
            "version_id = ? AND chunk_index >= ? ORDER BY chunk_index LIMIT ?", version_id, start, limit
        )

    def find_chunks(self, chunk_ids: Sequence[str]) -> list[Chunk]:
        # One look-up by the primary key each: cheap beside the call, and no limit on their number.
        return [
            chunk
            for chunk_id in chunk_ids
            for chunk in self._chunks("version_id = ? AND chunk_index = ?", *_chunk_key(chunk_id))
        ]

    def scan_chunks(self, after: str, limit: int) -> list[Chunk]:
        where = "(version_id, chunk_index) > (?, ?) ORDER BY version_id, chunk_index LIMIT ?"
        return self._chunks(where, *_chunk_key(after), limit)

    def find_held(self, worker_id: str, kind: Holding, after: str, limit: int) -> list[Chunk]:
        columns = ", ".join(f"chunks.{name}" for name in _CHUNK_COLUMNS.split(", "))
        statement = (
            f"SELECT {columns} FROM holdings CROSS JOIN chunks USING (version_id, chunk_index)"  # noqa: S608 - constants
            " WHERE holdings.worker_id = ? AND holdings.kind = ?"
            " AND (holdings.version_id, holdings.chunk_index) > (?, ?)"
            " ORDER BY holdings.version_id, holdings.chunk_index LIMIT ?"
        )
        return [_chunk(row) for row in self._rows(statement, worker_id, kind.value, *_chunk_key(after), limit)]

    def find_owed(self, copies: int, after: str, limit: int) -> list[Chunk]:
        where = (
            "owed > 0 AND copies = ? AND (version_id, chunk_index) > (?, ?) ORDER BY version_id, chunk_index LIMIT ?"
        )
        return self._chunks(where, copies, *_chunk_key(after), limit)

    def find_surplus(self, after: str, limit: int) -> list[Chunk]:
        where = "owed < 0 AND (version_id, chunk_index) > (?, ?) ORDER BY version_id, chunk_index LIMIT ?"
        return self._chunks(where, *_chunk_key(after), limit)

    def owed(self) -> Owed:
        statement = (
            "SELECT copies, COUNT(*), SUM(owed), SUM(owed * size_bytes) FROM chunks WHERE owed > 0 GROUP BY copies"
        )
        rows = self._rows(statement)
        chunks, replicas, size = (sum(row[column] for row in rows) for column in (1, 2, 3))
        return Owed(chunks, replicas, size, {copies: count for copies, count, _, _ in rows})

    # --- uploads ---

    def insert_upload(self, upload: Upload) -> None:
        try:
            self._change_one("INSERT INTO uploads VALUES (?, ?, ?, ?, ?)", _upload_row(upload), is_relaxed=True)
        except sqlite3.IntegrityError:
            raise IdTaken(upload.upload_id) from None

    def replace_upload(self, upload: Upload, is_relaxed: bool = False) -> bool:
        statement = (
            "UPDATE uploads SET revision = ?2, state = ?3, last_activity_at = ?4, body = ?5"
            " WHERE upload_id = ?1 AND revision = ?2 - 1"
        )
        return self._change_one(statement, _upload_row(upload), is_relaxed)

    def find_upload(self, upload_id: str) -> Upload | None:
        rows = self._rows("SELECT body FROM uploads WHERE upload_id = ?", upload_id)
        return upload_from_document(_decode(rows[0][0])) if rows else None

    def find_uploads(self, upload_ids: Sequence[str]) -> list[Upload]:
        found = (self.find_upload(upload_id) for upload_id in upload_ids)
        return [upload for upload in found if upload is not None]

    def find_idle_uploads(self, state: str, idle_since: float, limit: int) -> list[Upload]:
        statement = (
            "SELECT body FROM uploads WHERE state = ? AND last_activity_at <= ? ORDER BY last_activity_at LIMIT ?"
        )
        return [upload_from_document(_decode(body)) for (body,) in self._rows(statement, state, idle_since, limit)]

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
        row = (worker_id, _encode(asdict(heartbeat)), heartbeat.incarnation)

        def record(connection: sqlite3.Connection) -> WorkerRecord:
            connection.execute(statement, row)
            return _worker(connection.execute(f"{_SELECT_WORKERS} WHERE worker_id = ?", row[:1]).fetchone())

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
        return [_worker(row) for row in self._rows(f"{_SELECT_WORKERS} ORDER BY worker_id")]

    # --- jobs ---

    def put_jobs(self, jobs: Sequence[JobRecord]) -> None:
        rows = [(job.name, _encode(dict(job.status))) for job in jobs]
        self._change_many("INSERT OR REPLACE INTO jobs VALUES (?, ?)", rows, is_relaxed=True)

    def list_jobs(self) -> list[JobRecord]:
        rows = self._rows("SELECT name, status FROM jobs ORDER BY name")
        return [JobRecord(name, _decode(status)) for name, status in rows]

    # --- lease ---

    def read_lease(self) -> Lease | None:
        rows = self._rows("SELECT body FROM lease WHERE name = 'leader'")
        return lease_from_document(_decode(rows[0][0])) if rows else None

    def swap_lease(self, expected: Lease | None, lease: Lease) -> bool:
        values = (lease.epoch, lease.renewals, _encode(asdict(lease)))
        if expected is None:
            return self._change_one("INSERT OR IGNORE INTO lease VALUES ('leader', ?, ?, ?)", values)
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

    def _prepare(self, connection: sqlite3.Connection) -> None:
        """Make the tables, or bring those of an earlier release up to date, once, whichever master comes first."""
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version not in _STEPS:
            raise MetadataUnavailable(f"{self._path} has schema {version}; this release knows schema {SCHEMA_VERSION}")
        for statement in _statements(_STEPS[version]):
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")

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

    def _change_each(self, statement: str, rows: Sequence[Sequence[Any]]) -> list[bool]:
        """The statement once for each of the rows, in one transaction; for each, whether it changed a row."""

        def change(connection: sqlite3.Connection) -> list[bool]:
            return [connection.execute(statement, row).rowcount == 1 for row in rows]

        return self._write(change, is_one_statement=len(rows) == 1) if rows else []

    def _chunks(self, where: str, *values: Any) -> list[Chunk]:
        statement = f"SELECT {_CHUNK_COLUMNS} FROM chunks WHERE {where}"  # noqa: S608 - constants of this module
        return [_chunk(row) for row in self._rows(statement, *values)]

    def _rows(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        try:
            connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
            if connection is None:
                connection = self._local.connection = self._connect()
            return connection.execute(statement, values).fetchall()
        except sqlite3.Error as error:
            raise _unavailable(error) from error

    def _files(self, statement: str, *values: Any) -> list[File]:
        return [file_from_document(_decode(body)) for (body,) in self._rows(statement, *values)]

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._path, timeout=BUSY_TIMEOUT_SECONDS, isolation_level=None, check_same_thread=False
        )
        _switch_to_wal(connection)
        return connection


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


def _statements(script: str) -> Iterator[str]:
    """The statements of a script one by one; `executescript` would end the transaction."""
    statement = ""
    for line in script.splitlines():
        statement += line + "\n"
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def _file_row(file: File) -> tuple[Any, ...]:
    body = _encode(file_to_document(file))
    due_at = min(file.due_at, NEVER)
    return file.file_id, file.key, file.revision, due_at, file.pending_bytes, body


def _chunk_row(chunk: Chunk) -> tuple[Any, ...]:
    replicas, doubtful = _encode(chunk.replicas), _encode(chunk.doubtful)
    return (
        chunk.version_id,
        chunk.index,
        chunk.revision,
        chunk.size_bytes,
        chunk.checksum,
        replicas,
        len(chunk.replicas),
        chunk.owed,
        doubtful,
    )


def _chunk(row: tuple[Any, ...]) -> Chunk:
    version_id, index, size, checksum, replicas, owed, doubtful, revision = row
    return Chunk(version_id, index, size, checksum, tuple(_decode(replicas)), owed, tuple(_decode(doubtful)), revision)


def _chunk_key(chunk_id: str) -> tuple[str, int]:
    """The primary key of a chunk; of "", one that is below all others."""
    version_id, _, index = chunk_id.partition("-")
    return version_id, int(index, 16) if index else -1


def _worker(row: tuple[Any, ...]) -> WorkerRecord:
    worker_id, count, heartbeat, is_draining, left_at, wanted, done = row
    return WorkerRecord(
        worker_id, Heartbeat.from_json(_decode(heartbeat)), count, bool(is_draining), left_at, wanted, done
    )


def _upload_row(upload: Upload) -> tuple[Any, ...]:
    body = _encode(upload_to_document(upload))
    return upload.upload_id, upload.revision, upload.state, upload.last_activity_at, body


def _first(files: Sequence[File]) -> File | None:
    return files[0] if files else None


def _unavailable(error: sqlite3.Error) -> MetadataUnavailable:
    return MetadataUnavailable(f"the SQLite database does not answer: {error}")
