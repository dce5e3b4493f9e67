"""Databases of earlier releases are brought up to date with all that is in them, whichever master comes first."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from common.api_keys import make_key
from common.errors import MetadataUnavailable
from master_node import model
from master_node.documents import upload_to_document
from master_node.model import Chunk, JobRecord, Lease
from master_node.quotas.model import Quota
from master_node.store.base import Holding, KeyTaken, Owed, Pending
from master_node.store.sqlite import SqliteStore
from master_node.store.sqlite_rows import file_row
from tests.support.metadata import (
    CHUNK_SIZE,
    NOW,
    hex_id,
    make_chunk,
    make_file,
    make_heartbeat,
    make_upload,
    next_chunk,
    next_revision,
)
from tests.support.threads import run_together

# As those releases made them, word for word.
FILES_1 = """
CREATE TABLE files (file_id TEXT PRIMARY KEY, key TEXT NOT NULL UNIQUE, revision INTEGER NOT NULL,
                    due_at REAL NOT NULL, pending_bytes INTEGER NOT NULL, body TEXT NOT NULL);
CREATE INDEX files_due ON files (due_at, pending_bytes) WHERE due_at < 1e15;
"""
FILES_2 = """
CREATE TABLE files (file_id TEXT NOT NULL UNIQUE, key TEXT PRIMARY KEY NOT NULL, revision INTEGER NOT NULL,
                    due_at REAL NOT NULL, pending_bytes INTEGER NOT NULL, body TEXT NOT NULL) WITHOUT ROWID;
CREATE INDEX files_due ON files (due_at, pending_bytes) WHERE due_at < 1e15;
"""
REST = """
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
SCHEMAS = {1: FILES_1 + REST, 2: FILES_2 + REST}
FILES = [
    make_file("b"),
    make_file("a", size_bytes=9),
    make_file("c", seed="trashed", status=model.DELETED, expires_at=5.0, size_bytes=7),
]
V, W = sorted((hex_id("v"), hex_id("w")))
CHUNKS = [
    make_chunk(V, 0, replicas=("worker_1", "worker_2", "worker_3")),
    make_chunk(V, 1, replicas=("worker_1", "worker_2"), owed=1, doubtful=("worker_3",)),
    make_chunk(V, 255, replicas=("worker_4",), owed=2),
    make_chunk(W, 0, replicas=("worker_5", "worker_4", "worker_2"), doubtful=("worker_1", "worker_3")),
]
UPLOAD = make_upload("u", last_activity_at=3.0)
LEASE = Lease("master_1", 4, 2, 17.5)


@pytest.fixture(params=SCHEMAS)
def old_database(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A database of that schema, in use."""
    path = tmp_path / "m.sqlite3"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.executescript(SCHEMAS[request.param])
        connection.executemany("INSERT INTO files VALUES (?, ?, ?, ?, ?, ?)", [file_row(file) for file in FILES])
        connection.executemany("INSERT INTO chunks VALUES (?, ?, ?, ?, ?, ?, ?)", [_old_row(c) for c in CHUNKS])
        body = json.dumps(upload_to_document(UPLOAD))
        connection.execute("INSERT INTO uploads VALUES (?, 1, ?, 3.0, ?)", (UPLOAD.upload_id, UPLOAD.state, body))
        old_heartbeat = json.dumps(asdict(make_heartbeat(1)))
        connection.execute("INSERT INTO workers VALUES ('worker_1', 77, ?, 0)", (old_heartbeat,))
        connection.execute("INSERT INTO lease VALUES ('leader', 4, 2, ?)", (json.dumps(asdict(LEASE)),))
        connection.execute(f"PRAGMA user_version = {request.param}")
    return path


def _old_row(chunk: Chunk) -> tuple[object, ...]:
    lists = json.dumps(chunk.replicas), json.dumps(chunk.doubtful)
    return chunk.version_id, chunk.index, chunk.size_bytes, chunk.checksum, lists[0], chunk.owed, lists[1]


def test_files_uploads_and_the_lease_stay_as_they_were(old_database: Path) -> None:
    for store in run_together([lambda: SqliteStore(old_database) for _ in range(3)]):
        assert store.scan_files("a/", "a0", 10) == [FILES[1], FILES[0]]
        assert store.find_file(FILES[2].file_id) == FILES[2]
        assert store.find_due_files(5.0, 10) == [FILES[2]]
        assert store.pending(5.0) == Pending(7, 7)
        with pytest.raises(KeyTaken):
            store.insert_file(make_file("a", seed="other"))
        assert store.find_idle_uploads(UPLOAD.state, 3.0, 10) == [UPLOAD]
        assert store.read_lease() == LEASE
        store.close()


def test_chunks_are_found_by_their_workers_and_by_what_is_owed(old_database: Path) -> None:
    with closing(SqliteStore(old_database)) as store:
        assert store.scan_chunks("", 10) == CHUNKS
        for number in range(1, 7):
            worker = f"worker_{number}"
            held = [chunk for chunk in CHUNKS if worker in chunk.replicas]
            assert store.find_held(worker, Holding.REPLICA, "", 10) == held
            doubtful = [chunk for chunk in CHUNKS if worker in chunk.doubtful]
            assert store.find_held(worker, Holding.DOUBTFUL, "", 10) == doubtful
        assert [store.find_owed(copies, "", 10) for copies in (1, 2, 3)] == [[CHUNKS[2]], [CHUNKS[1]], []]
        assert store.owed() == Owed(2, 3, 3 * CHUNK_SIZE, {1: 1, 2: 1})
        assert store.find_surplus("", 10) == []


def test_a_chunk_of_an_old_database_changes_like_any_other(old_database: Path) -> None:
    with closing(SqliteStore(old_database)) as store:
        changed = next_chunk(CHUNKS[1], replicas=("worker_3", "worker_1", "worker_2"), owed=0, doubtful=())
        assert store.replace_chunks([changed]) == [True]
        assert store.find_held("worker_3", Holding.REPLICA, "", 10) == [CHUNKS[0], changed]
        assert store.find_held("worker_3", Holding.DOUBTFUL, "", 10) == [CHUNKS[3]]
        assert store.delete_chunks([CHUNKS[0], CHUNKS[1]]) == [True, False]
        assert store.find_held("worker_1", Holding.REPLICA, "", 10) == [changed]
        assert store.replace_file(next_revision(FILES[0]))


def test_workers_come_back_with_their_heartbeats_and_are_compared_with_the_records(old_database: Path) -> None:
    with closing(SqliteStore(old_database)) as store:
        assert store.list_workers() == []
        assert not store.record_heartbeat("worker_1", make_heartbeat(1)).is_reconciled


def test_an_old_database_becomes_what_a_new_one_is(old_database: Path, tmp_path: Path) -> None:
    """Table by table, index by index, trigger by trigger."""
    SqliteStore(old_database).close()
    SqliteStore(tmp_path / "new.sqlite3").close()
    assert _layout(old_database) == _layout(tmp_path / "new.sqlite3")


def test_a_database_that_knew_no_keys_learns_them_and_keeps_the_rest(tmp_path: Path) -> None:
    path, other = tmp_path / "3.sqlite3", tmp_path / "new.sqlite3"
    with closing(SqliteStore(path)) as store:
        store.insert_file(FILES[0])
        store.insert_chunks(CHUNKS)
        worker = store.record_heartbeat("worker_1", make_heartbeat(1))
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(
            "DROP TABLE keys; DROP TABLE quotas; ALTER TABLE chunks DROP COLUMN attempt; PRAGMA user_version = 3;"
        )
    _, key = make_key("k", ("read",), "", NOW)
    with closing(SqliteStore(path)) as store, closing(SqliteStore(other)):
        store.put_key(key)
        assert store.list_keys("", 10) == [key]
        assert store.find_file(FILES[0].file_id) == FILES[0]
        assert store.find_held("worker_1", Holding.REPLICA, "", 10) == CHUNKS[:2]
        assert store.list_workers() == [worker]
    assert _layout(path) == _layout(other)


def test_a_database_that_knew_no_attempts_takes_chunks_that_have_one(tmp_path: Path) -> None:
    path, other = tmp_path / "5.sqlite3", tmp_path / "new.sqlite3"
    with closing(SqliteStore(path)) as store:
        store.insert_chunks(CHUNKS)
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript("ALTER TABLE chunks DROP COLUMN attempt; PRAGMA user_version = 5;")
        assert "attempt" not in connection.execute("SELECT sql FROM sqlite_master WHERE name = 'chunks'").fetchone()[0]
    with closing(SqliteStore(path)) as store, closing(SqliteStore(other)):
        assert store.scan_chunks("", 10) == CHUNKS
        later = next_chunk(CHUNKS[2], attempt=3, replicas=("worker_5",))
        assert store.replace_chunks([later]) == [True]
        assert store.find_chunks([CHUNKS[2].chunk_id, later.chunk_id]) == [later]
        assert store.find_held("worker_5", Holding.REPLICA, "", 10) == [later, CHUNKS[3]]
    assert _layout(path) == _layout(other)


def test_a_master_goes_on_after_a_later_release_has_added_columns(tmp_path: Path) -> None:
    """Of a rolling update, where the new release's first master changes the database under those of the old one."""
    path = tmp_path / "m.sqlite3"
    # Rows of `holdings` are made by triggers, which a release that changes the table brings with it.
    tables = ("files", "chunks", "uploads", "workers", "jobs", "quotas", "keys", "lease")
    with closing(SqliteStore(path)) as store:
        store.put_jobs([JobRecord("repair", {"run": 1})])
        with closing(sqlite3.connect(path)) as later:
            for table in tables:
                later.execute(f"ALTER TABLE {table} ADD COLUMN later TEXT NOT NULL DEFAULT 'default'")
            later.execute("UPDATE jobs SET later = 'changed'")
            later.commit()
            _write_everything(store)
            rows = {table: later.execute(f"SELECT later FROM {table}").fetchall() for table in tables}
    assert rows == {table: [("changed" if table == "jobs" else "default",)] for table in tables}


def _write_everything(store: SqliteStore) -> None:
    """Every kind of row made, changed, and read as it was written."""
    store.insert_file(FILES[0])
    changed = next_revision(FILES[0])
    assert store.replace_file(changed)
    assert store.find_file(changed.file_id) == changed
    store.insert_chunks(CHUNKS[:1])
    copied = next_chunk(CHUNKS[0], replicas=("worker_9",))
    assert store.replace_chunks([copied]) == [True]
    assert store.find_held("worker_9", Holding.REPLICA, "", 10) == [copied]
    store.insert_upload(UPLOAD)
    assert store.replace_upload(replace(UPLOAD, revision=2))
    assert store.find_upload(UPLOAD.upload_id) == replace(UPLOAD, revision=2)
    store.record_heartbeat("worker_1", make_heartbeat(1))
    assert store.record_heartbeat("worker_1", make_heartbeat(1)).heartbeat_count == 2
    store.put_jobs([JobRecord("repair", {"run": 2})])
    assert store.list_jobs() == [JobRecord("repair", {"run": 2})]
    store.insert_quota(Quota("a/", 1, None))
    assert store.list_quotas() == [Quota("a/", 1, None)]
    _, key = make_key("k", ("read",), "", NOW)
    store.put_key(key)
    assert store.list_keys("", 10) == [key]
    assert store.swap_lease(None, LEASE)
    assert store.swap_lease(LEASE, replace(LEASE, renewals=3))


def _layout(path: Path) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        version = connection.execute("PRAGMA user_version").fetchall()
        return version + connection.execute("SELECT type, name, sql FROM sqlite_master ORDER BY type, name").fetchall()


def test_a_database_of_a_newer_release_is_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "m.sqlite3"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(MetadataUnavailable, match=r"m\.sqlite3 has schema 99"):
        SqliteStore(path)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)
