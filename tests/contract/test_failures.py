"""What a metadata store does when its database is locked, unreachable, of another release, or its process is killed."""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from common.errors import MetadataUnavailable
from common.records import chunk_id
from master_node.model import JobRecord, Lease
from master_node.store import mongo, mongo_calls, sqlite
from master_node.store.base import Holding, MetadataStore, ReadLevel
from master_node.store.mongo import open_mongo_store
from master_node.store.sqlite import SqliteStore
from tests.support.metadata import hex_id, make_chunk, make_file, make_heartbeat, make_upload, next_revision
from tests.support.threads import run_together

ROOT = Path(__file__).resolve().parents[2]
V = hex_id("v")
WRITES: dict[str, Callable[[MetadataStore], object]] = {
    "insert_file": lambda store: store.insert_file(make_file("new")),
    "replace_file": lambda store: store.replace_file(next_revision(make_file("a"))),
    "delete_file": lambda store: store.delete_file(make_file("a").file_id, 1),
    "insert_chunks": lambda store: store.insert_chunks([make_chunk(V, 0)]),
    "replace_chunks": lambda store: store.replace_chunks([make_chunk(V, 0, revision=2)]),
    "delete_chunks": lambda store: store.delete_chunks([make_chunk(V, 0)]),
    "insert_upload": lambda store: store.insert_upload(make_upload("u")),
    "replace_upload": lambda store: store.replace_upload(make_upload("u")),
    "delete_uploads": lambda store: store.delete_uploads([V]),
    "record_heartbeat": lambda store: store.record_heartbeat("worker_1", make_heartbeat()),
    "change_worker": lambda store: store.change_worker("worker_1", is_draining=True),
    "want_inventory": lambda store: store.want_inventory("worker_1"),
    "finish_inventory": lambda store: store.finish_inventory("worker_1", 1),
    "forget_worker": lambda store: store.forget_worker("worker_1"),
    "put_jobs": lambda store: store.put_jobs([JobRecord("repair", {"state": "idle"})]),
    "swap_lease": lambda store: store.swap_lease(None, Lease("master_1", 1, 0, 0.0)),
}
READS: dict[str, Callable[[MetadataStore], object]] = {
    "find_file": lambda store: store.find_file(V),
    "find_file_by_key": lambda store: store.find_file_by_key("a/a"),
    "scan_files": lambda store: store.scan_files("a/", "a0", 10),
    "scan_files from the end": lambda store: store.scan_files("a/", "a0", 10, is_reverse=True),
    "find_due_files": lambda store: store.find_due_files(1.0, 10),
    "pending": lambda store: store.pending(1.0),
    "list_chunks": lambda store: store.list_chunks(V, 0, 10),
    "find_chunks": lambda store: store.find_chunks([chunk_id(V, 0)]),
    "scan_chunks": lambda store: store.scan_chunks("", 10),
    "find_held": lambda store: store.find_held("worker_1", Holding.REPLICA, chunk_id(V, 0), 10),
    "find_doubtful": lambda store: store.find_held("worker_1", Holding.DOUBTFUL, "", 10),
    "find_owed": lambda store: store.find_owed(1, chunk_id(V, 0), 10),
    "find_surplus": lambda store: store.find_surplus("", 10),
    "owed": lambda store: store.owed(),
    "find_upload": lambda store: store.find_upload(V),
    "find_uploads": lambda store: store.find_uploads([V]),
    "find_idle_uploads": lambda store: store.find_idle_uploads("open", 1.0, 10),
    "list_workers": lambda store: store.list_workers(),
    "list_jobs": lambda store: store.list_jobs(),
    "read_lease": lambda store: store.read_lease(),
    "linearizable": lambda store: store.reading(ReadLevel.LINEARIZABLE).find_file(V),
    "eventual": lambda store: store.reading(ReadLevel.EVENTUAL).find_file(V),
}


@pytest.fixture
def locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[SqliteStore, sqlite3.Connection]]:
    """A store that waits for locks but shortly, and another process's connection to its database."""
    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT_SECONDS", 0.05)
    store = SqliteStore(tmp_path / "m.sqlite3")
    store.insert_file(make_file("a"))
    other = sqlite3.connect(tmp_path / "m.sqlite3", isolation_level=None)
    yield store, other
    other.close()
    store.close()


@pytest.mark.parametrize("write", WRITES)
def test_every_write_to_a_locked_database_says_so_and_works_once_it_is_free(
    locked: tuple[SqliteStore, sqlite3.Connection], write: str
) -> None:
    store, other = locked
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(MetadataUnavailable):
        WRITES[write](store)
    other.execute("ROLLBACK")
    WRITES[write](store)


@pytest.mark.parametrize("read", READS)
def test_readers_do_not_wait_for_a_writer(locked: tuple[SqliteStore, sqlite3.Connection], read: str) -> None:
    store, other = locked
    other.execute("BEGIN IMMEDIATE")
    READS[read](store)


def test_a_refused_write_leaves_nothing_behind(locked: tuple[SqliteStore, sqlite3.Connection]) -> None:
    store, other = locked
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(MetadataUnavailable):
        store.replace_file(next_revision(make_file("a"), path="b"))
    other.execute("ROLLBACK")
    assert store.find_file_by_key("a/a") == make_file("a")
    assert store.find_file_by_key("a/b") is None


def test_every_call_to_a_server_that_is_not_there_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mongo, "ANSWER_TIMEOUT_SECONDS", 0.05)
    monkeypatch.setattr(mongo_calls, "GIVE_UP_SECONDS", 0.1)
    calls = {**READS, **WRITES}
    with socket.socket() as bound:
        # Bound and not listening: refuses every connection, and nobody else can take the port meanwhile.
        bound.bind(("127.0.0.1", 0))
        store = open_mongo_store(f"mongodb://127.0.0.1:{bound.getsockname()[1]}/?directConnection=true", "nowhere")
        try:
            outcomes = run_together([lambda call=call: _error_of(lambda: call(store)) for call in calls.values()])
        finally:
            store.close()
    assert dict(zip(calls, outcomes, strict=True)) == dict.fromkeys(calls, MetadataUnavailable)


def _error_of(call: Callable[[], object]) -> type[BaseException] | None:
    try:
        call()
    except Exception as error:  # noqa: BLE001 - the kind of error is what is looked at
        return type(error)
    return None


def test_a_database_that_is_no_database_says_so(tmp_path: Path) -> None:
    (tmp_path / "m.sqlite3").write_bytes(b"this is not a database\n" * 1000)
    with pytest.raises(MetadataUnavailable):
        SqliteStore(tmp_path / "m.sqlite3")


def test_masters_that_start_together_make_one_database(tmp_path: Path) -> None:
    for turn in range(5):
        path = tmp_path / f"{turn}" / "m.sqlite3"
        stores = run_together([lambda path=path: SqliteStore(path) for _ in range(8)])
        stores[0].insert_file(make_file("a"))
        assert [store.find_file_by_key("a/a") for store in stores] == [make_file("a")] * 8
        for store in stores:
            store.close()


def test_what_was_written_is_there_after_closing(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "m.sqlite3")
    store.insert_file(make_file("a"))
    store.close()
    again = SqliteStore(tmp_path / "m.sqlite3")
    assert again.find_file_by_key("a/a") == make_file("a")
    again.close()


RELAXED = {
    "delete_uploads",
    "insert_chunks",
    "insert_upload",
    "put_jobs",
    "record_heartbeat",
    "replace_upload, relaxed",
}
DURABILITY = {
    **WRITES,
    "replace_upload, relaxed": lambda store: store.replace_upload(make_upload("u"), is_relaxed=True),
}


@pytest.mark.parametrize("write", DURABILITY)
def test_every_commit_waits_for_the_disk_unless_it_may_be_relaxed(tmp_path: Path, write: str) -> None:
    """A power cut cannot be made here; that SQLite is told to sync a commit in WAL mode can be seen (FULL is 2)."""
    store = SqliteStore(tmp_path / "m.sqlite3")
    connection = store._commits._connection
    DURABILITY[write](store)
    settings = [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("synchronous", "journal_mode")]
    store.close()
    assert settings == [1 if write in RELAXED else 2, "wal"]


_WRITER = """
import sys
from dataclasses import replace
from pathlib import Path
from master_node.store.base import KeyTaken
from master_node.store.sqlite import SqliteStore
from tests.support.metadata import make_file, make_chunk, next_revision
store = SqliteStore(Path(sys.argv[1]))
number = 0
while True:
    file = make_file(f"f{number}", seed=f"{sys.argv[2]} {number}")
    store.insert_file(replace(file, path=f"{sys.argv[2]} {number}"))
    store.insert_chunks([make_chunk(file.file_id, index) for index in range(50)])
    store.replace_file(next_revision(replace(file, path=f"{sys.argv[2]} {number}"), modified_at="acknowledged"))
    print(number, flush=True)
    number += 1
"""


def test_a_process_killed_while_it_writes_loses_nothing_that_it_acknowledged(tmp_path: Path) -> None:
    path = tmp_path / "m.sqlite3"
    for turn, acknowledged_before_kill in enumerate((1, 20, 47)):
        arguments = [sys.executable, "-c", _WRITER, str(path), f"turn{turn}"]
        with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True, cwd=ROOT) as writer:
            assert writer.stdout is not None
            acknowledged = [int(writer.stdout.readline()) for _ in range(acknowledged_before_kill)]
            os.kill(writer.pid, signal.SIGKILL)
            # What it had printed before it died counts as acknowledged too; a torn last line does not.
            rest = writer.stdout.read()
            acknowledged += [int(line) for line in rest[: rest.rfind("\n") + 1].split()]
        assert writer.returncode == -signal.SIGKILL
        store = SqliteStore(path)
        for number in acknowledged:
            file = store.find_file_by_key(f"a/turn{turn} {number}")
            assert file is not None
            assert (file.revision, file.modified_at) == (2, "acknowledged")
            assert len(store.list_chunks(file.file_id, 0, 100)) == 50, chunk_id(file.file_id, 0)
        store.insert_file(make_file(f"after {turn}"))
        store.close()
        with sqlite3.connect(path) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        connection.close()
