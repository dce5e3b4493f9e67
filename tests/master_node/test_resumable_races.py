"""Gateways that resume one upload with different bytes, against paused masters, lost answers and collectors.

Each seed is one schedule, run one store call at a time; see tests/support/resumable_races.py for what must hold.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from master_node import loose, model
from master_node.store.sqlite import SqliteStore
from tests.support.memory import memory_folder
from tests.support.resumable_races import World, run_schedule

SCHEDULES = 120
BATCHES = 2
# Schedules that go wrong where a late record does not read the upload last, or a tail is not fenced before freeing.
SEEDS = (276, 721)
Run = Callable[[int], World]


@pytest.fixture(autouse=True)
def _everything_is_freed_as_soon_as_it_is_loose(monkeypatch: pytest.MonkeyPatch) -> None:
    """The thresholds of a real cluster are beyond what a schedule of a few sessions leaves behind."""
    monkeypatch.setattr(model, "MANY_LOOSE", 0)
    monkeypatch.setattr(loose, "KEPT_RANGES", 0)


@pytest.fixture(scope="module")
def run() -> Iterator[Run]:
    """Runs the schedule of a seed on an empty database, in memory where the system has such a folder."""
    with memory_folder() as folder:
        path = folder / "m.sqlite3"
        store = SqliteStore(path)
        wiper = sqlite3.connect(path, isolation_level=None)

        def run_on_empty(seed: int) -> World:
            wiper.execute("BEGIN IMMEDIATE")
            for table in ("files", "chunks", "uploads", "workers", "jobs", "lease"):
                wiper.execute(f"DELETE FROM {table}")
            wiper.execute("COMMIT")
            return run_schedule(store, pool, seed)

        with ThreadPoolExecutor(20) as pool:
            yield run_on_empty
        wiper.close()
        store.close()


@pytest.mark.parametrize("batch", range(BATCHES))
def test_no_interleaving_loses_or_changes_an_acknowledged_byte(run: Run, batch: int) -> None:
    for seed in range(batch, SCHEDULES, BATCHES):
        run(seed)


@pytest.mark.parametrize("seed", SEEDS)
def test_one_schedule(run: Run, seed: int) -> None:
    run(seed)
