"""Gateways that resume one upload with different bytes, against paused masters, lost answers and collectors.

Each seed is one schedule, run one store call at a time; see tests/support/resumable_races.py for what must hold.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from master_node import loose, model
from tests.support.resumable_races import ResumableWorld
from tests.support.schedules import schedules

SCHEDULES = 120
BATCHES = 2
# Schedules that go wrong where a late record does not read the upload last, or a tail is not fenced before freeing.
SEEDS = (276, 721)
Run = Callable[[int], ResumableWorld]


@pytest.fixture(autouse=True)
def _everything_is_freed_as_soon_as_it_is_loose(monkeypatch: pytest.MonkeyPatch) -> None:
    """The thresholds of a real cluster are beyond what a schedule of a few sessions leaves behind."""
    monkeypatch.setattr(model, "MANY_LOOSE", 0)
    monkeypatch.setattr(loose, "KEPT_RANGES", 0)


@pytest.fixture(scope="module")
def run() -> Iterator[Run]:
    with schedules(ResumableWorld) as run_seed:
        yield run_seed


@pytest.mark.parametrize("batch", range(BATCHES))
def test_no_interleaving_loses_or_changes_an_acknowledged_byte(run: Run, batch: int) -> None:
    for seed in range(batch, SCHEDULES, BATCHES):
        run(seed)


@pytest.mark.parametrize("seed", SEEDS)
def test_one_schedule(run: Run, seed: int) -> None:
    run(seed)
