"""Commits of one upload by several masters against aborts, collectors, overwrites, deletes, renames and dying masters.

Each seed is one schedule, run one store call at a time; see tests/support/races.py for what must hold after every one.
To look at a single seed again: `pytest tests/master_node/test_commit_races.py -k one_schedule` with it in SEEDS.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from master_node.store.sqlite import SqliteStore
from tests.support.memory import memory_folder
from tests.support.races import World, run_schedule

SCHEDULES = 1600
BATCHES = 4
# Schedules that once went wrong.
SEEDS = (0,)
Run = Callable[[int], World]


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
def test_no_interleaving_breaks_a_promise(run: Run, batch: int) -> None:
    for seed in range(batch, SCHEDULES, BATCHES):
        run(seed)


@pytest.mark.parametrize("seed", SEEDS)
def test_one_schedule(run: Run, seed: int) -> None:
    run(seed)


def test_the_same_seed_gives_the_same_schedule(run: Run) -> None:
    for seed in range(5):
        first, second = ([(actor.name, actor.trace) for actor in run(seed).actors] for _ in range(2))
        assert first == second
