"""Bodies that arrive in pieces of a given size, and forms read from them into buffers of a given size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from api_gateway.multipart import FieldPart, FilePart, read_form
from common.bodies import BodyReader, ByteSource

_GUARD = b"guard"


class PiecewiseStream:
    """A request's stream that gives at most so many bytes at once; `calls` counts how often it was asked."""

    def __init__(self, content: bytes, pieces: Sequence[int]) -> None:
        """pieces: the most that each call gives; the last one holds for all further calls."""
        self._content = memoryview(content)
        self._pieces = list(pieces)
        self._position = 0
        self.calls = 0

    def read(self, size: int) -> bytes:
        assert size > 0
        self.calls += 1
        limit = self._pieces.pop(0) if len(self._pieces) > 1 else self._pieces[0]
        taken = self._content[self._position : self._position + min(size, limit)]
        self._position += len(taken)
        return bytes(taken)


class FillingStream(PiecewiseStream):
    """The same, of a server that can read into a buffer."""

    def readinto(self, room: memoryview) -> int:
        piece = self.read(len(room))
        room[: len(piece)] = piece
        return len(piece)


def body_of(raw: bytes, *pieces: int, first_piece: int = 0) -> BodyReader:
    """A body of announced length that arrives so. first_piece: another length of the first piece, where given."""
    sizes = [first_piece, *pieces] if first_piece else pieces
    return BodyReader({"wsgi.input": FillingStream(raw, sizes), "CONTENT_LENGTH": str(len(raw))})


def content_of(source: ByteSource, room: int = 100_000) -> bytes:
    """All that the source gives, read into a buffer of `room` bytes, beside which nothing may be touched."""
    buffer = bytearray(_GUARD + bytes(room) + _GUARD)
    content = bytearray()
    start, stop = len(_GUARD), len(_GUARD) + room
    position = start
    while count := source.fill(buffer, position, stop):
        assert 0 < count <= stop - position
        content += buffer[position : position + count]
        position = position + count if position + count < stop else start
        assert buffer[:start] == buffer[stop:] == _GUARD
    assert len(buffer) == stop + len(_GUARD)
    assert source.fill(buffer, start, stop) == 0
    return bytes(content)


def all_parts(body: BodyReader, content_type: str, room: int = 100_000) -> list[tuple[Any, ...]]:
    """Every part of the form, files read to their end."""
    found: list[tuple[Any, ...]] = []
    for part in read_form(content_type, body):
        if isinstance(part, FilePart):
            found.append((part.name, part.filename, content_of(part.content, room)))
        else:
            assert isinstance(part, FieldPart)
            found.append((part.name, part.value))
    return found
