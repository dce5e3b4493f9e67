"""A small real HTTP server whose answers a test decides byte by byte, also the broken ones."""

from __future__ import annotations

import contextlib
import http.server
import json
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from common.auth import SESSION_HEADER, SESSION_PATH, ClusterSecret
from common.errors import ClusterSecretRejected
from tests.support.environment import SECRET


@dataclass(frozen=True)
class Seen:
    """A request as it arrived; `connection` numbers the connections of the server from 0."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes
    connection: int

    def json(self) -> Any:
        return json.loads(self.body)


class Exchange:
    """One request and every way to answer it."""

    def __init__(self, request: Seen, handler: _Handler, released: threading.Event) -> None:
        self.request = request
        self.released = released
        self._handler = handler

    def send(
        self, body: bytes = b"", status: int = 200, headers: Mapping[str, str] | None = None, length: int | None = None
    ) -> None:
        """An answer; `length` is what its Content-Length promises when that is not the truth."""
        self._handler.send_response(status)
        for name, value in {"Content-Length": str(len(body) if length is None else length), **(headers or {})}.items():
            self._handler.send_header(name, value)
        self._handler.end_headers()
        self.send_raw(body)

    def send_json(self, value: Any, status: int = 200, content_type: str = "application/json") -> None:
        self.send(json.dumps(value).encode(), status, {"Content-Type": content_type})

    def send_problem(self, problem: Mapping[str, Any], status: int) -> None:
        self.send_json(problem, status, "application/problem+json")

    def send_raw(self, raw: bytes) -> None:
        self._handler.wfile.write(raw)
        self._handler.wfile.flush()

    def hang_up(self) -> None:
        """Close the connection once this answer is over, without having said so."""
        self._handler.close_connection = True

    def stay_silent(self) -> None:
        """Say nothing until the server is closed."""
        self.released.wait()
        self.hang_up()


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # One packet for head and body, so that neither side waits for the other's delayed acknowledgement.
    wbufsize = -1
    # What a test sends in pieces leaves in pieces.
    disable_nagle_algorithm = True
    server: _Server

    def setup(self) -> None:
        super().setup()
        self.number = self.server.enter(self.connection)

    def finish(self) -> None:
        self.server.leave()
        with contextlib.suppress(OSError):
            super().finish()

    def handle(self) -> None:
        with contextlib.suppress(OSError):
            super().handle()

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path == SESSION_PATH and self._opens_session():
            return
        seen = Seen(self.command, self.path, dict(self.headers.items()), body, self.number)
        self.server.note(seen)
        self.server.answer(Exchange(seen, self, self.server.released))

    def _opens_session(self) -> bool:
        """For a client that knows the secret of the tests; others' offers go to the test as any request."""
        try:
            answer, _ = ClusterSecret(SECRET).accept(self.headers.get(SESSION_HEADER, ""))
        except ClusterSecretRejected:
            return False
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.send_header(SESSION_HEADER, answer)
        self.end_headers()
        return True

    do_GET = do_PUT = do_POST = do_PATCH = do_DELETE = do_HEAD = _answer  # noqa: N815 - names of the base class

    def log_message(self, *_: object) -> None:
        """Tests print nothing."""


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, answer: Callable[[Exchange], None]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answer = answer
        self.released = threading.Event()
        self.requests: list[Seen] = []
        self.ended_connections = 0
        self._connections: list[socket.socket] = []
        self._lock = threading.Lock()

    def enter(self, connection: socket.socket) -> int:
        with self._lock:
            self._connections.append(connection)
            return len(self._connections) - 1

    def leave(self) -> None:
        with self._lock:
            self.ended_connections += 1

    def note(self, seen: Seen) -> None:
        with self._lock:
            self.requests.append(seen)

    def handle_error(self, *_: object) -> None:
        """A client that breaks off is part of the tests."""

    def hang_up_on_all(self) -> None:
        with self._lock:
            for connection in self._connections:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)


class TinyServer:
    """The server as tests see it: its address, and the requests that came, in order."""

    def __init__(self, server: _Server) -> None:
        self._server = server
        self.url = f"http://127.0.0.1:{server.server_address[1]}"

    @property
    def requests(self) -> list[Seen]:
        return list(self._server.requests)

    @property
    def ended_connections(self) -> int:
        return self._server.ended_connections

    def hang_up_on_all(self) -> None:
        """Close every connection, also those that are idle."""
        self._server.hang_up_on_all()


@contextlib.contextmanager
def serving(answer: Callable[[Exchange], None]) -> Iterator[TinyServer]:
    """Serve on a free port of this machine until the block is left."""
    server = _Server(answer)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield TinyServer(server)
    finally:
        server.released.set()
        server.shutdown()
        server.hang_up_on_all()
        thread.join()
        server.server_close()


def after_failures(count: int) -> Callable[[Exchange], None]:
    """Answers the first `count` requests with an error that says nothing, and all others well."""
    failures = iter(range(count))

    def answer(exchange: Exchange) -> None:
        if next(failures, None) is None:
            exchange.send_json({})
        else:
            exchange.send(b"broken", 500)

    return answer


@contextlib.contextmanager
def refusing() -> Iterator[str]:
    """The URL of a port at which every connection is refused, and which nobody else can take meanwhile."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"


@contextlib.contextmanager
def never_answering() -> Iterator[str]:
    """The URL of a port that takes connections and then says nothing, as a paused process does."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(128)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
