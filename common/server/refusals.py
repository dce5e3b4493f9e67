"""Connections that are turned away: each is told 503, and closed a moment later.

Closed at once, with the request still on its way, the client would see a reset in place of the answer (RFC 9112, 9.6).
"""

from __future__ import annotations

import contextlib
import socket
import time
from collections import deque

from common.security_headers import IN_THE_CLEAR

KEPT_SECONDS = 1.0
MAX_KEPT = 256
_RETRY_AFTER_SECONDS = 2
_BODY = b'{"title": "Not available now", "status": 503, "code": "too_many_connections"}\n'
_ANSWER = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/problem+json\r\nRetry-After: %d\r\n"
    b"%sConnection: close\r\nContent-Length: %d\r\n\r\n%s"
) % (_RETRY_AFTER_SECONDS, IN_THE_CLEAR.lines().encode(), len(_BODY), _BODY)


class Refusals:
    """The connections turned away and not closed yet, at most MAX_KEPT. For one thread, which never waits."""

    def __init__(self) -> None:
        self._kept: deque[tuple[float, socket.socket]] = deque()

    def refuse(self, sock: socket.socket) -> None:
        """Say 503; the connection is this object's from here on."""
        with contextlib.suppress(OSError):
            sock.settimeout(0)
            sock.send(_ANSWER)
            sock.shutdown(socket.SHUT_WR)
        self._kept.append((time.monotonic() + KEPT_SECONDS, sock))
        self.close_due()

    def close_due(self) -> None:
        """Close those whose moment is over."""
        now = time.monotonic()
        while self._kept and (self._kept[0][0] <= now or len(self._kept) > MAX_KEPT):
            _close(self._kept.popleft()[1])

    def close_all(self) -> None:
        while self._kept:
            _close(self._kept.popleft()[1])


def _close(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):
        # What has come is taken off: a close with unread bytes is a reset.
        sock.recv(65536)
    sock.close()
