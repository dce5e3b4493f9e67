"""Where data end: the answer for octets that stop anywhere never contradicts the answer for all of them."""

from __future__ import annotations

import pytest

from api_gateway.boundary import MAX_PADDING_BYTES, Boundary, DataEnd

BOUNDARY = Boundary(b"bX")
LINES = [b"\r\n--bX\r\n", b"\r\n--bX--", b"\r\n--bX \t \r\n", b"\r\n--bX" + b" " * MAX_PADDING_BYTES + b"\r\n"]
LOOK_ALIKES = [b"", b"\r", b"\r\r\n--bX-\r\n", b"\r\n--bXmore", b"\r\n--bX \rx", b"\r\n--b\r\n--bY", b"\n--bX\r\n"]


@pytest.mark.parametrize("line", LINES)
@pytest.mark.parametrize("content", LOOK_ALIKES)
def test_a_boundary_is_found_once_all_of_its_line_is_there_and_nothing_of_it_is_data_before(
    content: bytes, line: bytes
) -> None:
    octets = bytearray(b"skipped" + content + line + b"rest" + line)
    start = len(b"skipped")
    begin, end = start + len(content), start + len(content) + len(line)
    for cut in range(start, len(octets) + 1):
        found = BOUNDARY.find(octets, start, cut)
        if cut >= end:
            assert found == DataEnd(begin, end)
        else:
            assert found.line_end is None
            assert found.position <= min(begin, cut)
            assert cut - found.position < BOUNDARY.max_line_bytes


@pytest.mark.parametrize("content", LOOK_ALIKES)
def test_what_can_no_longer_become_a_boundary_is_data(content: bytes) -> None:
    octets = bytearray(content + b"x")
    assert BOUNDARY.find(octets, 0, len(octets)) == DataEnd(len(octets), None)


def test_a_line_with_more_padding_than_allowed_is_data() -> None:
    octets = bytearray(b"\r\n--bX" + b" " * (MAX_PADDING_BYTES + 1) + b"\r\nx")
    for cut in (len(octets), len(octets) - 3):
        assert BOUNDARY.find(octets, 0, cut) == DataEnd(cut, None)
