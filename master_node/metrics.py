"""What a master tells of the cluster, and when it is ready.

Every master tells of its own part and of the workers as it sees them. What holds of the whole cluster (replication,
what waits to be freed, jobs) only the one that leads tells, so that nobody counts it thrice; while nobody leads it is
missing.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence

from prometheus_client.metrics_core import Metric

from common.clock import Clock
from common.metrics import Metrics, counter, counters, gauge, gauges, histograms
from common.monitoring import Monitoring
from common.readiness import Readiness
from master_node.election import Election
from master_node.jobs import FAILED, IDLE, WAITING, WORKING, JobRunner
from master_node.membership import ALIVE, DEAD, DRAINING, MAINTENANCE, SUSPECT, Membership, WorkerView
from master_node.model import NEVER, OPEN
from master_node.store.base import MetadataStore
from master_node.store.timed import Operations

# What the database is asked for stays good for this long, however often somebody looks.
KEPT_SECONDS = 5.0
# Surplus chunks and open uploads are counted up to here.
MAX_COUNTED = 1000
_LOST = "lost"
_STATES = (ALIVE, DRAINING, MAINTENANCE, SUSPECT, DEAD, _LOST)
_JOB_STATES = (IDLE, WORKING, WAITING, FAILED)
# A chunk with more copies than this that is owed one more is in no danger.
_FEW_COPIES = 3


def monitor_master(
    store: MetadataStore,
    operations: Operations,
    election: Election,
    membership: Membership,
    worker_ids: Callable[[], Sequence[str]],
    runner: JobRunner,
    clock: Clock,
    *,
    lease_seconds: float,
    token: str,
) -> Monitoring:
    """worker_ids: those that config.json names now. token: see `Monitoring`."""

    def is_database_answering() -> bool:
        return election.unseen_seconds < 2 * lease_seconds

    def is_leader_known() -> bool:
        return election.leadership().leader is not None

    metrics = Metrics("master")
    replication = _Replication(store, membership, election, clock)
    metrics.add(lambda: _of_election(election))
    metrics.add(lambda: _of_database(operations, is_database_answering()))
    metrics.add(lambda: _of_workers(membership, worker_ids()))
    metrics.add(lambda: replication.read() if election.leads() else ())
    metrics.add(lambda: _of_jobs(runner) if election.leads() else ())
    checks = {"database": is_database_answering, "leader": is_leader_known}
    return Monitoring(metrics, Readiness(checks, clock), token, is_internal=True)


class _Replication:
    """How well everything is replicated, asked of the database now and then."""

    def __init__(self, store: MetadataStore, membership: Membership, election: Election, clock: Clock) -> None:
        self._store = store
        self._membership = membership
        self._election = election
        self._clock = clock
        self._lock = threading.Lock()
        self._read: list[Metric] = []
        self._read_at = float("-inf")

    def read(self) -> list[Metric]:
        """Raises MetadataUnavailable."""
        with self._lock:
            if self._clock.monotonic() - self._read_at >= KEPT_SECONDS:
                self._read = list(self._ask())
                self._read_at = self._clock.monotonic()
            return self._read

    def _ask(self) -> Iterator[Metric]:
        owed = self._store.owed()
        pending = self._store.pending(self._election.clock_seconds())
        by_copies = {copies: owed.by_copies.get(copies, 0) for copies in range(_FEW_COPIES)}
        by_copies.update(owed.by_copies)
        yield gauges(
            "dfs_replication_owed_chunks",
            "Chunks with fewer replicas than their factor, by how many they have",
            ("copies",),
            [((str(copies),), chunks) for copies, chunks in sorted(by_copies.items())],
        )
        yield gauge("dfs_replication_owed_replicas", "Replicas that are missing", owed.replicas)
        yield gauge("dfs_replication_owed_bytes", "Bytes of the replicas that are missing", owed.size_bytes)
        surplus = len(self._store.find_surplus("", MAX_COUNTED))
        yield gauge("dfs_replication_surplus_chunks", f"Chunks with too many replicas, {MAX_COUNTED} at most", surplus)
        held_back = self._membership.are_most_gone()
        yield gauge("dfs_replication_held_back", "1 while most workers are silent and nothing is copied", held_back)
        pending_meaning = "Bytes that the trash and old versions hold, replicas not counted"
        yield gauge("dfs_garbage_pending_bytes", pending_meaning, pending.total_bytes)
        yield gauge("dfs_garbage_due_bytes", "Those whose time has come and that are not freed yet", pending.due_bytes)
        open_uploads = len(self._store.find_idle_uploads(OPEN, NEVER, MAX_COUNTED))
        yield gauge(
            "dfs_uploads_open", f"Uploads that were neither committed nor given up, {MAX_COUNTED} at most", open_uploads
        )


def _of_election(election: Election) -> Iterator[Metric]:
    leadership = election.leadership()
    yield gauge("dfs_election_is_leader", "1 on the master that leads", leadership.is_self)
    yield gauge("dfs_election_leader_known", "1 while this master knows who leads", leadership.leader is not None)
    yield gauge("dfs_election_epoch", "Number of the present leadership", leadership.epoch)
    yield counter("dfs_election_changes", "Changes of the leadership that this master has seen", election.changes)


def _of_database(operations: Operations, is_up: bool) -> Iterator[Metric]:
    yield gauge("dfs_database_up", "1 while the metadata store answers this master", is_up)
    yield histograms(
        "dfs_database_operation_duration_seconds",
        "Time that an operation of the metadata store took",
        "operation",
        operations.timings(),
    )
    meaning = "Operations that the database did not answer"
    yield counters("dfs_database_failures", meaning, ("operation",), operations.failures.rows())


def _of_workers(membership: Membership, configured: Sequence[str]) -> Iterator[Metric]:
    views = {view.worker_id: view for view in membership.workers()}
    states = {name: _state_of(views.get(name)) for name in sorted({*configured, *views})}
    label = ("worker",)
    yield gauges(
        "dfs_worker_state",
        "1 for the state that a worker is in",
        ("worker", "state"),
        [((name, state), state == now) for name, now in states.items() for state in _STATES],
    )
    seen = [((name,), view) for name, view in sorted(views.items())]
    heard = [(name, view.age_seconds) for name, view in seen if view.age_seconds is not None]
    yield gauges("dfs_worker_heartbeat_age_seconds", "Time since the last heartbeat was seen", label, heard)
    for name, meaning, field in (
        ("dfs_worker_capacity_bytes", "Bytes of chunks that the worker can hold", "capacity_bytes"),
        ("dfs_worker_used_bytes", "Bytes of chunks that the worker holds", "used_bytes"),
        ("dfs_worker_free_bytes", "Bytes that the worker can still take", "free_bytes"),
        ("dfs_worker_chunks", "Chunks that the worker holds", "chunk_count"),
        ("dfs_worker_quarantined_chunks", "Chunk files that the worker has in quarantine", "quarantined_count"),
    ):
        yield gauges(name, meaning, label, [(names, getattr(view.record.heartbeat, field)) for names, view in seen])


def _of_jobs(runner: JobRunner) -> Iterator[Metric]:
    statuses = runner.statuses()
    states = [((job.name, state), state == job.state) for job in statuses for state in _JOB_STATES]
    yield gauges("dfs_job_state", "1 for the state that a job is in", ("name", "state"), states)
    done = [((job.name,), job.units_done) for job in statuses]
    yield counters("dfs_job_units", "Units of work that a job has done", ("name",), done)
    failed = [((job.name,), job.failures) for job in statuses]
    yield counters("dfs_job_failures", "Units of work that failed", ("name",), failed)


def _state_of(view: WorkerView | None) -> str:
    """As the log has it; one that never sent a heartbeat is dead."""
    if view is None:
        return DEAD
    return _LOST if view.is_lost else view.state
