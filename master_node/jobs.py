"""Background work: one interface for every job, and the thread that runs them on the master that leads."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from common.errors import DFSError
from common.logs import EventLog
from master_node.election import Election


class Progress(Enum):
    """What one unit of work found: more to do at once, or nothing for now."""

    BUSY = "busy"
    IDLE = "idle"


class Job(Protocol):
    """A job does one bounded unit of work a call; one bad item is put off, it never ends the job."""

    name: str

    def work(self, epoch: int) -> Progress:
        """Do one unit. epoch: of this master's leadership, to go with every order to a worker."""


@dataclass
class JobStatus:
    """What is shown of a job."""

    name: str
    state: str = "idle"
    units_done: int = 0
    last_error: str = ""


class JobRunner:
    """Runs the jobs one after the other, each until it is idle, while this master leads."""

    def __init__(self, jobs: Sequence[Job], election: Election, log: EventLog, interval_seconds: float) -> None:
        self._jobs = jobs
        self._election = election
        self._log = log
        self._interval_seconds = interval_seconds
        self._statuses = {job.name: JobStatus(job.name) for job in jobs}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="jobs", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()

    def statuses(self) -> list[JobStatus]:
        return list(self._statuses.values())

    def run_once(self) -> None:
        """Every job until it is idle; returns early when the leadership ends."""
        for job in self._jobs:
            status = self._statuses[job.name]
            while not self._stop.is_set() and (epoch := self._election.leading_epoch()) is not None:
                if self._work(job, status, epoch) is Progress.IDLE:
                    break
            status.state = "idle"

    def _work(self, job: Job, status: JobStatus, epoch: int) -> Progress:
        status.state = "busy"
        try:
            progress = job.work(epoch)
        except DFSError as error:
            status.last_error = f"{error.code}: {error.detail}"
            self._log.warning("job_failed", job=job.name, error=status.last_error)
            return Progress.IDLE
        except Exception as error:  # noqa: BLE001 - a job's failsafe
            status.last_error = f"{type(error).__name__}: {error}"
            self._log.exception("job_failed", job=job.name)
            return Progress.IDLE
        if progress is Progress.BUSY:
            status.units_done += 1
        return progress

    def _run(self) -> None:
        while not self._stop.wait(self._interval_seconds):
            self.run_once()
