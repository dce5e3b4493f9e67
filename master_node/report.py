"""What `GET /cluster` says: leader, workers, how well everything is replicated, what waits to be freed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from common.settings import ClusterSettings
from master_node.election import Election
from master_node.jobs import JobRunner
from master_node.membership import ALIVE, DEAD, Membership, WorkerView
from master_node.model import ABORTED, NEVER
from master_node.store.base import MetadataStore

# Aborted uploads that are counted; they are collected within seconds, so there are rarely more.
MAX_COUNTED = 1000


class ClusterReport:
    """The cluster as one master sees it."""

    def __init__(
        self,
        worker_ids: Sequence[str],
        store: MetadataStore,
        membership: Membership,
        election: Election,
        jobs: JobRunner,
        settings: ClusterSettings,
    ) -> None:
        self._worker_ids = worker_ids
        self._store = store
        self._membership = membership
        self._election = election
        self._jobs = jobs
        self._settings = settings

    def to_json(self) -> dict[str, Any]:
        leadership = self._election.leadership()
        owed = self._store.owed()
        pending = self._store.pending(self._election.clock_seconds())
        aborted = sum(upload.recorded_bytes for upload in self._store.find_idle_uploads(ABORTED, NEVER, MAX_COUNTED))
        workers = self._workers()
        return {
            "leader": leadership.leader,
            "epoch": leadership.epoch,
            "workers": workers,
            "replication": {
                "replication_factor": self._settings.replication_factor,
                "write_quorum": self._settings.write_quorum,
                "workers_alive": sum(1 for worker in workers if worker["state"] == ALIVE),
                "under_replicated_chunks": owed.chunks,
                "owed_replicas": owed.replicas,
                "pending_free_bytes": pending.total_bytes + aborted,
                "due_free_bytes": pending.due_bytes + aborted,
            },
            "jobs": [asdict(status) for status in self._jobs.statuses()] if leadership.is_self else [],
        }

    def _workers(self) -> list[dict[str, Any]]:
        """Those that ever sent a heartbeat, then those of the configuration that never did."""
        seen = {view.record.worker_id: _describe(view) for view in self._membership.workers()}
        for worker_id in self._worker_ids:
            seen.setdefault(worker_id, _never_seen(worker_id))
        return [seen[worker_id] for worker_id in sorted(seen)]


def _describe(view: WorkerView) -> dict[str, Any]:
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
        "last_heartbeat_age_seconds": None if view.age_seconds is None else round(view.age_seconds, 1),
    }


def _never_seen(worker_id: str) -> dict[str, Any]:
    numbers = dict.fromkeys(("capacity_bytes", "used_bytes", "free_bytes", "chunk_count"), 0)
    texts = {"url": "", "zone": "", "version": ""}
    return {"worker_id": worker_id, "state": DEAD, **texts, **numbers, "last_heartbeat_age_seconds": None}
