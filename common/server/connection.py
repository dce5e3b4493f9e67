"""Serve one connection: read a request, call the WSGI app, send its answer, keep on.

An answer goes out in one send where it fits, its body straight from the buffers that the app gives; a piece may be any
buffer and is not touched after the next one was asked for. Every wait has a limit: for the next request, for the rest
of its head, and for each piece of a body in either direction.
"""

from __future__ import annotations

import contextlib
import json
import re
import socket
import ssl
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote_to_bytes

from common.security_headers import IN_THE_CLEAR, OVER_TLS, SecurityHeaders
from common.server.body import ConnectionReader, RequestBody
from common.server.head import Refused, RequestHead, parse_head
from common.server.pace import Pace
from common.silence import SilenceLimits, peek
from common.tls import begin_tls, receive_raw

KEEP_ALIVE_SECONDS = 75.0
HEAD_SECONDS = 30.0
MAX_HEAD_BYTES = 64 * 1024
_RECEIVE_BYTES = 64 * 1024
# The most that one send takes: each has the whole silence limit to get rid of it.
_SEND_BYTES = 1024 * 1024
# An answer whose first piece is at most this large goes out in one packet with its head.
_JOIN_BYTES = 64 * 1024
_LINGER_BYTES = 16 * 1024 * 1024
_LINGER_SECONDS = 5.0
_EMPTY_LINES = re.compile(rb"(?:\r\n)+")
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_REASONS = {status.value: status.phrase for status in HTTPStatus}
WSGIApp = Callable[[dict[str, Any], Callable[..., Any]], Iterable[Any]]


class PeerGone(Exception):
    """The client closed the connection, broke off or went silent."""


class Connection:
    """One client's connection; `serve` returns when it is over."""

    def __init__(
        self,
        sock: socket.socket,
        client: Any,
        app: WSGIApp,
        silence_seconds: float,
        report: Callable[[str], None],
        date: Callable[[], str],
        tls: ssl.SSLContext | None = None,
        head_seconds: float = HEAD_SECONDS,
        least_bytes_per_second: int = 0,
    ) -> None:
        """silence_seconds: the wait for each piece of a body, in and out. report: called in an `except` block.

        date: now, as the Date of an answer. head_seconds: for a whole head. least_bytes_per_second: see Pace.
        """
        self._head_seconds = head_seconds
        self._least_bytes_per_second = least_bytes_per_second
        self._tls_sock: ssl.SSLSocket | None = None
        if tls is not None:
            sock = self._tls_sock = tls.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
        self.sock = sock
        self._app = app
        self._silence_seconds = silence_seconds
        self._report = report
        self._date = date
        self._limits = SilenceLimits(sock, KEEP_ALIVE_SECONDS, silence_seconds)
        self._reader = ConnectionReader(sock)
        # Guards what follows, and that nobody shuts down a socket whose number another one has by now.
        self._state = threading.Lock()
        self._idle_since: float | None = time.monotonic()
        self._is_stopping = False
        self._is_shut = False
        local = sock.getsockname()
        self._base = {
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "https" if tls is not None else "http",
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
            "wsgi.input_terminated": True,
            "SCRIPT_NAME": "",
            "SERVER_NAME": local[0],
            "SERVER_PORT": str(local[1]),
            "REMOTE_ADDR": client[0],
            "REMOTE_PORT": str(client[1]),
            "dfs.socket": sock,
            # What an app keeps for as long as the connection.
            "dfs.connection": {},
        }
        self._number = -1
        self._security = OVER_TLS if tls is not None else IN_THE_CLEAR

    def serve(self) -> None:
        """Answer requests until either side ends the connection."""
        try:
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._tls_sock is not None and not self._begin_tls(self._tls_sock):
                return
            while not self._is_stopping and self._serve_one():
                pass
        except (PeerGone, OSError):
            pass
        finally:
            with self._state, contextlib.suppress(OSError):
                self.sock.close()

    @property
    def idle_since(self) -> float | None:
        """Since when, on the monotonic clock, no request is under way; None while one is."""
        return self._idle_since

    def stop(self, *, is_idle_kept: bool = False) -> None:
        """Take no further request; a request that is under way is finished. is_idle_kept: one that comes is, too."""
        self._is_stopping = True
        if not is_idle_kept:
            self.stop_if_idle()

    def stop_if_idle(self) -> bool:
        """End the connection if no request is under way or has come already; returns whether it was so."""
        with self._state:
            if self._idle_since is None or self._has_request():
                return False
            self._is_stopping = self._is_shut = True
            with contextlib.suppress(OSError):
                self.sock.shutdown(socket.SHUT_RD)
            return True

    def break_off(self) -> None:
        """End the connection now."""
        self._is_stopping = True
        with self._state, contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)

    def _has_request(self) -> bool:
        with contextlib.suppress(OSError, ValueError):
            return bool(peek(self.sock))
        return False

    def _is_taken(self) -> bool:
        """Begin a request, unless the connection was ended while it came: its body would be cut."""
        with self._state:
            if self._is_shut:
                return False
            self._idle_since = None
            return True

    def _become_idle(self) -> None:
        with self._state:
            self._idle_since = time.monotonic()

    def _begin_tls(self, sock: ssl.SSLSocket) -> bool:
        self._limits.set_receive(self._head_seconds)
        if begin_tls(sock, self._refusal(Refused(400, "this port speaks TLS only: use https://"))):
            return True
        self._linger()
        return False

    def _serve_one(self) -> bool:
        """One request; returns whether another may follow."""
        try:
            block = self._read_head()
            if block is None:
                return False
            self._number += 1
            head = parse_head(block)
        except Refused as refused:
            self._refuse(refused)
            self._linger()
            return False
        if self._tls_sock is not None:
            # Under TLS one time-out is for both ways, and that for heads is no good for answers.
            self._limits.set_receive(self._silence_seconds)
        body = RequestBody(self._reader, head.length, lambda: self._begin_body(head), self._new_pace())
        may_go_on = lambda: body.is_ended and not self._is_stopping  # noqa: E731
        exchange = _Exchange(self.sock, head, self._date, self._security, may_go_on, self._new_pace())
        environ = self._environ(head, body)
        environ["dfs.head"], environ["dfs.number"] = block, self._number
        is_whole = self._run_app(exchange, environ)
        if not body.is_ended:
            self._linger()
            return False
        if not is_whole or not exchange.keeps_alive:
            return False
        self._become_idle()
        return True

    def _new_pace(self) -> Pace:
        return Pace(self._silence_seconds, self._least_bytes_per_second)

    def _read_head(self) -> bytes | None:
        """The bytes of the next head; None when the client has no more to ask. Raises Refused."""
        self._limits.set_receive(KEEP_ALIVE_SECONDS)
        piece = self._reader.receive(_RECEIVE_BYTES)
        if not self._is_taken():
            return None
        give_up_at = time.monotonic() + self._head_seconds
        received = b""
        while piece:
            received += piece
            if received.startswith(b"\r\n"):
                # Empty lines before a request are passed over (RFC 9112, 2.2).
                received = _EMPTY_LINES.sub(b"", received, count=1)
            end = received.find(b"\r\n\r\n", max(0, len(received) - len(piece) - 3))
            if max(end, len(received) if end < 0 else 0) > MAX_HEAD_BYTES:
                raise Refused(431, f"the head is longer than {MAX_HEAD_BYTES} bytes")
            if end >= 0:
                self._reader.put_back(received[end + 4 :])
                return received[: end + 2]
            self._limits.set_receive(max(0.001, give_up_at - time.monotonic()))
            piece = self._reader.receive(_RECEIVE_BYTES)
        return None

    def _environ(self, head: RequestHead, body: RequestBody) -> dict[str, Any]:
        path, _, query = head.target.partition("?")
        if not path.startswith("/"):
            # The absolute form, http://host/path, is what proxies send (RFC 9112, 3.2.2).
            path = "/" + path.partition("://")[2].partition("/")[2]
        environ = self._base.copy()
        environ["REQUEST_METHOD"] = head.method
        environ["SERVER_PROTOCOL"] = "HTTP/1.1" if head.is_http_11 else "HTTP/1.0"
        environ["RAW_URI"] = head.target
        environ["PATH_INFO"] = unquote_to_bytes(path.encode("latin-1")).decode("latin-1") if "%" in path else path
        environ["QUERY_STRING"] = query
        environ["wsgi.input"] = body
        environ["dfs.fields"] = head.fields
        for name, value in head.fields.items():
            # A client's "X_Y" must not pass for "X-Y": both would be HTTP_X_Y.
            if "_" not in name:
                environ["HTTP_" + name.upper().replace("-", "_")] = value
        if "content-length" in head.fields:
            environ["CONTENT_LENGTH"] = environ.pop("HTTP_CONTENT_LENGTH")
        if "content-type" in head.fields:
            environ["CONTENT_TYPE"] = environ.pop("HTTP_CONTENT_TYPE")
        return environ

    def _run_app(self, exchange: _Exchange, environ: dict[str, Any]) -> bool:
        """Call the app and send what it answers; returns whether the client got a whole answer."""
        answer: Iterable[Any] | None = None
        try:
            answer = self._app(environ, exchange.start_response)
            for piece in answer:
                exchange.send(piece)
            exchange.finish()
        except PeerGone:
            return False
        except Exception:  # noqa: BLE001 - a failsafe at the edge: it logs
            # Not its query, in which a link's signature stands.
            self._report(f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}")
            if not exchange.is_head_sent:
                self._refuse(Refused(500, "the request failed"), has_body=exchange.head.method != "HEAD")
            elif exchange.ends_with_connection:
                _make_close_a_reset(self.sock)
            return False
        finally:
            close = getattr(answer, "close", None)
            if close is not None:
                close()
        return exchange.is_whole

    def _refuse(self, refused: Refused, *, has_body: bool = True) -> None:
        """Answer what never reached the app, or what the app failed at; the connection is closed afterwards."""
        with contextlib.suppress(PeerGone):
            _send_all(self.sock, self._refusal(refused, has_body=has_body))

    def _refusal(self, refused: Refused, *, has_body: bool = True) -> bytes:
        problem = {"title": "The request cannot be served", "status": refused.status, "code": "malformed_request"}
        text = json.dumps({**problem, "detail": refused.detail}).encode() + b"\n"
        head = (
            f"HTTP/1.1 {refused.status} {_REASONS[refused.status]}\r\nDate: {self._date()}\r\n"
            f"Content-Type: application/problem+json\r\nContent-Length: {len(text)}\r\n"
            f"{self._security.lines()}Connection: close\r\n\r\n"
        )
        return head.encode() + (text if has_body else b"")

    def _begin_body(self, head: RequestHead) -> None:
        """The app asks for the body; a client that waits to be asked is told so."""
        self._limits.set_receive(self._silence_seconds)
        if head.expects_continue:
            _send_all(self.sock, _CONTINUE)

    def _linger(self) -> None:
        """Read on for a while before closing: a close with unread bytes makes the client lose the answer
        (RFC 9112, 9.6).
        """
        self._become_idle()
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_WR)
            give_up_at = time.monotonic() + _LINGER_SECONDS
            left = _LINGER_BYTES
            while left > 0 and (seconds := give_up_at - time.monotonic()) > 0:
                self._limits.set_receive(seconds)
                piece = receive_raw(self.sock, _RECEIVE_BYTES)
                if not piece:
                    return
                left -= len(piece)


class _Exchange:
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
        is_empty = status[:3] in ("204", "304")
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
        block = "\r\n".join(lines)
        if block.count("\r") != len(lines) - 1 or block.count("\n") != len(lines) - 1:
            raise ValueError("a header of the answer has a line break")
        if length is not None and length < 0:
            raise ValueError("the answer's Content-Length is negative")
        self._head = f"{block}\r\n{self._security.lines(given)}\r\n".encode("latin-1")

    def send(self, piece: Any) -> None:
        view = memoryview(piece)
        if not view or not self._has_body:
            return
        if self._is_chunked:
            self._send_head_with(b"%x\r\n" % len(view))
            _send_all(self._sock, view, self._pace)
            _send_all(self._sock, b"\r\n")
            return
        if self._left is not None:
            if len(view) > self._left:
                raise ValueError("the answer is longer than its Content-Length")
            self._left -= len(view)
        if self.is_head_sent:
            _send_all(self._sock, view, self._pace)
        elif len(view) <= _JOIN_BYTES:
            self._send_head_with(bytes(view))
        else:
            self._send_head_with(b"")
            _send_all(self._sock, view, self._pace)

    def finish(self) -> None:
        """The app has no more to say."""
        end = b"0\r\n\r\n" if self._is_chunked else b""
        if not self.is_head_sent or end:
            self._send_head_with(end)

    def _send_head_with(self, first: bytes) -> None:
        if self.is_head_sent:
            _send_all(self._sock, first, self._pace)
            return
        if not self._head:
            raise ValueError("the app gave an answer without a head")
        self.is_head_sent = True
        _send_all(self._sock, self._head + first, self._pace)


def _send_all(sock: socket.socket, piece: Any, pace: Pace | None = None) -> None:
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


def _make_close_a_reset(sock: socket.socket) -> None:
    """So that an answer which was cut does not pass for one that ended."""
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
