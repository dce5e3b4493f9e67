"""Kills, returns, emptied disks, rot, deletes, lost and late orders, leaders that change: in any order, between any two
units of work. Nothing that counts is ever freed, and once it is quiet all is as it should be.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable

import pytest

from common.errors import DFSError
from master_node import pipeline
from master_node.model import File
from master_node.store.sqlite import SqliteStore
from tests.support.healing import FIVE, HealingCluster

STEPS = 250


class Chaos:
    """One run: everything that may happen, by one seed."""

    def __init__(self, store: SqliteStore, seed: int) -> None:
        self.rng = random.Random(seed)
        self.cluster = HealingCluster(store)
        self.files: dict[str, File] = {}
        self.is_quiet = False
        disks = self.cluster.disks
        disks.loses_answer = lambda: not self.is_quiet and self.rng.random() < 0.05
        disks.delays = lambda: not self.is_quiet and self.rng.random() < 0.05
        for master in self.cluster.masters:
            master.is_patient = True

    def step(self) -> None:
        actions: list[tuple[int, Callable[[], None]]] = [
            (40, self.work),
            (20, self.copy),
            (10, self.wait),
            (6, self.put),
            (2, self.delete),
            (3, self.kill),
            (4, self.bring_back),
            (1, self.empty),
            (4, self.rot),
            (3, self.cluster.deliver_reports),
            (4, self.take_inventory),
            (1, self.cluster.change_leader),
            (2, self.carry_out_late),
            (1, self.drain),
            (1, self.fill),
        ]
        self.rng.choices([action for _, action in actions], [weight for weight, _ in actions])[0]()
        self.check()

    def check(self) -> None:
        for chunk in self.cluster.chunks():
            assert self.cluster.disks.good(chunk.chunk_id), f"no good copy is left of {chunk}"
            assert self.named_good(chunk.chunk_id), f"no record names the good copies of {chunk}"
            assert not set(chunk.replicas) & set(chunk.doubtful)

    def named_good(self, chunk_id: str) -> set[str]:
        (chunk,) = self.cluster.store.find_chunks([chunk_id])
        return self.cluster.disks.good(chunk_id) & {*chunk.replicas, *chunk.doubtful}

    def work(self) -> None:
        self.cluster.work(self.rng.choice(self.cluster.leader.jobs))

    def copy(self) -> None:
        """Some copy that was ordered, by whichever master, reaches its worker."""
        waiting = self.rng.choice(self.cluster.masters).waiting
        if waiting:
            waiting.pop(self.rng.randrange(len(waiting)))()

    def wait(self) -> None:
        leader = self.cluster.masters.index(self.cluster.leader)
        self.cluster.pass_time(self.rng.choice([1.0, 3.0, 20.0]), leader)

    def put(self) -> None:
        if len(self.cluster.down) > 2:
            return
        path = f"file {self.rng.randrange(12)}"
        factor = self.rng.choice([1, 2, 3, 3, 3])
        with contextlib.suppress(DFSError):
            self.files[path] = self.cluster.put(path, self.rng.randrange(1, 4), factor, missing=int(factor == 3))

    def delete(self) -> None:
        if self.files:
            self.cluster.delete(self.files.pop(self.rng.choice(sorted(self.files))))

    def kill(self) -> None:
        if len(self.cluster.down) < 3:
            self.cluster.kill(self.rng.choice(FIVE))

    def bring_back(self) -> None:
        if self.cluster.down:
            self.cluster.bring_back(self.rng.choice(sorted(self.cluster.down)))

    def empty(self) -> None:
        """A fault may take any copy but the last good one that a record names."""
        name = self.rng.choice(FIVE)
        if all(self.named_good(chunk.chunk_id) - {name} for chunk in self.cluster.chunks()):
            self.cluster.empty(name)

    def rot(self) -> None:
        name = self.rng.choice(FIVE)
        held = sorted(chunk_id for chunk_id, is_good in self.cluster.disks.chunks[name].items() if is_good)
        live = [chunk_id for chunk_id in held if chunk_id.partition("-")[0] in self.cluster.live]
        if live:
            chunk_id = self.rng.choice(live)
            if self.named_good(chunk_id) - {name}:
                self.cluster.rot(name, chunk_id)

    def take_inventory(self) -> None:
        view = self.cluster.leader.membership.find(self.rng.choice(FIVE))
        if view is not None and view.is_serving and view.worker_id not in self.cluster.down:
            self.cluster.take_inventory(view.worker_id)

    def carry_out_late(self) -> None:
        """An order whose sender has given up is carried out all the same."""
        delayed = self.cluster.disks.delayed
        if delayed:
            with contextlib.suppress(DFSError):
                delayed.pop(self.rng.randrange(len(delayed)))()

    def drain(self) -> None:
        name = self.rng.choice(FIVE)
        is_draining = any(row.is_draining for row in self.cluster.store.list_workers())
        self.cluster.store.change_worker(name, is_draining=not is_draining)

    def fill(self) -> None:
        name = self.rng.choice(FIVE)
        self.cluster.disks.full ^= {name}

    def end(self) -> None:
        """Faults stop, and everybody comes back."""
        self.is_quiet = True
        while self.cluster.disks.delayed:
            self.carry_out_late()
        self.cluster.disks.full.clear()
        for master in self.cluster.masters:
            master.is_patient = False
            for copy in master.waiting:
                copy()
            master.waiting.clear()
        for name in FIVE:
            self.cluster.store.change_worker(name, is_draining=False)
            self.cluster.bring_back(name)
        self.cluster.heal()


@pytest.mark.parametrize("seed", range(12))
def test_nothing_that_counts_is_lost_and_in_the_end_all_is_whole(
    store: SqliteStore, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Copies are carried out by the test, so nobody has to wait for them.
    monkeypatch.setattr(pipeline, "WAIT_SECONDS", 0.0)
    chaos = Chaos(store, seed)
    for _ in range(STEPS):
        chaos.step()
    chaos.end()
    rotten = [
        (name, chunk_id)
        for name, held in chaos.cluster.disks.chunks.items()
        for chunk_id, is_good in held.items()
        if not is_good
    ]
    # What nobody has read yet is found by the scrub of its worker.
    for name, chunk_id in rotten:
        assert not chaos.cluster.disks.chunks[name].pop(chunk_id)
        chaos.cluster.disks.reports.append((name, chunk_id))
    # A report that came before its copy was recorded has changed nothing; the next inventory finds that.
    for name in FIVE:
        store.want_inventory(name)
    chaos.cluster.heal()
    assert chaos.cluster.faults() == []
