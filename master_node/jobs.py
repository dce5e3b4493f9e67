"""Background work: one interface for every job, and the threads that run them on the master that leads.

Each job has a thread of its own, so that a long repair does not hold garbage collection up. What the jobs are doing is
written to the store every other second: any master can show it (job_board.py).
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any, Protocol

from common.clock import Clock
from common.errors import DFSError
from common.logs import EventLog
from master_node.election import Election
from master_node.model import JobRecord
from master_node.store.base import MetadataStore

IDLE, WORKING, WAITING, FAILED = "idle", "busy", "waiting", "failed"
STATUS_SECONDS = 2.0
# How long a job pauses at most that could do nothing, or that failed; twice as long each time until then.
MAX_WAITING_SECONDS = 10.0
MAX_FAILED_SECONDS = 5.0


class Progress(Enum):
    """What one unit of work came to.

    BUSY: something was done, and there may be more. THROTTLED: there is something to do, but nothing can be done
    about it now. IDLE: there is nothing to do.
    """

    BUSY = "busy"
    THROTTLED = "throttled"
    IDLE = "idle"


class Job(Protocol):
    """A job does one bounded unit of work a call; one bad item is put off, it never ends the job."""

    name: str

    def work(self, epoch: int) -> Progress:
        """Do one unit. epoch: of this master's leadership, to go with every order to a worker."""

    def describe(self) -> Mapping[str, Any]:
        """How far it is, as plain JSON of names that this job explains; called from another thread, also amid work."""


@dataclass(frozen=True)
class JobStatus:
    """What is shown of a job. state: idle, busy, waiting (see Progress.THROTTLED) or failed; times are for people."""

    name: str
    state: str = IDLE
    progress: Mapping[str, Any] = field(default_factory=dict)
    units_done: int = 0
    failures: int = 0
    last_error: str = ""
    last_error_at: str = ""
    updated_at: str = ""

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "state": self.state,
            "progress": dict(self.progress),
            "units_done": self.units_done,
            "failures": self.failures,
            "last_error": self.last_error,
            "last_error_at": self.last_error_at,
            "updated_at": self.updated_at,
        }


class JobRunner:
    """Runs every job on a thread of its own while this master leads."""

    def __init__(
        self,
        jobs: Sequence[Job],
        store: MetadataStore,
        election: Election,
        clock: Clock,
        log: EventLog,
        interval_seconds: float,
    ) -> None:
        """interval_seconds: the pause of a job that has nothing to do."""
        self._store = store
        self._election = election
        self._clock = clock
        self._log = log
        self._stop = threading.Event()
        self._loops = [_Loop(job, election, clock, log, interval_seconds, self._stop) for job in jobs]
        self._written: dict[str, JobStatus] = {}

    def start(self) -> None:
        for loop in self._loops:
            threading.Thread(target=loop.run, name=f"job {loop.name}", daemon=True).start()
        threading.Thread(target=self._write, name="job statuses", daemon=True).start()

    def stop(self) -> None:
        self._stop.set()
        self.wake()

    def wake(self) -> None:
        """Have every job look now: something has changed that may give it work."""
        for loop in self._loops:
            loop.wake()

    def run_once(self) -> None:
        """Every job, one after the other, until it has nothing to do; returns early when the leadership ends."""
        for loop in self._loops:
            loop.work_off()

    def statuses(self) -> list[JobStatus]:
        return [loop.status() for loop in self._loops]

    def write_statuses(self) -> None:
        """Write down what has changed since the last call, if this master leads. Raises MetadataUnavailable."""
        if not self._election.leads():
            self._written = {}
            return
        changed = [status for status in self.statuses() if status != self._written.get(status.name)]
        now = self._clock.timestamp()
        self._store.put_jobs([JobRecord(status.name, replace(status, updated_at=now).to_json()) for status in changed])
        self._written.update({status.name: status for status in changed})

    def _write(self) -> None:
        while not self._stop.wait(STATUS_SECONDS):
            try:
                self.write_statuses()
            except DFSError as error:
                self._log.warning("job_statuses_not_written", error=error.detail)
            except Exception:  # noqa: BLE001 - the loop's failsafe
                self._log.exception("job_statuses_not_written")


class _Loop:
    """One job, how it fares, and when it works next. All but `wake` and `status` belong to the job's thread."""

    def __init__(
        self,
        job: Job,
        election: Election,
        clock: Clock,
        log: EventLog,
        interval_seconds: float,
        stop: threading.Event,
    ) -> None:
        self.name = job.name
        self._job = job
        self._election = election
        self._clock = clock
        self._log = log
        self._interval_seconds = interval_seconds
        self._pause_seconds = interval_seconds
        self._stop = stop
        self._has_news = threading.Event()
        self._status = JobStatus(job.name)

    def run(self) -> None:
        while not self._stop.is_set():
            self.work_off()
            if self._has_news.wait(self._pause_seconds):
                self._pause_seconds = self._interval_seconds
            self._has_news.clear()

    def wake(self) -> None:
        self._has_news.set()

    def status(self) -> JobStatus:
        return replace(self._status, progress=self._job.describe())

    def work_off(self) -> None:
        """Unit after unit, until there is nothing to do, nothing can be done, one fails, or the leadership ends."""
        while not self._stop.is_set():
            epoch = self._election.leading_epoch()
            if epoch is None:
                self._rest(IDLE, self._interval_seconds)
                return
            try:
                progress = self._job.work(epoch)
            except DFSError as error:
                self._fail(f"{error.code}: {error.detail}")
                return
            except Exception as error:  # noqa: BLE001 - a job's failsafe
                self._log.exception("job_crashed", job=self.name)
                self._fail(f"{type(error).__name__}: {error}")
                return
            if progress is Progress.BUSY:
                self._status = replace(self._status, state=WORKING, units_done=self._status.units_done + 1)
                self._pause_seconds = self._interval_seconds
            elif progress is Progress.THROTTLED:
                self._rest(WAITING, min(2 * self._pause_seconds, MAX_WAITING_SECONDS))
                return
            else:
                self._rest(IDLE, self._interval_seconds)
                return

    def _rest(self, state: str, seconds: float) -> None:
        self._status = replace(self._status, state=state)
        self._pause_seconds = max(seconds, self._interval_seconds)

    def _fail(self, error: str) -> None:
        self._log.warning("job_failed", job=self.name, error=error)
        failures = self._status.failures + 1
        self._status = replace(self._status, failures=failures, last_error=error, last_error_at=self._clock.timestamp())
        self._rest(FAILED, min(2 * self._pause_seconds, MAX_FAILED_SECONDS))
