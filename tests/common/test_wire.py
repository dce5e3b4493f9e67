"""The grammar of HTTP heads: what is let in comes in one meaning, everything else is refused."""

from __future__ import annotations

import pytest

from common.wire import (
    MAX_FIELDS,
    MalformedHead,
    content_length,
    is_chunked,
    parse_chunk_size,
    parse_fields,
    request_head,
)


@pytest.mark.parametrize(
    ("block", "fields"),
    [
        (b"", {}),
        (b"A:\r\n", {"a": ""}),
        (b"A: b\r\n", {"a": "b"}),
        (b"A:b:c \t \r\n", {"a": "b:c"}),
        (b"X-Dfs-EPOCH:\t 7\r\nb: \r\n", {"x-dfs-epoch": "7", "b": ""}),
        (b"A: 1\r\nB: 2\r\na: 3\r\nA:\r\n", {"a": "1, 3, ", "b": "2"}),
        (b"A: caf\xe9 \xa0\r\n", {"a": "café \xa0"}),
        (b"!#$%&'*+.^_`|~-9z: tab\there\r\n", {"!#$%&'*+.^_`|~-9z": "tab\there"}),
        (b"Content-Length: 5\r\ncontent-length: 5 \r\n", {"content-length": "5"}),
        (b"A: b\r\n" * MAX_FIELDS, {"a": ", ".join(["b"] * MAX_FIELDS)}),
    ],
)
def test_header_lines_are_told_by_name(block: bytes, fields: dict[str, str]) -> None:
    assert parse_fields(block) == fields


@pytest.mark.parametrize(
    "block",
    [
        b"A",
        b"A: b",
        b"A: b\n",
        b"A: b\r",
        b"\r\n",
        b"A: b\r\n\r\n",
        b"A b\r\n",
        b": b\r\n",
        b"A : b\r\n",
        b"A\t: b\r\n",
        b" A: b\r\n",
        b"A: b\r\n c\r\n",
        b"A: b\r\n\tc: d\r\n",
        b"A: b\nC: d\r\n",
        b"A: b\rC: d\r\n",
        b"A: b\r\r\n",
        b"A: b\0c\r\n",
        b"A: b\x0bc\r\n",
        b"A: b\x7f\r\n",
        b"A\0: b\r\n",
        b"A(b): c\r\n",
        b"\xe9: b\r\n",
        b"A: b\r\nGET / HTTP/1.1\r\n",
        b"garbage A: b\r\n",
        b"Content-Length: 5\r\nContent-Length: 6\r\n",
        b"Content-Length: 5\r\ncontent-length: 05\r\n",
        b"Host: a\r\nHost: a\r\n",
        b"A: b\r\n" * (MAX_FIELDS + 1),
    ],
)
def test_a_block_that_could_be_read_in_two_ways_is_refused(block: bytes) -> None:
    with pytest.raises(MalformedHead):
        parse_fields(block)


@pytest.mark.parametrize("byte", [bytes([number]) for number in range(256)])
def test_every_byte_in_a_value_is_kept_or_refused_never_dropped(byte: bytes) -> None:
    try:
        fields = parse_fields(b"A: x" + byte + b"y\r\nB: c\r\n")
    except MalformedHead:
        assert (byte < b" " and byte != b"\t") or byte == b"\x7f"
    else:
        assert fields == {"a": f"x{byte.decode('latin-1')}y", "b": "c"}


@pytest.mark.parametrize("text", ["", "-1", "+1", "1 ", "0x10", "1_0", "5, 5", "1.0", "²", "٣", "9" * 16, "5\n"])
def test_a_length_that_is_no_plain_number_is_refused(text: str) -> None:
    with pytest.raises(MalformedHead):
        content_length({"content-length": text})


def test_a_length_is_a_number_or_unknown() -> None:
    assert content_length({}) is None
    assert content_length({"content-length": "0"}) == 0
    assert content_length({"content-length": "007"}) == 7


def test_chunked_is_the_only_transfer_coding() -> None:
    assert not is_chunked({"content-length": "5"})
    assert is_chunked({"transfer-encoding": "Chunked"})
    for coding in ("", "gzip", "gzip, chunked", "chunked, chunked", "identity", "chunked;a", "\x0bchunked"):
        with pytest.raises(MalformedHead):
            is_chunked({"transfer-encoding": coding})
    with pytest.raises(MalformedHead):
        is_chunked({"transfer-encoding": "chunked", "content-length": "5"})


@pytest.mark.parametrize(
    ("line", "size"), [(b"0\r\n", 0), (b"aF\r\n", 175), (b"5;a=b\r\n", 5), (b"5 \t; \r\n", 5), (b"000\r\n", 0)]
)
def test_the_size_of_a_chunk_is_hexadecimal(line: bytes, size: int) -> None:
    assert parse_chunk_size(line) == size


@pytest.mark.parametrize(
    "line",
    [b"\r\n", b"-1\r\n", b"0x5\r\n", b" 5\r\n", b"5 5\r\n", b"g\r\n", b"5;a\nb\r\n", b"5\n", b"f" * 16 + b"\r\n"],
)
def test_a_chunk_size_that_is_none_is_refused(line: bytes) -> None:
    with pytest.raises(MalformedHead):
        parse_chunk_size(line)


def test_a_request_head_says_how_long_its_body_is() -> None:
    assert request_head("GET", "/a?b", "h:1", {"A": "b"}, None) == b"GET /a?b HTTP/1.1\r\nHost: h:1\r\nA: b\r\n\r\n"
    for method in ("POST", "PUT", "PATCH"):
        assert request_head(method, "/", "h", {}, None).endswith(b"\r\nContent-Length: 0\r\n\r\n")
    assert request_head("DELETE", "/", "h", {"content-length": "3"}, 3).count(b"ontent-") == 1


@pytest.mark.parametrize(
    ("method", "target", "fields"),
    [
        ("GET /", "/", {}),
        ("GET", "", {}),
        ("GET", "a", {}),
        ("GET", "/a b", {}),
        ("GET", "/a\r\nB: c", {}),
        ("GET", "/é", {}),
        ("GET", "/a#b", {}),
        ("GET", "/", {"A": "b\r\nC: d"}),
        ("GET", "/", {"A": "b\n"}),
        ("GET", "/", {"A": "b\0"}),
        ("GET", "/", {"A": "\u0141"}),
        ("GET", "/", {"A: b\r\nC": "d"}),
        ("GET", "/", {"": "b"}),
        ("GET", "/", {"host": "elsewhere"}),
        ("GET", "/", {"Transfer-Encoding": "chunked"}),
        ("PUT", "/", {"Content-Length": "4"}),
    ],
)
def test_a_request_that_would_arrive_as_another_is_not_made(method: str, target: str, fields: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"."):
        request_head(method, target, "host", fields, 3)
