"""Read a request's body as it comes, and notice when it is cut short.

A WSGI server gives fewer bytes when the client breaks off, without an error where the length was announced; so the
bytes are counted here. The two places where a truncated body must not pass for a whole one, a worker's chunk and the
gateway's file, both read through this.
"""

from __future__ import annotations

import mmap
from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeVar

from common.errors import IncompleteBody, InvalidRequest

# More would keep the caller of a slow stream that fills all it is given from noticing for how long it has been slow.
MAX_FILL_BYTES = 1024 * 1024
_T = TypeVar("_T")


class ByteSource(Protocol):
    """Bytes that come one after another, put where the caller wants them."""

    def fill(self, buffer: bytearray, start: int, stop: int) -> int:
        """Put the next bytes at buffer[start:stop], which must not be empty; what is left of it becomes undefined.

        Returns how many were put, at least 1; 0 only at the end, and then always. Raises IncompleteBody.
        """


class BodyReader:
    """The body of one request, a ByteSource; `read` gives b"" exactly when the whole body has been read."""

    def __init__(self, environ: Mapping[str, Any]) -> None:
        self._stream = environ["wsgi.input"]
        self._readinto: Callable[[memoryview], int | None] | None = getattr(self._stream, "readinto", None)
        self.length = _content_length(environ)
        self._is_chunked = "chunked" in environ.get("HTTP_TRANSFER_ENCODING", "").lower()
        self._read_bytes = 0
        # A body that broke off stays broken: asking again neither waits again nor finds an end.
        self._failure = ""
        self._is_ended = self.length is None and not self._is_chunked

    @property
    def expected_bytes(self) -> int | None:
        """How many bytes it has, if that is known before they came."""
        return self.length if self.length is not None or self._is_chunked else 0

    @property
    def read_bytes(self) -> int:
        """How much of it was read so far."""
        return self._read_bytes

    def read(self, limit: int) -> bytes:
        """At most `limit` next bytes; raises IncompleteBody when the client broke off."""
        limit = self._allowed(limit)
        if not limit:
            return b""
        piece: bytes = self._asked(lambda: self._stream.read(limit))
        self._count(len(piece))
        return piece

    def read_all(self, limit: int) -> bytes:
        """The whole body, as far as `limit`."""
        whole = b""
        while len(whole) < limit and (piece := self.read(limit - len(whole))):
            whole += piece
        return whole

    def fill(self, buffer: bytearray | mmap.mmap, start: int, stop: int) -> int:
        """As `ByteSource.fill`, at most MAX_FILL_BYTES at once; without a copy where the server can."""
        limit = self._allowed(min(stop - start, MAX_FILL_BYTES))
        if not limit:
            return 0
        with memoryview(buffer) as whole, whole[start : start + limit] as room:
            count = self._asked(lambda: self._put(room))
        self._count(count)
        return count

    def _allowed(self, limit: int) -> int:
        """How much of `limit` may be read: what follows on a kept connection is the next request."""
        if self._failure:
            raise IncompleteBody(self._failure)
        if self.length is not None:
            limit = min(limit, self.length - self._read_bytes)
        return 0 if self._is_ended else max(0, limit)

    def _put(self, room: memoryview) -> int:
        if self._readinto is None:
            piece = self._stream.read(len(room))
            room[: len(piece)] = piece
            return len(piece)
        count = self._readinto(room)
        if count is None:
            # A stream that does not wait has nothing yet; that must not pass for the end.
            raise BlockingIOError
        return count

    def _asked(self, ask: Callable[[], _T]) -> _T:
        try:
            return ask()
        except Exception as error:  # each server has errors of its own for a broken body
            self._failure = f"the body broke off after {self._read_bytes} bytes"
            raise IncompleteBody(self._failure) from error

    def _count(self, count: int) -> None:
        self._read_bytes += count
        if not count:
            self._is_ended = True
            if self.length is not None:
                self._failure = f"the body broke off after {self._read_bytes} of {self.length} bytes"
                raise IncompleteBody(self._failure)


def _content_length(environ: Mapping[str, Any]) -> int | None:
    """The announced length; None for a chunked body and for none at all."""
    if "chunked" in environ.get("HTTP_TRANSFER_ENCODING", "").lower():
        return None
    text = environ.get("CONTENT_LENGTH") or ""
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise InvalidRequest("Content-Length must be a whole number")
    return int(text)
