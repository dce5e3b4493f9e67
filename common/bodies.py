"""Read a request's body as it comes, and notice when it is cut short.

A WSGI server gives fewer bytes when the client breaks off, without an error where the length was announced; so the
bytes are counted here. The two places where a truncated body must not pass for a whole one, a worker's chunk and the
gateway's file, both read through this.
"""

from __future__ import annotations

import mmap
from collections.abc import Mapping
from typing import Any, Protocol

from common.errors import IncompleteBody, InvalidRequest


class ByteSource(Protocol):
    """Bytes that come one after the other, straight into the buffer where they are wanted."""

    def fill(self, buffer: bytearray | mmap.mmap, start: int, stop: int) -> int:
        """Put the next bytes at buffer[start:stop]; returns how many, 0 only at the end. Raises IncompleteBody."""


class BodyReader:
    """The body of one request; `read` gives b"" exactly when the whole body has been read."""

    def __init__(self, environ: Mapping[str, Any]) -> None:
        self._stream = environ["wsgi.input"]
        self.length = _content_length(environ)
        self._is_chunked = "chunked" in environ.get("HTTP_TRANSFER_ENCODING", "").lower()
        self._read_bytes = 0
        self._is_ended = self.length is None and not self._is_chunked

    def fill(self, buffer: bytearray | mmap.mmap, start: int, stop: int) -> int:
        """See ByteSource."""
        if self.length is not None:
            stop = min(stop, start + self.length - self._read_bytes)
        if stop <= start or self._is_ended:
            return 0
        try:
            count: int = self._stream.readinto(memoryview(buffer)[start:stop])
        except Exception as error:  # each server has errors of its own for a broken body
            raise IncompleteBody(f"the body broke off after {self._read_bytes} bytes") from error
        self._read_bytes += count
        if not count:
            self._is_ended = True
            if self.length is not None:
                raise IncompleteBody(f"the body broke off after {self._read_bytes} of {self.length} bytes")
        return count

    def read_all(self, limit: int) -> bytes:
        """The whole body, as far as `limit`."""
        whole = b""
        while len(whole) < limit and (piece := self.read(limit - len(whole))):
            whole += piece
        return whole

    def read(self, limit: int) -> bytes:
        """At most `limit` next bytes; raises IncompleteBody when the client broke off."""
        if self.length is not None:
            limit = min(limit, self.length - self._read_bytes)
        if limit <= 0 or self._is_ended:
            return b""
        try:
            piece: bytes = self._stream.read(limit)
        except Exception as error:  # each server has errors of its own for a broken body
            raise IncompleteBody(f"the body broke off after {self._read_bytes} bytes") from error
        self._read_bytes += len(piece)
        if not piece:
            self._is_ended = True
            if self.length is not None:
                raise IncompleteBody(f"the body broke off after {self._read_bytes} of {self.length} bytes")
        return piece


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
