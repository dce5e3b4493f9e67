"""A kept HTTP connection on a plain socket: a client that costs next to nothing, so that the server is measured."""

from __future__ import annotations

import json
import socket
import time
from dataclasses import dataclass
from typing import Any

from common.auth import DIGEST_HEADER, SESSION_HEADER, SESSION_PATH, ClusterSecret, Session, body_digest

TIMEOUT_SECONDS = 60.0
# Servers end a silent connection after 30 s; it is then made again, outside of what is timed.
IDLE_SECONDS = 10.0


class UnexpectedAnswer(Exception):
    """The server said something else than the measurement needs: figures of errors would be no figures."""


@dataclass(frozen=True)
class Answer:
    """A whole response, and the time from the first byte of the request to the last of the response."""

    status: int
    body: bytes
    seconds: float

    def json(self) -> Any:
        return json.loads(self.body)


class Wire:
    """A connection to one server. Not for several threads."""

    def __init__(self, port: int, secret: ClusterSecret | None = None) -> None:
        """secret: the cluster's, for a server that takes signed requests only."""
        self._port = port
        self._used_at = 0.0
        self._secret = secret
        self._session: Session
        self._head = f"Host: 127.0.0.1:{port}\r\n"
        self._connect()

    def ask(self, method: str, target: str, body: bytes | None = None, content_type: str = "") -> Answer:
        """Make one request; raises UnexpectedAnswer for any status outside 2xx, and when the connection ends."""
        if time.perf_counter() - self._used_at > IDLE_SECONDS:
            self.close()
            self._connect()
        request = self._encode(method, target, body, content_type)
        started = time.perf_counter()
        self._socket.sendall(request)
        status, answer = self._receive(is_head=method == "HEAD")
        self._used_at = time.perf_counter()
        seconds = self._used_at - started
        if not 200 <= status < 300:
            raise UnexpectedAnswer(f"{method} {target}: {status} {answer[:300]!r}")
        return Answer(status, answer, seconds)

    def close(self) -> None:
        self._socket.close()

    def _connect(self) -> None:
        self._socket = socket.create_connection(("127.0.0.1", self._port), timeout=TIMEOUT_SECONDS)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._secret is not None:
            self._open_session(self._secret)
        self._used_at = time.perf_counter()

    def _open_session(self, secret: ClusterSecret) -> None:
        offer = secret.offer()
        head = f"{self._head}{SESSION_HEADER}: {offer.text}\r\n"
        self._socket.sendall(encode_request("POST", SESSION_PATH, head, b"", ""))
        received = b""
        while not received.endswith(b"\r\n\r\n"):
            received += self._piece()
        fields = dict(line.split(": ", 1) for line in received.decode("latin-1").split("\r\n") if ": " in line)
        self._session = offer.conclude(fields.get(SESSION_HEADER, ""))

    def _encode(self, method: str, target: str, body: bytes | None, content_type: str) -> bytes:
        if self._secret is None:
            return encode_request(method, target, self._head, body, content_type)
        digest = f"{DIGEST_HEADER}: {body_digest(body)}\r\n" if body else ""
        request = encode_request(method, target, self._head + digest, body, content_type)
        head, end, _ = request.partition(b"\r\n\r\n")
        return self._session.sign(head + end) + (body or b"")

    def _receive(self, is_head: bool) -> tuple[int, bytes]:
        received = bytearray()
        while (end := received.find(b"\r\n\r\n")) < 0:
            received += self._piece()
        status, length = parse_head(bytes(received[:end]))
        whole = end + 4 + (0 if is_head else length)
        while len(received) < whole:
            received += self._piece()
        if len(received) > whole:
            raise UnexpectedAnswer(f"{len(received) - whole} bytes follow the answer")
        return status, bytes(received[end + 4 :])

    def _piece(self) -> bytes:
        piece = self._socket.recv(256 * 1024)
        if not piece:
            raise UnexpectedAnswer("the server closed the connection")
        return piece


def encode_request(method: str, target: str, head: str, body: bytes | None, content_type: str) -> bytes:
    """A request as it goes over the wire. head: lines that it carries besides those of the body."""
    if body is not None:
        head += f"Content-Length: {len(body)}\r\n"
    if content_type:
        head += f"Content-Type: {content_type}\r\n"
    return f"{method} {target} HTTP/1.1\r\n{head}\r\n".encode("ascii") + (body or b"")


def parse_head(head: bytes) -> tuple[int, int]:
    """Status and length of the body; raises UnexpectedAnswer where no length is stated."""
    first, *lines = head.decode("latin-1").split("\r\n")
    fields = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    status = int(first.split(" ", 2)[1])
    if "transfer-encoding" in fields or (status != 204 and "content-length" not in fields):
        raise UnexpectedAnswer(f"an answer without Content-Length: {first}")
    return status, int(fields.get("content-length", 0))
