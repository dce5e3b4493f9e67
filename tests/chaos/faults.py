"""What is done to the nodes of a cluster; each fault can be healed, and says in words what it did."""

from __future__ import annotations

import abc
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


class OnNodes(abc.ABC):
    """A fault of some nodes at once."""

    def __init__(self, cluster: TestCluster, choose: Callable[[], Sequence[str]], name: str) -> None:
        self.name = name
        self._cluster = cluster
        self._choose = choose
        self._victims: list[str] = []

    def strike(self) -> str:
        self._victims = list(self._choose())
        return f"{self._harm()} {', '.join(self._victims)}"

    def heal(self) -> None:
        self._undo()
        self._victims = []

    @abc.abstractmethod
    def _harm(self) -> str:
        """Do it to the victims; returns what it was."""

    @abc.abstractmethod
    def _undo(self) -> None:
        """Heal the victims, as far as they do not heal by themselves."""


class Kill(OnNodes):
    """SIGKILL for some nodes at once; they are started again to heal."""

    def _harm(self) -> str:
        for victim in self._victims:
            self._cluster.kill(victim)
        return "killed"

    def _undo(self) -> None:
        self._cluster.restart(*self._victims)


class Pause(OnNodes):
    """SIGSTOP for some nodes; they go on to heal."""

    def _harm(self) -> str:
        for victim in self._victims:
            self._cluster.pause(victim)
        return "paused"

    def _undo(self) -> None:
        for victim in self._victims:
            self._cluster.resume(victim)


class RefuseSpace(OnNodes):
    """Some workers come back with a reserve larger than their disk, so they refuse every chunk with 507."""

    def _harm(self) -> str:
        self._restart({"DFS_WORKER_RESERVE_BYTES": str(2**60)})
        return "no space on"

    def _undo(self) -> None:
        self._restart({})

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
