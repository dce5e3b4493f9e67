"""The order in which a cluster is restarted, and that nothing more is restarted once a node does not come back."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from deploy.hosts.rolling import NotBack, State, roll

WORKERS, MASTERS = ("worker_1", "worker_2"), ("master_1", "master_2", "master_3")


def worker(**changes: Any) -> dict[str, Any]:
    healthy = {"state": "alive", "is_configured": True, "is_reconciled": True, "last_heartbeat_age_seconds": 0.0}
    return {**healthy, **changes}


WHOLE = State("master_1", dict.fromkeys(MASTERS, True), True, {name: worker() for name in WORKERS}, 0)


class PaperRing:
    """A cluster on paper: what was restarted, and what becomes of it."""

    def __init__(self, after: dict[str, State] | None = None, before: State = WHOLE) -> None:
        """after: how the cluster is once a node was restarted."""
        self.restarted: list[str] = []
        self._after = after or {}
        self._state = before

    def state(self) -> State:
        return self._state

    def restart(self, node_id: str) -> None:
        self.restarted.append(node_id)
        self._state = self._after.get(node_id, self._state)

    def exchange_gateway(self) -> None:
        self.restart("gateway")


def test_workers_go_first_then_masters_the_leader_last_then_the_gateway() -> None:
    ring = PaperRing(before=replace(WHOLE, leader="master_2"))
    roll(ring, WORKERS, MASTERS, str, 1.0)
    assert ring.restarted == ["worker_1", "worker_2", "master_1", "master_3", "master_2", "gateway"]


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (replace(WHOLE, workers={**WHOLE.workers, "worker_1": worker(state="maintenance")}), "worker_1 is not alive"),
        (replace(WHOLE, workers={**WHOLE.workers, "worker_1": worker(is_reconciled=False)}), "disk of worker_1"),
        (replace(WHOLE, workers={**WHOLE.workers, "worker_1": worker(last_heartbeat_age_seconds=9.0)}), "worker_1"),
        (replace(WHOLE, owed_replicas=7), "7 replicas are owed"),
        (replace(WHOLE, masters={**WHOLE.masters, "master_3": False}), "master_3 gives no answer"),
        (replace(WHOLE, gateway=False), "gateway gives no answer"),
        (replace(WHOLE, leader=None), "no master leads"),
    ],
)
def test_nothing_more_is_restarted_while_something_is_missing(broken: State, said: str) -> None:
    ring = PaperRing({"worker_1": broken})
    with pytest.raises(NotBack, match=said):
        roll(ring, WORKERS, MASTERS, str, 0.05)
    assert ring.restarted == ["worker_1"]


def test_a_cluster_that_is_not_whole_at_the_start_is_left_alone() -> None:
    ring = PaperRing(before=replace(WHOLE, owed_replicas=1))
    with pytest.raises(NotBack):
        roll(ring, WORKERS, MASTERS, str, 0.05)
    assert ring.restarted == []


def test_who_is_away_is_restarted_first_and_once() -> None:
    """As after an update that has stopped half-way."""
    away = replace(
        WHOLE,
        workers={**WHOLE.workers, "worker_2": worker(state="dead")},
        masters={**WHOLE.masters, "master_3": False},
    )
    ring = PaperRing({"master_3": WHOLE}, before=away)
    roll(ring, WORKERS, MASTERS, str, 1.0)
    assert ring.restarted == ["worker_2", "master_3", "worker_1", "master_2", "master_1", "gateway"]


def test_a_worker_that_left_the_configuration_is_not_waited_for() -> None:
    gone = worker(state="dead", is_configured=False, is_reconciled=False)
    ring = PaperRing(before=replace(WHOLE, workers={**WHOLE.workers, "worker_9": gone}))
    roll(ring, WORKERS, MASTERS, str, 1.0)
    assert ring.restarted[-1] == "gateway"
