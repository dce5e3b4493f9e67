"""Which workers live: judged by when *this* master saw their heartbeat counters move, on its own monotonic clock.

alive        heard of within `suspect_seconds`; new chunks are placed on it
draining     as alive, but to be emptied: nothing new is placed on it
suspect      silent for longer: asked last
dead         silent for `dead_seconds`; *lost* after `repair_grace_seconds` more
maintenance  said goodbye within `maintenance_seconds` of the cluster clock, and has not been heard of since
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

from common.clock import Clock
from common.errors import WorkerUnknown
from common.records import Heartbeat, Target
from common.settings import MasterSettings
from master_node.model import WorkerRecord
from master_node.placement import Candidate
from master_node.store.base import MetadataStore

ALIVE, SUSPECT, DEAD = "alive", "suspect", "dead"
DRAINING, MAINTENANCE = "draining", "maintenance"
# A heartbeat that another master received may be so old when it is seen: no longer than from look to look.
UNSEEN_SECONDS = 1.0
# Workers that die together are noticed within this time of each other.
NEAR_SECONDS = 5.0


@dataclass(frozen=True)
class WorkerView:
    """A worker as this master sees it now.

    age_seconds: since its last heartbeat was seen; None: none seen yet. is_lost: dead for longer than the grace, so
    its replicas are to be made again elsewhere. is_configured: whether config.json names it now. is_nearly_lost: lost,
    or within seconds of it.
    """

    record: WorkerRecord
    state: str
    age_seconds: float | None
    is_lost: bool
    is_configured: bool = True
    is_nearly_lost: bool = False

    @property
    def worker_id(self) -> str:
        return self.record.worker_id

    @property
    def url(self) -> str:
        return self.record.heartbeat.url

    @property
    def is_serving(self) -> bool:
        """Whether it is heard of, so that it can be read from and given orders."""
        return self.state in (ALIVE, DRAINING)


@dataclass(frozen=True)
class _Sighting:
    """is_ahead: the last look at the table has shown a lower count."""

    heartbeat_count: int
    seen_at: float
    is_heartbeat: bool
    is_ahead: bool = False


class Membership:
    """The heartbeat table of one master: what the store says, plus when each counter was seen to move.

    Ages are measured in *observed* seconds: a master that was paused, or whose database did not answer, has not seen
    the workers be silent. Of a time without a look at most `suspect_seconds` count, so it makes nobody dead.
    """

    def __init__(
        self,
        store: MetadataStore,
        clock: Clock,
        settings: MasterSettings,
        cluster_clock: Callable[[], float],
        configured: Callable[[], Collection[str]],
    ) -> None:
        """cluster_clock: as the election last saw it, so that no look waits for that.

        configured: the ids of the workers that config.json names now.
        """
        self._store = store
        self._clock = clock
        self._settings = settings
        self._cluster_clock = cluster_clock
        self._configured = configured
        self._lock = threading.Lock()
        self._observed_seconds = 0.0
        self._looked_at = clock.monotonic()
        self._records: dict[str, WorkerRecord] = {}
        self._sightings: dict[str, _Sighting] = {}

    def receive(self, worker_id: str, heartbeat: Heartbeat) -> None:
        """A heartbeat came to this master: store it for the others and count it as seen now."""
        record = self._store.record_heartbeat(worker_id, heartbeat)
        if heartbeat.wants_inventory:
            # The worker asks until a heartbeat is answered, so this may fail.
            self._store.want_inventory(worker_id)
        with self._lock:
            now = self._now()
            self._records[worker_id] = record
            self._sightings[worker_id] = _Sighting(record.heartbeat_count, now, True)

    def refresh(self) -> None:
        """See which heartbeats the other masters have received. To be called every second or so."""
        records = self._store.list_workers()
        with self._lock:
            last_look, now = self._observed_seconds, self._now()
            # It came at some time since the last look, and silence must not be noticed later for that.
            received_at = max(last_look, now - UNSEEN_SECONDS)
            self._observed_seconds = now
            self._looked_at = self._clock.monotonic()
            self._drop_forgotten({record.worker_id for record in records})
            for record in records:
                seen = self._sightings.get(record.worker_id)
                if seen is None:
                    # The row may be years old: what counts is whether it moves from now on.
                    self._sightings[record.worker_id] = _Sighting(record.heartbeat_count, now, False)
                elif record.heartbeat_count > seen.heartbeat_count:
                    self._sightings[record.worker_id] = _Sighting(record.heartbeat_count, received_at, True)
                elif record.heartbeat_count < seen.heartbeat_count and not seen.is_ahead:
                    # The table was read before a heartbeat that came here.
                    self._sightings[record.worker_id] = replace(seen, is_ahead=True)
                    continue
                elif record.heartbeat_count < seen.heartbeat_count:
                    # Or its row began anew: it was forgotten and is back, or the database is an older one.
                    self._sightings[record.worker_id] = replace(seen, heartbeat_count=record.heartbeat_count)
                self._records[record.worker_id] = record

    def receive_goodbye(self, worker_id: str, clock_seconds: float) -> None:
        """A worker is being stopped on purpose: for `maintenance_seconds` nothing is made again elsewhere.

        clock_seconds: the cluster clock now.
        """
        self._store.change_worker(worker_id, left_at=clock_seconds)
        self.refresh()

    def set_draining(self, worker_id: str, is_draining: bool) -> WorkerView:
        """Have a worker emptied, or take it back; to be repeated at will. Raises WorkerUnknown."""
        if not self._store.change_worker(worker_id, is_draining=is_draining):
            raise WorkerUnknown("the worker has never sent a heartbeat", worker_id=worker_id)
        self.refresh()
        view = self.find(worker_id)
        if view is None:
            raise WorkerUnknown("the worker was taken out of the configuration", worker_id=worker_id)
        return view

    def distrust_dead(self) -> None:
        """Have the disk of every dead worker compared with the records when it returns, before its replicas count.

        For the leader, after each look.
        """
        for view in self.workers():
            if view.state == DEAD and view.is_configured and view.record.is_reconciled:
                self._store.want_inventory(view.worker_id)

    def workers(self) -> list[WorkerView]:
        """Every worker that ever sent a heartbeat, in the order of their ids."""
        with self._lock:
            now = self._now()
            pairs = [(self._records[worker_id], self._sightings[worker_id]) for worker_id in sorted(self._records)]
        return [self._view(record, seen, now) for record, seen in pairs]

    def candidates(self) -> list[Candidate]:
        """The workers that a chunk may be placed on."""
        return [
            Candidate(
                Target(view.record.worker_id, view.record.heartbeat.url),
                view.record.heartbeat.zone,
                view.record.heartbeat.free_bytes,
                is_doubtful=view.state == SUSPECT,
            )
            for view in self.workers()
            if view.state in (ALIVE, SUSPECT) and not view.record.is_draining and view.is_configured
        ]

    def targets(self) -> dict[str, Target]:
        """Where each known worker can be reached, dead or alive: a dead one may be back before we know."""
        with self._lock:
            return {name: Target(name, record.heartbeat.url) for name, record in self._records.items()}

    def is_alive(self, worker_id: str) -> bool:
        return any(view.worker_id == worker_id and view.is_serving for view in self.workers())

    def find(self, worker_id: str) -> WorkerView | None:
        return next((view for view in self.workers() if view.worker_id == worker_id), None)

    def are_most_gone(self) -> bool:
        """Whether more than half of the configured workers are neither heard of nor in maintenance.

        Then it is the network, or this master's, that failed, and nothing must be copied.
        """
        views = {view.worker_id: view for view in self.workers()}
        configured = self._configured()
        gone = [name for name in configured if name not in views or views[name].state in (SUSPECT, DEAD)]
        return 2 * len(gone) > len(configured)

    def _now(self) -> float:
        """The observed seconds so far."""
        return self._observed_seconds + min(self._clock.monotonic() - self._looked_at, self._settings.suspect_seconds)

    def _drop_forgotten(self, known: Collection[str]) -> None:
        """One that is configured may just have sent its first heartbeat, after the table was read."""
        for worker_id in set(self._records) - set(known) - set(self._configured()):
            del self._records[worker_id], self._sightings[worker_id]

    def _view(self, record: WorkerRecord, seen: _Sighting, now: float) -> WorkerView:
        settings, age = self._settings, now - seen.seen_at
        is_configured = record.worker_id in self._configured()
        # One that was taken out of the configuration is not waited for.
        away_for = None if record.left_at is None or not is_configured else self._cluster_clock() - record.left_at
        # Silence counts from the end of the maintenance.
        dead_for = (
            age if away_for is None else min(age, away_for - settings.maintenance_seconds + settings.dead_seconds)
        )
        if away_for is not None and away_for < settings.maintenance_seconds:
            state = MAINTENANCE
        elif age >= settings.dead_seconds:
            state = DEAD
        elif age >= settings.suspect_seconds or not seen.is_heartbeat:
            state = SUSPECT
        else:
            state = DRAINING if record.is_draining else ALIVE
        lost_at = settings.dead_seconds + settings.repair_grace_seconds
        is_lost = state == DEAD and dead_for >= lost_at
        is_nearly_lost = state == DEAD and dead_for >= lost_at - NEAR_SECONDS
        return WorkerView(record, state, age if seen.is_heartbeat else None, is_lost, is_configured, is_nearly_lost)
