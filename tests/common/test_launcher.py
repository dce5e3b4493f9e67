"""When a cluster that was started counts as complete."""

from __future__ import annotations

from typing import Any

import pytest

from common.launcher import _missing


def state(worker: str, leader: str | None = "m") -> dict[str, Any]:
    workers = [{"worker_id": "w", "state": worker}]
    return {"masters": [{"master_id": "m", "state": "alive"}], "workers": workers, "leader": leader}


@pytest.mark.parametrize("worker", ["alive", "draining"])
def test_a_cluster_is_complete_when_all_are_heard_of(worker: str) -> None:
    assert _missing(state(worker)) == ""


@pytest.mark.parametrize("worker", ["suspect", "dead", "maintenance"])
def test_a_worker_that_is_silent_is_waited_for(worker: str) -> None:
    assert _missing(state(worker)) == "not heard of yet: w"


def test_a_leader_is_waited_for() -> None:
    assert _missing(state("alive", leader=None)) == "no master leads yet"
