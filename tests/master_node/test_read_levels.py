"""How fresh a read is asked to be: passed on to the store for every read, and for no change."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from common.errors import FileUnknown, InvalidRequest
from common.master_client import MapPart
from master_node.catalog import read_level
from master_node.listing import ListingQuery
from master_node.store.base import ReadLevel
from master_node.store.sqlite import SqliteStore
from tests.support.masters import ChunkHosts, ManualClock, Master
from tests.support.memory import memory_folder


class LaggingStore(SqliteStore):
    """A store with a copy of itself that is behind until `catch_up`; eventual reads go there."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder / "first")
        self._folder = folder
        self._copies = [SqliteStore(folder / "copy")]

    def reading(self, level: ReadLevel) -> SqliteStore:
        return self._copies[-1] if level is ReadLevel.EVENTUAL else self

    def catch_up(self) -> None:
        target = self._folder / f"copy {len(self._copies)}"
        with contextlib.closing(sqlite3.connect(self._folder / "first")) as source:
            source.execute("VACUUM INTO ?", (str(target),))
        self._copies.append(SqliteStore(target))

    def close(self) -> None:
        for copy in self._copies:
            copy.close()
        super().close()


@pytest.fixture
def lagging() -> Iterator[tuple[LaggingStore, Master]]:
    """A store whose copy lags, and a master on it."""
    with memory_folder() as folder, contextlib.closing(LaggingStore(folder)) as store:
        master = Master("master_1", store, ManualClock(), ChunkHosts())
        master.look()
        yield store, master


@pytest.mark.parametrize("level", [ReadLevel.LINEARIZABLE, ReadLevel.MAJORITY])
def test_a_read_sees_the_last_write(lagging: tuple[LaggingStore, Master], level: ReadLevel) -> None:
    _, master = lagging
    file = master.put("a", chunks=2)
    located = master.catalog.find(file.file_id, MapPart(0, 9), level)
    assert master.catalog.find_path("a", MapPart(0, 9), level).file == located.file
    assert [chunk.index for chunk in located.chunks] == [0, 1]
    assert [found["path"] for found in master.catalog.list(ListingQuery(), level)["files"]] == ["a"]


def test_an_eventual_read_may_be_behind_in_everything_but_changes_never_are(
    lagging: tuple[LaggingStore, Master],
) -> None:
    store, master = lagging
    first = master.put("a")
    store.catch_up()
    behind = master.catalog.find_path("a").file
    second = master.put("a", chunks=3)
    new = master.put("b")
    level = ReadLevel.EVENTUAL
    for located in (
        master.catalog.find_path("a", MapPart(0, 9), level),
        master.catalog.find(first.file_id, MapPart(0, 9), level),
    ):
        assert located.file == behind
        assert [chunk.index for chunk in located.chunks] == [0]
    assert [found["version"] for found in master.catalog.list(ListingQuery(), level)["files"]] == [1]
    version = second.to_info().version_id
    assert master.catalog.list_chunks(version, 0, 9, level) == ()
    for find in (
        lambda: master.catalog.find(new.file_id, level=level),
        lambda: master.catalog.find_path("b", level=level),
    ):
        with pytest.raises(FileUnknown):
            find()
    assert master.catalog.rename(new.file_id, "c").path == "c"
    store.catch_up()
    assert master.catalog.find_path("c", level=level).file.file_id == new.file_id
    assert len(master.catalog.list_chunks(version, 0, 9, level)) == 3


@pytest.mark.parametrize("level", ["", "strong", "Majority", "quorum"])
def test_another_read_level_is_refused_and_the_choices_are_named(level: str) -> None:
    with pytest.raises(InvalidRequest, match="linearizable, majority, eventual"):
        read_level(level)


def test_a_read_that_asks_for_nothing_is_one_of_the_majority() -> None:
    assert [read_level(level.value) for level in ReadLevel] == list(ReadLevel)
    assert read_level(None) is ReadLevel.MAJORITY
