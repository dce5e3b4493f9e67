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
LOOK_SECONDS = 2.0


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


class Hold:
    """Whether the hold stands, as one master sees it, a few seconds late."""

    def __init__(self, store: MetadataStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._is_held: bool | None = None
        self._looked_at = 0.0

    def is_held(self) -> bool:
        """Raises MetadataUnavailable."""
        now = self._clock.monotonic()
        if self._is_held is None or (self._is_held and now - self._looked_at >= LOOK_SECONDS):
            self._is_held, self._looked_at = read_hold(self._store).is_held, now
        return self._is_held


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
