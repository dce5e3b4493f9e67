"""Rebalance: fill workers that have less than their share of the bytes, slowly, from those that have more.

A share goes by capacity. It stops where everybody has 90 % of theirs, and does nothing while anything is owed, or a
worker is away that may come back with all it has.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from common.clock import Clock
from common.logs import EventLog
from common.settings import MAX_REPLICATION_FACTOR, MasterSettings
from master_node.copy_plans import CopyPlan, plan_move_to
from master_node.copying import Copier
from master_node.election import Election
from master_node.jobs import Progress
from master_node.membership import ALIVE, Membership, WorkerView
from master_node.passes import PAGE
from master_node.pipeline import CopyPipeline
from master_node.rates import RateLimit
from master_node.store.base import Holding, MetadataStore

LEAST_SHARE = 0.9
# Heartbeats after which a worker's own numbers show what was moved before them.
SETTLED_HEARTBEATS = 2
# What the file of a chunk takes on a disk beside its bytes, at most; workers count whole files.
FILE_BYTES = 4096


@dataclass(frozen=True)
class Shift:
    """Bytes that are to go from one worker to another; after it neither has crossed its share."""

    source: str
    target: str
    size_bytes: int


def plan_shifts(views: Sequence[WorkerView]) -> list[Shift]:
    """To the worker that lacks most of its share, from each that has more than its own, the fullest first."""
    alive = {view.worker_id: view.record.heartbeat for view in views if view.state == ALIVE}
    used = sum(heartbeat.used_bytes for heartbeat in alive.values())
    capacity = sum(heartbeat.capacity_bytes for heartbeat in alive.values())
    is_one_away = any(not view.is_serving and not view.is_lost for view in views)
    if not used or not capacity or is_one_away:
        return []
    shares = {name: used * heartbeat.capacity_bytes / capacity for name, heartbeat in alive.items()}
    surplus = {name: heartbeat.used_bytes - shares[name] for name, heartbeat in alive.items()}
    lacking = [name for name in alive if alive[name].used_bytes < LEAST_SHARE * shares[name]]
    if not lacking:
        return []
    target = min(lacking, key=lambda name: alive[name].used_bytes / shares[name])
    sources = sorted((name for name in alive if surplus[name] > 0), key=lambda name: -surplus[name])
    return [Shift(name, target, int(min(surplus[name], -surplus[target]))) for name in sources]


class Rebalance:
    """The job: a small batch of moves, then a wait until the workers' own numbers show them."""

    name = "rebalance"

    def __init__(
        self,
        store: MetadataStore,
        membership: Membership,
        election: Election,
        settings: MasterSettings,
        clock: Clock,
        log: EventLog,
        copier: Copier,
        rng: random.Random,
    ) -> None:
        self._store = store
        self._membership = membership
        self._rng = rng
        self._rate = settings.rebalance_bytes_per_second
        limit = RateLimit(self._rate, clock)
        self._pipeline = CopyPipeline(store, copier, election, clock, log, rng, limit)
        self._shift: Shift | None = None
        # What is left of it to be moved before the workers' numbers are looked at again, and when that was.
        self._left_bytes = 0
        self._counts: dict[str, int] = {}

    def work(self, epoch: int) -> Progress:
        self._pipeline.settle(epoch)
        if not self._rate:
            return Progress.IDLE
        if not self._pipeline.in_flight and not self._membership.are_most_gone() and not self._is_anything_owed():
            self._start(epoch)
        return self._pipeline.proceed(epoch, is_wanted=False)

    def describe(self) -> Mapping[str, Any]:
        shifts = plan_shifts(self._membership.workers())
        return {"bytes_left": sum(shift.size_bytes for shift in shifts), **self._pipeline.describe()}

    def _start(self, epoch: int) -> None:
        views = self._membership.workers()
        if self._shift is not None and self._left_bytes > 0:
            if self._move(self._shift, views, epoch):
                return
            self._left_bytes = 0
        if not self._is_settled(views):
            return
        for shift in plan_shifts(views):
            self._left_bytes = max(1, shift.size_bytes // 2)
            if self._move(shift, views, epoch):
                self._shift = shift
                return

    def _move(self, shift: Shift, views: Sequence[WorkerView], epoch: int) -> bool:
        plans = self._plan(shift, views)
        if not plans or not self._pipeline.start(plans, epoch):
            return False
        self._counts = _heartbeat_counts(views)
        return True

    def _is_settled(self, views: Sequence[WorkerView]) -> bool:
        """Whether the workers' numbers show the last shift: it was freed at its source, and both have told of it."""
        shift, counts = self._shift, _heartbeat_counts(views)
        if shift is None:
            return True
        if self._store.find_held(shift.source, Holding.DOUBTFUL, "", 1):
            self._counts = counts
            return False
        told = [
            counts[name] >= self._counts.get(name, 0) + SETTLED_HEARTBEATS
            for name in (shift.source, shift.target)
            if name in counts
        ]
        if all(told):
            self._shift = None
        return all(told)

    def _is_anything_owed(self) -> bool:
        """Whether repair has something to do; what has no copy left it can do nothing about."""
        return any(self._store.find_owed(copies, "", 1) for copies in range(1, MAX_REPLICATION_FACTOR))

    def _plan(self, shift: Shift, views: Sequence[WorkerView]) -> list[CopyPlan]:
        """Moves of what is left to be moved, one at least, from a random place among what the source holds."""
        site = self._pipeline.site(views)
        target = site.views.get(shift.target)
        if target is None or target.state != ALIVE or target.record.heartbeat.free_bytes < 2 * self._left_bytes:
            return []
        place = f"{self._rng.getrandbits(128):032x}-00000000"
        chunks = self._store.find_held(shift.source, Holding.REPLICA, place, PAGE)
        if len(chunks) < PAGE:
            chunks += self._store.find_held(shift.source, Holding.REPLICA, "", PAGE - len(chunks))
        plans: dict[str, CopyPlan] = {}
        for chunk in chunks:
            if chunk.owed or chunk.size_bytes + FILE_BYTES > shift.size_bytes or not self._pipeline.is_untouched(chunk):
                continue
            plan = plan_move_to(chunk, shift.source, shift.target, site)
            if plan is not None and chunk.chunk_id not in plans:
                plans[chunk.chunk_id] = plan
                self._left_bytes -= chunk.size_bytes + FILE_BYTES
            if self._left_bytes <= 0:
                break
        return list(plans.values())


def _heartbeat_counts(views: Sequence[WorkerView]) -> dict[str, int]:
    return {view.worker_id: view.record.heartbeat_count for view in views}
