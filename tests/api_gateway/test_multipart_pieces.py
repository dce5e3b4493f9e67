"""A form means the same however it arrives and whatever the buffers: every cut, every piece, buffers of odd sizes."""

from __future__ import annotations

import re
import sys
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api_gateway.multipart import FilePart, read_form
from api_gateway.part_headers import disposition_parameters, parse_headers
from common.bodies import BodyReader
from common.errors import InvalidForm
from tests.support.client import Part, form_body, some_bytes
from tests.support.forms import FillingStream, PiecewiseStream, all_parts, body_of, content_of

BOUNDARY = "bX"
FORM = f"multipart/form-data; boundary={BOUNDARY}"
DELIMITER = b"\r\n--bX"
ROOMS = [1, 2, len(DELIMITER) - 1, len(DELIMITER), len(DELIMITER) + 1, 64, 100_000]
NEAR = [b"\r", b"\n", b"\r\n", b"\r\n--", DELIMITER, DELIMITER + b"-", DELIMITER + b" \t", DELIMITER + b"more", b"--bX"]
FILE_HEAD = b'Content-Disposition: form-data; name="file"; filename="f"\r\n\r\n'
FIELD_HEAD = b'Content-Disposition: form-data; name="path"\r\n\r\n'

Outcome = list[tuple[Any, ...]] | str


def _by_the_rule(raw: bytes) -> Outcome:
    """What the form means, decided with all of it at hand."""
    line = re.compile(re.escape(DELIMITER) + rb"(--|[ \t]{0,256}\r\n)")
    octets, found = b"\r\n" + raw, []
    content: Callable[[bytes], tuple[Any, ...]] | None = None
    position = 0
    while (boundary := line.search(octets, position)) is not None:
        if content is not None:
            found.append(content(octets[position : boundary.start()]))
        if boundary[1] == b"--":
            return found
        end = octets.find(b"\r\n\r\n", boundary.end())
        if end < 0:
            break
        headers = parse_headers(octets[boundary.end() : end])
        content = _part_with(disposition_parameters(headers["content-disposition"]))
        position = end + 4
    return "InvalidForm"


def _part_with(parameters: Any) -> Callable[[bytes], tuple[Any, ...]]:
    if "filename" in parameters:
        return lambda content: (parameters["name"], parameters["filename"], content)
    return lambda content: (parameters["name"], content.decode())


def _outcome(read: Callable[[], Outcome]) -> Outcome:
    try:
        return read()
    except InvalidForm:
        return "InvalidForm"


def _form_with(*contents: bytes) -> bytes:
    return form_body([Part("file", content, f"{number}") for number, content in enumerate(contents)], BOUNDARY)


SMALL = b"".join(
    [
        b"--bX \t\r\n" + FILE_HEAD + b"\r" + DELIMITER + b"o",
        DELIMITER + b"\r\n" + FILE_HEAD,
        DELIMITER + b"\r\n" + FIELD_HEAD + b"p",
        DELIMITER + b"--\r\nepilogue",
    ]
)


def test_the_small_form_has_what_makes_it_worth_cutting() -> None:
    assert _by_the_rule(SMALL) == [("file", "f", b"\r" + DELIMITER + b"o"), ("file", "f", b""), ("path", "p")]


@pytest.mark.parametrize("room", ROOMS)
def test_a_form_in_pieces_of_any_size_is_the_same_form(room: int) -> None:
    expected = _by_the_rule(SMALL)
    for piece in range(1, len(SMALL) + 1):
        assert all_parts(body_of(SMALL, piece), FORM, room) == expected, piece


@pytest.mark.parametrize("room", ROOMS)
def test_a_form_cut_at_any_place_is_the_same_form(room: int) -> None:
    expected = _by_the_rule(SMALL)
    for cut in range(1, len(SMALL)):
        assert all_parts(body_of(SMALL, cut, len(SMALL)), FORM, room) == expected, cut


@pytest.mark.parametrize("room", ROOMS)
def test_a_form_that_ends_too_early_is_refused_wherever_it_ends(room: int) -> None:
    whole = SMALL.index(DELIMITER + b"--") + len(DELIMITER + b"--")
    for end in range(whole):
        for piece in (1, 1000):
            with pytest.raises(InvalidForm):
                all_parts(body_of(SMALL[:end], piece), FORM, room)
    assert all_parts(body_of(SMALL[:whole], 1000), FORM, room) == _by_the_rule(SMALL)


@pytest.mark.parametrize("room", ROOMS)
@pytest.mark.parametrize("near", NEAR)
def test_what_is_nearly_a_boundary_is_data_at_every_place_of_the_buffer(near: bytes, room: int) -> None:
    for before in range(2 * len(DELIMITER) + 2):
        contents = (b"." * before + near + b"x" + near + b".", near + b"." + near + b"x", b"", b"." * before)
        raw = _form_with(*contents)
        for piece in (1, 13, 1000):
            assert [part[2] for part in all_parts(body_of(raw, piece), FORM, room)] == list(contents)


@settings(max_examples=400, deadline=None)
@given(
    st.lists(st.sampled_from([*NEAR, b"a", b"-", b"--", b" ", b"\r\n\r\n", DELIMITER + b"--", FILE_HEAD, FIELD_HEAD])),
    st.lists(st.integers(1, 40), min_size=1, max_size=8),
    st.sampled_from(ROOMS),
    st.booleans(),
)
def test_whatever_arrives_means_what_the_rule_says(
    fragments: list[bytes], pieces: list[int], room: int, has_readinto: bool
) -> None:
    """Sound or broken; by a server that fills buffers or one that only reads."""
    raw = b"--bX\r\n" + FILE_HEAD + b"".join(fragments) + b"\r\n--bX--\r\n"
    stream = (FillingStream if has_readinto else PiecewiseStream)(raw, pieces)
    body = BodyReader({"wsgi.input": stream, "HTTP_TRANSFER_ENCODING": "chunked"})
    assert _outcome(lambda: all_parts(body, FORM, room)) == _outcome(lambda: _by_the_rule(raw))


@pytest.mark.parametrize("padding", [0, 1, 255, 256, 257, 1000])
@pytest.mark.parametrize("piece", [1, 100, 5000])
def test_the_padding_of_a_boundary_has_one_limit_however_it_arrives(padding: int, piece: int) -> None:
    raw = b"--bX\r\n" + FILE_HEAD + b"one\r\n--bX" + b" " * padding + b"\r\n" + FILE_HEAD + b"two\r\n--bX--"
    found = all_parts(body_of(raw, piece), FORM, 50)
    assert len(found) == (2 if padding <= 256 else 1)
    assert found == _by_the_rule(raw)


def _calls(read: Callable[[], object]) -> int:
    """How many functions, ours and the interpreter's, were called."""
    count = 0

    def note(_frame: object, event: str, _arg: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(note)
    try:
        read()
    finally:
        sys.setprofile(None)
    return count


@pytest.mark.parametrize("room", [16, 100_000])
def test_the_work_for_thousands_of_small_files_grows_with_their_number_only(room: int) -> None:
    def reading(count: int) -> Callable[[], object]:
        raw = _form_with(*(b"content %d" % number for number in range(count)))
        return lambda: all_parts(body_of(raw, 100_000), FORM, room)

    assert _calls(reading(8000)) <= 8.2 * _calls(reading(1000))


def test_the_stream_is_asked_no_oftener_for_small_files_than_for_a_big_one() -> None:
    raw = _form_with(*(b"x" * 100 for _ in range(20_000)))
    stream = FillingStream(raw, [len(raw)])
    body = BodyReader({"wsgi.input": stream, "CONTENT_LENGTH": str(len(raw))})
    assert len(all_parts(body, FORM)) == 20_000
    assert stream.calls <= len(raw) // 100_000 + 10


@pytest.mark.parametrize(
    "contents",
    [
        [b"x" * 100] * 20_000,
        [some_bytes(4_000_000, "one"), b"", some_bytes(4_000_000, "two")],
        [b"\r\n-" * 1_500_000],
        [(DELIMITER + b"x") * 20_000] * 4,
    ],
    ids=["many small files", "big files", "nearly boundaries", "more nearly boundaries"],
)
def test_no_form_is_held_in_memory(contents: list[bytes]) -> None:
    raw = _form_with(*contents)
    body = body_of(raw, len(raw))
    buffer = bytearray(4 * 1024 * 1024)
    tracemalloc.start()
    try:
        for part in read_form(FORM, body):
            assert isinstance(part, FilePart)
            while part.content.fill(buffer, 0, len(buffer)):
                pass
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak <= 1_000_000


def test_big_files_come_out_whole_of_buffers_that_are_smaller() -> None:
    contents = [some_bytes(700_001, "one"), some_bytes(3, "two"), some_bytes(262_144, "three")]
    raw = _form_with(*contents)
    for room in (4099, 65_536, 262_144, 262_145, 1_000_000):
        assert [part[2] for part in all_parts(body_of(raw, 1_000_000), FORM, room)] == contents


def test_a_part_behind_a_big_file_is_read_from_what_came_with_its_end() -> None:
    raw = _form_with(some_bytes(100_000, "one"), b"two")
    parts = read_form(FORM, body_of(raw, len(raw)))
    for expected in (some_bytes(100_000, "one"), b"two"):
        part = next(parts)
        assert isinstance(part, FilePart)
        assert content_of(part.content, 1_000_000) == expected
    assert next(parts, None) is None
