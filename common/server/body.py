"""The body of a request, read from its connection straight into the caller's buffer.

A body that is cut short raises IncompleteBody; it never looks like one that ended. A client that goes silent for
longer than the time set for the connection is one that broke off.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable

from common.bulk import receive_into
from common.errors import IncompleteBody, InvalidRequest
from common.server.pace import Pace, TooSlow
from common.wire import parse_chunk_size

_MAX_LINE_BYTES = 4096
_MAX_TRAILER_BYTES = 16 * 1024
_LINE_READ_BYTES = 4096


class ConnectionReader:
    """What comes in on a connection; bytes received ahead of their use are kept here."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._ahead = b""

    def receive(self, limit: int) -> bytes:
        """What is there, at most `limit` bytes; b"" once the peer has closed its end."""
        if self._ahead:
            piece, self._ahead = self._ahead[:limit], self._ahead[limit:]
            return piece
        return self.sock.recv(limit)

    def receive_into(self, view: memoryview) -> int:
        if self._ahead:
            count = min(len(view), len(self._ahead))
            view[:count] = self._ahead[:count]
            self._ahead = self._ahead[count:]
            return count
        return receive_into(self.sock, view)

    def put_back(self, rest: bytes) -> None:
        """Give back what was received and belongs to what comes next."""
        self._ahead = rest + self._ahead

    def read_line(self, limit: int, pace: Pace | None = None) -> bytes:
        """A line without its CR LF; raises ValueError when it is longer, or ends in a bare LF, EOFError at the end.

        pace: told of the waits. What comes is no part of the body, so it counts for nothing.
        """
        line = b""
        while (end := line.find(b"\n")) < 0:
            if len(line) > limit + 1:
                raise ValueError("a line is too long")
            started = time.monotonic()
            piece = self.receive(_LINE_READ_BYTES)
            if pace is not None:
                pace.note(started, 0)
            if not piece:
                raise EOFError
            line += piece
        self.put_back(line[end + 1 :])
        # The first CR must be the one before the LF: what a bare one means is where readers disagree.
        if end - 1 > limit or line.find(b"\r", 0, end) != end - 1 or not end:
            raise ValueError("a line is too long or does not end in CR LF")
        return line[: end - 1]


class RequestBody:
    """The body of one request, as WSGI's `wsgi.input`, plus `readinto`."""

    def __init__(
        self,
        reader: ConnectionReader,
        length: int | None,
        before_first_read: Callable[[], None],
        pace: Pace | None = None,
    ) -> None:
        """length: in bytes; None: chunked transfer coding. before_first_read: says "100 Continue" where it is due."""
        self._pace = pace
        self._reader = reader
        self._is_chunked = length is None
        self._left = length or 0
        self._is_ended = length == 0
        self._is_broken = False
        self._before_first_read: Callable[[], None] | None = before_first_read
        self._read_bytes = 0

    @property
    def is_ended(self) -> bool:
        """Whether all of it was read, so that the next request follows on the connection."""
        return self._is_ended and not self._is_broken

    def readinto(self, view: memoryview) -> int:
        """Fill the start of `view` with what is there, at least a byte; 0 only at the body's end."""
        if self._is_broken:
            raise IncompleteBody(f"the body broke off after {self._read_bytes} bytes")
        if self._is_ended or not view:
            return 0
        before, self._before_first_read = self._before_first_read, None
        if before is not None:
            before()
        try:
            if self._is_chunked and not self._left and not self._next_chunk():
                return 0
            started = time.monotonic()
            count = self._reader.receive_into(view[: self._left] if len(view) > self._left else view)
            if not count:
                raise EOFError
            if self._pace is not None:
                self._pace.note(started, count)
            self._left -= count
            self._read_bytes += count
            if not self._left:
                self._end_of_piece()
        except (OSError, EOFError) as error:
            self._is_broken = True
            reason = f": {error}" if isinstance(error, TooSlow) else ""
            raise IncompleteBody(f"the body broke off after {self._read_bytes} bytes{reason}") from error
        except ValueError as error:
            self._is_broken = True
            raise InvalidRequest(f"the body's transfer coding is malformed: {error}") from error
        return count

    def read(self, size: int = -1) -> bytes:
        """The next `size` bytes, fewer only at the end; all of the rest when negative."""
        pieces = bytearray()
        piece = memoryview(bytearray(min(size, 65536) if size >= 0 else 65536))
        while size < 0 or len(pieces) < size:
            wanted = len(piece) if size < 0 else min(len(piece), size - len(pieces))
            count = self.readinto(piece[:wanted])
            if not count:
                break
            pieces += piece[:count]
        return bytes(pieces)

    def _end_of_piece(self) -> None:
        if not self._is_chunked:
            self._is_ended = True
        elif self._read_line(0):
            raise ValueError("a chunk is longer than it says")

    def _next_chunk(self) -> bool:
        """Read the line before a chunk; False at the last one, its trailer read and passed over."""
        self._left = parse_chunk_size(self._read_line(_MAX_LINE_BYTES) + b"\r\n")
        if self._left:
            return True
        trailer_bytes = 0
        while line := self._read_line(_MAX_LINE_BYTES):
            trailer_bytes += len(line)
            if trailer_bytes > _MAX_TRAILER_BYTES:
                raise ValueError("the trailer is too long")
        self._is_ended = True
        return False

    def _read_line(self, limit: int) -> bytes:
        return self._reader.read_line(limit, self._pace)
