"""The embedded store: one SQLite database in WAL mode, shared by the masters of one machine.

Writes take the database's write lock at their start, so a conditional write reads and writes one state. Readers have
a connection per thread and never wait for a writer (WAL). `synchronous=FULL`: a commit is on the disk when it returns.
"""

from __future__ import annotations

import contextlib
import json
import random
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from common.errors import MetadataUnavailable
from common.records import Heartbeat
from master_node.documents import (
    chunk_from_document,
    file_from_document,
    file_to_document,
    lease_from_document,
    upload_from_document,
    upload_to_document,
    worker_from_document,
)
from master_node.model import NEVER, Chunk, File, Lease, Upload, WorkerRecord
from master_node.store.base import IdTaken, KeyTaken, Owed, Pending

SCHEMA_VERSION = 1
BUSY_TIMEOUT_SECONDS = 10.0
_SCHEMA = """
CREATE TABLE files (file_id TEXT PRIMARY KEY, key TEXT NOT NULL UNIQUE, revision INTEGER NOT NULL,
                    due_at REAL NOT NULL, pending_bytes INTEGER NOT NULL, body TEXT NOT NULL);
CREATE INDEX files_due ON files (due_at, pending_bytes) WHERE due_at < 1e15;
CREATE TABLE chunks (version_id TEXT NOT NULL, chunk_index INTEGER NOT NULL, size_bytes INTEGER NOT NULL,
                     checksum TEXT NOT NULL, replicas TEXT NOT NULL, owed INTEGER NOT NULL,
                     doubtful TEXT NOT NULL,
                     PRIMARY KEY (version_id, chunk_index)) WITHOUT ROWID;
CREATE INDEX chunks_owed ON chunks (owed) WHERE owed > 0;
CREATE TABLE uploads (upload_id TEXT PRIMARY KEY, revision INTEGER NOT NULL, state TEXT NOT NULL,
                      last_activity_at REAL NOT NULL, body TEXT NOT NULL);
CREATE INDEX uploads_idle ON uploads (state, last_activity_at);
CREATE TABLE workers (worker_id TEXT PRIMARY KEY, heartbeat_count INTEGER NOT NULL, heartbeat TEXT NOT NULL,
                      is_draining INTEGER NOT NULL DEFAULT 0);
CREATE TABLE lease (name TEXT PRIMARY KEY, epoch INTEGER NOT NULL, renewals INTEGER NOT NULL, body TEXT NOT NULL);
"""


class SqliteStore:
    """A MetadataStore in one file."""

    def __init__(self, path: Path) -> None:
        """Open the database at `path`, made with its folder where missing."""
        self._path = path
        self._local = threading.local()
        self._writer_lock = threading.Lock()
        path.parent.mkdir(parents=True, exist_ok=True)
        with _database_errors():
            self._writer = self._connect()
            self._prepare()

    # --- files ---

    def insert_file(self, file: File) -> None:
        with self._write() as connection:
            try:
                connection.execute("INSERT INTO files VALUES (?, ?, ?, ?, ?, ?)", _file_row(file))
            except sqlite3.IntegrityError:
                if self._exists(connection, "SELECT 1 FROM files WHERE file_id = ?", file.file_id):
                    raise IdTaken(file.file_id) from None
                raise KeyTaken(file.key) from None

    def replace_file(self, file: File) -> bool:
        statement = (
            "UPDATE files SET key = ?2, revision = ?3, due_at = ?4, pending_bytes = ?5, body = ?6"
            " WHERE file_id = ?1 AND revision = ?3 - 1"
        )
        with self._write() as connection:
            try:
                return connection.execute(statement, _file_row(file)).rowcount == 1
            except sqlite3.IntegrityError:
                raise KeyTaken(file.key) from None

    def delete_file(self, file_id: str, revision: int) -> bool:
        with self._write() as connection:
            statement = "DELETE FROM files WHERE file_id = ? AND revision = ?"
            return connection.execute(statement, (file_id, revision)).rowcount == 1

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
        statement = "SELECT body FROM files WHERE due_at < 1e15 AND due_at <= ? ORDER BY due_at LIMIT ?"
        return self._files(statement, clock_seconds, limit)

    def pending(self, clock_seconds: float) -> Pending:
        statement = (
            "SELECT COALESCE(SUM(pending_bytes), 0), COALESCE(SUM(CASE WHEN due_at <= ? THEN pending_bytes END), 0)"
            " FROM files WHERE due_at < 1e15"
        )
        return Pending(*self._rows(statement, clock_seconds)[0])

    # --- chunks ---

    def insert_chunks(self, chunks: Sequence[Chunk]) -> None:
        self._write_chunks("INSERT OR IGNORE INTO chunks VALUES (?, ?, ?, ?, ?, ?, ?)", chunks)

    def put_chunks(self, chunks: Sequence[Chunk]) -> None:
        self._write_chunks("INSERT OR REPLACE INTO chunks VALUES (?, ?, ?, ?, ?, ?, ?)", chunks)

    def _write_chunks(self, statement: str, chunks: Sequence[Chunk]) -> None:
        rows = [
            (c.version_id, c.index, c.size_bytes, c.checksum, json.dumps(c.replicas), c.owed, json.dumps(c.doubtful))
            for c in chunks
        ]
        with self._write() as connection:
            connection.executemany(statement, rows)

    def list_chunks(self, version_id: str, start: int, limit: int) -> list[Chunk]:
        statement = "SELECT * FROM chunks WHERE version_id = ? AND chunk_index >= ? ORDER BY chunk_index LIMIT ?"
        names = ("version_id", "index", "size_bytes", "checksum", "replicas", "owed", "doubtful")
        found = []
        for row in self._rows(statement, version_id, start, limit):
            document = dict(zip(names, row, strict=True))
            found.append(
                chunk_from_document(
                    {
                        **document,
                        "replicas": json.loads(document["replicas"]),
                        "doubtful": json.loads(document["doubtful"]),
                    }
                )
            )
        return found

    def delete_chunks(self, version_id: str, indexes: Sequence[int]) -> None:
        with self._write() as connection:
            statement = "DELETE FROM chunks WHERE version_id = ? AND chunk_index = ?"
            connection.executemany(statement, [(version_id, index) for index in indexes])

    def owed(self) -> Owed:
        return Owed(*self._rows("SELECT COUNT(*), COALESCE(SUM(owed), 0) FROM chunks WHERE owed > 0")[0])

    # --- uploads ---

    def insert_upload(self, upload: Upload) -> None:
        with self._write() as connection:
            try:
                connection.execute("INSERT INTO uploads VALUES (?, ?, ?, ?, ?)", _upload_row(upload))
            except sqlite3.IntegrityError:
                raise IdTaken(upload.upload_id) from None

    def replace_upload(self, upload: Upload) -> bool:
        statement = (
            "UPDATE uploads SET revision = ?2, state = ?3, last_activity_at = ?4, body = ?5"
            " WHERE upload_id = ?1 AND revision = ?2 - 1"
        )
        with self._write() as connection:
            return connection.execute(statement, _upload_row(upload)).rowcount == 1

    def find_upload(self, upload_id: str) -> Upload | None:
        rows = self._rows("SELECT body FROM uploads WHERE upload_id = ?", upload_id)
        return upload_from_document(json.loads(rows[0][0])) if rows else None

    def find_idle_uploads(self, state: str, idle_since: float, limit: int) -> list[Upload]:
        statement = (
            "SELECT body FROM uploads WHERE state = ? AND last_activity_at <= ? ORDER BY last_activity_at LIMIT ?"
        )
        return [upload_from_document(json.loads(body)) for (body,) in self._rows(statement, state, idle_since, limit)]

    def delete_upload(self, upload_id: str) -> None:
        with self._write() as connection:
            connection.execute("DELETE FROM uploads WHERE upload_id = ?", (upload_id,))

    # --- workers ---

    def record_heartbeat(self, worker_id: str, heartbeat: Heartbeat) -> int:
        statement = (
            "INSERT INTO workers (worker_id, heartbeat_count, heartbeat) VALUES (?, 1, ?) ON CONFLICT (worker_id)"
            " DO UPDATE SET heartbeat_count = heartbeat_count + 1, heartbeat = excluded.heartbeat"
        )
        with self._write() as connection:
            connection.execute(statement, (worker_id, json.dumps(asdict(heartbeat))))
            query = "SELECT heartbeat_count FROM workers WHERE worker_id = ?"
            count: int = connection.execute(query, (worker_id,)).fetchone()[0]
            return count

    def list_workers(self) -> list[WorkerRecord]:
        statement = "SELECT worker_id, heartbeat_count, heartbeat, is_draining FROM workers ORDER BY worker_id"
        return [
            worker_from_document(
                {
                    "worker_id": worker_id,
                    "heartbeat_count": count,
                    "heartbeat": json.loads(heartbeat),
                    "is_draining": bool(is_draining),
                }
            )
            for worker_id, count, heartbeat, is_draining in self._rows(statement)
        ]

    # --- lease ---

    def read_lease(self) -> Lease | None:
        rows = self._rows("SELECT body FROM lease WHERE name = 'leader'")
        return lease_from_document(json.loads(rows[0][0])) if rows else None

    def swap_lease(self, expected: Lease | None, lease: Lease) -> bool:
        body = json.dumps(asdict(lease))
        with self._write() as connection:
            if expected is None:
                statement = "INSERT OR IGNORE INTO lease VALUES ('leader', ?, ?, ?)"
                return connection.execute(statement, (lease.epoch, lease.renewals, body)).rowcount == 1
            statement = (
                "UPDATE lease SET epoch = ?, renewals = ?, body = ?"
                " WHERE name = 'leader' AND epoch = ? AND renewals = ?"
            )
            values = (lease.epoch, lease.renewals, body, expected.epoch, expected.renewals)
            return connection.execute(statement, values).rowcount == 1

    def close(self) -> None:
        # A reading connection goes with its thread: closing one that another thread is using would end the process.
        with self._writer_lock:
            self._writer.close()

    # --- connections ---

    def _prepare(self) -> None:
        """Make the tables, once, whichever master comes first."""
        with self._write() as connection:
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if version == 0:
                for statement in _SCHEMA.split(";"):
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
            elif version != SCHEMA_VERSION:
                raise MetadataUnavailable(
                    f"{self._path} has schema {version}; this release knows schema {SCHEMA_VERSION}"
                )

    @contextlib.contextmanager
    def _write(self) -> Iterator[sqlite3.Connection]:
        """One transaction that holds the database's write lock from its start."""
        with self._writer_lock, _database_errors():
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                yield self._writer
            except BaseException:
                self._writer.execute("ROLLBACK")
                raise
            try:
                self._writer.execute("COMMIT")
            except sqlite3.Error:
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")
                raise

    def _rows(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        with _database_errors():
            connection = getattr(self._local, "connection", None)
            if connection is None:
                connection = self._local.connection = self._connect()
            return connection.execute(statement, values).fetchall()

    def _files(self, statement: str, *values: Any) -> list[File]:
        return [file_from_document(json.loads(body)) for (body,) in self._rows(statement, *values)]

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._path, timeout=BUSY_TIMEOUT_SECONDS, isolation_level=None, check_same_thread=False
        )
        _switch_to_wal(connection)
        connection.execute("PRAGMA synchronous = FULL")
        return connection

    @staticmethod
    def _exists(connection: sqlite3.Connection, statement: str, value: str) -> bool:
        return connection.execute(statement, (value,)).fetchone() is not None


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


def _file_row(file: File) -> tuple[Any, ...]:
    body = json.dumps(file_to_document(file), ensure_ascii=False)
    due_at = min(file.due_at, NEVER)
    return file.file_id, file.key, file.revision, due_at, file.pending_bytes, body


def _upload_row(upload: Upload) -> tuple[Any, ...]:
    body = json.dumps(upload_to_document(upload), ensure_ascii=False)
    return upload.upload_id, upload.revision, upload.state, upload.last_activity_at, body


def _first(files: Sequence[File]) -> File | None:
    return files[0] if files else None


@contextlib.contextmanager
def _database_errors() -> Iterator[None]:
    try:
        yield
    except sqlite3.IntegrityError:
        raise
    except sqlite3.Error as error:
        raise MetadataUnavailable(f"the SQLite database does not answer: {error}") from error
