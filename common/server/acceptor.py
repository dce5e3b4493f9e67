"""Take connections in and give each a thread, up to a limit that bounds threads and memory.

At the limit the connection that has been idle for longest is closed for a new one; where all are busy, new ones wait in
the listener's queue for a while and are then answered 503, so that a client always learns where it stands.
"""

from __future__ import annotations

import select
import socket
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from common.clock import SystemClock
from common.server.connection import HEAD_SECONDS, Connection, WSGIApp
from common.server.date import HttpDate
from common.server.refusals import Refusals

WAIT_SECONDS = 2.0
# After breaking connections off: for their threads to notice.
_NOTICE_SECONDS = 1.0
_POLL_SECONDS = 0.5
_RETRY_SECONDS = 0.05
# Connections taken in one turn, so that a flood of them keeps nobody from asking whether we are still wanted.
_AT_ONCE = 256


class Acceptor:
    """Serves an app on listening sockets; `run` and then `stop` are called by one thread."""

    def __init__(
        self,
        app: WSGIApp,
        *,
        max_connections: int,
        silence_seconds: float,
        report: Callable[[str], None],
        tls: ssl.SSLContext | None = None,
        head_seconds: float = HEAD_SECONDS,
        least_bytes_per_second: int = 0,
    ) -> None:
        """report: is called within an except block for what no one caught, with what was being done.

        tls: with which connections begin. head_seconds, least_bytes_per_second: as for a Connection.
        """
        self._date = HttpDate(SystemClock())

        def make(sock: socket.socket, client: Any) -> Connection:
            now = self._date.now
            return Connection(
                sock, client, app, silence_seconds, report, now, tls, head_seconds, least_bytes_per_second
            )

        self._make = make
        self._max_connections = max_connections
        self._report = report
        self._changed = threading.Condition()  # its lock is reentrant
        self._connections: dict[Connection, None] = {}
        self._refusals = Refusals()

    def run(self, listeners: Sequence[socket.socket], wakers: Sequence[int], is_wanted: Callable[[], bool]) -> None:
        """Take connections until `is_wanted` says no; it is asked every few seconds."""
        for listener in listeners:
            listener.setblocking(False)
        while is_wanted():
            watched: list[Any] = [*listeners, *wakers]
            ready, _, _ = select.select(watched, [], [], _POLL_SECONDS)
            for listener in listeners:
                if listener in ready:
                    self._accept(listener)
            self._refusals.close_due()

    def stop(self, seconds: float, *, idle_seconds: float = 0.0) -> None:
        """Let requests under way finish within `seconds`, then break them off.

        idle_seconds: how long idle connections are kept, for one request more each, whose answer says that it is the
        last. Their clients never see a request fail because its connection was closed while it was sent.
        """
        started = time.monotonic()
        give_up_at = started + seconds
        while (connections := self._snapshot()) and (left := give_up_at - time.monotonic()) > 0:
            is_idle_kept = time.monotonic() < started + idle_seconds
            for connection in connections:
                connection.stop(is_idle_kept=is_idle_kept)
            with self._changed:
                self._changed.wait_for(lambda: not self._connections, timeout=min(left, 0.2))
        for connection in self._snapshot():
            connection.break_off()
        with self._changed:
            self._changed.wait_for(lambda: not self._connections, timeout=_NOTICE_SECONDS)
        self._refusals.close_all()

    def _snapshot(self) -> list[Connection]:
        with self._changed:
            return list(self._connections)

    def _accept(self, listener: socket.socket) -> None:
        """Serve the connections that wait. Where one has waited for room in vain, no other does so behind it."""
        wait_seconds = WAIT_SECONDS
        for _ in range(_AT_ONCE):
            try:
                sock, client = listener.accept()
            except BlockingIOError:
                return
            except ConnectionError:
                # The client has gone again.
                continue
            except OSError:
                # No file descriptor is left, or no memory: ask again a little later.
                self._end_the_longest_idle()
                time.sleep(_RETRY_SECONDS)
                return
            if self._has_room(wait_seconds):
                self._start(sock, client)
            else:
                wait_seconds = 0.0
                self._refusals.refuse(sock)

    def _has_room(self, wait_seconds: float) -> bool:
        """Wait until one more connection may be served."""
        give_up_at = time.monotonic() + wait_seconds
        is_one_ending = False
        with self._changed:
            while len(self._connections) >= self._max_connections:
                is_one_ending = is_one_ending or self._end_the_longest_idle()
                left = give_up_at - time.monotonic()
                if left <= 0:
                    return False
                # Nobody says when a connection becomes idle: that would cost every request.
                self._changed.wait(min(left, _RETRY_SECONDS))
            return True

    def _end_the_longest_idle(self) -> bool:
        """Whether there was an idle connection to end."""
        with self._changed:
            idle = [(since, one) for one in self._connections if (since := one.idle_since) is not None]
            idle.sort(key=lambda pair: pair[0])
            return any(connection.stop_if_idle() for _, connection in idle)

    def _start(self, sock: socket.socket, client: Any) -> None:
        try:
            connection = self._make(sock, client)
        except OSError:
            sock.close()
            return
        with self._changed:
            self._connections[connection] = None
        try:
            threading.Thread(target=self._serve, args=(connection,), name="connection", daemon=True).start()
        except RuntimeError:
            # The machine has no thread left.
            self._forget(connection)
            self._refusals.refuse(sock)

    def _serve(self, connection: Connection) -> None:
        try:
            connection.serve()
        except Exception:  # noqa: BLE001 - a failsafe at the edge: it logs
            self._report("a connection")
        finally:
            self._forget(connection)

    def _forget(self, connection: Connection) -> None:
        with self._changed:
            self._connections.pop(connection, None)
            self._changed.notify_all()
