"""Tell the masters every few seconds that this worker lives, and how full it is."""

from __future__ import annotations

import random
import threading

from common.config import Node
from common.errors import DFSError
from common.logs import EventLog
from common.master_client import MasterClient
from common.records import Heartbeat
from common.version import VERSION
from storage.chunk_store import ChunkStore


class HeartbeatSender:
    """A thread that sends heartbeats to whichever master answers, until stopped."""

    def __init__(
        self, node: Node, store: ChunkStore, masters: MasterClient, log: EventLog, interval_seconds: float
    ) -> None:
        self._node = node
        self._store = store
        self._masters = masters
        self._log = log
        self._interval_seconds = interval_seconds
        self._is_heard = True
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeats", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()

    def send(self) -> None:
        """Send one heartbeat; raises what the masters or the disk answer."""
        usage = self._store.usage()
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
            ),
        )

    def _run(self) -> None:
        while not self._stop.is_set():
            self._try_to_send()
            self._stop.wait(self._interval_seconds * random.uniform(0.9, 1.1))

    def _try_to_send(self) -> None:
        """One heartbeat; the log says when being heard begins and ends, not each failure."""
        try:
            self.send()
        except (DFSError, OSError) as error:
            if self._is_heard:
                self._log.warning("heartbeat_not_heard", error=str(error))
            self._is_heard = False
        except Exception:  # noqa: BLE001 - the loop's failsafe
            self._log.exception("heartbeat_failed")
        else:
            if not self._is_heard:
                self._log.info("heartbeat_heard_again")
            self._is_heard = True
