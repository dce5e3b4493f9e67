"""Restart every node of a cluster, one at a time, so that no request fails and nothing is copied.

It knows the order and what to wait for; how a node is restarted, and how the cluster is asked, is the ring's matter.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

POLL_SECONDS = 0.2
ALIVE = "alive"


class NotBack(Exception):
    """The cluster is not whole; the message says what is missing. Nothing more was restarted."""


@dataclass(frozen=True)
class State:
    """The cluster as `python3 -m common.cluster_state` tells it. workers: as in the answer of /cluster."""

    leader: str | None
    masters: Mapping[str, bool]
    gateway: bool
    workers: Mapping[str, Mapping[str, Any]]
    owed_replicas: int

    def silent_masters(self) -> list[str]:
        return [name for name, answers in self.masters.items() if not answers]

    def absent_workers(self) -> list[str]:
        """Those that are to be there and are not heard of."""
        return [name for name, worker in self.workers.items() if worker["is_configured"] and worker["state"] != ALIVE]

    def missing(self) -> str:
        """What a whole cluster lacks, in words; empty when it is whole."""
        silent = self.silent_masters() + ([] if self.gateway else ["gateway"])
        away = self.absent_workers()
        behind = [
            name for name, worker in self.workers.items() if worker["state"] == ALIVE and not _is_compared(worker)
        ]
        said = [f"{', '.join(silent)} gives no answer"] if silent else []
        said += [f"{', '.join(away)} is not alive"] if away else []
        said += [f"the disk of {', '.join(behind)} was not compared yet"] if behind else []
        said += [] if self.leader else ["no master leads"]
        said += [f"{self.owed_replicas} replicas are owed"] if self.owed_replicas else []
        return "; ".join(said)


class Ring(Protocol):
    """A cluster whose nodes can be restarted."""

    def state(self) -> State:
        """Raises NotBack while nobody can tell."""

    def restart(self, node_id: str) -> None:
        """Stop a master or worker cleanly and start it; returns once it serves."""

    def exchange_gateway(self) -> None:
        """Put a new gateway process in the place of the old one, without a gap."""


def roll(
    ring: Ring, workers: Sequence[str], masters: Sequence[str], say: Callable[[str], None], seconds: float
) -> None:
    """Restart all: workers, then masters, the leader last, then the gateway; before all others whoever is away.

    seconds: how long each may take to be back. Raises NotBack for a cluster that is not whole then, or does not become
    so again.
    """
    state = ring.state()
    away = [*state.absent_workers(), *state.silent_masters()]
    for node_id in away:
        say(f"restarting {node_id}, which is away")
        ring.restart(node_id)
    if not state.gateway:
        say("starting the gateway, which is away")
        ring.exchange_gateway()
    wait_until_whole(ring, seconds)
    for worker_id in (name for name in workers if name not in away):
        say(f"restarting {worker_id}")
        ring.restart(worker_id)
        wait_until_whole(ring, seconds, worker_id)
    leader = ring.state().leader
    for master_id in sorted((name for name in masters if name not in away), key=lambda name: name == leader):
        say(f"restarting {master_id}" + (", which leads" if master_id == leader else ""))
        ring.restart(master_id)
        wait_until_whole(ring, seconds)
    say("exchanging the gateway")
    ring.exchange_gateway()
    wait_until_whole(ring, seconds)


def wait_until_whole(ring: Ring, seconds: float, restarted: str = "") -> None:
    """Wait until everything is there. restarted: a worker of which only a heartbeat from now on counts."""
    started = time.monotonic()
    missing = ""
    while True:
        try:
            state = ring.state()
            missing = state.missing()
            age = state.workers.get(restarted, {}).get("last_heartbeat_age_seconds")
            if restarted and not missing and (age is None or age > time.monotonic() - started):
                missing = f"nothing was heard of {restarted} yet"
        except NotBack as error:
            missing = str(error)
        if not missing:
            return
        if time.monotonic() - started >= seconds:
            after = f" after the restart of {restarted}" if restarted else ""
            raise NotBack(f"not whole within {seconds:g} s{after}: {missing}")
        time.sleep(POLL_SECONDS)


def _is_compared(worker: Mapping[str, Any]) -> bool:
    return bool(worker["is_reconciled"])
