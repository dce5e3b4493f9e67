"""Send one chunk to its workers at once, and decide when it counts as stored.

As many *lanes* run as replicas are wanted. A lane takes the next worker of the placement and pushes the chunk; when
that fails it takes the next one, so a failed replica goes to a spare. Once a write quorum has the chunk, the others
get a little longer; then the stragglers are broken off and their lanes take spares, and what is still missing after
that is owed. Whoever breaks off here may have stored the chunk nevertheless: a surplus replica of the same bytes.
"""

from __future__ import annotations

import threading
from collections import deque
from concurrent.futures import Executor
from dataclasses import dataclass

from api_gateway.avoidance import Avoidance
from common.clock import Clock
from common.errors import ClusterFull, DFSError, DiskFull, PeerUnreachable, QuorumNotReached
from common.http import Abort
from common.logs import EventLog
from common.records import Placement, Target
from common.request_ids import carry_request_id
from common.worker_client import WorkerClient


class Replicator:
    """Starts chunk writes."""

    def __init__(
        self,
        workers: WorkerClient,
        executor: Executor,
        avoidance: Avoidance,
        clock: Clock,
        log: EventLog,
        straggler_seconds: float,
    ) -> None:
        """straggler_seconds: the least time that the last replicas get once the quorum is reached."""
        self.workers = workers
        self.avoidance = avoidance
        self.clock = clock
        self.log = log
        self.straggler_seconds = straggler_seconds
        self._executor = executor

    def start(
        self, placement: Placement, chunk_id: str, chunk: memoryview, checksum: str, factor: int, quorum: int
    ) -> ChunkWrite:
        """Begin to store a chunk; `chunk` must stay as it is until `ChunkWrite.wait` or `cancel` has returned."""
        targets = self.avoidance.order(placement.targets)
        write = ChunkWrite(self, targets, chunk_id, chunk, checksum, factor, quorum)
        run_lane = carry_request_id(write.run_lane)
        for _ in range(write.lanes):
            self._executor.submit(run_lane)
        return write


@dataclass(frozen=True)
class Stored:
    """Workers that confirmed a chunk, and workers that may have it although they did not confirm."""

    replicas: tuple[str, ...]
    doubtful: tuple[str, ...]


class ChunkWrite:
    """One chunk on its way to its workers."""

    def __init__(
        self,
        replicator: Replicator,
        targets: list[Target],
        chunk_id: str,
        chunk: memoryview,
        checksum: str,
        factor: int,
        quorum: int,
    ) -> None:
        self.lanes = min(factor, len(targets))
        self._replicator = replicator
        self._chunk_id = chunk_id
        self._chunk = chunk
        self._checksum = checksum
        self._quorum = quorum
        self._started = replicator.clock.monotonic()
        self._changed = threading.Condition()
        self._untried = deque(targets)
        self._under_way: dict[str, Abort] = {}
        self._stored: list[str] = []
        self._doubtful: list[str] = []
        self._failures: list[DFSError] = []
        self._running = self.lanes
        self._is_cancelled = False

    def wait(self) -> Stored:
        """Who has the chunk on disk, at least the quorum.

        Raises ClusterFull when disks were full, else QuorumNotReached, with the count reached. When it returns or
        raises, nobody uses the chunk's buffer any more.
        """
        try:
            with self._changed:
                self._changed.wait_for(lambda: len(self._stored) >= self._quorum or self._running == 0)
            if len(self._stored) < self._quorum:
                raise self._failure()
            patience = max(self._replicator.straggler_seconds, 2 * (self._replicator.clock.monotonic() - self._started))
            if not self._all_done_within(patience):
                self._break_off_stragglers()
                self._all_done_within(patience if self._untried or self._under_way else 0)
        finally:
            self.cancel()
        return Stored(tuple(self._stored), tuple(self._doubtful))

    def cancel(self) -> None:
        """Break off what is still under way and wait until it has ended."""
        with self._changed:
            self._is_cancelled = True
            calls = list(self._under_way.values())
        for call in calls:
            call.abort()
        with self._changed:
            self._changed.wait_for(lambda: self._running == 0)

    def run_lane(self) -> None:
        """Push the chunk to one worker after the other until one has it. Runs on a thread of the executor."""
        try:
            while (taken := self._take_target()) is not None:
                if self._push(*taken):
                    return
        except Exception:
            self._replicator.log.exception("replication_failed", chunk_id=self._chunk_id)
        finally:
            with self._changed:
                self._running -= 1
                self._changed.notify_all()

    def _take_target(self) -> tuple[Target, Abort] | None:
        with self._changed:
            if self._is_cancelled or not self._untried:
                return None
            target, call = self._untried.popleft(), Abort()
            self._under_way[target.worker_id] = call
            return target, call

    def _push(self, target: Target, call: Abort) -> bool:
        replicator = self._replicator
        try:
            replicator.workers.put_chunk(target.url, self._chunk_id, self._chunk, self._checksum, call)
        except DFSError as error:
            replicator.avoidance.note_failure(target.worker_id)
            replicator.log.warning(
                "replica_failed", worker=target.worker_id, chunk_id=self._chunk_id, code=error.code, error=error.detail
            )
            with self._changed:
                self._under_way.pop(target.worker_id)
                self._failures.append(error)
                if isinstance(error, PeerUnreachable) and error.context.get("may_have_arrived"):
                    self._doubtful.append(target.worker_id)
            return False
        replicator.avoidance.note_success(target.worker_id)
        with self._changed:
            self._under_way.pop(target.worker_id)
            self._stored.append(target.worker_id)
            self._changed.notify_all()
        return True

    def _all_done_within(self, seconds: float) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: self._running == 0, timeout=seconds)

    def _break_off_stragglers(self) -> None:
        with self._changed:
            stragglers = dict(self._under_way)
        for call in stragglers.values():
            call.abort()

    def _failure(self) -> DFSError:
        stored, wanted = len(self._stored), self._quorum
        detail = f"{stored} of {wanted} replicas of a chunk could be stored"
        if self._failures and all(isinstance(error, DiskFull) for error in self._failures):
            return ClusterFull(f"{detail}: the disks are full", stored=stored, needed=wanted)
        return QuorumNotReached(detail, stored=stored, needed=wanted)
