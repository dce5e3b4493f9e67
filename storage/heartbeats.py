"""Tell the masters every few seconds that this worker lives, and how full it is; and in the end that it goes."""

from __future__ import annotations

import random
import secrets
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from common.config import Node
from common.errors import CannotStart, DFSError
from common.logs import EventLog
from common.master_client import MasterClient
from common.records import Heartbeat
from common.version import PROTOCOL, VERSION
from storage.chunk_store import ChunkStore
from storage.reports import BadReplicaReports


@dataclass(frozen=True)
class Reported:
    """What a heartbeat tells of, besides where the worker is. begin_anew: makes an emptied disk fit for use again."""

    store: ChunkStore
    reports: BadReplicaReports
    scrub_status: Callable[[], Mapping[str, Any]]
    begin_anew: Callable[[], object]


class HeartbeatSender:
    """A thread that sends heartbeats to whichever master answers, until stopped."""

    def __init__(
        self, node: Node, reported: Reported, masters: MasterClient, log: EventLog, interval_seconds: float
    ) -> None:
        self._node = node
        self.reported = reported
        self._masters = masters
        self._log = log
        self._interval_seconds = interval_seconds
        # The masters compare the disk with their records whenever it is another one.
        self._incarnation = secrets.token_hex(8)
        self._is_disk_fit = True
        self._is_heard = True
        self._was_ever_heard = False
        self._is_leaving = False
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeats", daemon=True)

    @property
    def is_heard(self) -> bool:
        """Whether a master has answered the last heartbeat."""
        return self._is_heard and self._was_ever_heard

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()

    def leave(self) -> None:
        """Stop, and tell the masters that it is on purpose. Returns at once."""
        self._is_leaving = True
        self._stop.set()

    def wait(self, seconds: float) -> None:
        """Wait for the end, at most so long."""
        if self._thread.is_alive():
            self._thread.join(seconds)

    def send(self) -> None:
        """Send one heartbeat; raises what the masters or the disk answer.

        An emptied disk is found here, and made fit for use again.
        """
        store, reports = self.reported.store, self.reported.reports
        if store.is_emptied() or not self._is_disk_fit:
            self._log.warning("disk_emptied", incarnation=self._incarnation)
            # What fails half-way is done again: the masters must hear of it in any case.
            self._is_disk_fit = False
            self.reported.begin_anew()
            self._is_disk_fit = True
            self._incarnation = secrets.token_hex(8)
        usage = store.usage()
        overflows = reports.overflows
        self._masters.send_heartbeat(
            self._node.node_id,
            Heartbeat(
                url=self._node.url,
                zone=self._node.zone,
                capacity_bytes=usage.capacity_bytes,
                used_bytes=usage.used_bytes,
                free_bytes=usage.free_bytes,
                chunk_count=usage.chunk_count,
                version=VERSION,
                protocol=PROTOCOL,
                incarnation=self._incarnation,
                quarantined_count=usage.quarantined_count,
                wants_inventory=reports.wants_inventory,
                scrub=dict(self.reported.scrub_status()),
            ),
        )
        reports.inventory_asked_for(overflows)

    def _run(self) -> None:
        while not self._stop.is_set():
            self._try_to_send()
            self._stop.wait(self._interval_seconds * random.uniform(0.9, 1.1))
        if self._is_leaving:
            # By the thread of the heartbeats, because one that came after it would take it back.
            self._say_goodbye()

    def _try_to_send(self) -> None:
        """One heartbeat; the log says when being heard begins and ends, not each failure."""
        try:
            self.send()
        except (DFSError, OSError, CannotStart) as error:
            if self._is_heard:
                self._log.warning("heartbeat_not_heard", error=str(error))
            self._is_heard = False
        except Exception:  # noqa: BLE001 - the loop's failsafe
            self._log.exception("heartbeat_failed")
        else:
            if not self._is_heard:
                self._log.info("heartbeat_heard_again")
            self._is_heard = self._was_ever_heard = True

    def _say_goodbye(self) -> None:
        try:
            self._masters.say_goodbye(self._node.node_id)
        except (DFSError, OSError) as error:
            self._log.warning("goodbye_not_heard", error=str(error))
