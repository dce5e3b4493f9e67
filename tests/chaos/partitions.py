"""Scenarios of the network: fault 8, as far as it is not about paused nodes."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from itertools import product

from tests.chaos.faults import Fault
from tests.chaos.networks import Network, NetworkCluster, network_cluster, no_network
from tests.chaos.running import Lane, Run, Scenario
from tests.support.cluster import GATEWAY, MASTERS, WORKERS

Ways = Iterable[tuple[str, str]]


class Partition:
    """Some ways between nodes are cut: each pair is sender and receiver."""

    def __init__(self, network: Network, choose: Callable[[], Ways], name: str) -> None:
        self.name = name
        self._network = network
        self._choose = choose
        self._ways: list[tuple[str, str]] = []

    def strike(self) -> str:
        self._ways = list(self._choose())
        for sender, receiver in self._ways:
            self._network.cut(sender, receiver)
        senders, receivers = (sorted({way[end] for way in self._ways}) for end in (0, 1))
        return f"{self.name}: nothing goes from {', '.join(senders)} to {', '.join(receivers)}"

    def heal(self) -> None:
        for sender, receiver in self._ways:
            self._network.mend(sender, receiver)


class SlowLink:
    """A node's line is slow."""

    name = "a slow line"

    def __init__(self, network: Network, rng: random.Random, rate: str = "4mbit") -> None:
        self._network = network
        self._rng = rng
        self._rate = rate
        self._victim = ""

    def strike(self) -> str:
        self._victim = self._rng.choice(WORKERS)
        self._network.slow(self._victim, self._rate)
        return f"the line of {self._victim} gives {self._rate}"

    def heal(self) -> None:
        self._network.unslow(self._victim)


def partition(run: Run) -> None:
    """A worker from the masters, from the gateway, one way only; a master from the gateway; slow lines."""
    cluster, rng = run.cluster, run.rng
    assert isinstance(cluster, NetworkCluster)
    network = cluster.network
    faults: list[Fault] = [
        Partition(network, lambda: _both([rng.choice(WORKERS)], MASTERS), "a worker cut off from the masters"),
        Partition(network, lambda: _both([rng.choice(WORKERS)], [GATEWAY]), "a worker cut off from the gateway"),
        Partition(network, lambda: [(GATEWAY, rng.choice(WORKERS))], "no way from the gateway to a worker"),
        Partition(network, lambda: [(rng.choice(WORKERS), GATEWAY)], "no way from a worker to the gateway"),
        Partition(network, lambda: product([rng.choice(WORKERS)], MASTERS), "no way from a worker to the masters"),
        Partition(network, lambda: _both([rng.choice(MASTERS)], [GATEWAY]), "a master cut off from the gateway"),
        Partition(network, lambda: _both(WORKERS, MASTERS), "all workers cut off from the masters"),
        Partition(network, lambda: _both(WORKERS[:2], WORKERS[2:]), "workers cut off from each other"),
        SlowLink(network, rng),
    ]
    hold = (2.0, 4.0) if run.is_quick else (5.0, 60.0)
    with run.load():
        run.drive([Lane(faults, hold, calm=(1.0, 5.0))])


def _both(one: Iterable[str], other: Iterable[str]) -> Ways:
    return [way for pair in product(one, other) for way in (pair, pair[::-1])]


NETWORK_SCENARIOS = (
    Scenario(
        "partitions",
        "8",
        "ways between nodes are cut, also one way only, or slow",
        partition,
        seconds=240.0,
        build=network_cluster,
        cannot_run=no_network,
    ),
)
