"""What the tests of the masters start from."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from master_node.store.sqlite import SqliteStore
from tests.support.masters import WORKERS, ChunkHosts, ManualClock, Master
from tests.support.memory import memory_folder
from tests.support.served import ServedWorkers, served_workers


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
def workers() -> Iterator[ServedWorkers]:
    """Three real workers, over HTTP."""
    with memory_folder() as folder, served_workers(folder, WORKERS) as served:
        yield served


@pytest.fixture
def master(store: SqliteStore, clock: ManualClock) -> Master:
    """A master that leads, with three workers alive."""
    one = Master("master_1", store, clock, ChunkHosts())
    one.look()
    assert one.election.leads()
    return one
