"""Reading one HTTP/1.1 answer: its head, and its body by length, in chunks, or to the end of the connection.

It knows where the body ends and says so only when it does; it does not know what an answer means. All of it comes from
a stranger: MalformedHead and AnswerBroken for whatever is no answer, never a body that is not the peer's.
"""

from __future__ import annotations

import json
import re
import sys
from typing import Any

from common.connections import AnswerBroken, Connection
from common.security_headers import IN_THE_CLEAR
from common.wire import (
    MAX_HEAD_BYTES,
    Headers,
    MalformedHead,
    content_length,
    is_chunked,
    parse_chunk_size,
    parse_fields,
)

MAX_JSON_BYTES = 16 * 1024 * 1024
_READ_PIECE = 256 * 1024
# What our own services say to browsers in every answer; whole lines of it, taken off before the rest is read.
_FOR_BROWSERS = f"\r\n{IN_THE_CLEAR.lines()}".encode()
_STATUS_LINE = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9]{2})(?: [^\x00-\x08\x0a-\x1f\x7f]*)?\r\n")
_UNKNOWN = sys.maxsize


class Answer:
    """A response whose head has been read; the body is read once, whole."""

    def __init__(
        self, connection: Connection, status: int, fields: dict[str, str], *, is_kept: bool, has_body: bool
    ) -> None:
        """is_kept: whether the peer keeps the connection open; has_body: not by its length but by its kind."""
        self._connection = connection
        self.status = status
        self.headers = Headers(fields)
        length = content_length(fields)
        self._is_chunked = is_chunked(fields)
        # Of the body, or of the current chunk.
        self._left = 0 if self._is_chunked else _UNKNOWN if length is None else length
        self._is_to_the_end = self._left == _UNKNOWN
        self._is_in_chunks = False
        self._is_ended = not has_body or (self._left == 0 and not self._is_chunked)
        self._is_kept = is_kept and not (has_body and self._is_to_the_end)

    def read_into(self, view: memoryview) -> int:
        """Fill `view` from the body; returns how much came, which is less only at the body's end."""
        filled = 0
        while filled < len(view) and (expected := self._expect(len(view) - filled)):
            filled += self._count(self._connection.receive_into(view[filled : filled + expected]))
        return filled

    def read(self, limit: int = MAX_JSON_BYTES) -> bytes:
        """The whole body; raises ValueError when it is larger than `limit`."""
        body = bytearray()
        while expected := self._expect(min(_READ_PIECE, limit + 1 - len(body))):
            piece = self._connection.receive(expected)
            self._count(len(piece))
            body += piece
            if len(body) > limit:
                raise ValueError(f"the answer is larger than {limit} bytes")
        return bytes(body)

    def json(self) -> dict[str, Any]:
        try:
            value = json.loads(self.read().decode())
        except RecursionError:
            raise ValueError("the answer is nested too deeply") from None
        if not isinstance(value, dict):
            raise ValueError("the answer is not a JSON object")
        return value

    def is_complete(self) -> bool:
        """Whether nothing is left, so that the connection can carry another call."""
        return self._is_ended and self._is_kept and self._connection.is_clean

    def _expect(self, wanted: int) -> int:
        """How many bytes may be received now, at most `wanted`; none at the body's end."""
        if self._is_chunked and self._left == 0 and not self._is_ended:
            self._begin_chunk()
        return 0 if self._is_ended else min(wanted, self._left)

    def _count(self, received: int) -> int:
        if received == 0 and not self._is_to_the_end:
            raise AnswerBroken("the answer ends early")
        if not self._is_to_the_end:
            self._left -= received
        self._is_ended = received == 0 if self._is_to_the_end else self._left == 0 and not self._is_chunked
        return received

    def _begin_chunk(self) -> None:
        """Read the next chunk's size; after the last one, of size 0, the trailer too, which nobody asked for."""
        if self._is_in_chunks and self._connection.receive_until(b"\r\n", 2) != b"\r\n":
            raise MalformedHead("a chunk is longer than its size")
        self._is_in_chunks = True
        self._left = parse_chunk_size(self._connection.receive_until(b"\r\n", MAX_HEAD_BYTES))
        if self._left == 0:
            left = MAX_HEAD_BYTES
            while (line := self._connection.receive_until(b"\r\n", left)) != b"\r\n":
                left -= len(line)
            self._is_ended = True


def read_answer(connection: Connection, method: str) -> Answer:
    """Read up to the body of the answer to a request with this method; interim answers (1xx) are skipped.

    Raises MalformedHead or AnswerBroken for what is no answer, ConnectionError when nothing came, TimeoutError.
    """
    left = MAX_HEAD_BYTES
    while True:
        head = connection.receive_until(b"\r\n\r\n", left)
        left -= len(head)
        status_line = _STATUS_LINE.match(head)
        if status_line is None:
            raise MalformedHead("the answer is not HTTP/1.1")
        status = int(status_line[2])
        fields = parse_fields(head[status_line.end() : -2].replace(_FOR_BROWSERS, b"\r\n", 1))
        if status >= 200:
            break
        # Nobody asked to switch protocols, so what follows would be in none that is known here.
        if status == 101:
            raise MalformedHead("the peer switches protocols")
    is_new = status_line[1] == b"1"
    if not is_new and "transfer-encoding" in fields:
        raise MalformedHead("HTTP/1.0 knows no chunks")
    return Answer(
        connection,
        status,
        fields,
        is_kept=is_new and "close" not in fields.get("connection", "").lower(),
        has_body=method != "HEAD" and status not in (204, 304),
    )
