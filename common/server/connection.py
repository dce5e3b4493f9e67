"""Serve one connection: read a request, call the WSGI app, have its answer sent (`exchange.py`), keep on.

A piece of an answer may be any buffer and is not touched after the next one was asked for. Every wait has a limit: for
the next request, for the rest of its head, and for each piece of a body in either direction.
"""

from __future__ import annotations

import contextlib
import json
import re
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote_to_bytes

from common.security_headers import IN_THE_CLEAR, OVER_TLS
from common.server.body import ConnectionReader, RequestBody
from common.server.exchange import Exchange, PeerGone, make_close_a_reset, send_all
from common.server.head import Refused, RequestHead, parse_head
from common.server.pace import Pace
from common.silence import SilenceLimits, peek
from common.tls import begin_tls, receive_raw

KEEP_ALIVE_SECONDS = 75.0
HEAD_SECONDS = 30.0
MAX_HEAD_BYTES = 64 * 1024
_RECEIVE_BYTES = 64 * 1024
_LINGER_BYTES = 16 * 1024 * 1024
_LINGER_SECONDS = 5.0
_EMPTY_LINES = re.compile(rb"(?:\r\n)+")
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_REASONS = {status.value: status.phrase for status in HTTPStatus}
WSGIApp = Callable[[dict[str, Any], Callable[..., Any]], Iterable[Any]]


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
        self._base = _base_environ(sock, client, is_secure=tls is not None)
        self._number = -1
        self._security = OVER_TLS if tls is not None else IN_THE_CLEAR

    def serve(self) -> None:
        """Answer requests until either side ends the connection."""
        try:
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._tls_sock is not None and not self._begin_tls(self._tls_sock):
                return
            # Also while it is being stopped: a client that was not told so may have sent a request already.
            while self._serve_one():
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
        exchange = Exchange(self.sock, head, self._date, self._security, may_go_on, self._new_pace())
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

    def _run_app(self, exchange: Exchange, environ: dict[str, Any]) -> bool:
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
                make_close_a_reset(self.sock)
            return False
        finally:
            close = getattr(answer, "close", None)
            if close is not None:
                close()
        return exchange.is_whole

    def _refuse(self, refused: Refused, *, has_body: bool = True) -> None:
        """Answer what never reached the app, or what the app failed at; the connection is closed afterwards."""
        with contextlib.suppress(PeerGone):
            send_all(self.sock, self._refusal(refused, has_body=has_body))

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
            send_all(self.sock, _CONTINUE)

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


def _base_environ(sock: socket.socket, client: Any, *, is_secure: bool) -> dict[str, Any]:
    """What all requests of a connection have in common, as WSGI wants it."""
    local = sock.getsockname()
    return {
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "https" if is_secure else "http",
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
