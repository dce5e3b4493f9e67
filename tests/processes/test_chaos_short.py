"""Short forms of the chaos command's scenarios: each fault of docs/faults.md, under load or beside one, in seconds."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.running import run_scenario
from tests.chaos.scenarios import SCENARIOS

pytestmark = pytest.mark.alone

# How long faults are about; what is no drive takes as long as it takes.
SECONDS = {
    "kill-workers": 6.0,
    "kill-masters": 6.0,
    "pauses": 5.0,
    "slow-third": 5.0,
    "all": 7.0,
    "bit-rot": 5.0,
    "cut-files": 5.0,
    "empty-disk": 5.0,
    "gateway-borders": 5.0,
    "come-and-go": 5.0,
    "race": 5.0,
    "broken-uploads": 5.0,
    "resumable": 3.0,
    "full-disks": 6.0,
    "broken-disks": 7.0,
    "partitions": 7.0,
    "clocks": 4.0,
    "database": 6.0,
}
HEAL_SECONDS = 90.0
# What these are about takes minutes, or a database server.
NOT_SHORT = {"return", "two-lost", "mongodb"}


@pytest.mark.parametrize("name", SECONDS)
def test_nothing_acknowledged_is_lost_and_all_is_healed_after(name: str, tmp_path: Path) -> None:
    report = run_scenario(
        SCENARIOS[name], tmp_path, seconds=SECONDS[name], seed=1, is_quick=True, heal_seconds=HEAL_SECONDS
    )
    if report.skipped:
        pytest.skip(report.skipped)
    assert report.violations == [], report.to_text()
    assert report.numbers["operations acknowledged"] > 0


def test_every_scenario_has_its_short_form() -> None:
    assert set(SECONDS) | NOT_SHORT == set(SCENARIOS)
