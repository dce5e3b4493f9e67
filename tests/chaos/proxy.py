"""A TCP proxy in front of a server, which can be cut, fall silent, or hold answers back."""

from __future__ import annotations

import contextlib
import socket
import threading
from enum import Enum

# Longer than any deadline of the masters.
LATE_SECONDS = 20.0
_PIECE_BYTES = 65536


class Flow(Enum):
    """OPEN: as if it were not there. LATE: requests arrive, answers come LATE_SECONDS later."""

    OPEN = "open"
    CUT = "cut off"
    SILENT = "silent"
    LATE = "late"


class Proxy:
    """Listens on a free port of the loopback from the start until `close`."""

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self._server = socket.create_server(("127.0.0.1", 0))
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._flow = Flow.OPEN
        self._is_closed = False
        self._sockets: set[socket.socket] = set()
        threading.Thread(target=self._accept, name="proxy", daemon=True).start()

    @property
    def uri(self) -> str:
        return f"mongodb://127.0.0.1:{self._server.getsockname()[1]}/?directConnection=true"

    def set_flow(self, flow: Flow) -> None:
        """Change what becomes of bytes; to cut ends the connections that there are."""
        with self._changed:
            self._flow = flow
            cut = list(self._sockets) if flow is Flow.CUT else []
            self._changed.notify_all()
        for connection in cut:
            _shut(connection)

    def close(self) -> None:
        self._is_closed = True
        self.set_flow(Flow.CUT)
        self._server.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            if self._flow is Flow.CUT:
                client.close()
                continue
            try:
                server = socket.create_connection(self._target, timeout=5)
            except OSError:
                client.close()
                continue
            server.settimeout(None)
            with self._lock:
                self._sockets |= {client, server}
            for source, sink, is_answer in ((client, server, False), (server, client, True)):
                threading.Thread(target=self._pump, args=(source, sink, is_answer), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, is_answer: bool) -> None:
        with contextlib.suppress(OSError):
            while piece := source.recv(_PIECE_BYTES):
                self._wait_for_leave(is_answer)
                sink.sendall(piece)
        _shut(source)
        _shut(sink)
        with self._lock:
            self._sockets.discard(source)

    def _wait_for_leave(self, is_answer: bool) -> None:
        with self._changed:
            if self._flow is Flow.LATE and is_answer:
                self._changed.wait(LATE_SECONDS)
            while self._flow is Flow.SILENT:
                self._changed.wait()
            if self._flow is Flow.CUT:
                raise ConnectionAbortedError


def _shut(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    with contextlib.suppress(OSError):
        connection.close()
