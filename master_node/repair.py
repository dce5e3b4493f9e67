"""Repair: make the replicas that are owed, of the most endangered chunks first.

What is owed is found by an index. A worker that may hold a doubtful copy is turned to first; where its copy is good,
nothing is moved. No chunk is begun while one with fewer copies is under way or could be begun.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

from common.clock import Clock
from common.logs import EventLog
from common.settings import MAX_REPLICATION_FACTOR
from master_node.copy_plans import CopyPlan, Site, plan_copy
from master_node.copying import Copier
from master_node.election import Election
from master_node.jobs import Progress
from master_node.lost import Strike
from master_node.membership import Membership, WorkerView
from master_node.model import Chunk
from master_node.obstacles import MOST_ARE_SILENT
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
        strike: Strike,
    ) -> None:
        """strike: the job that says what is owed because workers are lost."""
        self._store = store
        self._membership = membership
        self._strike = strike
        self._pipeline = CopyPipeline(store, copier, election, clock, log, rng)
        # By the number of copies that are left.
        self._walks: dict[int, Walk] = {}
        self._is_saving = False
        self._blocked: str | None = None

    def work(self, epoch: int) -> Progress:
        self._pipeline.settle(epoch)
        views = self._membership.workers()
        is_striking = self._strike.is_pending(views)
        if self._membership.are_most_gone():
            self._blocked = MOST_ARE_SILENT
        else:
            self._blocked = self._start(views, 1 if is_striking else MAX_REPLICATION_FACTOR, epoch)
        progress = self._pipeline.proceed(epoch, is_wanted=any(walk.has_found for walk in self._walks.values()))
        # What was held back for the strike is not to wait longer than that.
        return Progress.IDLE if is_striking and progress is Progress.THROTTLED else progress

    def is_saving(self) -> bool:
        """Whether a copy is under way, or could be begun, of a chunk that has one left at most. From any thread."""
        return self._is_saving

    def describe(self) -> Mapping[str, Any]:
        owed = self._store.owed()
        copies = self._pipeline.describe()
        rate = 0 if self._blocked else copies["bytes_per_second"]
        return {
            "bytes_owed": owed.size_bytes,
            "replicas_owed": owed.replicas,
            "chunks_by_copies_left": {str(copies): count for copies, count in sorted(owed.by_copies.items())},
            # What has no copy left is not made again, however long one waits.
            "seconds_left": round((owed.size_bytes - owed.lost_bytes) / rate, 1) if rate else None,
            "blocked": self._blocked,
            "is_held_back": self._membership.are_most_gone(),
            **copies,
        }

    def _start(self, views: Sequence[WorkerView], most_copies: int, epoch: int) -> str | None:
        """Start copies of the chunks with the fewest copies, of those with `most_copies` at most.

        Returns why none of what is owed can be made now, where that is so.
        """
        room = self._pipeline.room()
        if not room:
            return None
        site = self._pipeline.site(views)
        stuck: list[Chunk] = []
        for copies in range(min(most_copies + 1, MAX_REPLICATION_FACTOR)):
            if self._pipeline.has_fewer_copies_in_flight(copies):
                return None
            if copies > 1:
                self._is_saving = False
            plans = self._walks.setdefault(copies, Walk()).choose(
                lambda after, limit, copies=copies: self._store.find_owed(copies, after, limit),  # type: ignore[misc]
                lambda chunk: self._plan(chunk, site, stuck),
                room,
            )
            if plans:
                self._is_saving |= copies <= 1
                self._pipeline.start(plans, epoch)
                return None
        return self._pipeline.why_stuck(stuck[0], site) if stuck and not self._pipeline.in_flight else None

    def _plan(self, chunk: Chunk, site: Site, stuck: list[Chunk]) -> CopyPlan | None:
        """stuck: takes the last chunk of which no copy can be planned: the one that has most copies left."""
        plan = plan_copy(chunk, site) if self._pipeline.is_untouched(chunk) else None
        if plan is None:
            stuck[:] = [chunk]
        return plan
