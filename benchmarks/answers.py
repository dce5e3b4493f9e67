"""Read HTTP/1.1 answers as they come, with as little work as possible: status, length, body, whether to close.

Content-Length and the chunked transfer coding are understood, and a body that ends with the connection.
"""

from __future__ import annotations

_HEAD_END = b"\r\n\r\n"
_MAX_HEAD_BYTES = 64 * 1024


class BadAnswer(Exception):
    """The bytes are no HTTP/1.1 answer."""


class Answer:
    """One answer; `feed` it until it says that it is complete.

    With `keeps_body` the body is kept in `body`, else only counted in `body_bytes`.
    """

    __slots__ = (
        "_chunked",
        "_head",
        "_missing",
        "body",
        "body_bytes",
        "closes",
        "keeps_body",
        "retry_after",
        "started",
        "status",
    )

    def __init__(self, keeps_body: bool = False) -> None:
        self.keeps_body = keeps_body
        self.status = 0
        self.body = bytearray()
        self.body_bytes = 0
        self.closes = False
        self.retry_after: float | None = None
        self.started = False
        self._head = b""
        self._missing: int | None = None
        self._chunked: ChunkedBody | None = None

    def feed(self, piece: bytes | memoryview) -> bool:
        """Take the next bytes of the connection; True when the answer is complete. Raises BadAnswer."""
        self.started = True
        if not self.status:
            self._head += bytes(piece)
            end = self._head.find(_HEAD_END)
            if end < 0:
                if len(self._head) > _MAX_HEAD_BYTES:
                    raise BadAnswer("the head of the answer does not end")
                return False
            self._parse_head(self._head[: end + 2])
            piece = memoryview(self._head)[end + 4 :]
        return self._take_body(piece)

    def end(self) -> bool:
        """The connection has ended; True when that was the answer's proper end."""
        return self.status > 0 and self._missing is None and self._chunked is None

    def _take_body(self, piece: bytes | memoryview) -> bool:
        if self._chunked is not None:
            self._keep(self._chunked.feed(bytes(piece)))
            return self._chunked.is_complete
        self._keep(piece)
        if self._missing is None:
            return False
        self._missing -= len(piece)
        if self._missing < 0:
            raise BadAnswer("more bytes than the answer announced")
        return self._missing == 0

    def _keep(self, piece: bytes | memoryview) -> None:
        self.body_bytes += len(piece)
        if self.keeps_body:
            self.body += piece

    def _parse_head(self, head: bytes) -> None:
        if not head.startswith(b"HTTP/1.") or not head[9:12].isdigit():
            raise BadAnswer(f"not an HTTP answer: {head[:40]!r}")
        self.status = int(head[9:12])
        head = head.lower()
        length = _field(head, b"content-length")
        self.closes = _field(head, b"connection") == b"close" or head.startswith(b"http/1.0")
        retry_after = _field(head, b"retry-after")
        self.retry_after = float(retry_after) if retry_after and retry_after.isdigit() else None
        if self.status in (204, 304):
            self._missing = 0
        elif b"chunked" in (_field(head, b"transfer-encoding") or b""):
            self._chunked = ChunkedBody()
        elif length is not None:
            self._missing = int(length)
        else:
            self.closes = True


class ChunkedBody:
    """The chunked transfer coding (RFC 9112, 7.1); trailers are skipped."""

    def __init__(self) -> None:
        self.is_complete = False
        self._pending = b""
        self._missing = 0
        self._is_trailer = False

    def feed(self, piece: bytes) -> bytes:
        """The body's bytes in `piece`. Raises BadAnswer where a size is no hexadecimal number."""
        self._pending += piece
        found = []
        while not self.is_complete and self._pending:
            if self._missing > 2:
                # The last two bytes are the line break behind the chunk.
                part = self._pending[: self._missing - 2]
                found.append(part)
            elif self._missing:
                part = self._pending[: self._missing]
            else:
                if not self._take_line():
                    break
                continue
            self._pending = self._pending[len(part) :]
            self._missing -= len(part)
        return b"".join(found)

    def _take_line(self) -> bool:
        line, separator, rest = self._pending.partition(b"\r\n")
        if not separator:
            return False
        self._pending = rest
        if self._is_trailer:
            self.is_complete = not line
            return True
        try:
            size = int(line.partition(b";")[0], 16)
        except ValueError:
            raise BadAnswer(f"not a chunk's size: {line[:20]!r}") from None
        self._is_trailer = size == 0
        self._missing = size + 2 if size else 0
        return True


def _field(head: bytes, name: bytes) -> bytes | None:
    """A header's value in a head that is all lower case."""
    start = head.find(b"\r\n" + name + b":")
    if start < 0:
        return None
    start += len(name) + 3
    return head[start : head.index(b"\r\n", start)].strip()
