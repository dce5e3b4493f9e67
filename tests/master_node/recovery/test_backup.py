"""A backup is one moment of a database that is in use, is checked, and is refused where it is not what it says."""

from __future__ import annotations

import json
import sqlite3
import threading
from pathlib import Path

import pytest

from common.config import load_config
from master_node.model import Lease
from master_node.recovery import mongo_tools
from master_node.recovery.copies import (
    DATABASE_NAME,
    MANIFEST_NAME,
    BackupUnusable,
    back_up_sqlite,
    check_sqlite,
    put_in_place,
    read_manifest,
)
from master_node.recovery.hold import Hold, HoldState, lift_hold, read_hold, write_hold
from master_node.restore import EPOCH_JUMP, begin_recovery
from master_node.store.sqlite import SqliteStore
from tests.support.cluster import write_home
from tests.support.masters import ManualClock
from tests.support.metadata import make_chunk, make_file, make_heartbeat, make_upload, next_revision

NOW = "2026-01-31T12:00:00.000Z"


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """A small database."""
    path = tmp_path / "databases" / "metadata.sqlite3"
    store = SqliteStore(path)
    for number in range(20):
        store.insert_file(make_file(f"f{number}"))
    store.insert_upload(make_upload("u"))
    store.insert_chunks([make_chunk("v" * 32, 0)])
    store.record_heartbeat("worker_1", make_heartbeat())
    assert store.swap_lease(None, Lease("master_1", 7, 3, 42.5))
    store.close()
    return path


def test_a_backup_says_what_it_holds_and_is_restored_as_it_was(database: Path, tmp_path: Path) -> None:
    folder = tmp_path / "backup"
    manifest = back_up_sqlite(database, folder, NOW)
    assert manifest.counts == {"files": 20, "chunks": 1, "uploads": 1, "workers": 1}
    assert (manifest.epoch, manifest.clock_seconds) == (7, 42.5)
    assert read_manifest(folder) == manifest
    check_sqlite(folder, manifest)
    elsewhere = tmp_path / "elsewhere" / "metadata.sqlite3"
    assert put_in_place(folder, elsewhere, "before") == []
    store = SqliteStore(elsewhere)
    assert store.find_file_by_key("a/f7") == make_file("f7")
    store.close()


def test_a_backup_made_amid_writes_is_whole(database: Path, tmp_path: Path) -> None:
    store, is_over = SqliteStore(database), threading.Event()

    def write() -> None:
        file = make_file("f0")
        while not is_over.is_set():
            changed = next_revision(file)
            assert store.replace_file(changed)
            file = changed

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for number in range(3):
            folder = tmp_path / f"backup {number}"
            check_sqlite(folder, back_up_sqlite(database, folder, NOW))
    finally:
        is_over.set()
        writer.join()
        store.close()


def test_what_was_there_is_moved_aside_and_can_be_opened_there(database: Path, tmp_path: Path) -> None:
    back_up_sqlite(database, tmp_path / "backup", NOW)
    store = SqliteStore(database)
    store.insert_file(make_file("later"))
    store.close()
    aside = put_in_place(tmp_path / "backup", database, "before")
    assert aside[0].name == "metadata.sqlite3.before"
    kept, restored = SqliteStore(aside[0]), SqliteStore(database)
    assert kept.find_file_by_key("a/later") is not None
    assert restored.find_file_by_key("a/later") is None
    kept.close()
    restored.close()


def test_a_folder_that_is_not_empty_is_left_alone(database: Path, tmp_path: Path) -> None:
    (tmp_path / "backup").mkdir()
    (tmp_path / "backup" / "something").write_text("mine")
    with pytest.raises(BackupUnusable, match="not empty"):
        back_up_sqlite(database, tmp_path / "backup", NOW)


@pytest.mark.parametrize("at", [100, -100])
def test_a_copy_that_was_changed_is_refused(database: Path, tmp_path: Path, at: int) -> None:
    manifest = back_up_sqlite(database, tmp_path / "backup", NOW)
    copy = tmp_path / "backup" / DATABASE_NAME
    content = bytearray(copy.read_bytes())
    content[at] ^= 0xFF
    copy.write_bytes(content)
    with pytest.raises(BackupUnusable):
        check_sqlite(tmp_path / "backup", manifest)


def test_a_backup_of_a_later_schema_is_refused(database: Path, tmp_path: Path) -> None:
    connection = sqlite3.connect(database)
    connection.execute("PRAGMA user_version = 1000")
    connection.close()
    manifest = back_up_sqlite(database, tmp_path / "backup", NOW)
    with pytest.raises(BackupUnusable, match="schema 1000"):
        check_sqlite(tmp_path / "backup", manifest)


@pytest.mark.parametrize("manifest", [None, "", "[]", "{}", json.dumps({"made_at": 1})])
def test_a_folder_without_a_readable_manifest_is_no_backup(tmp_path: Path, manifest: str | None) -> None:
    if manifest is not None:
        (tmp_path / MANIFEST_NAME).write_text(manifest)
    with pytest.raises(BackupUnusable):
        read_manifest(tmp_path)


def test_after_a_restore_nothing_is_freed_all_disks_are_compared_and_every_order_is_obeyed(database: Path) -> None:
    store, clock = SqliteStore(database), ManualClock()
    worker = store.list_workers()[0]
    store.finish_inventory(worker.worker_id, worker.inventory_wanted)
    begin_recovery(store, NOW, clock)
    assert read_hold(store) == HoldState(True, 42.5, NOW)
    assert store.read_lease() == Lease("", 7 + EPOCH_JUMP, 0, 42.5)
    assert not store.list_workers()[0].is_reconciled
    store.close()


def test_a_master_sees_the_end_of_the_hold_at_once_and_asks_no_more(database: Path) -> None:
    store, clock = SqliteStore(database), ManualClock()
    write_hold(store, HoldState(True), clock)
    hold = Hold(store)
    assert hold.is_held()
    assert hold.is_held()
    write_hold(store, HoldState(False), clock)
    assert not hold.is_held()
    store.close()
    assert not hold.is_held()


def test_what_was_held_back_is_looked_at_again_once_the_hold_is_lifted(database: Path) -> None:
    class Watched(SqliteStore):
        held_when_wanted: list[bool] = []  # noqa: RUF012

        def want_inventory(self, worker_id: str) -> None:
            self.held_when_wanted.append(read_hold(self).is_held)
            super().want_inventory(worker_id)

    store, clock = Watched(database), ManualClock()
    write_hold(store, HoldState(True, 42.5, NOW), clock)
    lift_hold(store, clock)
    assert read_hold(store) == HoldState(False, 42.5, NOW)
    # The first one, because no disk may count as compared before anything is freed.
    assert store.held_when_wanted == [True, False]
    store.close()


def test_mongodbs_tools_get_the_connection_string_from_a_file_and_never_on_their_command_line(tmp_path: Path) -> None:
    write_home(tmp_path, variables={"MONGO_URI": "mongodb://user:pass'word@host/"})
    config = load_config(tmp_path)
    for command in (
        mongo_tools.dump_command(config, tmp_path, "c.yaml"),
        mongo_tools.restore_command(config, tmp_path, "c.yaml"),
    ):
        assert "--config=c.yaml" in command
        assert not any("pass" in part for part in command)
