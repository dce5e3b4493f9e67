"""The thread that keeps a master's view of the cluster fresh: its part in the election, and the heartbeat table."""

from __future__ import annotations

import threading

from common.errors import DFSError
from common.logs import EventLog
from master_node.election import Election
from master_node.membership import Membership, WorkerView


class Watch:
    """Steps the election and refreshes the membership several times per lease, until stopped."""

    def __init__(self, election: Election, membership: Membership, log: EventLog, interval_seconds: float) -> None:
        self._election = election
        self._membership = membership
        self._log = log
        self._interval_seconds = interval_seconds
        self._is_database_up = True
        self._led = False
        self._states: dict[str, str] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()

    def look(self) -> None:
        """One step; the log says when something begins or ends, not that it goes on."""
        try:
            self._election.step()
            self._membership.refresh()
        except DFSError as error:
            if self._is_database_up:
                self._log.error("database_lost", error=error.detail)
            self._is_database_up = False
        else:
            if not self._is_database_up:
                self._log.warning("database_back")
            self._is_database_up = True
        self._note_changes()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self.look()
            except Exception:  # noqa: BLE001 - the loop's failsafe
                self._log.exception("watch_failed")
            self._stop.wait(self._interval_seconds)

    def _note_changes(self) -> None:
        leads = self._election.leads()
        if leads != self._led:
            self._log.info("leadership_gained" if leads else "leadership_lost", epoch=self._election.leadership().epoch)
        self._led = leads
        for view in self._membership.workers():
            self._note_worker(view)

    def _note_worker(self, view: WorkerView) -> None:
        worker_id = view.record.worker_id
        before = self._states.get(worker_id)
        if before != view.state:
            self._states[worker_id] = view.state
            self._log.info("worker_state", worker=worker_id, before=before, now=view.state)
