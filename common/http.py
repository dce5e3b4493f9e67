"""Pooled HTTP connections between the services: one client for chunks and for JSON alike.

It knows how to keep connections, to notice stale ones, to read an answer into a given buffer, and to let another
thread break off a call. It does not know what is said over them: see `master_client.py` and `worker_client.py`.
Every failure to get a whole answer is PeerUnreachable; an error answer is raised as the class that the peer named.
"""

from __future__ import annotations

import contextlib
import functools
import http.client
import io
import json
import socket
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from common.checksums import Buffer
from common.errors import PeerUnreachable, error_from_problem
from common.request_ids import HEADER as REQUEST_ID_HEADER
from common.request_ids import current_request_id

MAX_JSON_BYTES = 16 * 1024 * 1024
CONNECT_TIMEOUT_SECONDS = 2.0
# Servers keep an idle connection for 75 s (common/serving.py); ours must give up first.
IDLE_SECONDS = 30.0
MAX_IDLE_PER_HOST = 64
_READ_PIECE = 256 * 1024


class Abort:
    """Lets one thread break off a call that another thread is in."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._is_aborted = False

    @property
    def is_aborted(self) -> bool:
        return self._is_aborted

    def abort(self) -> None:
        """Make the call fail with PeerUnreachable at once; also one that has not started yet."""
        with self._lock:
            self._is_aborted = True
            _shut_down(self._socket)

    def attach(self, sock: socket.socket | None) -> None:
        with self._lock:
            self._socket = sock
            if self._is_aborted:
                _shut_down(sock)

    def detach(self) -> None:
        with self._lock:
            self._socket = None


class Answer:
    """A response whose head has been read; the body is read once, whole."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self._response = response
        self.status = response.status
        self.headers = response.headers

    def read_into(self, view: memoryview) -> int:
        """Fill `view` from the body; returns how much came, which is less only at the body's end."""
        filled = 0
        while filled < len(view) and (got := self._response.readinto(view[filled:])):
            filled += got
        if filled < len(view):
            self._require_whole()
        return filled

    def read(self, limit: int = MAX_JSON_BYTES) -> bytes:
        """The whole body; raises ValueError when it is larger than `limit`."""
        body = bytearray()
        while piece := self._response.read(_READ_PIECE):
            body += piece
            if len(body) > limit:
                raise ValueError(f"the answer is larger than {limit} bytes")
        self._require_whole()
        return bytes(body)

    def json(self) -> dict[str, Any]:
        try:
            value = json.loads(self.read())
        except RecursionError:
            raise ValueError("the answer is nested too deeply") from None
        if not isinstance(value, dict):
            raise ValueError("the answer is not a JSON object")
        return value

    def _require_whole(self) -> None:
        """http.client ends a body that was cut short without an error, but knows what is missing."""
        if self._response.length:
            raise http.client.IncompleteRead(b"", self._response.length)

    def is_complete(self) -> bool:
        """Whether nothing is left, so that the connection can carry another call."""
        return self._response.isclosed() and not self._response.will_close


class HttpPool:
    """Connections to any number of hosts, shared by all threads of a service."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        """headers: what every request carries, such as the cluster's secret."""
        self._headers = dict(headers)
        self._lock = threading.Lock()
        self._idle: dict[str, deque[tuple[http.client.HTTPConnection, float]]] = {}

    @contextlib.contextmanager
    def call(
        self,
        method: str,
        url: str,
        *,
        timeout_seconds: float,
        headers: Mapping[str, str] | None = None,
        body: Buffer | None = None,
        abort: Abort | None = None,
    ) -> Iterator[Answer]:
        """Make one request; yields the answer when its status is below 400, else raises the peer's error.

        timeout_seconds: for the whole body to be sent, then for each silence while the answer comes; an answer that
        drips is given up after six times as long. A request on a kept
        connection that the peer had closed is sent again once on a new one, so every request must be repeatable.
        """
        parts = urlsplit(url)
        deadline = time.monotonic() + 6 * timeout_seconds
        all_headers = {**self._headers, REQUEST_ID_HEADER: current_request_id(), **(headers or {})}
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        connection: http.client.HTTPConnection | None = None
        answer: Answer | None = None
        try:
            connection, response = self._send(
                parts.netloc, method, target, all_headers, body, timeout_seconds, deadline, abort
            )
            answer = Answer(response)
            if answer.status >= 400:
                raise _read_error(answer)
            yield answer
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise PeerUnreachable(
                f"{method} {url}: {type(error).__name__}: {error}",
                peer=parts.netloc,
                may_have_arrived=not isinstance(error, _NotConnected),
            ) from error
        finally:
            if abort is not None:
                abort.detach()
            if connection is not None:
                self._give_back(parts.netloc, connection, answer is not None and answer.is_complete())

    def call_json(self, method: str, url: str, *, timeout_seconds: float, body: Any = None) -> dict[str, Any]:
        """Send JSON, get JSON."""
        encoded = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"} if encoded is not None else {}
        with self.call(method, url, timeout_seconds=timeout_seconds, headers=headers, body=encoded) as answer:
            return answer.json()

    def close(self) -> None:
        with self._lock:
            connections = [connection for idle in self._idle.values() for connection, _ in idle]
            self._idle.clear()
        for connection in connections:
            connection.close()

    def _send(
        self,
        host: str,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: Buffer | None,
        timeout_seconds: float,
        deadline: float,
        abort: Abort | None,
    ) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
        while True:
            connection = self._take_idle(host)
            is_reused = connection is not None
            if connection is None:
                connection = http.client.HTTPConnection(host, timeout=min(CONNECT_TIMEOUT_SECONDS, timeout_seconds))
            try:
                if not is_reused:
                    _connect(connection)
                sock: socket.socket = connection.sock
                sock.settimeout(timeout_seconds)
                if abort is not None:
                    abort.attach(sock)
                connection.response_class = functools.partial(_Response, deadline=deadline)  # type: ignore[assignment]
                connection.request(method, target, body, dict(headers))
                return connection, connection.getresponse()
            except (ConnectionError, http.client.BadStatusLine):
                connection.close()
                if not is_reused or (abort is not None and abort.is_aborted):
                    raise
            except BaseException:
                connection.close()
                raise

    def _take_idle(self, host: str) -> http.client.HTTPConnection | None:
        """The connection used last, unless the peer has closed it meanwhile."""
        while True:
            with self._lock:
                idle = self._idle.get(host)
                if not idle:
                    return None
                connection, since = idle.pop()
            if time.monotonic() - since < IDLE_SECONDS and not _is_stale(connection):
                return connection
            connection.close()

    def _give_back(self, host: str, connection: http.client.HTTPConnection, is_complete: bool) -> None:
        if is_complete and connection.sock is not None:
            with self._lock:
                idle = self._idle.setdefault(host, deque())
                if len(idle) < MAX_IDLE_PER_HOST:
                    idle.append((connection, time.monotonic()))
                    return
        connection.close()


class _NotConnected(OSError):
    """No connection came about, so the request cannot have arrived."""


def _connect(connection: http.client.HTTPConnection) -> None:
    try:
        connection.connect()
    except OSError as error:
        raise _NotConnected(str(error)) from error


class _Response(http.client.HTTPResponse):
    """A response that is given up at a deadline, however slowly it drips."""

    def __init__(self, sock: socket.socket, *arguments: Any, deadline: float, **options: Any) -> None:
        super().__init__(sock, *arguments, **options)
        self.fp = io.BufferedReader(_DeadlineReader(self.fp.detach(), deadline))


class _DeadlineReader(io.RawIOBase):
    def __init__(self, raw: io.RawIOBase, deadline: float) -> None:
        self._raw = raw
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if time.monotonic() > self._deadline:
            raise TimeoutError("the answer took too long")
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


def _read_error(answer: Answer) -> Exception:
    try:
        problem = answer.json()
    except ValueError:
        problem = {}
    return error_from_problem(answer.status, problem)


def _is_stale(connection: http.client.HTTPConnection) -> bool:
    """An idle connection must have nothing to read: bytes or an end both mean that it cannot be used."""
    sock = connection.sock
    if sock is None:
        return True
    try:
        sock.settimeout(0)
        sock.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def _shut_down(sock: socket.socket | None) -> None:
    if sock is not None:
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)
