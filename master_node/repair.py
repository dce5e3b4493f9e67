"""Repair: make the replicas that are owed, of the most endangered chunks first.

What is owed is found by an index. A worker that may hold a doubtful copy is turned to first; where its copy is good,
nothing is moved. No chunk is begun while one with fewer copies is under way or could be begun.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

from common.clock import Clock
from common.logs import EventLog
from common.settings import MAX_REPLICATION_FACTOR
from master_node.copy_plans import plan_copy
from master_node.copying import Copier
from master_node.election import Election
from master_node.jobs import Progress
from master_node.membership import Membership
from master_node.passes import Walk
from master_node.pipeline import CopyPipeline
from master_node.store.base import MetadataStore


class Repair:
    """The job; a unit writes down what is done, and starts more where there is room."""

    name = "repair"

    def __init__(
        self,
        store: MetadataStore,
        membership: Membership,
        election: Election,
        clock: Clock,
        log: EventLog,
        copier: Copier,
        rng: random.Random,
    ) -> None:
        self._store = store
        self._membership = membership
        self._pipeline = CopyPipeline(store, copier, election, clock, log, rng)
        # By the number of copies that are left.
        self._walks: dict[int, Walk] = {}

    def work(self, epoch: int) -> Progress:
        self._pipeline.settle(epoch)
        if not self._membership.are_most_gone():
            self._start(epoch)
        return self._pipeline.proceed(epoch, is_wanted=any(walk.has_found for walk in self._walks.values()))

    def describe(self) -> Mapping[str, Any]:
        owed = self._store.owed()
        copies = self._pipeline.describe()
        rate = copies["bytes_per_second"]
        return {
            "bytes_owed": owed.size_bytes,
            "replicas_owed": owed.replicas,
            "chunks_by_copies_left": {str(copies): count for copies, count in sorted(owed.by_copies.items())},
            "seconds_left": round(owed.size_bytes / rate, 1) if rate else None,
            "is_held_back": self._membership.are_most_gone(),
            **copies,
        }

    def _start(self, epoch: int) -> None:
        room = self._pipeline.room()
        if not room:
            return
        site = self._pipeline.site(self._membership.workers())
        for copies in range(MAX_REPLICATION_FACTOR):
            if self._pipeline.has_fewer_copies_in_flight(copies):
                return
            plans = self._walks.setdefault(copies, Walk()).choose(
                lambda after, limit, copies=copies: self._store.find_owed(copies, after, limit),  # type: ignore[misc]
                lambda chunk: plan_copy(chunk, site) if self._pipeline.is_untouched(chunk) else None,
                room,
            )
            if plans:
                self._pipeline.start(plans, epoch)
                return
