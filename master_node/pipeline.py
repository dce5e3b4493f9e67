"""The copies of one job: promised in the records before they are ordered, counted in the records when they are done.

Many are under way at once, and records are written many at a time; no copy waits for the slowest of a batch.
"""

from __future__ import annotations

import queue
import random
from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import replace
from typing import Any

from common.clock import Clock
from common.errors import ChunkCorrupt, ChunkMissing, DFSError, DiskFull, PeerUnreachable, StaleEpoch, WorkerBusy
from common.logs import EventLog
from master_node.copy_plans import CopyPlan, Site
from master_node.copying import Copier, CopyOutcome, is_source_fault
from master_node.election import Election
from master_node.jobs import Progress
from master_node.membership import WorkerView
from master_node.model import Chunk
from master_node.obstacles import FAILED_OF_LATE, obstacle
from master_node.passes import PutOff, states_of
from master_node.rates import Meter, RateLimit
from master_node.replicas import adopted, moved, promised, released
from master_node.store.base import MetadataStore

# More than the workers take at once, so that they have work while the next promises are written.
DEPTH = 64
# A unit of work waits no longer for a copy.
WAIT_SECONDS = 0.2
# Answers to an order to copy after which the target will not make the copy.
_REFUSALS = (ChunkMissing, ChunkCorrupt, DiskFull, WorkerBusy, StaleEpoch)
# Answers of a target that was asked for a copy of its own which say for certain that it has no good one.
_ABSENT = (ChunkMissing, ChunkCorrupt)


class CopyPipeline:
    """Used by the one thread of its job."""

    def __init__(
        self,
        store: MetadataStore,
        copier: Copier,
        election: Election,
        clock: Clock,
        log: EventLog,
        rng: random.Random,
        limit: RateLimit | None = None,
    ) -> None:
        """limit: of the bytes per second; else the copier's, shared with other jobs."""
        self._store = store
        self._copier = copier
        self._election = election
        self._clock = clock
        self._log = log
        self._rng = rng
        self._limit = limit or copier.limit
        self._outcomes: queue.SimpleQueue[CopyOutcome] = queue.SimpleQueue()
        self._by_copies: Counter[int] = Counter()
        # Copies that were promised and are not settled.
        self.in_flight = 0
        self._meter = Meter(clock)
        self._failed = 0
        # Chunks by their ids, and workers as targets by theirs.
        self._put_off = PutOff(clock)
        self._states: Hashable = None

    def has_fewer_copies_in_flight(self, copies: int) -> bool:
        """Whether a copy is under way of a chunk that had fewer than `copies`."""
        return any(count and key < copies for key, count in self._by_copies.items())

    def room(self) -> int:
        """How many copies to start now; none before half of them are done, so that records are written together."""
        return DEPTH - self.in_flight if self.in_flight <= DEPTH // 2 and self._limit.is_open() else 0

    def site(self, views: Sequence[WorkerView]) -> Site:
        """What a plan is to be made upon."""
        if states_of(views) != self._states:
            # What failed may go well now.
            self._states = states_of(views)
            self._put_off.clear()
        return Site({view.worker_id: view for view in views}, self._copier.pending_bytes, self._may_take, self._rng)

    def is_untouched(self, chunk: Chunk) -> bool:
        """Whether no job works on it, and no copy of it has failed of late."""
        return not self._put_off.has(chunk.chunk_id) and not self._copier.claims.is_claimed(chunk.chunk_id)

    def why_stuck(self, chunk: Chunk, site: Site, leaving: str = "") -> str | None:
        """Why no copy of this chunk was planned; None: nothing stands in the way, or a job works on it."""
        if self._copier.claims.is_claimed(chunk.chunk_id):
            return None
        failed = FAILED_OF_LATE if self._put_off.has(chunk.chunk_id) else None
        return obstacle(chunk, site, leaving) or failed

    def start(self, plans: Sequence[CopyPlan], epoch: int) -> int:
        """Promise the copies in the records and have them made, as many as the rate allows. Returns how many: some
        records may have been changed by others.
        """
        plans = self._within_limit(plans)
        claimed = self._copier.claims.claim(plan.chunk_id for plan in plans)
        begun: list[CopyPlan] = []
        try:
            # Since the plan was made, another job's order to the target may have gone unanswered.
            plans = [
                _promise(plan)
                for plan in plans
                if plan.chunk_id in claimed and self._may_take(plan.chunk, plan.target.worker_id)
            ]
            written = self._store.replace_chunks([plan.chunk for plan in plans])
            begun = [plan for plan, is_written in zip(plans, written, strict=True) if is_written]
        finally:
            self._copier.claims.give_back(claimed - {plan.chunk_id for plan in begun})
        for plan in begun:
            self._by_copies[len(plan.chunk.replicas)] += 1
            self.in_flight += 1
        self._copier.submit(begun, epoch, self._outcomes.put)
        return len(begun)

    def proceed(self, epoch: int, *, is_wanted: bool) -> Progress:
        """Wait for a moment for what is under way, and write it down. is_wanted: copies are, but none could start."""
        if self.in_flight:
            self.settle(epoch, WAIT_SECONDS)
            return Progress.BUSY
        if not is_wanted:
            return Progress.IDLE
        if self._limit.is_open():
            return Progress.THROTTLED
        self._clock.sleep(WAIT_SECONDS)
        return Progress.BUSY

    def settle(self, epoch: int, wait_seconds: float = 0.0) -> None:
        """Write down what became of the copies that are over; waits so long at most for the first, if there is none.

        What cannot be written down, or was ordered in an earlier epoch, stays doubtful.
        """
        outcomes = self._collect(wait_seconds)
        changes = [(outcome, self._changed(outcome, epoch)) for outcome in outcomes]
        try:
            self._store.replace_chunks([after for outcome, after in changes if after is not outcome.plan.chunk])
        finally:
            # What is unanswered is noted before another job may take the chunk up.
            for outcome in outcomes:
                if outcome.error is not None:
                    self._note_failure(outcome.plan, outcome.error)
            self._copier.claims.give_back(outcome.plan.chunk_id for outcome in outcomes)

    def describe(self) -> dict[str, Any]:
        return {
            "copied_chunks": self._meter.count,
            "copied_bytes": self._meter.total_bytes,
            "bytes_per_second": round(self._meter.bytes_per_second()),
            "under_way": self.in_flight,
            "failed": self._failed,
        }

    def _within_limit(self, plans: Sequence[CopyPlan]) -> list[CopyPlan]:
        taken: list[CopyPlan] = []
        for plan in plans:
            if not self._limit.is_open():
                break
            self._limit.spend(plan.chunk.size_bytes if plan.sources else 0)
            taken.append(plan)
        return taken

    def _may_take(self, chunk: Chunk, worker_id: str) -> bool:
        return not self._put_off.has(worker_id) and not self._copier.claims.is_unanswered(chunk.chunk_id, worker_id)

    def _collect(self, wait_seconds: float) -> list[CopyOutcome]:
        outcomes: list[CopyOutcome] = []
        try:
            if wait_seconds and self.in_flight:
                outcomes.append(self._outcomes.get(timeout=wait_seconds))
            while True:
                outcomes.append(self._outcomes.get_nowait())
        except queue.Empty:
            pass
        for outcome in outcomes:
            self._by_copies[len(outcome.plan.chunk.replicas)] -= 1
            self.in_flight -= 1
        return outcomes

    def _changed(self, outcome: CopyOutcome, epoch: int) -> Chunk:
        """The record after a copy; the promise's own where it is to stay as it is."""
        plan, chunk = outcome.plan, outcome.plan.chunk
        if outcome.epoch != epoch:
            # Another leader may have acted between; what the target holds is asked for again.
            return chunk
        if outcome.error is None:
            self._meter.add(chunk.size_bytes if plan.sources else 0)
            target = plan.target.worker_id
            return moved(chunk, plan.leaving, target) if plan.leaving else adopted(chunk, target)
        if plan.sources:
            is_gone = plan.is_promise_new and _is_refusal(plan, outcome.error)
        else:
            is_gone = isinstance(outcome.error, _ABSENT)
        return released(chunk, plan.target.worker_id) if is_gone else chunk

    def _note_failure(self, plan: CopyPlan, error: DFSError) -> None:
        target = plan.target.worker_id
        self._failed += 1
        self._put_off.add(plan.chunk_id)
        if not any(is_source_fault(error, source) for source in plan.sources):
            self._put_off.add(target)
        if isinstance(error, StaleEpoch):
            self._election.outrank(int(error.context.get("highest", 0)))
        elif plan.sources and not _is_refusal(plan, error):
            self._copier.claims.note_unanswered([plan.chunk_id], target)
        self._log.warning("copy_failed", chunk_id=plan.chunk_id, target=target, error=f"{error.code}: {error.detail}")


def _promise(plan: CopyPlan) -> CopyPlan:
    """The plan with a record that names the target; a change also where it does already, so that it is still true."""
    after = promised(plan.chunk, plan.target.worker_id)
    if after is plan.chunk:
        return replace(plan, chunk=replace(after, revision=after.revision + 1), is_promise_new=False)
    return replace(plan, chunk=after)


def _is_refusal(plan: CopyPlan, error: DFSError) -> bool:
    if isinstance(error, PeerUnreachable):
        is_sent = bool(error.context.get("may_have_arrived", True))
        return not is_sent or any(is_source_fault(error, source) for source in plan.sources)
    return isinstance(error, _REFUSALS)
