"""Send one chunk to its workers at once, and decide when it counts as stored.

As many *lanes* run as replicas are wanted, each on a thread. A lane takes the next worker of the placement and pushes
the chunk; when that fails it takes the next one, so a failed replica goes to a spare. A chunk that fits into one packet
is first sent over connections that are open, by the thread that waits for it; a lane takes over what goes wrong there.

Once a write quorum has the chunk, the others get most of that time again; then the write counts as stored. Lanes that
are late *linger* for a while (stragglers.py), are then broken off and take spares; what is still missing at last is
owed. Whoever was late or broken off may have stored the chunk nevertheless: a doubtful replica of the same bytes.
"""

from __future__ import annotations

import select
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass

from api_gateway.avoidance import Avoidance
from api_gateway.stragglers import Stragglers
from common.clock import Clock
from common.errors import ClusterFull, DFSError, DiskFull, PeerUnreachable, QuorumNotReached
from common.http import Abort, Begun, StaleConnection
from common.logs import EventLog
from common.metrics import Counts
from common.records import Placement, Target
from common.request_ids import carry_request_id
from common.worker_client import WorkerClient

# Up to here a chunk leaves with its head in one packet, so that sending it never waits.
ONE_PACKET_BYTES = 64 * 1024
# How long the last replicas are waited for once the quorum is reached, as a share of the time that it took.
PATIENCE = 0.75


class Replicator:
    """Starts chunk writes."""

    def __init__(
        self,
        workers: WorkerClient,
        executor: Executor,
        avoidance: Avoidance,
        clock: Clock,
        log: EventLog,
        stragglers: Stragglers,
    ) -> None:
        self.workers = workers
        self.executor = executor
        self.avoidance = avoidance
        self.clock = clock
        self.log = log
        self.stragglers = stragglers
        self.failures = Counts()

    def start(
        self,
        placement: Placement,
        chunk_id: str,
        chunk: memoryview,
        checksum: str,
        factor: int,
        quorum: int,
        note: str = "",
    ) -> ChunkWrite:
        """Begin to store a chunk; `chunk` must stay as it is until `ChunkWrite.when_unused` says so."""
        targets = self.avoidance.order(placement.targets)
        return ChunkWrite(self, targets, chunk_id, chunk, checksum, factor, quorum, note)


@dataclass(frozen=True)
class Stored:
    """Workers that confirmed a chunk, and workers that may have it although they did not confirm."""

    replicas: tuple[str, ...]
    doubtful: tuple[str, ...]


class ChunkWrite:
    """One chunk on its way to its workers. `wait` is for the thread that started it, all else for any."""

    def __init__(
        self,
        replicator: Replicator,
        targets: list[Target],
        chunk_id: str,
        chunk: memoryview,
        checksum: str,
        factor: int,
        quorum: int,
        note: str,
    ) -> None:
        self._replicator = replicator
        self._chunk_id = chunk_id
        # A copy of so little leaves the caller's buffer alone.
        self._chunk = bytes(chunk) if len(chunk) <= ONE_PACKET_BYTES else chunk
        self._checksum = checksum
        self._note = note
        self._quorum = quorum
        self._started = replicator.clock.monotonic()
        self._changed = threading.Condition()
        self._untried = deque(targets)
        self._sent: dict[int, _Sent] = {}
        self._under_way: dict[str, Abort] = {}
        self._stored: list[str] = []
        self._doubtful: list[str] = []
        self._failures: list[DFSError] = []
        self._running = 0
        self._is_cancelled = False
        self._on_unused: Callable[[], None] | None = None
        lanes = min(factor, len(targets))
        if self._chunk is not chunk:
            self._send_at_once(lanes)
        self._start_lanes(lanes - len(self._sent))

    def wait(self, may_linger: bool) -> Stored:
        """Who has the chunk on disk, at least the quorum; `stored` tells later who has it then.

        may_linger: whether lanes that are late may keep the buffer for some time more; else they are waited for and
        then broken off, and nobody uses the buffer when this returns. Raises ClusterFull when disks were full, else
        QuorumNotReached, with the count reached; nobody uses the buffer then either.
        """
        try:
            self._await_quorum()
            if len(self._stored) < self._quorum:
                raise self._failure()
            self._await_others(PATIENCE * (self._replicator.clock.monotonic() - self._started))
        except BaseException:
            self.cancel()
            raise
        self._hand_over()
        may_linger |= isinstance(self._chunk, bytes)
        if not self.is_over and not (may_linger and self._replicator.stragglers.admit(self)):
            self._await_others(self._replicator.stragglers.seconds)
            self.cancel()
        return self.stored()

    def stored(self) -> Stored:
        """Who has the chunk by now."""
        with self._changed:
            doubtful = {*self._doubtful, *self._under_way}.difference(self._stored)
            return Stored(tuple(self._stored), tuple(sorted(doubtful)))

    def when_unused(self, do: Callable[[], None]) -> None:
        """Call `do` once nobody uses the caller's buffer any more: now, or on the thread of the last who did."""
        with self._changed:
            if self._running and not isinstance(self._chunk, bytes):
                self._on_unused = do
                return
        do()

    @property
    def is_over(self) -> bool:
        return self._running == 0

    def break_off(self) -> None:
        """Break off the calls that are under way; their lanes take spares."""
        with self._changed:
            calls = list(self._under_way.values())
        for call in calls:
            call.abort()

    def give_up(self) -> None:
        """Break off what is under way, and try nobody else."""
        with self._changed:
            self._is_cancelled = True
        self.break_off()

    def cancel(self) -> None:
        """Give up and wait until every lane has ended."""
        self.give_up()
        self._hand_over()
        with self._changed:
            self._changed.wait_for(lambda: self._running == 0)

    # --- on the thread that waits ---

    def _send_at_once(self, count: int) -> None:
        """Send the chunk to those of the first `count` workers to whom a connection is open."""
        for target in list(self._untried)[:count]:
            abort = Abort()
            call = self._replicator.workers.begin_put_chunk(
                target.url, self._chunk_id, self._chunk, self._checksum, abort, self._note
            )
            if call is not None:
                self._untried.remove(target)
                self._under_way[target.worker_id] = abort
                self._sent[call.fileno()] = _Sent(target, call)

    def _await_quorum(self) -> None:
        give_up_at = self._started + self._replicator.workers.timeout_seconds
        while self._sent and len(self._stored) < self._quorum:
            if not self._take_answers(give_up_at):
                self.break_off()
                self._hand_over()
        with self._changed:
            self._changed.wait_for(lambda: len(self._stored) >= self._quorum or self._running == 0)

    def _await_others(self, seconds: float) -> None:
        give_up_at = self._replicator.clock.monotonic() + seconds
        while self._sent and self._take_answers(give_up_at):
            pass
        with self._changed:
            left = max(0.0, give_up_at - self._replicator.clock.monotonic())
            self._changed.wait_for(lambda: self._running == 0, timeout=left)

    def _take_answers(self, give_up_at: float) -> bool:
        """Take the answers that have come, at least one; False when none comes before `give_up_at`."""
        poll = select.poll()
        for number in self._sent:
            poll.register(number, select.POLLIN)
        ready = poll.poll(1000 * max(0.0, give_up_at - self._replicator.clock.monotonic()))
        for number, _ in ready:
            sent = self._sent.pop(number, None)
            if sent is not None and not self._finish(sent):
                self._start_lanes(1)
        return bool(ready)

    def _start_lanes(self, count: int) -> None:
        """Go on with lanes: those who wait for lanes do not look at answers, so lanes take these too."""
        if count:
            self._hand_over()
        for _ in range(count):
            self._start_lane()

    def _hand_over(self) -> None:
        """Let lanes take the answers that have not come yet."""
        sent, self._sent = self._sent, {}
        for late in sent.values():
            self._start_lane(late)

    def _start_lane(self, sent: _Sent | None = None) -> None:
        with self._changed:
            self._running += 1
        self._replicator.executor.submit(carry_request_id(self._run_lane), sent)

    # --- on threads of the executor ---

    def _run_lane(self, sent: _Sent | None) -> None:
        """Push the chunk to one worker after the other until one has it. sent: a push that awaits its answer."""
        try:
            if sent is not None and self._finish(sent):
                return
            while (taken := self._take_target()) is not None:
                if self._push(*taken):
                    return
        except Exception:
            self._replicator.log.exception("replication_failed", chunk_id=self._chunk_id)
        finally:
            self._end_lane()

    def _end_lane(self) -> None:
        with self._changed:
            self._running -= 1
            do, self._on_unused = (None, self._on_unused) if self._running else (self._on_unused, None)
            self._changed.notify_all()
        if do is not None:
            do()

    def _take_target(self) -> tuple[Target, Abort] | None:
        with self._changed:
            if self._is_cancelled or not self._untried:
                return None
            target, call = self._untried.popleft(), Abort()
            self._under_way[target.worker_id] = call
            return target, call

    def _push(self, target: Target, call: Abort) -> bool:
        try:
            self._replicator.workers.put_chunk(
                target.url, self._chunk_id, self._chunk, self._checksum, call, self._note
            )
        except DFSError as error:
            self._note_failure(target, error)
            return False
        self._note_success(target)
        return True

    # --- on either ---

    def _finish(self, sent: _Sent) -> bool:
        """Take the answer to a push; whether the worker has the chunk."""
        try:
            sent.call.finish()
        except StaleConnection:
            # The worker had closed the connection before; it is asked again, over a new one.
            with self._changed:
                self._under_way.pop(sent.target.worker_id)
                self._untried.appendleft(sent.target)
            return False
        except DFSError as error:
            self._note_failure(sent.target, error)
            return False
        self._note_success(sent.target)
        return True

    def _note_success(self, target: Target) -> None:
        self._replicator.avoidance.note_success(target.worker_id)
        with self._changed:
            self._under_way.pop(target.worker_id)
            self._stored.append(target.worker_id)
            self._changed.notify_all()

    def _note_failure(self, target: Target, error: DFSError) -> None:
        replicator = self._replicator
        replicator.avoidance.note_failure(target.worker_id)
        replicator.failures.add(error.code)
        replicator.log.warning(
            "replica_failed", worker=target.worker_id, chunk_id=self._chunk_id, code=error.code, error=error.detail
        )
        with self._changed:
            self._under_way.pop(target.worker_id)
            self._failures.append(error)
            if isinstance(error, PeerUnreachable) and error.context.get("may_have_arrived"):
                self._doubtful.append(target.worker_id)

    def _failure(self) -> DFSError:
        stored, wanted = len(self._stored), self._quorum
        detail = f"{stored} of {wanted} replicas of a chunk could be stored"
        if self._failures and all(isinstance(error, DiskFull) for error in self._failures):
            return ClusterFull(f"{detail}: the disks are full", stored=stored, needed=wanted)
        return QuorumNotReached(detail, stored=stored, needed=wanted)


@dataclass(frozen=True)
class _Sent:
    """A push whose answer was not taken yet."""

    target: Target
    call: Begun
