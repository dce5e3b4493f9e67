"""Pooled HTTP connections between the services: one client for chunks and for JSON alike.

It knows how to open sessions (`auth.py`), to keep connections, to notice stale ones, when to send a request again, and
what an answer's status means. It does not know what is said over them: see `master_client.py` and `worker_client.py`;
nor how: `answers.py`, `connections.py` and `wire.py`. Every failure to get a whole answer is PeerUnreachable; an error
answer is raised as the class that the peer named.
"""

from __future__ import annotations

import contextlib
import functools
import json
import ssl
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from common.answers import MAX_JSON_BYTES, Answer, read_answer
from common.auth import DIGEST_HEADER, SESSION_HEADER, SESSION_PATH, ClusterSecret, Session, SessionOffer, body_digest
from common.checksums import Buffer
from common.connections import Abort, Connection, NotConnected
from common.errors import ClusterSecretRejected, DFSError, PeerUnreachable, error_from_problem
from common.request_ids import HEADER as REQUEST_ID_HEADER
from common.request_ids import current_request_id
from common.tls import TlsFiles, client_context
from common.wire import MalformedHead, request_head

if TYPE_CHECKING:
    from common.config import Config

__all__ = ["MAX_JSON_BYTES", "Abort", "Answer", "Begun", "HttpPool", "StaleConnection"]

CONNECT_TIMEOUT_SECONDS = 2.0
# Servers keep an idle connection for 75 s (common/server/connection.py); ours must give up first.
IDLE_SECONDS = 30.0
MAX_IDLE_PER_HOST = 64


class StaleConnection(Exception):
    """The peer had closed a kept connection when the request came; it can be sent again over a new one."""


class HttpPool:
    """Connections to any number of hosts, shared by all threads of a service."""

    def __init__(self, secret: ClusterSecret | None = None, tls: ssl.SSLContext | None = None) -> None:
        """secret: what both ends of every connection must know; None: they are strangers, and nothing is signed.

        tls: for peers at https://; with it no other is talked to.
        """
        self._secret = secret
        self._tls = tls
        self._lock = threading.Lock()
        self._idle: dict[str, deque[tuple[Connection, float]]] = {}

    @classmethod
    def of(cls, config: Config) -> HttpPool:
        """For calls to the services of this configuration; raises CannotStart for TLS files that cannot be used."""
        tls = client_context(TlsFiles.of_cluster(config.home, config.cluster))
        return cls(ClusterSecret.of(config.cluster), tls)

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
        deadline = time.monotonic() + 6 * timeout_seconds
        base, target = _split(url)
        request: _Request | None = None
        connection: Connection | None = None
        answer: Answer | None = None
        try:
            peer = _peer(base)
            head = self._head(method, target, peer.netloc, headers, body)
            request = _Request(peer, method, head, body, timeout_seconds, deadline, abort)
            connection, answer = self._send(request)
            if answer.status >= 400:
                raise _read_error(answer)
            yield answer
        except (OSError, ValueError) as error:
            raise PeerUnreachable(
                f"{method} {url}: {type(error).__name__}: {error}",
                peer=base.partition("://")[2],
                may_have_arrived=request is not None and not isinstance(error, NotConnected),
            ) from error
        finally:
            if connection is not None:
                connection.end()
                self.give_back(base, connection, answer is not None and answer.is_complete())

    def begin(
        self,
        method: str,
        url: str,
        *,
        timeout_seconds: float,
        headers: Mapping[str, str] | None = None,
        body: Buffer | None = None,
        abort: Abort | None = None,
    ) -> Begun | None:
        """Send a request over a connection that is open already, and leave the answer for later.

        None where there is no such connection, or it does not take the request. See `call` for the rest.
        """
        base, target = _split(url)
        connection = self._take_idle(base)
        if connection is None:
            return None
        peer = _peer(base)
        head = self._head(method, target, peer.netloc, headers, body)
        try:
            connection.begin(timeout_seconds, time.monotonic() + 6 * timeout_seconds, abort)
            connection.send(_signed(connection, head), body)
        except OSError:
            connection.close()
            return None
        return Begun(self, connection, method, base)

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

    def _head(
        self, method: str, target: str, host: str, headers: Mapping[str, str] | None, body: Buffer | None
    ) -> bytes:
        fields = {REQUEST_ID_HEADER: current_request_id(), **(headers or {})}
        if self._secret is not None and body is not None and fields.get("Content-Type") == "application/json":
            fields[DIGEST_HEADER] = body_digest(body)
        return request_head(method, target, host, fields, None if body is None else len(body))

    def _connect(self, request: _Request) -> Connection:
        """A new connection with its session open; raises NotConnected, or what the peer has against it."""
        timeout_seconds = min(CONNECT_TIMEOUT_SECONDS, request.timeout_seconds)
        if request.peer.is_secure is (self._tls is None):
            raise NotConnected(f"{request.peer.base}: TLS is configured for one end only")
        connection = Connection(request.peer.host, request.peer.port, timeout_seconds, self._tls)
        if self._secret is not None:
            _open_session(connection, request, self._secret)
        return connection

    def _send(self, request: _Request) -> tuple[Connection, Answer]:
        """Get an answer over a kept connection if there is one, else over a new one."""
        connection = self._take_idle(request.peer.base)
        if connection is None:
            connection = self._connect(request)
            return connection, _ask(connection, request)
        try:
            return connection, _ask(connection, request)
        except ConnectionError:
            if connection.has_answered or (request.abort is not None and request.abort.is_aborted):
                raise
        try:
            connection = self._connect(request)
        except NotConnected as error:
            # Not this class: the request may have arrived the first time.
            raise ConnectionError(f"broke off, and then: {error}") from error
        return connection, _ask(connection, request)

    def _take_idle(self, base: str) -> Connection | None:
        """The connection used last, unless the peer has closed it meanwhile."""
        while True:
            with self._lock:
                idle = self._idle.get(base)
                if not idle:
                    return None
                connection, since = idle.pop()
            if time.monotonic() - since < IDLE_SECONDS and not connection.is_stale():
                return connection
            connection.close()

    def give_back(self, base: str, connection: Connection, is_complete: bool) -> None:
        """Keep a connection for the next call, if its last answer was read whole."""
        if is_complete:
            with self._lock:
                idle = self._idle.setdefault(base, deque())
                if len(idle) < MAX_IDLE_PER_HOST:
                    idle.append((connection, time.monotonic()))
                    return
        connection.close()


class Begun:
    """A request that was sent and whose answer is still to be read, by one thread and once."""

    def __init__(self, pool: HttpPool, connection: Connection, method: str, base: str) -> None:
        self._pool = pool
        self._connection = connection
        self._method = method
        self._base = base

    def fileno(self) -> int:
        """The socket's number, to wait for the answer together with others."""
        return self._connection.fileno()

    def finish(self) -> bytes:
        """The whole body of the answer. Raises the peer's error, PeerUnreachable, or StaleConnection."""
        connection, answer = self._connection, None
        try:
            answer = read_answer(connection, self._method)
            if answer.status >= 400:
                raise _read_error(answer)
            return answer.read()
        except (OSError, ValueError) as error:
            if isinstance(error, ConnectionError) and not connection.has_answered and not connection.is_aborted:
                raise StaleConnection from error
            peer = self._base.partition("://")[2]
            detail = f"{self._method} to {peer}: {type(error).__name__}: {error}"
            raise PeerUnreachable(detail, peer=peer, may_have_arrived=True) from error
        finally:
            connection.end()
            self._pool.give_back(self._base, connection, answer is not None and answer.is_complete())


class _Peer(NamedTuple):
    base: str
    netloc: str
    host: str
    port: int
    is_secure: bool


class _Request(NamedTuple):
    peer: _Peer
    method: str
    head: bytes
    body: Buffer | None
    timeout_seconds: float
    deadline: float
    abort: Abort | None


def _split(url: str) -> tuple[str, str]:
    """The part of a URL that names the peer, and the request target."""
    # Behind "http://" or "https://"; a host has at least one letter.
    slash = url.find("/", len("https://"))
    return (url, "/") if slash < 0 else (url[:slash], url[slash:])


@functools.lru_cache(maxsize=256)
def _peer(base: str) -> _Peer:
    """Raises ValueError for what is no address of a peer."""
    parts = urlsplit(base)
    default_port = {"http": 80, "https": 443}.get(parts.scheme)
    is_plain = base == f"{parts.scheme}://{parts.netloc}" and "@" not in base and parts.hostname
    if default_port is None or not is_plain:
        raise ValueError(f"{base!r} does not name a peer")
    port = default_port if parts.port is None else parts.port
    return _Peer(base, parts.netloc, parts.hostname or "", port, parts.scheme == "https")


def _open_session(connection: Connection, request: _Request, secret: ClusterSecret) -> None:
    """Have both ends prove that they know the secret, before anything is said; else the connection is closed."""
    offer = secret.offer()
    fields = {REQUEST_ID_HEADER: current_request_id(), SESSION_HEADER: offer.text}
    head = request_head("POST", SESSION_PATH, request.peer.netloc, fields, None)
    try:
        answer = _ask(connection, request._replace(method="POST", head=head, body=None))
        # Whoever answers may be a stranger: none of the errors that a member can name may be taken from it.
        if answer.status == 403:
            raise ClusterSecretRejected("the other end does not take this cluster's secret")
        if answer.status != 200:
            raise NotConnected(f"status {answer.status}")
        answer.read(0)
        connection.session = _conclude(offer, answer)
    except (OSError, ValueError) as error:
        connection.close()
        # Whatever was to be asked has not been sent.
        raise NotConnected(f"no session: {type(error).__name__}: {error}") from error
    except BaseException:
        connection.close()
        raise


def _conclude(offer: SessionOffer, answer: Answer) -> Session:
    """Raises NotConnected for a stranger who has taken a member's address."""
    try:
        return offer.conclude(answer.headers.get(SESSION_HEADER, ""))
    except ClusterSecretRejected as error:
        raise NotConnected(error.detail) from error


def _signed(connection: Connection, head: bytes) -> bytes:
    return head if connection.session is None else connection.session.sign(head)


def _ask(connection: Connection, request: _Request) -> Answer:
    """Send the request and read the head of the answer; on any error the connection is closed."""
    try:
        connection.begin(request.timeout_seconds, request.deadline, request.abort)
        try:
            connection.send(_signed(connection, request.head), request.body)
        except (BrokenPipeError, ConnectionResetError) as error:
            return _early_error(connection, request, error)
        return read_answer(connection, request.method)
    except BaseException:
        connection.close()
        raise


def _early_error(connection: Connection, request: _Request, error: OSError) -> Answer:
    """What the peer said before it closed the connection on a request it had not read whole, such as 507.

    Nothing but an error can be true then; without one, `error` stands.
    """
    answer = read_answer(connection, request.method)
    if answer.status < 400:
        raise error
    return answer


def _read_error(answer: Answer) -> DFSError:
    try:
        problem = answer.json()
    except MalformedHead:
        raise
    except ValueError:
        problem = {}
    return error_from_problem(answer.status, problem)
