"""The hold: from a restore until its rebuild is over, nothing is freed.

A restored database does not know what was stored since its backup. To garbage collection and the inventory those chunks
would look like nobody's; so while the hold stands in the store, both free nothing and put nothing aside. It is set only
while no master runs, so a master that once saw no hold need not look again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from common.clock import Clock
from master_node.jobs import IDLE, WAITING, Job, JobStatus, Progress
from master_node.model import JobRecord
from master_node.store.base import MetadataStore

RECOVERY = "recovery"


@dataclass(frozen=True)
class HoldState:
    """What the store says of the last restore. clock_seconds: the cluster clock of the backup."""

    is_held: bool
    clock_seconds: float = 0.0
    backup_made_at: str = ""


def read_hold(store: MetadataStore) -> HoldState:
    """Raises MetadataUnavailable."""
    for record in store.list_jobs():
        if record.name == RECOVERY:
            progress = record.status.get("progress", {})
            return HoldState(
                bool(progress.get("is_held", False)),
                float(progress.get("clock_seconds", 0.0)),
                str(progress.get("backup_made_at", "")),
            )
    return HoldState(False)


def write_hold(store: MetadataStore, state: HoldState, clock: Clock) -> None:
    """Shown among the jobs, so that nobody wonders why nothing is freed. A relaxed write, as all of that kind are."""
    progress = {
        "is_held": state.is_held,
        "clock_seconds": state.clock_seconds,
        "backup_made_at": state.backup_made_at,
    }
    status = JobStatus(RECOVERY, WAITING if state.is_held else IDLE, progress, updated_at=clock.timestamp())
    store.put_jobs([JobRecord(RECOVERY, status.to_json())])


def lift_hold(store: MetadataStore, clock: Clock) -> None:
    """Let everything go on. Every disk is compared once more after that, for what was held back until now."""
    hold = read_hold(store)
    # Before it is lifted, too: until then no disk counts as compared with the records as they are now.
    _want_inventories(store)
    write_hold(store, HoldState(False, hold.clock_seconds, hold.backup_made_at), clock)
    _want_inventories(store)


def _want_inventories(store: MetadataStore) -> None:
    for worker in store.list_workers():
        store.want_inventory(worker.worker_id)


class Hold:
    """Whether the hold stands, as one master sees it."""

    def __init__(self, store: MetadataStore) -> None:
        self._store = store
        self._may_stand = True

    def is_held(self) -> bool:
        """Raises MetadataUnavailable."""
        if self._may_stand:
            self._may_stand = read_hold(self._store).is_held
        return self._may_stand


class HeldBack:
    """A job that waits while the hold stands."""

    def __init__(self, job: Job, hold: Hold) -> None:
        self.name = job.name
        self._job = job
        self._hold = hold

    def work(self, epoch: int) -> Progress:
        return Progress.THROTTLED if self._hold.is_held() else self._job.work(epoch)

    def describe(self) -> Mapping[str, Any]:
        return self._job.describe()
