"""Receive large pieces from a socket: wait until much is there, then take it at once.

Without this a reader is woken for every few packets, and each time costs a context switch and a turn at the
interpreter's lock; per byte that is more than the copy itself.
"""

from __future__ import annotations

import contextlib
import select
import socket
import ssl

from common.silence import peek, receive_limit

_HAS_MARK = hasattr(socket, "SO_RCVLOWAT") and hasattr(select, "poll")
# Below this there is nothing to gain; above, the bytes leave the processor's caches before they are taken.
_LEAST_BYTES = 128 * 1024
_MOST_BYTES = 256 * 1024


def receive_into(sock: socket.socket, view: memoryview) -> int:
    """Fill the start of `view`, at least a byte; 0 only at the end of the connection.

    The socket's time-out is for silence: where less than was hoped for came in time, that is taken. Linux wakes a
    reader early when the buffer has no more room or the peer has ended (tcp(7), socket(7): SO_RCVLOWAT).
    """
    if len(view) < _LEAST_BYTES or not _HAS_MARK or isinstance(sock, ssl.SSLSocket):
        return sock.recv_into(view)
    _wake_at(sock, min(len(view), _MOST_BYTES))
    try:
        is_there = _await(sock)
    finally:
        _wake_at(sock, 1)
    if not is_there and peek(sock) is None:
        raise TimeoutError("timed out")
    return sock.recv_into(view)


def _await(sock: socket.socket) -> bool:
    """Wait for the mark or the time-out. Not in the receive itself: what it has taken already does not count for the
    mark, so the last bytes of a message would be waited for in vain.
    """
    seconds = sock.gettimeout()
    if seconds is None:
        seconds = receive_limit(sock)
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(1000 * seconds if seconds else None))


def _wake_at(sock: socket.socket, size_bytes: int) -> None:
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, size_bytes)
