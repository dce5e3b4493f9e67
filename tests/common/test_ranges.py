"""The header Range (RFC 9110, section 14): which bytes it asks for, when it is ignored, when it cannot be satisfied."""

from __future__ import annotations

import pytest

from common.errors import RangeNotSatisfiable
from common.ranges import ByteRange, parse_range


@pytest.mark.parametrize(
    ("header", "size", "start", "stop"),
    [
        ("bytes=0-0", 1, 0, 1),
        ("bytes=0-0", 10, 0, 1),
        ("bytes=9-9", 10, 9, 10),
        ("bytes=-1", 10, 9, 10),
        ("bytes=-1", 1, 0, 1),
        ("bytes=-10", 10, 0, 10),
        ("bytes=-11", 10, 0, 10),
        ("bytes=0-", 10, 0, 10),
        ("bytes=9-", 10, 9, 10),
        ("bytes=3-5", 10, 3, 6),
        ("bytes=0-9", 10, 0, 10),
        ("bytes=0-10", 10, 0, 10),
        ("bytes=5-9999999999999999999", 10, 5, 10),
        ("bytes=-9999999999999999999", 10, 0, 10),
        ("bytes=1099511627775-1099511627775", 2**40, 2**40 - 1, 2**40),
        ("Bytes=1-2", 10, 1, 3),
        (" bytes = 1 - 2 ", 10, 1, 3),
        ("bytes=01-02", 10, 1, 3),
    ],
)
def test_a_range_is_the_bytes_it_names(header: str, size: int, start: int, stop: int) -> None:
    wanted = parse_range(header, size)
    assert wanted == ByteRange(start, stop)
    assert wanted.length == stop - start
    assert wanted.content_range(size) == f"bytes {start}-{stop - 1}/{size}"


@pytest.mark.parametrize(
    ("header", "size"),
    [
        ("bytes=10-", 10),
        ("bytes=10-10", 10),
        ("bytes=10-20", 10),
        ("bytes=9999999999999999999-", 10),
        ("bytes=-0", 10),
        ("bytes=-00", 10),
        ("bytes=0-", 0),
        ("bytes=0-0", 0),
        ("bytes=-1", 0),
        ("bytes=-0", 0),
    ],
)
def test_a_range_of_which_no_byte_exists_cannot_be_satisfied(header: str, size: int) -> None:
    with pytest.raises(RangeNotSatisfiable) as caught:
        parse_range(header, size)
    assert caught.value.context == {"size": size}


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "bytes",
        "bytes=",
        "bytes=-",
        "bytes=5-3",
        "bytes=a-b",
        "bytes=1",
        "bytes=1-2-3",
        "bytes=--1",
        "bytes=+1-2",
        "bytes=-1-",
        "bytes=0x1-0x2",
        "bytes=1.0-2",
        "bytes=٣-٤",
        "bytes=0-1,3-4",
        "bytes=0-0,-1",
        "bytes=0-1,",
        "lines=0-1",
        "items=0-",
        "0-1",
        "bytes=0-1\x00",
        "bytes=" + "9" * 5000 + "-",
    ],
)
def test_several_ranges_and_malformed_ones_get_the_whole(header: str | None) -> None:
    assert parse_range(header, 10) is None
