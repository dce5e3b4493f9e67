"""A body is read to its exact end, in every piece size and coding; one that is cut or malformed never ends well."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import DFSError, IncompleteBody, InvalidRequest
from common.server.body import ConnectionReader, RequestBody
from tests.support.scripted_socket import ScriptedSocket, byte_by_byte

NEXT = b"GET /next"


def reader(pieces: list[bytes]) -> ConnectionReader:
    sock: Any = ScriptedSocket(pieces)
    return ConnectionReader(sock)


def body(source: ConnectionReader, length: int | None) -> RequestBody:
    return RequestBody(source, length, lambda: None)


def chunked(*pieces: bytes, end: bytes = b"0\r\n\r\n") -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + end


def read_in(one: RequestBody, room: int) -> bytes:
    """All of a body by `readinto` of `room` bytes."""
    buffer, content = bytearray(room), b""
    while count := one.readinto(memoryview(buffer)):
        content += buffer[:count]
    return content


@pytest.mark.parametrize("room", [1, 2, 9, 10, 11, 200_000])
@pytest.mark.parametrize("split", [lambda sent: [sent], byte_by_byte])
@pytest.mark.parametrize(
    ("sent", "length"),
    [
        (b"0123456789", 10),
        (chunked(b"0123456789"), None),
        (chunked(*byte_by_byte(b"0123456789")), None),
        (b"0A;name=value\r\n0123456789\r\n0\r\n\r\n", None),
        (b'4 \t;a;b="c;d"\r\n0123\r\n006\r\n456789\r\n000;x\r\n\r\n', None),
        (chunked(b"01234", b"56789", end=b"0\r\nTrailer: one\r\nAnother: two\r\n\r\n"), None),
    ],
)
def test_a_whole_body_is_read_and_what_follows_stays(sent: bytes, length: int | None, split: Any, room: int) -> None:
    source = reader(split(sent + NEXT))
    one = body(source, length)
    assert read_in(one, room) == b"0123456789"
    assert one.is_ended
    assert one.readinto(memoryview(bytearray(9))) == 0
    following = b""
    while piece := source.receive(100):
        following += piece
    assert following == NEXT


def test_a_body_of_no_bytes_has_ended_before_it_is_read() -> None:
    one = body(reader([NEXT]), 0)
    assert one.is_ended
    assert (one.read(), one.read(5)) == (b"", b"")


def test_a_chunked_body_of_no_bytes_ends_when_it_is_read() -> None:
    one = body(reader([chunked(), NEXT]), None)
    assert not one.is_ended
    assert one.read() == b""
    assert one.is_ended


def test_read_gives_what_was_asked_for() -> None:
    one = body(reader(byte_by_byte(chunked(b"01234", b"56789"))), None)
    assert [one.read(3), one.read(0), one.read(4), one.read(), one.read(1)] == [b"012", b"", b"3456", b"789", b""]


def test_a_body_larger_than_the_buffer_of_read_is_read_whole() -> None:
    content = bytes(range(256)) * 1000
    assert body(reader([content[:70_000], content[70_000:]]), len(content)).read() == content


@pytest.mark.parametrize("given_bytes", range(10))
def test_a_body_that_is_cut_breaks_off(given_bytes: int) -> None:
    one = body(reader([b"0123456789"[:given_bytes]]), 10)
    with pytest.raises(IncompleteBody, match=f"{given_bytes} bytes"):
        one.read()
    with pytest.raises(IncompleteBody):
        one.read(1)
    assert not one.is_ended


@pytest.mark.parametrize("cut", range(1, len(chunked(b"01234", b"5", end=b"0\r\nA: b\r\n\r\n")) + 1))
@pytest.mark.parametrize("split", [lambda sent: [sent], byte_by_byte])
def test_a_chunked_body_that_is_cut_anywhere_breaks_off(split: Any, cut: int) -> None:
    one = body(reader(split(chunked(b"01234", b"5", end=b"0\r\nA: b\r\n\r\n")[:-cut])), None)
    with pytest.raises(IncompleteBody):
        one.read()
    assert not one.is_ended


@pytest.mark.parametrize("split", [lambda sent: [sent], byte_by_byte])
@pytest.mark.parametrize(
    "sent",
    [
        b"\r\n",
        b"\r\n0\r\n\r\n",
        b" 5\r\n01234\r\n0\r\n\r\n",
        b"0x5\r\n01234\r\n0\r\n\r\n",
        b"+5\r\n01234\r\n0\r\n\r\n",
        b"-5\r\n01234\r\n0\r\n\r\n",
        b"5\n01234\r\n0\r\n\r\n",
        b"5\r01234\r\n0\r\n\r\n",
        b"5 x\r\n01234\r\n0\r\n\r\n",
        b"5;a\rb\r\n01234\r\n0\r\n\r\n",
        b"5;a\x00b\r\n01234\r\n0\r\n\r\n",
        b"5\r\n01234\r\n0\r\nA: b\rc\r\n\r\n",
        b"g\r\n01234\r\n0\r\n\r\n",
        b"4\r\n01234\r\n0\r\n\r\n",
        b"6\r\n01234\r\n0\r\n\r\n",
        b"5\r\n01234\n0\r\n\r\n",
        b"5\r\n01234\r0\r\n\r\n",
        b"5\r\n012340\r\n\r\n",
        b"5\r\n01234\r\n0\r\n\n",
        b"5\r\n01234\r\n0\r\nA: b\n\r\n",
        b"5\r\n01234\r\nzz\r\n\r\n",
        b"1000000000000000\r\n01234\r\n0\r\n\r\n",
        b"5;" + b"a" * 5000 + b"\r\n01234\r\n0\r\n\r\n",
        b"5\r\n01234\r\n0\r\n" + b"A: b\r\n" * 5000 + b"\r\n",
        b"5\r\n01234\r\n0\r\nA: " + b"b" * 5000 + b"\r\n\r\n",
    ],
)
def test_a_malformed_chunked_body_is_refused(sent: bytes, split: Any) -> None:
    one = body(reader(split(sent)), None)
    with pytest.raises(InvalidRequest):
        one.read()
    with pytest.raises(IncompleteBody):
        one.read(1)
    assert not one.is_ended


def test_the_interim_answer_is_due_once_and_only_for_a_body_that_is_read() -> None:
    asked: list[str] = []
    one = RequestBody(reader([b"0123"]), 4, lambda: asked.append("continue"))
    assert asked == []
    one.read()
    one.read()
    assert asked == ["continue"]
    RequestBody(reader([b""]), 0, lambda: asked.append("never")).read()
    assert asked == ["continue"]


_mutated = st.builds(
    lambda sent, at, junk, gone: sent[: at % (len(sent) + 1)] + junk + sent[at % (len(sent) + 1) + gone :],
    st.lists(st.binary(min_size=1, max_size=40), max_size=4).map(lambda pieces: chunked(*pieces) + NEXT),
    st.integers(0, 400),
    st.one_of(st.binary(max_size=3), st.sampled_from([b"\r", b"\n", b"\r\n", b"0", b";", b"\r\n0\r\n\r\n"])),
    st.integers(0, 3),
)


@given(_mutated, st.integers(1, 50))
def test_two_readers_agree_on_every_mutated_body(sent: bytes, room: int) -> None:
    """Whole or byte by byte: the same content, the same rest, or the same kind of error."""

    def outcome(pieces: list[bytes], room: int) -> object:
        source = reader(pieces)
        try:
            content = read_in(body(source, None), room)
        except DFSError as error:
            return type(error)
        rest = b""
        while piece := source.receive(1000):
            rest += piece
        return content, rest

    assert outcome([sent], 1000) == outcome(byte_by_byte(sent), room)
