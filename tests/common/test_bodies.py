"""A request's body is read as it comes, and one that is cut short never passes for a whole one."""

from __future__ import annotations

import io
from typing import Any

import pytest

from common.bodies import MAX_FILL_BYTES, BodyReader
from common.errors import IncompleteBody, InvalidRequest
from tests.support.forms import FillingStream, PiecewiseStream, content_of


class Stream:
    """Gives these pieces one by one, then ends or fails."""

    def __init__(self, *pieces: bytes, failure: Exception | None = None) -> None:
        self._pieces = list(pieces)
        self._failure = failure

    def read(self, limit: int) -> bytes:
        if not self._pieces:
            if self._failure is not None:
                raise self._failure
            return b""
        piece = self._pieces.pop(0)
        if len(piece) > limit:
            self._pieces.insert(0, piece[limit:])
        return piece[:limit]


def reader(stream: Any, length: str | None = None, *, is_chunked: bool = False) -> BodyReader:
    environ = {"wsgi.input": stream}
    if length is not None:
        environ["CONTENT_LENGTH"] = length
    if is_chunked:
        environ["HTTP_TRANSFER_ENCODING"] = "Chunked"
    return BodyReader(environ)


def read_all(body: BodyReader, limit: int = 4) -> bytes:
    return b"".join(iter(lambda: body.read(limit), b""))


@pytest.mark.parametrize("limit", [1, 9, 10, 11, 1000])
def test_a_body_of_announced_length_is_read_whole(limit: int) -> None:
    body = reader(Stream(b"012", b"3456", b"789"), "10")
    assert body.length == 10
    assert read_all(body, limit) == b"0123456789"
    assert body.read(limit) == b""


@pytest.mark.parametrize("room", [1, 9, 10, 11, 1000])
@pytest.mark.parametrize("stream_type", [PiecewiseStream, FillingStream])
def test_a_body_is_put_into_a_buffer_and_nowhere_beside(stream_type: Any, room: int) -> None:
    body = reader(stream_type(b"0123456789", [3, 4]), "10")
    assert content_of(body, room) == b"0123456789"
    assert body.read(10) == b""


@pytest.mark.parametrize("stream_type", [io.BytesIO, lambda content: PiecewiseStream(content, [1000])])
def test_nothing_beyond_the_announced_length_is_put_into_a_buffer(stream_type: Any) -> None:
    stream = stream_type(b"0123456789NEXT")
    assert content_of(reader(stream, "10"), 100) == b"0123456789"
    assert stream.read(100) == b"NEXT"


def test_a_fill_of_a_large_buffer_returns_after_a_part_of_it() -> None:
    """A stream that waits for all it is asked for must not keep a slow upload from saying that it is alive."""
    size = MAX_FILL_BYTES + 1
    body = reader(io.BytesIO(bytes(size)), str(size))
    buffer = bytearray(size)
    assert [body.fill(buffer, 0, size) for _ in range(3)] == [MAX_FILL_BYTES, 1, 0]


def test_a_chunked_body_is_put_into_a_buffer_to_its_end() -> None:
    assert content_of(reader(FillingStream(b"012345", [4]), is_chunked=True), 5) == b"012345"
    assert content_of(reader(Stream(b"of the next request")), 5) == b""


@pytest.mark.parametrize("given", [b"", b"0", b"012345678"])
@pytest.mark.parametrize("stream_type", [io.BytesIO, Stream])
def test_a_buffer_from_a_body_shorter_than_announced_is_incomplete(given: bytes, stream_type: Any) -> None:
    body = reader(stream_type(given) if given else io.BytesIO(), "10")
    with pytest.raises(IncompleteBody, match=f"{len(given)} of 10"):
        content_of(body, 4)
    for ask_again in (lambda: body.read(1), lambda: body.fill(bytearray(1), 0, 1)):
        with pytest.raises(IncompleteBody):
            ask_again()


class Misbehaving:
    """A stream whose calls end so; None is what one that does not wait gives while nothing is there."""

    def __init__(self, outcome: Exception | bytes | None) -> None:
        self._outcome = outcome

    def read(self, _size: int) -> bytes | None:
        if isinstance(self._outcome, Exception):
            raise self._outcome
        return self._outcome


class MisbehavingFilling(Misbehaving):
    def readinto(self, room: memoryview) -> int | None:
        piece = self.read(len(room))
        return None if piece is None else len(piece)


@pytest.mark.parametrize(
    "stream",
    [
        Misbehaving(ConnectionResetError()),
        Misbehaving(b"more than asked for"),
        Misbehaving(None),
        MisbehavingFilling(TimeoutError()),
        MisbehavingFilling(ValueError("bad chunk")),
        MisbehavingFilling(None),
    ],
)
@pytest.mark.parametrize("is_chunked", [True, False])
def test_a_stream_that_fails_leaves_an_incomplete_body_and_the_buffer_as_long_as_it_was(
    stream: Any, is_chunked: bool
) -> None:
    body = reader(stream, None if is_chunked else "100", is_chunked=is_chunked)
    buffer = bytearray(10)
    for _ in range(2):
        with pytest.raises(IncompleteBody):
            body.fill(buffer, 2, 5)
    buffer += b"the buffer is free again"


def test_nothing_beyond_the_announced_length_is_read() -> None:
    """What follows on a kept connection is the next request."""
    stream = io.BytesIO(b"0123456789NEXT")
    assert read_all(reader(stream, "10"), 100) == b"0123456789"
    assert stream.read() == b"NEXT"


@pytest.mark.parametrize("given", [b"", b"0", b"012345678"])
def test_a_body_shorter_than_announced_is_incomplete(given: bytes) -> None:
    body = reader(io.BytesIO(given), "10")
    with pytest.raises(IncompleteBody, match=f"{len(given)} of 10"):
        read_all(body)


def test_a_body_does_not_become_complete_by_asking_again() -> None:
    body = reader(io.BytesIO(b"01"), "10")
    assert body.read(100) == b"01"
    with pytest.raises(IncompleteBody):
        body.read(100)


@pytest.mark.parametrize("failure", [ConnectionResetError(), TimeoutError(), ValueError("bad chunk"), OSError("gone")])
@pytest.mark.parametrize("is_chunked", [True, False])
def test_a_connection_that_breaks_leaves_an_incomplete_body(failure: Exception, is_chunked: bool) -> None:
    body = reader(Stream(b"012", failure=failure), None if is_chunked else "10", is_chunked=is_chunked)
    assert body.read(10) == b"012"
    with pytest.raises(IncompleteBody):
        body.read(10)


def test_a_chunked_body_ends_where_the_server_says_so() -> None:
    body = reader(Stream(b"012", b"345"), is_chunked=True)
    assert body.length is None
    assert read_all(body) == b"012345"
    assert body.read(4) == b""


def test_a_chunked_body_has_no_announced_length() -> None:
    """Where both are given, the chunks decide (RFC 9112, section 6.3)."""
    body = reader(Stream(b"012345"), "3", is_chunked=True)
    assert body.length is None
    assert read_all(body) == b"012345"


@pytest.mark.parametrize("length", [None, "", "0"])
def test_a_request_without_a_body_has_an_empty_one(length: str | None) -> None:
    body = reader(Stream(b"of the next request"), length)
    assert body.length == (0 if length == "0" else None)
    assert body.read(100) == b""


@pytest.mark.parametrize("length", ["-1", "+1", "1.0", "1e3", "0x10", " 1", "1,1", "one", "٣", "9" * 5000])
def test_an_announced_length_that_is_no_number_is_refused(length: str) -> None:
    with pytest.raises(InvalidRequest):
        reader(Stream(), length)


def test_a_length_of_many_terabytes_is_taken() -> None:
    assert reader(Stream(), str(2**50)).length == 2**50
