"""Tell the masters which replicas they count are not usable here, until a master has taken it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable

from common.errors import DFSError
from common.logs import EventLog
from common.master_client import MasterClient
from storage.background import BackgroundLoop

QUEUE_LENGTH = 1000
_LONGEST_PAUSE_SECONDS = 30.0
_IDLE_SECONDS = 3600.0


class BadReplicaReports:
    """A bounded queue of chunk ids on its way to the masters. What does not fit makes the worker ask for an inventory,
    by which the masters find all of it.
    """

    def __init__(
        self,
        worker_id: str,
        masters: MasterClient,
        find_held: Callable[[Iterable[str]], list[str]],
        log: EventLog,
        *,
        first_pause_seconds: float = 1.0,
    ) -> None:
        """find_held: which of some chunks are here again by now, so that nothing must be said of them."""
        self._worker_id = worker_id
        self._masters = masters
        self._find_held = find_held
        self._log = log
        self._lock = threading.Lock()
        # A dict for its order: the oldest first.
        self._waiting: dict[str, None] = {}
        self._overflows = 0
        self._overflows_told = 0
        self._first_pause_seconds = self._pause_seconds = first_pause_seconds
        self._loop = BackgroundLoop("bad-replica-reports", self._step, log)

    def start(self) -> None:
        self._loop.start()

    def stop(self) -> None:
        self._loop.stop()

    def add(self, chunk_id: str) -> None:
        """Have the masters told that there is no usable replica of this chunk here."""
        with self._lock:
            # With others waiting the loop has its own pace: the masters may be away.
            is_first = not self._waiting
            if len(self._waiting) < QUEUE_LENGTH:
                self._waiting[chunk_id] = None
            elif chunk_id not in self._waiting:
                self._overflows += 1
        if is_first:
            self._loop.wake()

    @property
    def waiting(self) -> tuple[str, ...]:
        """What no master has taken yet."""
        with self._lock:
            return tuple(self._waiting)

    @property
    def overflows(self) -> int:
        """How many ids did not fit; hand it to `inventory_asked_for` once a master knows."""
        return self._overflows

    @property
    def wants_inventory(self) -> bool:
        return self._overflows > self._overflows_told

    def inventory_asked_for(self, overflows: int) -> None:
        """A master will compare its records with this disk, which covers everything that had not fitted by then."""
        self._overflows_told = max(self._overflows_told, overflows)

    def send(self) -> None:
        """Send what waits now; raises what the masters or the disk answer, and keeps it then."""
        with self._lock:
            chunk_ids = list(self._waiting)
        if not chunk_ids:
            return
        held = set(self._find_held(chunk_ids))
        if bad := [chunk_id for chunk_id in chunk_ids if chunk_id not in held]:
            self._masters.report_bad_replicas(self._worker_id, bad)
            self._log.info("bad_replicas_reported", count=len(bad))
        with self._lock:
            for chunk_id in chunk_ids:
                self._waiting.pop(chunk_id, None)

    def _step(self) -> float:
        try:
            self.send()
        except (DFSError, OSError) as error:
            self._log.warning("bad_replicas_not_reported", error=str(error), pause_seconds=self._pause_seconds)
            pause, self._pause_seconds = self._pause_seconds, min(2 * self._pause_seconds, _LONGEST_PAUSE_SECONDS)
            return pause
        self._pause_seconds = self._first_pause_seconds
        return 0.0 if self._waiting else _IDLE_SECONDS
