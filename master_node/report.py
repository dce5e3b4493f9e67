"""What `GET /cluster` says: leader, workers, how well everything is replicated, what waits to be freed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from common.clock import Clock
from common.settings import ClusterSettings
from master_node.drain import is_empty
from master_node.election import Election
from master_node.job_board import JobBoard, progress_of
from master_node.membership import ALIVE, DEAD, Membership, WorkerView
from master_node.model import ABORTED, NEVER
from master_node.obstacles import MOST_ARE_SILENT, NOBODY_LEADS, ORDER_IS_NEW
from master_node.store.base import MetadataStore, Pending

# Aborted uploads that are counted; they are collected within seconds, so there are rarely more.
MAX_COUNTED = 1000
# A sum over all that waits in the trash is made anew when it is so many times as old as it took to make: whoever
# watches the cluster must not be what keeps it busy.
_REST = 20


class ClusterReport:
    """The cluster as one master sees it. Every method raises MetadataUnavailable."""

    def __init__(
        self,
        worker_ids: Callable[[], Sequence[str]],
        store: MetadataStore,
        membership: Membership,
        election: Election,
        jobs: JobBoard,
        settings: ClusterSettings,
        clock: Clock,
    ) -> None:
        """worker_ids: those that config.json names now."""
        self._worker_ids = worker_ids
        self._store = store
        self._membership = membership
        self._election = election
        self._jobs = jobs
        self._settings = settings
        self._clock = clock
        self._pending_bytes = Pending(0, 0)
        self._pending_until = float("-inf")

    def to_json(self) -> dict[str, Any]:
        leadership = self._election.leadership()
        jobs = self._jobs.jobs()
        return {
            "leader": leadership.leader,
            "epoch": leadership.epoch,
            "workers": self._workers(progress_of(jobs, "drain")),
            "replication": {**self._replication(progress_of(jobs, "repair")), **self._pending()},
            "jobs": jobs,
        }

    def drained_worker(self, view: WorkerView) -> dict[str, Any]:
        """A worker whose drain was ordered, or taken back, just now."""
        return self._worker(view, progress_of(self._jobs.jobs(), "drain"))

    def _worker(self, view: WorkerView, drain: Mapping[str, Any]) -> dict[str, Any]:
        """drain: what that job says of itself."""
        heartbeat = view.record.heartbeat
        return {
            "worker_id": view.record.worker_id,
            "state": view.state,
            "url": heartbeat.url,
            "zone": heartbeat.zone,
            "capacity_bytes": heartbeat.capacity_bytes,
            "used_bytes": heartbeat.used_bytes,
            "free_bytes": heartbeat.free_bytes,
            "chunk_count": heartbeat.chunk_count,
            "version": heartbeat.version,
            "protocol": heartbeat.protocol,
            "last_heartbeat_age_seconds": None if view.age_seconds is None else round(view.age_seconds, 1),
            "quarantined_count": heartbeat.quarantined_count,
            "is_configured": view.is_configured,
            "is_lost": view.is_lost,
            "is_reconciled": view.record.is_reconciled,
            "is_draining": view.record.is_draining,
            "drain": self._drain(view, drain) if view.record.is_draining else None,
        }

    def _workers(self, drain: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Those that ever sent a heartbeat, then those of the configuration that never did."""
        seen = {view.worker_id: self._worker(view, drain) for view in self._membership.workers()}
        for worker_id in self._worker_ids():
            seen.setdefault(worker_id, _never_seen(worker_id))
        return [seen[worker_id] for worker_id in sorted(seen)]

    def _replication(self, repair: Mapping[str, Any]) -> dict[str, Any]:
        """repair: what that job says of itself."""
        owed = self._store.owed()
        is_held_back = self._membership.are_most_gone()
        blocked = MOST_ARE_SILENT if is_held_back else repair.get("blocked")
        return {
            "replication_factor": self._settings.replication_factor,
            "write_quorum": self._settings.write_quorum,
            "workers_alive": sum(1 for view in self._membership.workers() if view.state == ALIVE),
            "under_replicated_chunks": owed.chunks,
            "under_replicated_by_copies": {str(copies): owed.by_copies[copies] for copies in sorted(owed.by_copies)},
            "owed_replicas": owed.replicas,
            "owed_bytes": owed.size_bytes,
            "repair_bytes_per_second": repair.get("bytes_per_second", 0),
            "repair_seconds_left": (None if blocked else repair.get("seconds_left")) if owed.replicas else 0,
            "repair_blocked": blocked if owed.replicas else None,
            "is_held_back": is_held_back,
        }

    def _pending(self) -> dict[str, Any]:
        pending = self._waiting()
        aborted = sum(upload.recorded_bytes for upload in self._store.find_idle_uploads(ABORTED, NEVER, MAX_COUNTED))
        return {
            "pending_free_bytes": pending.total_bytes + aborted,
            "due_free_bytes": pending.due_bytes + aborted,
        }

    def _waiting(self) -> Pending:
        began = self._clock.monotonic()
        if began >= self._pending_until:
            self._pending_bytes = self._store.pending(self._election.clock_seconds())
            self._pending_until = began + _REST * (self._clock.monotonic() - began)
        return self._pending_bytes

    def _drain(self, view: WorkerView, drain: Mapping[str, Any]) -> dict[str, Any]:
        """What is left is what the worker itself last counted on its disk."""
        is_complete = is_empty(self._store, view.worker_id, self._election.clock_seconds())
        said = drain.get("workers", {}).get(view.worker_id, {"waits_for": ORDER_IS_NEW})
        blocked = None if is_complete else said.get("blocked")
        waits_for = said.get("waits_for") if self._election.leadership().leader else NOBODY_LEADS
        return {
            "chunks_left": view.record.heartbeat.chunk_count,
            "bytes_left": view.record.heartbeat.used_bytes,
            "is_complete": is_complete,
            "blocked": blocked,
            "waits_for": None if is_complete or blocked else waits_for,
        }


def _never_seen(worker_id: str) -> dict[str, Any]:
    numbers = ("capacity_bytes", "used_bytes", "free_bytes", "chunk_count", "quarantined_count", "protocol")
    texts = {"url": "", "zone": "", "version": ""}
    flags = {"is_configured": True, "is_lost": False, "is_reconciled": False, "is_draining": False}
    return {
        "worker_id": worker_id,
        "state": DEAD,
        **texts,
        **dict.fromkeys(numbers, 0),
        "last_heartbeat_age_seconds": None,
        **flags,
        "drain": None,
    }
