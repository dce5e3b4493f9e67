"""The threads that keep a master's view of the cluster fresh: its part in the election, and the heartbeat table.

There is one for each, because a write to the database may wait for long, and a look at the heartbeats must not wait
with it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from common.errors import DFSError
from common.logs import EventLog
from master_node.election import Election
from master_node.membership import Membership, WorkerView
from master_node.roster import Roster


class Watch:
    """Steps the election and refreshes the membership several times per lease, until stopped."""

    def __init__(
        self,
        election: Election,
        membership: Membership,
        roster: Roster,
        on_change: Callable[[], None],
        log: EventLog,
        interval_seconds: float,
    ) -> None:
        """on_change: called when a worker's state has changed, so that the jobs look at once."""
        self._election = election
        self._membership = membership
        self._roster = roster
        self._on_change = on_change
        self._log = log
        self._interval_seconds = interval_seconds
        self._lost: set[str] = set()
        self._led = False
        self._states: dict[str, str] = {}
        self._stop = threading.Event()

    def start(self) -> None:
        """See the heartbeat table once, so that the first request finds the workers, and go on by threads."""
        self.see_workers()
        for name, look in (("election", self.step_election), ("membership", self.see_workers)):
            threading.Thread(target=self._run, args=(look,), name=name, daemon=True).start()

    def stop(self) -> None:
        self._stop.set()

    def step_election(self) -> None:
        """One step; the log says when leading begins and ends."""
        self._try("lease", self._election.step)
        leads = self._election.leads()
        if leads != self._led:
            self._log.info("leadership_gained" if leads else "leadership_lost", epoch=self._election.leadership().epoch)
        self._led = leads

    def see_workers(self) -> None:
        """One look, also at whom the configuration names; the log says which workers changed their state."""
        self._roster.look()
        self._try("workers", self._look_at_workers)
        changed = [view for view in self._membership.workers() if self._note_worker(view)]
        if changed:
            self._on_change()

    def _look_at_workers(self) -> None:
        self._membership.refresh()
        if self._election.leads():
            self._membership.distrust_dead()

    def _try(self, what: str, look: Callable[[], None]) -> None:
        """Look, whatever the database answers; the log says when it begins or ends to fail, not that it goes on."""
        try:
            look()
        except DFSError as error:
            if what not in self._lost:
                self._log.error("database_lost", reading=what, error=error.detail)
            self._lost.add(what)
        else:
            if what in self._lost:
                self._log.warning("database_back", reading=what)
            self._lost.discard(what)

    def _run(self, look: Callable[[], None]) -> None:
        while not self._stop.is_set():
            try:
                look()
            except Exception:  # noqa: BLE001 - the loop's failsafe
                self._log.exception("watch_failed")
            self._stop.wait(self._interval_seconds)

    def _note_worker(self, view: WorkerView) -> bool:
        """Whether its state is another one than at the last look."""
        state = "lost" if view.is_lost else view.state
        before = self._states.get(view.worker_id)
        if before == state:
            return False
        self._states[view.worker_id] = state
        self._log.info("worker_state", worker=view.worker_id, before=before, now=state)
        return True
