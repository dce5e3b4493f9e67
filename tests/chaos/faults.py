"""What is done to the nodes of a cluster; each fault can be healed, and says in words what it did."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Protocol

from tests.support.cluster import GATEWAY, TestCluster
from tests.support.waiting import wait_until


class Fault(Protocol):
    """strike() does it and says what; heal() undoes it, as far as it does not heal by itself."""

    name: str

    def strike(self) -> str: ...

    def heal(self) -> None: ...


class Kill:
    """SIGKILL for some nodes at once; they are started again to heal."""

    def __init__(self, cluster: TestCluster, choose: Callable[[], Sequence[str]], name: str) -> None:
        self.name = name
        self._cluster = cluster
        self._choose = choose
        self._victims: list[str] = []

    def strike(self) -> str:
        self._victims = list(self._choose())
        for victim in self._victims:
            self._cluster.kill(victim)
        return f"killed {', '.join(self._victims)}"

    def heal(self) -> None:
        self._cluster.restart(*self._victims)
        self._victims = []


class Pause:
    """SIGSTOP for some nodes; they go on to heal."""

    def __init__(self, cluster: TestCluster, choose: Callable[[], Sequence[str]], name: str) -> None:
        self.name = name
        self._cluster = cluster
        self._choose = choose
        self._victims: list[str] = []

    def strike(self) -> str:
        self._victims = list(self._choose())
        for victim in self._victims:
            self._cluster.pause(victim)
        return f"paused {', '.join(self._victims)}"

    def heal(self) -> None:
        for victim in self._victims:
            self._cluster.resume(victim)
        self._victims = []


class RefuseSpace:
    """Some workers come back with a reserve larger than their disk, so they refuse every chunk with 507."""

    def __init__(self, cluster: TestCluster, choose: Callable[[], Sequence[str]], name: str) -> None:
        self.name = name
        self._cluster = cluster
        self._choose = choose
        self._victims: list[str] = []

    def strike(self) -> str:
        self._victims = list(self._choose())
        self._restart({"DFS_WORKER_RESERVE_BYTES": str(2**60)})
        return f"no space on {', '.join(self._victims)}"

    def heal(self) -> None:
        self._restart({})
        self._victims = []

    def _restart(self, variables: dict[str, str]) -> None:
        for victim in self._victims:
            self._cluster.kill(victim)
        self._cluster.restart(*self._victims, variables=variables)


def some_workers(cluster: TestCluster, rng: random.Random, count: int) -> Callable[[], list[str]]:
    return lambda: rng.sample(cluster.workers, count)


def some_masters(cluster: TestCluster, rng: random.Random, count: int) -> Callable[[], list[str]]:
    return lambda: rng.sample(cluster.masters, count)


def the_leader(cluster: TestCluster) -> Callable[[], list[str]]:
    """Whoever leads when the fault strikes."""
    return lambda: [wait_until(lambda: leader_of(cluster), "a master leads")]


def the_gateway(cluster: TestCluster) -> Callable[[], list[str]]:
    return lambda: [GATEWAY]


def leader_of(cluster: TestCluster) -> str:
    return str(cluster.state()["leader"] or "")
