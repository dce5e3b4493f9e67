"""What every master shows of the background work: read from the store, to which the leader writes it.

The check of all records against all disks runs on request. A request is a number in the store that any master raises;
the leader starts a check when it finds the number above the one that it took up last, which stands in the job's status.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from master_node.jobs import IDLE, WAITING, WORKING, JobStatus, Progress
from master_node.membership import Membership, WorkerView
from master_node.model import JobRecord
from master_node.store.base import MetadataStore

FSCK = "fsck"
FSCK_REQUEST = "fsck_request"
# Too long for a list of all jobs; GET /fsck has it.
_DIFFERENCES = "differences"


class JobBoard:
    """The jobs of the cluster as any master shows them. Every method raises MetadataUnavailable."""

    def __init__(self, store: MetadataStore, membership: Membership) -> None:
        self._store = store
        self._membership = membership

    def jobs(self) -> list[dict[str, Any]]:
        """The leader's jobs as it last wrote them down, then the scrub of each worker as that last told of it."""
        statuses = _read_statuses(self._store)
        return [_without_differences(status) for name, status in statuses.items() if name != FSCK_REQUEST] + [
            _describe_scrub(view) for view in self._membership.workers() if view.record.heartbeat.scrub
        ]

    def request_fsck(self, is_verifying: bool) -> dict[str, Any]:
        """Have all records compared with all disks; a check that is asked for or runs already goes on.

        is_verifying: every replica is re-read, too. Where the check that runs does not do so, another follows on it.
        """
        statuses = _read_statuses(self._store)
        status, asked = statuses.get(FSCK, {}), statuses.get(FSCK_REQUEST, {})
        number, taken = _requested(statuses), _taken(status)
        if number > taken:
            is_coming, will_verify = True, bool(asked.get("is_verifying"))
        else:
            is_coming, will_verify = status.get("state") == WORKING, bool(_progress(status).get("is_verifying"))
        if not is_coming or (is_verifying and not will_verify):
            record = {"number": max(number, taken) + 1, "is_verifying": is_verifying}
            self._store.put_jobs([JobRecord(FSCK_REQUEST, record)])
        return self.fsck()

    def fsck(self) -> dict[str, Any]:
        """How far the last check is and what it found. is_requested: another one is about to start."""
        statuses = _read_statuses(self._store)
        status = {**JobStatus(FSCK).to_json(), **statuses.get(FSCK, {})}
        return {**status, "is_requested": _requested(statuses) > _taken(status)}


class FsckJob(Protocol):
    """The check itself, see fsck.py."""

    def request(self, is_verifying: bool) -> None: ...

    def work(self, epoch: int) -> Progress: ...

    def describe(self) -> Mapping[str, Any]: ...


class RequestedFsck:
    """The job that starts a check when one is asked for, also one that the leader before did not finish."""

    name = FSCK

    def __init__(self, fsck: FsckJob, store: MetadataStore) -> None:
        self._fsck = fsck
        self._store = store
        self._epoch = 0
        self._taken = 0
        # The request that this master's own last check answers.
        self._checked = 0
        self._is_running = False

    def work(self, epoch: int) -> Progress:
        if epoch != self._epoch or not self._is_running:
            self._take_request(is_new_leader=epoch != self._epoch)
            self._epoch = epoch
        progress = self._fsck.work(epoch)
        self._is_running = progress is not Progress.IDLE
        return progress

    def describe(self) -> Mapping[str, Any]:
        """The last check that was finished, also by an earlier leader, or this master's own under way.

        Raises MetadataUnavailable.
        """
        last: Mapping[str, Any] = _read_statuses(self._store).get(FSCK, {}).get("progress", {})
        if last.get("finished_at") and int(last.get("request", 0)) > self._checked:
            return last
        return {**self._fsck.describe(), "request": self._taken}

    def _take_request(self, is_new_leader: bool) -> None:
        statuses = _read_statuses(self._store)
        status = statuses.get(FSCK, {})
        if is_new_leader:
            # What this master took up in an earlier leadership of its own may not have been written down.
            self._taken = _taken(status)
        number = _requested(statuses)
        is_unfinished = is_new_leader and status.get("state") in (WORKING, WAITING)
        if number > self._taken or is_unfinished:
            self._fsck.request(bool(statuses.get(FSCK_REQUEST, {}).get("is_verifying", False)))
            self._taken = self._checked = number


def progress_of(jobs: Sequence[Mapping[str, Any]], name: str) -> Mapping[str, Any]:
    """What the job of this name says of itself; nothing where there is none."""
    return next((job["progress"] for job in jobs if job["name"] == name), {})


def _read_statuses(store: MetadataStore) -> dict[str, Mapping[str, Any]]:
    return {record.name: record.status for record in store.list_jobs()}


def _requested(statuses: Mapping[str, Mapping[str, Any]]) -> int:
    return int(statuses.get(FSCK_REQUEST, {}).get("number", 0))


def _taken(status: Mapping[str, Any]) -> int:
    return int(_progress(status).get("request", 0))


def _progress(status: Mapping[str, Any]) -> Mapping[str, Any]:
    progress: Mapping[str, Any] = status.get("progress", {})
    return progress


def _without_differences(status: Mapping[str, Any]) -> dict[str, Any]:
    progress = {name: value for name, value in status["progress"].items() if name != _DIFFERENCES}
    return {**status, "progress": progress}


def _describe_scrub(view: WorkerView) -> dict[str, Any]:
    scrub = view.record.heartbeat.scrub
    status = JobStatus(f"scrub {view.worker_id}", str(scrub.get("state", IDLE)), scrub)
    return status.to_json()
