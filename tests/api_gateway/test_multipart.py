"""The multipart reader: whatever the pieces in which a form arrives, the parts come out as they were put in."""

from __future__ import annotations

import io
import random
from typing import Any

import pytest

from api_gateway.multipart import FilePart, read_form
from common.bodies import BodyReader
from common.errors import IncompleteBody, InvalidForm
from tests.support.client import Part, file_part, form_body, some_bytes
from tests.support.forms import all_parts, body_of, content_of
from tests.support.names import AWKWARD_NAMES

BOUNDARY = "XbOuNdArYx"
FORM = f"multipart/form-data; boundary={BOUNDARY}"
PIECES = [1, 7, 64 * 1024]


def _parts(raw: bytes, piece: int, *, first_piece: int = 0, content_type: str = FORM) -> list[tuple[Any, ...]]:
    """Every part of the form, files read to their end."""
    return all_parts(body_of(raw, piece, first_piece=first_piece), content_type)


def _expected(parts: list[Part]) -> list[tuple[Any, ...]]:
    return [
        (part.name, part.content.decode()) if part.filename is None else (part.name, part.filename, part.content)
        for part in parts
    ]


LOOK_ALIKES = [
    b"",
    b"\r\n",
    b"\r",
    b"\n",
    b"--",
    b"a--" + BOUNDARY.encode(),
    b"a--" + BOUNDARY.encode() + b"--",
    b"\r\n--",
    b"\r\n--" + BOUNDARY[:-1].encode(),
    b"\r\n--" + BOUNDARY.encode() + b"more\r\n",
    b"\r\n--" + BOUNDARY.encode() + b"-\r\n",
    b"\r\n--" + BOUNDARY.lower().encode() + b"\r\n",
    b"\r\n-" + BOUNDARY.encode(),
    b"x\r\n\r\n--Xb\r\n--XbOuN\r\n--XbOuNdArY\r\n",
    b"\r\r\n\n\r\n\r",
    b'Content-Disposition: form-data; name="x"\r\n\r\n',
    bytes(range(256)),
]


@pytest.mark.parametrize("piece", PIECES)
@pytest.mark.parametrize("content", LOOK_ALIKES)
def test_data_that_looks_like_a_boundary_is_data(content: bytes, piece: int) -> None:
    parts = [Part("file", content, "one"), Part("path", b"p/"), Part("file", content + content, "two")]
    assert _parts(form_body(parts, BOUNDARY), piece) == _expected(parts)


@pytest.mark.parametrize("piece", PIECES)
def test_random_forms_come_out_as_they_were_put_in(piece: int) -> None:
    rng = random.Random(20260131)
    alphabet = [b"\r", b"\n", b"-", b"--", b"X", BOUNDARY.encode()[:5], b"\r\n--", b"\x00", b"a"]
    for _ in range(60):
        parts = []
        for number in range(rng.randrange(1, 5)):
            content = b"".join(rng.choices(alphabet, k=rng.randrange(0, 120)))
            if rng.random() < 0.6:
                parts.append(Part("file", content, f"name {number}"))
            else:
                parts.append(Part("path", content.replace(b"\x00", "é".encode())))
        # A delimiter needs the whole boundary; five letters of it are never one.
        assert _parts(form_body(parts, BOUNDARY), piece) == _expected(parts)


def test_no_cut_between_two_pieces_changes_a_byte() -> None:
    parts = [Part("file", b"one", "1"), Part("path", b"p"), Part("file", b"two\r\n", "2"), Part("file", b"", "3")]
    raw = form_body(parts, BOUNDARY)
    changed = [cut for cut in range(len(raw)) if _parts(raw, len(raw), first_piece=cut) != _expected(parts)]
    assert changed == [], [raw[cut - 16 : cut] for cut in changed]


@pytest.mark.parametrize("size", [0, 1, 65535, 65536, 65537, 300_000])
@pytest.mark.parametrize("piece", [7, 64 * 1024])
def test_big_files_come_out_whole(size: int, piece: int) -> None:
    parts = [Part("file", some_bytes(size, "multipart"), "big"), Part("file", some_bytes(size, "second"), "two")]
    found = _parts(form_body(parts, BOUNDARY), piece)
    assert [(name, filename, len(content)) for name, filename, content in found] == [
        ("file", "big", size),
        ("file", "two", size),
    ]
    assert all(found[number][2] == parts[number].content for number in (0, 1))


@pytest.mark.parametrize("piece", PIECES)
def test_what_stands_before_and_behind_the_parts_is_passed_over(piece: int) -> None:
    parts = [Part("file", b"content", "name")]
    body = form_body(parts, BOUNDARY)
    for raw in (
        b"a preamble\r\n" + body,
        body + b"an epilogue\r\n--no boundary--",
        b"\r\n\r\n" + body + b"\r\n\r\n" + b"e" * 5000,
        b"p" * 5000 + b"\r\n" + body,
        body[:-2],
    ):
        assert _parts(raw, piece) == _expected(parts)


@pytest.mark.parametrize("piece", PIECES)
def test_a_form_without_its_final_boundary_is_refused(piece: int) -> None:
    parts = [Part("path", b"p"), Part("file", b"content of the file", "name")]
    body = form_body(parts, BOUNDARY)
    end = len(body) - len("--\r\n")
    for cut in range(0, end, 3 if piece == 1 else 1):
        with pytest.raises(InvalidForm):
            _parts(body[:cut], piece)


def test_a_form_that_breaks_off_is_an_incomplete_body() -> None:
    raw = form_body([Part("file", b"x" * 1000, "name")], BOUNDARY)
    body = BodyReader({"wsgi.input": io.BytesIO(raw[:500]), "CONTENT_LENGTH": str(len(raw))})
    parts = read_form(FORM, body)
    part = next(parts)
    assert isinstance(part, FilePart)
    with pytest.raises(IncompleteBody):
        content_of(part.content)


def test_another_boundary_than_announced_is_refused() -> None:
    raw = form_body([Part("file", b"x", "name")], "another")
    for piece in PIECES:
        with pytest.raises(InvalidForm):
            _parts(raw, piece)


@pytest.mark.parametrize(
    "content_type",
    ["", "text/plain", "multipart/form-data", "multipart/form-data; boundary=", "multipart/mixed; boundary=XbOuNdArYx"],
)
def test_what_is_no_form_is_refused(content_type: str) -> None:
    raw = form_body([Part("file", b"x", "name")], BOUNDARY)
    with pytest.raises(InvalidForm):
        _parts(raw, 7, content_type=content_type)


@pytest.mark.parametrize("boundary", ["-", "----WebKitFormBoundary7MA4YWxkTrZu0gW", "a" * 70, "'()+_,-./:=?", "0"])
def test_every_legal_boundary_is_understood(boundary: str) -> None:
    parts = [Part("file", b"some -- content", "name")]
    for quoted in (f'"{boundary}"', boundary) if boundary.isalnum() else (f'"{boundary}"',):
        content_type = f"Multipart/Form-Data; charset=utf-8; boundary={quoted}"
        assert _parts(form_body(parts, boundary), 7, content_type=content_type) == _expected(parts)


AMBIGUOUS = ("%22", "%0A", "%0D", '\\"')


@pytest.mark.parametrize(
    "name", [name for name in AWKWARD_NAMES if not any(mark in name for mark in AMBIGUOUS) and not name.endswith("\\")]
)
def test_a_file_keeps_the_name_that_a_browser_sends(name: str) -> None:
    assert _parts(form_body([file_part(name, b"x")], BOUNDARY), 64 * 1024) == [("file", name, b"x")]


@pytest.mark.parametrize(
    ("header", "filename"),
    [
        ('form-data; name="file"; filename="say \\"hi\\".txt"', 'say "hi".txt'),
        ('form-data; name="file"; filename="C:\\temp\\x.txt"', "C:\\temp\\x.txt"),
        ('form-data; name="file"; filename=bare.txt', "bare.txt"),
        ('form-data; filename="first.txt"; name="file"', "first.txt"),
        ('form-data; name="file"; FILENAME="upper.txt"', "upper.txt"),
        ("form-data; name=\"file\"; filename*=UTF-8''na%C3%AFve%20%E2%82%AC.txt", "naïve €.txt"),
        ('form-data; name="file"; filename="a;b; name=x.txt"', "a;b; name=x.txt"),
        ('form-data; name="file"; filename=""', ""),
    ],
)
def test_the_other_ways_to_write_a_name(header: str, filename: str) -> None:
    raw = f"--{BOUNDARY}\r\nContent-Disposition: {header}\r\n\r\nx\r\n--{BOUNDARY}--\r\n".encode()
    for piece in PIECES:
        assert _parts(raw, piece) == [("file", filename, b"x")]


def test_the_content_type_of_a_part_is_kept() -> None:
    raw = form_body([Part("file", b"x", "name", "image/x-own")], BOUNDARY)
    part = next(read_form(FORM, body_of(raw, 1000)))
    assert isinstance(part, FilePart)
    assert part.content_type == "image/x-own"


def _one_part(headers: bytes, content: bytes = b"x") -> bytes:
    boundary = b"--" + BOUNDARY.encode()
    return boundary + b"\r\n" + headers + b"\r\n\r\n" + content + b"\r\n" + boundary + b"--\r\n"


@pytest.mark.parametrize(
    "raw",
    [
        _one_part(b"X-Bomb: " + b"x" * 3_000_000),
        _one_part(b"\r\n".join(b"X-%d: x" % number for number in range(300_000))),
        b"p" * 3_000_000 + _one_part(b'Content-Disposition: form-data; name="file"; filename="f"'),
        _one_part(b'Content-Disposition: form-data; name="path"', b"p" * 8193),
        _one_part(b'Content-Disposition: form-data; name="path"', b"p" * 3_000_000),
        _one_part(b'Content-Disposition: form-data; name="path"', b"\xff\xfe"),
        _one_part(b"Content-Type: text/plain"),
        _one_part(b"no colon at all"),
        _one_part(b"Content-Disposition: form-data; name*=UTF-8''%ff; filename*=UTF-8''%ff"),
        _one_part(b"\xff\xfe: \xff"),
    ],
    ids=[
        "a header of 3 MB",
        "300,000 headers",
        "a preamble of 3 MB",
        "a field one byte too long",
        "a field of 3 MB",
        "a field that is not UTF-8",
        "no disposition",
        "a header without a colon",
        "names that are not UTF-8",
        "headers that are not text",
    ],
)
def test_a_bomb_or_a_broken_part_is_refused_as_a_form_or_read_as_harmless(raw: bytes) -> None:
    try:
        found = _parts(raw, 64 * 1024)
    except InvalidForm:
        return
    assert all(sum(len(value) for value in part) < 10_000 for part in found)


def test_a_field_of_the_longest_length_is_taken() -> None:
    parts = [Part("path", b"p" * 8192)]
    assert _parts(form_body(parts, BOUNDARY), 1000) == _expected(parts)


def test_a_file_that_was_not_read_to_its_end_is_noticed() -> None:
    raw = form_body([Part("file", b"x" * 600_000, "one"), Part("file", b"y", "two")], BOUNDARY)
    parts = read_form(FORM, body_of(raw, 1000))
    next(parts)
    with pytest.raises(InvalidForm):
        next(parts)


def test_a_file_of_an_earlier_part_stays_at_its_end() -> None:
    raw = form_body([Part("file", b"one", "1"), Part("file", b"two", "2")], BOUNDARY)
    parts = read_form(FORM, body_of(raw, 1000))
    first, second = next(parts), None
    assert isinstance(first, FilePart)
    assert content_of(first.content) == b"one"
    second = next(parts)
    assert isinstance(second, FilePart)
    assert content_of(first.content) == b""
    assert content_of(second.content) == b"two"
