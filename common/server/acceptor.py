"""Take connections in and give each a thread, up to a limit that bounds threads and memory.

At the limit the connection that has been idle is closed for a new one; where all are busy, new ones wait in the
listener's queue for a while and are then answered 503, so that a client always learns where it stands.
"""

from __future__ import annotations

import contextlib
import select
import socket
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from common.server.connection import Connection, WSGIApp

WAIT_SECONDS = 2.0
_POLL_SECONDS = 0.5
_RETRY_SECONDS = 0.05
_RETRY_AFTER_SECONDS = 2
_BUSY_BODY = b'{"title": "Not available now", "status": 503, "code": "too_many_connections"}\n'
_BUSY = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/problem+json\r\nRetry-After: %d\r\n"
    b"Connection: close\r\nContent-Length: %d\r\n\r\n%s"
) % (_RETRY_AFTER_SECONDS, len(_BUSY_BODY), _BUSY_BODY)


class Acceptor:
    """Serves an app on listening sockets; `run` is called by one thread."""

    def __init__(
        self,
        app: WSGIApp,
        *,
        max_connections: int,
        silence_seconds: float,
        report: Callable[[str], None],
    ) -> None:
        """report: is called within an except block for what no one caught, with what was being done."""
        self._app = app
        self._max_connections = max_connections
        self._silence_seconds = silence_seconds
        self._report = report
        self._changed = threading.Condition()
        self._connections: dict[Connection, None] = {}

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

    def stop(self, seconds: float) -> None:
        """Let requests under way finish within `seconds`, then break them off."""
        give_up_at = time.monotonic() + seconds
        while connections := self._snapshot():
            for connection in connections:
                connection.stop()
            with self._changed:
                left = give_up_at - time.monotonic()
                if left <= 0 or self._changed.wait_for(lambda: not self._connections, timeout=min(left, 0.2)):
                    break
        for connection in self._snapshot():
            connection.break_off()

    def _snapshot(self) -> list[Connection]:
        with self._changed:
            return list(self._connections)

    def _accept(self, listener: socket.socket) -> None:
        """All connections that wait, or as many as there is room for."""
        while True:
            try:
                sock, client = listener.accept()
            except BlockingIOError:
                return
            except OSError:
                # The client has gone again, or no file descriptor is left: ask again a little later.
                time.sleep(_RETRY_SECONDS)
                return
            sock.settimeout(self._silence_seconds)
            if not self._make_room():
                _answer_busy(sock)
                return
            self._start(sock, client)

    def _make_room(self) -> bool:
        """Wait until one more connection may be served."""
        with self._changed:
            if len(self._connections) < self._max_connections:
                return True
            idle = next((connection for connection in self._connections if connection.is_idle), None)
            if idle is not None:
                idle.stop()
            return self._changed.wait_for(lambda: len(self._connections) < self._max_connections, timeout=WAIT_SECONDS)

    def _start(self, sock: socket.socket, client: Any) -> None:
        try:
            connection = Connection(sock, client, self._app, self._silence_seconds, self._report)
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
            _answer_busy(sock)

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


def _answer_busy(sock: socket.socket) -> None:
    """Say 503 without waiting; what the client has sent is taken off the socket, or it would see a reset."""
    with contextlib.suppress(OSError):
        sock.settimeout(0)
        sock.send(_BUSY)
        sock.shutdown(socket.SHUT_WR)
        sock.recv(65536)
    sock.close()
