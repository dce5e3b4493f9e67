"""Limits on how long a socket waits for its peer, kept by the kernel where it can.

Python keeps a socket's time-out by asking `poll` before every send and receive: twice the system calls, and twice the
turns at the interpreter's lock. Linux keeps the time itself (socket(7), SO_RCVTIMEO and SO_SNDTIMEO).
"""

from __future__ import annotations

import socket
import ssl
import struct
import sys

_TIME_BYTES = struct.calcsize("ll")
_IS_LINUX = sys.platform.startswith("linux")


class SilenceLimits:
    """The limits of one socket, each set only when it changes.

    What exceeds one raises TimeoutError, or BlockingIOError where the kernel keeps it.
    """

    def __init__(self, sock: socket.socket, receive_seconds: float, send_seconds: float) -> None:
        self._sock = sock
        self._seconds: dict[int, float] = {}
        # Under TLS a receive would begin anew whenever the kernel ends it.
        self._is_kept_by_kernel = _IS_LINUX and not isinstance(sock, ssl.SSLSocket)
        if self._is_kept_by_kernel:
            sock.settimeout(None)
        self.set_send(send_seconds)
        self.set_receive(receive_seconds)

    def set_receive(self, seconds: float) -> None:
        """How long a receive waits for the first byte."""
        if not self._is_kept_by_kernel:
            self._sock.settimeout(seconds)
        elif self._seconds.get(socket.SO_RCVTIMEO) != seconds:
            self._set(socket.SO_RCVTIMEO, seconds)

    def set_send(self, seconds: float) -> None:
        """How long a send waits for room; elsewhere than on Linux, and under TLS, the limit for receiving counts."""
        if self._is_kept_by_kernel and self._seconds.get(socket.SO_SNDTIMEO) != seconds:
            self._set(socket.SO_SNDTIMEO, seconds)

    def _set(self, option: int, seconds: float) -> None:
        # Zero would mean for ever.
        microseconds = max(1, round(seconds * 1_000_000))
        self._sock.setsockopt(socket.SOL_SOCKET, option, struct.pack("ll", *divmod(microseconds, 1_000_000)))
        self._seconds[option] = seconds


def receive_limit(sock: socket.socket) -> float:
    """The seconds that the kernel lets a receive on `sock` wait."""
    seconds, microseconds = struct.unpack("ll", sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _TIME_BYTES))
    limit: float = seconds + microseconds / 1_000_000
    return limit


def peek(sock: socket.socket) -> bytes | None:
    """The next byte, left where it is; b"" at the connection's end, None when nothing is there. Never waits."""
    timeout = sock.gettimeout()
    if timeout is None and hasattr(socket, "MSG_DONTWAIT"):
        try:
            return sock.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return None
    sock.settimeout(0)
    try:
        return sock.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return None
    finally:
        sock.settimeout(timeout)
