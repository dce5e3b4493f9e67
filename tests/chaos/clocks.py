"""Scenario of wall clocks that jump: fault 9."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

from common.clock import parse_timestamp
from tests.chaos.running import Lane, Run, Scenario, Settings
from tests.support.cluster import GATEWAY, TestCluster

_SHIFTED = Path(__file__).resolve().parent.parent / "support" / "shifted_clock"
_MINUTE, _DAY = 60, 86400
_JUMPS = (-_DAY, -15 * _MINUTE, 15 * _MINUTE, _DAY, 30 * _DAY)


class ClocksCluster(TestCluster):
    """A cluster in which each node has a wall clock of its own."""

    __test__ = False

    def __init__(self, home: Path, settings: Settings) -> None:
        self._clocks = home / "clocks"
        environment = {"PYTHONPATH": str(_SHIFTED), "DFS_TEST_CLOCKS": str(self._clocks)}
        super().__init__(home, settings=settings, environment=environment)
        self._clocks.mkdir()

    def shift(self, node_id: str, seconds: float) -> None:
        """From now on this node's wall clock is off by so much."""
        written = self._clocks / f"{node_id}.new"
        written.write_text(str(seconds), encoding="ascii")
        written.rename(self._clocks / node_id)


class ClockJump:
    """A node's wall clock is wrong for a while."""

    name = "a clock jumped"

    def __init__(self, cluster: ClocksCluster, rng: random.Random) -> None:
        self._cluster = cluster
        self._rng = rng
        self._victim = ""

    def strike(self) -> str:
        self._victim = self._rng.choice((*self._cluster.masters, *self._cluster.workers, GATEWAY))
        seconds = self._rng.choice(_JUMPS)
        self._cluster.shift(self._victim, seconds)
        return f"the clock of {self._victim} jumped by {seconds} s"

    def heal(self) -> None:
        self._cluster.shift(self._victim, 0)


def jump_clocks(run: Run) -> None:
    """Nothing but the timestamps that people see may follow: no new leader, no dead worker, nothing freed early."""
    cluster = run.cluster
    assert isinstance(cluster, ClocksCluster)
    trashed = run.store("trashed", run.chunk_size + 1)
    run.delete("trashed", trashed, permanent=False)
    before = cluster.state()
    with run.load():
        run.drive([Lane([ClockJump(cluster, run.rng)], hold=(0.5, 3.0), calm=(0.1, 1.0))])
        for master_id in cluster.masters:
            cluster.shift(master_id, 30 * _DAY)
        # A file made now shows that the clocks of the masters are wrong indeed.
        stamp = parse_timestamp(run.store("stamped", 1)["modified_at"])
        run.require(stamp > datetime.now(timezone.utc) + timedelta(days=29), f"the clocks did not jump: {stamp}")
    after = cluster.state()
    for field in ("leader", "epoch"):
        run.require(before.get(field) == after.get(field), f"{field}: {before.get(field)} became {after.get(field)}")
    states = {worker["worker_id"]: worker["state"] for worker in after["workers"]}
    run.require(set(states.values()) == {"alive"}, f"the workers are {states}")
    run.restore("trashed", trashed)


@contextlib.contextmanager
def clocks_cluster(home: Path, settings: Settings) -> Iterator[TestCluster]:
    yield ClocksCluster(home, settings)


CLOCK_SCENARIOS = (
    Scenario(
        "clocks",
        "9",
        "wall clocks jump by minutes, a day, a month, on any role",
        jump_clocks,
        # Nobody may come to lead, or to look dead, for want of a processor.
        settings={
            "master": {"trash_retention_seconds": 3600, "lease_seconds": 6, "suspect_seconds": 10, "dead_seconds": 15}
        },
        build=clocks_cluster,
    ),
)
