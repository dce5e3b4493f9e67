"""Drain: empty the workers that are to go, while they serve.

What is owed or too many is made right by repair and trim first; what is whole is copied elsewhere, and then counts
there. The copies that stay behind are freed by the release job. Nothing is begun while repair copies chunks of which
one copy is left.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

from common.clock import Clock
from common.logs import EventLog
from master_node import model
from master_node.copy_plans import CopyPlan, Site, plan_move
from master_node.copying import Copier
from master_node.election import Election
from master_node.jobs import Progress
from master_node.membership import Membership, WorkerView
from master_node.model import Chunk
from master_node.obstacles import (
    COPIES_ARE_FREED,
    JOBS_COME_FIRST,
    MOST_ARE_SILENT,
    REPAIR_COMES_FIRST,
    UPLOADS_GO_ON,
    WORKER_IS_SILENT,
)
from master_node.passes import Walk
from master_node.pipeline import CopyPipeline
from master_node.repair import Repair
from master_node.store.base import Holding, MetadataStore

MAX_UPLOADS = 1000
# Many times as long as gateways let pass without a sign of life of an upload that they receive.
RESUMABLE_IDLE_SECONDS = 600.0


class Drain:
    """The job; a unit writes down what is done, and starts more where there is room."""

    name = "drain"

    def __init__(
        self,
        store: MetadataStore,
        membership: Membership,
        election: Election,
        clock: Clock,
        log: EventLog,
        copier: Copier,
        rng: random.Random,
        repair: Repair,
    ) -> None:
        """repair: the job that comes first."""
        self._store = store
        self._election = election
        self._membership = membership
        self._repair = repair
        self._pipeline = CopyPipeline(store, copier, election, clock, log, rng)
        self._walks: dict[str, Walk] = {}
        self._is_empty: dict[str, bool] = {}
        # Why nothing more leaves a worker, where that is so.
        self._blocked: dict[str, str] = {}
        # What comes before more of it leaves, or is gone.
        self._waits: dict[str, str] = {}

    def work(self, epoch: int) -> Progress:
        self._pipeline.settle(epoch)
        views = self._membership.workers()
        draining = [view.worker_id for view in views if view.record.is_draining]
        self._walks = {name: self._walks.get(name) or Walk() for name in draining}
        if self._membership.are_most_gone():
            self._blocked, self._waits = dict.fromkeys(draining, MOST_ARE_SILENT), {}
        elif self._repair.is_saving():
            self._blocked, self._waits = {}, dict.fromkeys(draining, REPAIR_COMES_FIRST)
        elif draining:
            self._start(views, epoch)
        if not self._pipeline.in_flight:
            now = self._election.clock_seconds()
            self._is_empty = {name: is_empty(self._store, name, now) for name in draining}
        is_wanted = any(walk.has_found for walk in self._walks.values())
        return self._pipeline.proceed(epoch, is_wanted=is_wanted)

    def describe(self) -> Mapping[str, Any]:
        draining = [view for view in self._membership.workers() if view.record.is_draining]
        return {"workers": {view.worker_id: self._describe(view) for view in draining}, **self._pipeline.describe()}

    def _describe(self, view: WorkerView) -> dict[str, Any]:
        heartbeat = view.record.heartbeat
        is_complete = self._is_empty.get(view.worker_id, False)
        return {
            "chunks_left": heartbeat.chunk_count,
            "bytes_left": heartbeat.used_bytes,
            "is_complete": is_complete,
            "blocked": self._blocked.get(view.worker_id),
            "waits_for": None if is_complete else self._waits.get(view.worker_id),
        }

    def _start(self, views: list[WorkerView], epoch: int) -> None:
        site = self._pipeline.site(views)
        blocked: dict[str, str] = {}
        waits: dict[str, str] = {}
        for worker_id, walk in self._walks.items():
            room = self._pipeline.room()
            if not room:
                return
            stuck: list[Chunk] = []
            plans = walk.choose(
                lambda after, limit, name=worker_id: self._store.find_held(  # type: ignore[misc]
                    name, Holding.REPLICA, after, limit
                ),
                lambda chunk, name=worker_id, stuck=stuck: self._plan(chunk, name, site, stuck),  # type: ignore[misc]
                room,
            )
            self._pipeline.start(plans, epoch)
            if plans:
                continue
            if (reason := self._why_stuck(worker_id, stuck, site)) is not None:
                blocked[worker_id] = reason
            elif not self._pipeline.in_flight:
                waits[worker_id] = self._what_comes_first(worker_id, stuck)
        self._blocked, self._waits = blocked, waits

    def _plan(self, chunk: Chunk, worker_id: str, site: Site, stuck: list[Chunk]) -> CopyPlan | None:
        """stuck: takes the last chunk that cannot be moved now."""
        is_whole = chunk.owed == 0 and self._pipeline.is_untouched(chunk)
        plan = plan_move(chunk, worker_id, site) if is_whole else None
        if plan is None:
            stuck[:] = [chunk]
        return plan

    def _why_stuck(self, worker_id: str, stuck: list[Chunk], site: Site) -> str | None:
        if not stuck:
            is_left = self._store.find_held(worker_id, Holding.DOUBTFUL, "", 1) and not site.serves(worker_id)
            return WORKER_IS_SILENT if is_left else None
        (chunk,) = stuck
        # What is owed is repair's to make, which needs no other worker to leave.
        return self._pipeline.why_stuck(chunk, site, worker_id if chunk.owed == 0 else "")

    def _what_comes_first(self, worker_id: str, stuck: list[Chunk]) -> str:
        """Where nothing stands in the way."""
        if stuck:
            return JOBS_COME_FIRST
        is_held = self._store.find_held(worker_id, Holding.DOUBTFUL, "", 1)
        return COPIES_ARE_FREED if is_held else UPLOADS_GO_ON


def is_empty(store: MetadataStore, worker_id: str, now: float) -> bool:
    """Whether no record names the worker, and no upload under way that may yet bring it a chunk.

    A resumable upload that nobody has sent anything of for a while names workers anew when it goes on.
    """
    if any(store.find_held(worker_id, kind, "", 1) for kind in Holding):
        return False
    for state in (model.OPEN, model.RESUMABLE, model.LITTERED):
        uploads = store.find_idle_uploads(state, model.NEVER, MAX_UPLOADS)
        since = now - RESUMABLE_IDLE_SECONDS if state != model.OPEN else float("-inf")
        if len(uploads) >= MAX_UPLOADS or any(
            worker_id in upload.workers and upload.last_activity_at >= since for upload in uploads
        ):
            return False
    return True
