"""What the tests of the masters start from."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from master_node.store.sqlite import SqliteStore
from tests.support.masters import ChunkHosts, ManualClock, Master
from tests.support.memory import memory_folder


@pytest.fixture
def store() -> Iterator[SqliteStore]:
    """An empty database."""
    with memory_folder() as folder:
        opened = SqliteStore(folder / "databases" / "metadata.sqlite3")
        yield opened
        opened.close()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def master(store: SqliteStore, clock: ManualClock) -> Master:
    """A master that leads, with three workers alive."""
    one = Master("master_1", store, clock, ChunkHosts())
    one.look()
    assert one.election.leads()
    return one
