"""One answer on its way out: its head, how its end is told, and its body, straight from the buffers the app gives.

An answer goes out in one send where it fits.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import time
from collections.abc import Callable
from typing import Any

from common.security_headers import SecurityHeaders
from common.server.head import RequestHead
from common.server.pace import Pace

# The most that one send takes: each has the whole silence limit to get rid of it.
_SEND_BYTES = 1024 * 1024
# An answer whose first piece is at most this large goes out in one packet with its head.
_JOIN_BYTES = 64 * 1024


class PeerGone(Exception):
    """The client closed the connection, broke off or went silent."""


class Exchange:
    """One answer on its way out."""

    def __init__(
        self,
        sock: socket.socket,
        head: RequestHead,
        date: Callable[[], str],
        security: SecurityHeaders,
        may_go_on: Callable[[], bool],
        pace: Pace,
    ) -> None:
        """may_go_on: whether another request may follow on the connection, as far as the server knows."""
        self._pace = pace
        self.head = head
        self.keeps_alive = head.keeps_alive
        self.is_head_sent = False
        self._may_go_on = may_go_on
        self._date = date
        self._security = security
        self._sock = sock
        self._head = b""
        self._has_body = head.method != "HEAD"
        self._is_chunked = False
        self._left: int | None = None

    @property
    def is_whole(self) -> bool:
        """Whether as much was sent as the head promises."""
        return self.is_head_sent and not self._left

    @property
    def ends_with_connection(self) -> bool:
        """Whether the client can tell the answer's end by that of the connection only."""
        return self._has_body and not self._is_chunked and self._left is None

    def start_response(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> None:
        """WSGI's callback."""
        if exc_info is not None and self.is_head_sent:
            raise exc_info[1].with_traceback(exc_info[2])
        lines = [f"HTTP/1.1 {status}", f"Date: {self._date()}"]
        length: int | None = None
        given: list[str] = []
        # Said now, so that no client sends its next request into a connection that is about to be closed.
        self.keeps_alive = self.keeps_alive and self._may_go_on()
        for name, value in headers:
            lowered = name.lower()
            if lowered == "content-length":
                length = int(value)
                if status.startswith("204"):
                    # RFC 9110, 8.6
                    continue
            elif lowered == "connection":
                self.keeps_alive = self.keeps_alive and "close" not in value.lower()
                continue
            elif lowered == "date":
                # Flask dates what it sends from disk; one date is enough.
                continue
            elif lowered in self._security.names:
                given.append(lowered)
            lines.append(f"{name}: {value}")
        lines += self._framing(length, is_empty=status[:3] in ("204", "304"))
        block = "\r\n".join(lines)
        if block.count("\r") != len(lines) - 1 or block.count("\n") != len(lines) - 1:
            raise ValueError("a header of the answer has a line break")
        if length is not None and length < 0:
            raise ValueError("the answer's Content-Length is negative")
        self._head = f"{block}\r\n{self._security.lines(given)}\r\n".encode("latin-1")

    def _framing(self, length: int | None, *, is_empty: bool) -> list[str]:
        """Decide how the client finds the end of the answer, and the lines that say so."""
        lines = []
        if is_empty:
            self._has_body = False
        elif length is None and self._has_body:
            self._is_chunked = self.head.is_http_11
            if self._is_chunked:
                lines.append("Transfer-Encoding: chunked")
            else:
                self.keeps_alive = False
        self._left = length if self._has_body else 0
        if not self.keeps_alive:
            lines.append("Connection: close")
        elif not self.head.is_http_11:
            lines.append("Connection: keep-alive")
        return lines

    def send(self, piece: Any) -> None:
        view = memoryview(piece)
        if not view or not self._has_body:
            return
        if self._is_chunked:
            self._send_head_with(b"%x\r\n" % len(view))
            send_all(self._sock, view, self._pace)
            send_all(self._sock, b"\r\n")
            return
        if self._left is not None:
            if len(view) > self._left:
                raise ValueError("the answer is longer than its Content-Length")
            self._left -= len(view)
        if self.is_head_sent:
            send_all(self._sock, view, self._pace)
        elif len(view) <= _JOIN_BYTES:
            self._send_head_with(bytes(view))
        else:
            self._send_head_with(b"")
            send_all(self._sock, view, self._pace)

    def finish(self) -> None:
        """The app has no more to say."""
        end = b"0\r\n\r\n" if self._is_chunked else b""
        if not self.is_head_sent or end:
            self._send_head_with(end)

    def _send_head_with(self, first: bytes) -> None:
        if self.is_head_sent:
            send_all(self._sock, first, self._pace)
            return
        if not self._head:
            raise ValueError("the app gave an answer without a head")
        self.is_head_sent = True
        send_all(self._sock, self._head + first, self._pace)


def send_all(sock: socket.socket, piece: Any, pace: Pace | None = None) -> None:
    """Send all of it. Not socket.sendall: its time-out is for the whole, and a slow client is no silent one."""
    view = memoryview(piece)
    try:
        while view:
            started = time.monotonic()
            count = sock.send(view[:_SEND_BYTES])
            if pace is not None:
                pace.note(started, count)
            view = view[count:]
    except OSError as error:
        raise PeerGone(str(error)) from error


def make_close_a_reset(sock: socket.socket) -> None:
    """So that an answer which was cut does not pass for one that ended."""
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
