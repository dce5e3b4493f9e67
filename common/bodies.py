"""Read a request's body as it comes, and notice when it is cut short.

A WSGI server gives fewer bytes when the client breaks off, without an error where the length was announced; so the
bytes are counted here. The two places where a truncated body must not pass for a whole one, a worker's chunk and the
gateway's file, both read through this.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from common.errors import IncompleteBody, InvalidRequest


class BodyReader:
    """The body of one request; `read` gives b"" exactly when the whole body has been read."""

    def __init__(self, environ: Mapping[str, Any]) -> None:
        self._stream = environ["wsgi.input"]
        self.length = _content_length(environ)
        self._is_chunked = "chunked" in environ.get("HTTP_TRANSFER_ENCODING", "").lower()
        self._read_bytes = 0
        self._is_ended = self.length is None and not self._is_chunked

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
