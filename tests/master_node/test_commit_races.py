"""Commits of one upload by several masters against aborts, collectors, overwrites, deletes, renames and dying masters.

Each seed is one schedule, run one store call at a time; see tests/support/races.py for what must hold after every one.
To look at a single seed again: `pytest tests/master_node/test_commit_races.py -k one_schedule` with it in SEEDS.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.support.races import CommitWorld
from tests.support.schedules import schedules

SCHEDULES = 1600
BATCHES = 4
# Schedules that once went wrong.
SEEDS = (0,)
Run = Callable[[int], CommitWorld]


@pytest.fixture(scope="module")
def run() -> Iterator[Run]:
    with schedules(CommitWorld) as run_seed:
        yield run_seed


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
