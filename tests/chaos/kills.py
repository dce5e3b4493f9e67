"""Scenarios of nodes that die or stand still: faults 1, 2 and the paused ones of 8; and everything together."""

from __future__ import annotations

import statistics
import time

from tests.chaos.checker import opened_store
from tests.chaos.disks import FlipBits
from tests.chaos.faults import Fault, Kill, Pause, RefuseSpace, some_masters, some_workers, the_gateway, the_leader
from tests.chaos.manifest import make_content
from tests.chaos.running import Lane, Run, Scenario


def kill_workers(run: Run) -> None:
    """One worker, later two, are killed and come back every few seconds."""
    one = Kill(run.cluster, some_workers(run.cluster, run.rng, 1), "one worker killed")
    two = Kill(run.cluster, some_workers(run.cluster, run.rng, 2), "two workers killed")
    total = run.seconds
    with run.load():
        for fault in (one, two):
            run.seconds = total / 2
            run.drive([Lane([fault], hold=(0.5, 4.0), calm=(0.5, 2.0))])


def kill_masters(run: Run) -> None:
    """The leader, any master, two of three, and the gateway are killed under load."""
    cluster, rng = run.cluster, run.rng
    faults = [
        Kill(cluster, the_leader(cluster), "the leader killed"),
        Kill(cluster, some_masters(cluster, rng, 1), "a master killed"),
        Kill(cluster, some_masters(cluster, rng, 2), "two masters killed"),
        Kill(cluster, the_gateway(cluster), "the gateway killed"),
    ]
    with run.load():
        run.drive([Lane(faults, hold=(0.5, 6.0), calm=(1.0, 4.0))])


def pause_nodes(run: Run) -> None:
    """Workers and masters stand still and go on."""
    cluster, rng = run.cluster, run.rng
    workers = [Pause(cluster, some_workers(cluster, rng, count), f"paused: {count} workers") for count in (1, 2)]
    masters = [Pause(cluster, the_leader(cluster), "paused: the leader")]
    with run.load():
        run.drive([Lane(workers, hold=(1.0, 8.0), calm=(1.0, 3.0)), Lane(masters, hold=(2.0, 8.0), calm=(3.0, 8.0))])


def slow_third(run: Run) -> None:
    """One worker stands still: a write, which needs two of three, takes at most twice its healthy median."""
    count = 15 if run.is_quick else 100
    content = make_content(4 * run.chunk_size, "slow third")
    body = content.read()

    def median(name: str) -> float:
        seconds = []
        for number in range(count):
            begin = time.monotonic()
            run.put(f"{name}/{number}", content, body)
            seconds.append(time.monotonic() - begin)
        run.report.numbers[f"median of a write, {name}"] = f"{statistics.median(seconds) * 1000:.1f} ms"
        run.report.numbers[f"slowest write, {name}"] = f"{max(seconds) * 1000:.1f} ms"
        return statistics.median(seconds)

    median("warming up")
    healthy = median("healthy")
    pause = Pause(run.cluster, some_workers(run.cluster, run.rng, 1), "one worker paused")
    run.strike(pause)
    paused = median("one worker paused")
    run.heal(pause)
    if not run.is_quick:
        run.require(paused <= 2 * healthy, f"with a worker paused a write took {paused / healthy:.1f} times as long")


def everything(run: Run) -> None:
    """Kills of one and two workers and of masters, flipped bits, full disks, pauses, in any order and mixture."""
    cluster, rng = run.cluster, run.rng
    long, short = ((3.0, 8.0), (1.0, 3.0)) if run.is_quick else ((5.0, 40.0), (5.0, 20.0))
    with opened_store(cluster) as store, run.load():
        workers: list[Fault] = [
            Kill(cluster, some_workers(cluster, rng, 1), "one worker killed"),
            Kill(cluster, some_workers(cluster, rng, 2), "two workers killed"),
            Pause(cluster, some_workers(cluster, rng, 1), "one worker paused"),
            RefuseSpace(cluster, some_workers(cluster, rng, 1), "one disk full"),
            RefuseSpace(cluster, some_workers(cluster, rng, 2), "two disks full"),
        ]
        masters: list[Fault] = [
            Kill(cluster, the_leader(cluster), "the leader killed"),
            Kill(cluster, some_masters(cluster, rng, 1), "a master killed"),
            Pause(cluster, some_masters(cluster, rng, 1), "a master paused"),
        ]
        bits: list[Fault] = [FlipBits(cluster, store, rng, chunks=10)]
        run.drive([Lane(workers, long, short), Lane(masters, long, short), Lane(bits, (1.0, 2.0), short)])


KILL_SCENARIOS = (
    Scenario("kill-workers", "1", "one, then two workers are killed every few seconds", kill_workers),
    Scenario("kill-masters", "2", "the leader, two of three masters and the gateway are killed", kill_masters),
    Scenario("pauses", "8", "workers and the leader stand still for a while", pause_nodes),
    Scenario("slow-third", "8", "a write does not wait for a worker that stands still", slow_third),
    Scenario("all", "1, 2, 5, 7, 8", "ten minutes of everything at once", everything, seconds=600.0),
)
