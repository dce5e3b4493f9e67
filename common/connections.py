"""One connection to a peer: bytes out, bytes in, and every way in which waiting for them ends.

It knows sockets, silence, the deadline of a call and how another thread breaks a call off; it does not know what the
bytes say, except where a line or a head ends.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from typing import TypeVar

from common.auth import Session
from common.bulk import receive_into
from common.checksums import Buffer
from common.silence import SilenceLimits, peek

# Up to here a copy is cheaper than a second packet, and the wake-up of the peer that comes with it.
_ONE_PACKET_BYTES = 64 * 1024
# A small answer in one piece; of a large one, what is copied from here into the caller's view does not count.
_FILL_BYTES = 16 * 1024

Received = TypeVar("Received", bytes, int)


class NotConnected(OSError):
    """No connection came about, so the request cannot have arrived."""


class AnswerBroken(OSError):
    """The peer's answer ends early, or is none."""


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


class Connection:
    """A connected socket with what was received and not yet taken. For one thread at a time."""

    def __init__(self, host: str, port: int, timeout_seconds: float, tls: ssl.SSLContext | None = None) -> None:
        """Connect, over TLS where a context is given; raises NotConnected."""
        self._socket = _connect(host, port, timeout_seconds, tls)
        self._limits = SilenceLimits(self._socket, timeout_seconds, timeout_seconds)
        self._timeout_seconds = timeout_seconds
        self._received = b""
        self._taken = 0
        self._deadline = 0.0
        self._abort: Abort | None = None
        self.session: Session | None = None
        """What signs the requests, where both ends are of the cluster."""
        self.has_answered = False
        """Whether anything came since `begin`."""

    def begin(self, timeout_seconds: float, deadline: float, abort: Abort | None) -> None:
        """Start a call. timeout_seconds: for sending, and for each silence; deadline: the monotonic clock's."""
        self._deadline = deadline
        self._abort = abort
        self.has_answered = False
        self._limits.set_receive(timeout_seconds)
        self._limits.set_send(timeout_seconds)
        self._timeout_seconds = timeout_seconds
        if abort is not None:
            abort.attach(self._socket)

    def end(self) -> None:
        """The call is over; who wants to break it off comes too late."""
        if self._abort is not None:
            self._abort.detach()
            self._abort = None

    def send(self, head: bytes, body: Buffer | None) -> None:
        """Send all of it within the time-out; raises TimeoutError."""
        if body is not None and len(body) <= _ONE_PACKET_BYTES:
            head, body = b"".join((head, body)), None
        give_up_at = time.monotonic() + self._timeout_seconds
        self._send_all(head, give_up_at)
        if body is not None:
            self._send_all(body, give_up_at)

    def _send_all(self, piece: Buffer, give_up_at: float) -> None:
        view = memoryview(piece)
        while True:
            try:
                view = view[self._socket.send(view) :]
            except BlockingIOError:
                raise TimeoutError("timed out") from None
            if not view:
                return
            if time.monotonic() > give_up_at:
                raise TimeoutError("the peer takes the request too slowly")

    def receive_until(self, end: bytes, limit: int) -> bytes:
        """What comes up to `end`, which is included; raises AnswerBroken when that is more than `limit` bytes."""
        searched = self._taken
        while (found := self._received.find(end, searched)) < 0:
            waiting = len(self._received) - self._taken
            if waiting >= limit:
                break
            self._received = self._received[self._taken :] + self._receive_some()
            self._taken = 0
            searched = max(0, waiting - len(end) + 1)
        stop = found + len(end)
        if found < 0 or stop - self._taken > limit:
            raise AnswerBroken(f"no end of a line or head within {limit} bytes")
        piece = self._received[self._taken : stop]
        self._taken = stop
        return piece

    def receive(self, limit: int) -> bytes:
        """At least one byte and at most `limit`; none at the end of the connection."""
        if self._taken == len(self._received):
            self._check_deadline()
            return self._seen(self._take(limit))
        piece = self._received[self._taken : self._taken + limit]
        self._taken += len(piece)
        return piece

    def receive_into(self, view: memoryview) -> int:
        """Like `receive`, without a copy wherever the bytes have not been received yet."""
        if self._taken == len(self._received):
            self._check_deadline()
            return self._seen(receive_into(self._socket, view))
        piece = self.receive(len(view))
        view[: len(piece)] = piece
        return len(piece)

    def fileno(self) -> int:
        return self._socket.fileno()

    @property
    def is_aborted(self) -> bool:
        """Whether the call under way was broken off."""
        return self._abort is not None and self._abort.is_aborted

    @property
    def is_clean(self) -> bool:
        """Whether all that was received has been taken."""
        return self._taken == len(self._received)

    def is_stale(self) -> bool:
        """An idle connection must have nothing to read: bytes or an end both mean that it cannot be used."""
        try:
            return peek(self._socket) is not None
        except OSError:
            return True

    def close(self) -> None:
        self.end()
        self._socket.close()

    def _receive_some(self) -> bytes:
        self._check_deadline()
        if received := self._seen(self._take(_FILL_BYTES)):
            return received
        if self.has_answered:
            raise AnswerBroken("the answer ends early")
        raise ConnectionResetError("the peer closed the connection without an answer")

    def _take(self, limit: int) -> bytes:
        try:
            return self._socket.recv(limit)
        except BlockingIOError:
            raise TimeoutError("timed out") from None

    def _seen(self, received: Received) -> Received:
        """Note that the peer speaks. The end of a call that is broken off must not pass for the end of an answer."""
        if received:
            self.has_answered = True
        elif self._abort is not None and self._abort.is_aborted:
            raise ConnectionAbortedError("the call was broken off")
        return received

    def _check_deadline(self) -> None:
        if time.monotonic() > self._deadline:
            raise TimeoutError("the answer took too long")


def _connect(host: str, port: int, timeout_seconds: float, tls: ssl.SSLContext | None) -> socket.socket:
    try:
        sock = socket.create_connection((host, port), timeout_seconds)
        with contextlib.suppress(OSError):
            # Without it small requests wait for the peer's delayed acknowledgements; refused once the peer is gone.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls is not None:
            # On an error this closes the socket.
            return tls.wrap_socket(sock, server_hostname=host)
    except (OSError, UnicodeError, ValueError) as error:
        raise NotConnected(str(error)) from error
    return sock


def _shut_down(sock: socket.socket | None) -> None:
    if sock is not None:
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)
