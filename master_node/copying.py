"""Copies from worker to worker under way: which start when, from which source, and what became of each.

It knows no records: what a copy is for, and what it changes, is said by the jobs (pipeline.py).
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from common.clock import Clock
from common.errors import ChunkCorrupt, ChunkMissing, DFSError, InternalError, PeerUnreachable
from common.records import Target
from common.settings import MasterSettings
from common.worker_client import WorkerClient
from master_node.claims import Claims
from master_node.copy_plans import CopyPlan
from master_node.rates import RateLimit


@dataclass(frozen=True)
class CopyOutcome:
    """What became of a plan; error: None when the target's copy is verified and on its disk."""

    plan: CopyPlan
    epoch: int
    error: DFSError | None


@dataclass(frozen=True)
class _Copy:
    plan: CopyPlan
    epoch: int
    untried: tuple[Target, ...]
    done: Callable[[CopyOutcome], None]


def run_in_thread(work: Callable[[], None]) -> None:
    """A thread for each copy costs little beside its bytes, and none of them holds up the end of the process."""
    threading.Thread(target=work, name="copy", daemon=True).start()


class Copier:
    """Gives the orders of all jobs, at most `copies_per_worker` at once to a worker and from a worker."""

    def __init__(
        self,
        workers: WorkerClient,
        settings: MasterSettings,
        clock: Clock,
        run: Callable[[Callable[[], None]], None] = run_in_thread,
    ) -> None:
        """run: carries out one copy, at once or soon."""
        self.claims = Claims(clock)
        self.limit = RateLimit(settings.repair_bytes_per_second, clock)
        self._workers = workers
        self._copies_per_worker = settings.copies_per_worker
        self._run = run
        self._lock = threading.Lock()
        self._waiting: deque[_Copy] = deque()
        self._sending: Counter[str] = Counter()
        self._receiving: Counter[str] = Counter()
        self._pending_bytes: Counter[str] = Counter()
        self._is_stopped = False

    def submit(self, plans: Sequence[CopyPlan], epoch: int, done: Callable[[CopyOutcome], None]) -> None:
        """Make these copies, in this order as far as the workers are free; `done` is called for each, by any thread.

        epoch: of the leader's, to go with the orders.
        """
        with self._lock:
            for plan in plans:
                self._waiting.append(_Copy(plan, epoch, plan.sources, done))
                self._pending_bytes[plan.target.worker_id] += plan.chunk.size_bytes
        self._start_more()

    def pending_bytes(self, worker_id: str) -> int:
        """Bytes of copies that are ordered, or wait, for this worker."""
        with self._lock:
            return self._pending_bytes[worker_id]

    def stop(self) -> None:
        """Order nothing more; what is under way ends by itself, and is not heard of any more."""
        with self._lock:
            self._is_stopped = True
            self._waiting.clear()

    def _start_more(self) -> None:
        while (started := self._take_next()) is not None:
            copy, source = started
            try:
                self._run(lambda copy=copy, source=source: self._carry_out(copy, source))  # type: ignore[misc]
            except RuntimeError as error:
                # The system gives no thread now. Every copy must end, or its job would wait for it for ever.
                self._end(copy, source, InternalError(f"the copy was not started: {error}"))

    def _take_next(self) -> tuple[_Copy, Target | None] | None:
        """The first waiting copy whose target and a source of which are free, with that source."""
        with self._lock:
            if self._is_stopped:
                return None
            for position, copy in enumerate(self._waiting):
                if self._receiving[copy.plan.target.worker_id] >= self._copies_per_worker:
                    continue
                source = next((one for one in copy.untried if self._is_free(one)), None)
                if source is None and copy.untried:
                    continue
                del self._waiting[position]
                self._count(copy.plan.target, source, 1)
                return copy, source
        return None

    def _is_free(self, source: Target) -> bool:
        return self._sending[source.worker_id] < self._copies_per_worker

    def _count(self, target: Target, source: Target | None, change: int) -> None:
        self._receiving[target.worker_id] += change
        if source is not None:
            self._sending[source.worker_id] += change

    def _carry_out(self, copy: _Copy, source: Target | None) -> None:
        self._end(copy, source, self._order(copy, source))
        self._start_more()

    def _end(self, copy: _Copy, source: Target | None, error: DFSError | None) -> None:
        """Tell of the copy, or have it wait for its next source."""
        left = tuple(one for one in copy.untried if one is not source)
        tries_again = error is not None and source is not None and is_source_fault(error, source) and bool(left)
        with self._lock:
            self._count(copy.plan.target, source, -1)
            if tries_again:
                self._waiting.appendleft(replace(copy, untried=left))
            else:
                self._pending_bytes[copy.plan.target.worker_id] -= copy.plan.chunk.size_bytes
            is_stopped = self._is_stopped
        if not tries_again and not is_stopped:
            copy.done(CopyOutcome(copy.plan, copy.epoch, error))

    def _order(self, copy: _Copy, source: Target | None) -> DFSError | None:
        chunk, url = copy.plan.chunk, copy.plan.target.url
        try:
            if source is None:
                self._ask(url, chunk.chunk_id, copy.epoch)
            else:
                self._workers.copy_chunk(
                    url,
                    chunk.chunk_id,
                    source.url,
                    size_bytes=chunk.size_bytes,
                    checksum=chunk.checksum,
                    epoch=copy.epoch,
                )
        except DFSError as error:
            return error
        except Exception as error:  # noqa: BLE001 - the failsafe of a copy's thread; the outcome carries it
            return InternalError(f"{type(error).__name__}: {error}")
        return None

    def _ask(self, url: str, chunk_id: str, epoch: int) -> None:
        """Whether a doubtful copy is good. Raises ChunkMissing, ChunkCorrupt.

        An empty order goes first: from then on the worker refuses what an earlier leader may still have sent to free
        this very copy.
        """
        self._workers.delete_chunks(url, [], epoch)
        if not self._workers.verify_chunk(url, chunk_id):
            raise ChunkCorrupt("the doubtful copy is damaged", chunk_id=chunk_id)


def is_source_fault(error: DFSError, source: Target) -> bool:
    """Whether another source may do better: this one does not have the chunk, or the target could not reach it."""
    if isinstance(error, PeerUnreachable):
        return error.context.get("source") == source.url
    return isinstance(error, (ChunkMissing, ChunkCorrupt))
