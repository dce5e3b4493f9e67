"""The check as a job of the leader: see job_board.py for how it is asked for and shown by any master."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from common.clock import Clock
from common.logs import EventLog
from common.worker_client import WorkerClient
from master_node.fsck.check import Check
from master_node.jobs import Progress
from master_node.membership import Membership
from master_node.store.base import MetadataStore


class Fsck:
    """Compares all records with all disks when it is asked to, and keeps what the last check has found."""

    name = "fsck"

    def __init__(
        self, store: MetadataStore, membership: Membership, workers: WorkerClient, clock: Clock, log: EventLog
    ) -> None:
        self._store = store
        self._membership = membership
        self._workers = workers
        self._clock = clock
        self._log = log
        self._check: Check | None = None
        self._started_at, self._finished_at = "", ""

    def request(self, is_verifying: bool) -> None:
        """Begin a check from the start; the job's thread does the work.

        is_verifying: every replica is to be read again by its worker, which quarantines it where it is damaged.
        """
        self._started_at, self._finished_at = self._clock.timestamp(), ""
        self._check = Check(self._store, self._membership, self._workers, self._clock, is_verifying=is_verifying)
        self._log.info("fsck_started", is_verifying=is_verifying)

    def work(self, epoch: int) -> Progress:  # noqa: ARG002 - it gives no orders
        """One page of the check that is under way."""
        check = self._check
        if check is None or check.is_over:
            return Progress.IDLE
        if not check.step():
            self._finished_at = self._clock.timestamp()
            self._log.info("fsck_done", found=dict(check.findings.counts))
        return Progress.BUSY

    def describe(self) -> Mapping[str, Any]:
        """How far the last check is, and all that it has found; `finished_at` is empty until it is over.

        The counters, and `found` by kind, are of everything; `differences` lists the first of them one by one.
        """
        check = self._check
        if check is None:
            return {"stage": "none"}
        return {
            "stage": check.stage,
            "is_verifying": check.is_verifying,
            **{name: check.progress[name] for name in check.COUNTERS},
            **check.findings.to_json(),
            "started_at": self._started_at,
            "finished_at": self._finished_at,
        }
