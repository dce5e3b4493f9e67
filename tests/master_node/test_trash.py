"""Emptying the trash: bounded, and only of what is in it at the moment of the write."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from common.master_client import MapPart
from master_node import file_changes, model
from master_node.model import File
from master_node.quotas.ledger import Ledger
from master_node.store.base import MetadataStore
from master_node.store.sqlite import SqliteStore
from master_node.trash import Emptied, Trash
from tests.support.masters import ManualClock, Master


class RestoredMeanwhile:
    """A store in which somebody restores a file of the trash after it was listed."""

    def __init__(self, store: MetadataStore, path: str) -> None:
        self._store, self._path = store, path

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def scan_files(self, after: str, before: str, limit: int, is_inclusive: bool = False) -> list[File]:
        found = self._store.scan_files(after, before, limit, is_inclusive)
        for file in found:
            if file.path == self._path:
                assert self._store.replace_file(file_changes.restore_from_trash(file, None, file.modified_at))
        return found


@pytest.fixture
def empty_trash(master: Master, store: SqliteStore, clock: ManualClock) -> Iterator[Trash]:
    made = Trash(store, master.election, Ledger(store, master.election, clock), clock)
    yield made
    made.stop()


def discard(master: Master, path: str) -> str:
    file_id = master.put(path, chunks=2).file_id
    master.put(path, chunks=2)
    master.catalog.delete(file_id, is_permanent=False)
    return file_id


def test_what_is_emptied_is_freed_with_all_its_versions(master: Master, empty_trash: Trash) -> None:
    file_id = discard(master, "a/1")
    kept = discard(master, "b")
    assert empty_trash.empty("a/") == Emptied(1, more=False)
    purged = master.store.find_file(file_id)
    assert purged is not None
    assert (purged.status, len(purged.old_versions)) == (model.PURGED, 2)
    assert master.catalog.find(kept, MapPart(0, 1)).file.status == model.DELETED
    master.collect()
    assert master.store.list_chunks(purged.old_versions[0].version.version_id, 0, 10) == []


def test_a_file_that_is_restored_meanwhile_stays(master: Master, clock: ManualClock) -> None:
    ids = {path: discard(master, path) for path in ("a", "b", "c")}
    store: Any = RestoredMeanwhile(master.store, "b")
    emptying = Trash(store, master.election, Ledger(store, master.election, clock), clock)
    assert emptying.empty("") == Emptied(2, more=False)
    emptying.stop()
    assert master.catalog.find(ids["b"]).file.status == model.ACTIVE


def test_one_call_does_a_bounded_part(master: Master, store: SqliteStore, clock: ManualClock) -> None:
    for number in range(5):
        discard(master, f"{number}")
    part = Trash(store, master.election, Ledger(store, master.election, clock), clock, max_files=2)
    assert [part.empty("") for _ in range(4)] == [
        Emptied(2, more=True),
        Emptied(2, more=True),
        Emptied(1, more=False),
        Emptied(0, more=False),
    ]
    part.stop()
