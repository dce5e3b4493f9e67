"""Conditional and ranged requests as one table: RFC 9110, sections 13.2.2 and 14."""

from __future__ import annotations

from typing import Any

import pytest
from werkzeug.datastructures import Headers

from api_gateway.conditions import decide, last_modified
from common.errors import PreconditionFailed, RangeNotSatisfiable
from common.ranges import ByteRange
from common.records import Checksum, FileInfo

TAG = "a" * 32
OTHER = '"' + "b" * 32 + '"'
MODIFIED = "2026-01-31T12:00:00.700Z"
SAME = "Sat, 31 Jan 2026 12:00:00 GMT"
BEFORE = "Sat, 31 Jan 2026 11:59:59 GMT"
AFTER = "Sat, 31 Jan 2026 12:00:01 GMT"
LATER = "2026-01-31T13:00:00.000Z"
QUOTED = f'"{TAG}"'


def _file(size: int = 100) -> FileInfo:
    return FileInfo(
        file_id="f" * 32,
        path="a",
        status="active",
        version=1,
        version_id=TAG,
        size=size,
        content_type="text/plain",
        checksum=Checksum("sha256", "0" * 64),
        chunk_size=65536,
        chunk_count=1,
        replication_factor=3,
        created_at=MODIFIED,
        modified_at=MODIFIED,
    )


TABLE: list[tuple[dict[str, str], Any]] = [
    ({}, 200),
    # If-Match compares strongly.
    ({"If-Match": QUOTED}, 200),
    ({"If-Match": "*"}, 200),
    ({"If-Match": f"{OTHER},{QUOTED}"}, 200),
    ({"If-Match": f"  {OTHER} ,  {QUOTED}  "}, 200),
    ({"If-Match": OTHER}, 412),
    ({"If-Match": f"W/{QUOTED}"}, 412),
    ({"If-Match": TAG}, 412),
    ({"If-Match": ""}, 412),
    # If-Unmodified-Since counts only where If-Match is absent.
    ({"If-Unmodified-Since": SAME}, 200),
    ({"If-Unmodified-Since": AFTER}, 200),
    ({"If-Unmodified-Since": BEFORE}, 412),
    ({"If-Unmodified-Since": "no date"}, 200),
    ({"If-Match": QUOTED, "If-Unmodified-Since": BEFORE}, 200),
    # If-None-Match compares weakly.
    ({"If-None-Match": QUOTED}, 304),
    ({"If-None-Match": f"W/{QUOTED}"}, 304),
    ({"If-None-Match": "*"}, 304),
    ({"If-None-Match": f"{OTHER}, W/{QUOTED}"}, 304),
    ({"If-None-Match": OTHER}, 200),
    # If-Modified-Since counts only where If-None-Match is absent.
    ({"If-Modified-Since": SAME}, 304),
    ({"If-Modified-Since": AFTER}, 304),
    ({"If-Modified-Since": BEFORE}, 200),
    ({"If-Modified-Since": "31.1.2026"}, 200),
    ({"If-Modified-Since": ""}, 200),
    ({"If-None-Match": OTHER, "If-Modified-Since": AFTER}, 200),
    # The order: If-Match before If-None-Match before Range.
    ({"If-Match": OTHER, "If-None-Match": QUOTED}, 412),
    ({"If-Match": QUOTED, "If-None-Match": QUOTED}, 304),
    ({"If-None-Match": QUOTED, "Range": "bytes=0-0"}, 304),
    ({"If-None-Match": QUOTED, "Range": "bytes=100-"}, 304),
    ({"If-Match": OTHER, "Range": "bytes=0-0"}, 412),
    # Ranges.
    ({"Range": "bytes=0-0"}, ByteRange(0, 1)),
    ({"Range": "bytes=-1"}, ByteRange(99, 100)),
    ({"Range": "bytes=99-"}, ByteRange(99, 100)),
    ({"Range": "bytes=0-99"}, ByteRange(0, 100)),
    ({"Range": "bytes=100-"}, 416),
    ({"Range": "bytes=0-1,5-6"}, 200),
    ({"Range": "bytes=6-5"}, 200),
    # If-Range compares strongly; what does not match gives the whole file, never 416.
    ({"If-Range": QUOTED, "Range": "bytes=0-0"}, ByteRange(0, 1)),
    ({"If-Range": OTHER, "Range": "bytes=0-0"}, 200),
    ({"If-Range": f"W/{QUOTED}", "Range": "bytes=0-0"}, 200),
    ({"If-Range": OTHER, "Range": "bytes=100-"}, 200),
    ({"If-Range": SAME, "Range": "bytes=0-0"}, ByteRange(0, 1)),
    ({"If-Range": BEFORE, "Range": "bytes=0-0"}, 200),
    ({"If-Range": AFTER, "Range": "bytes=0-0"}, 200),
    ({"If-Range": "garbage", "Range": "bytes=0-0"}, 200),
    ({"If-Range": QUOTED}, 200),
]


@pytest.mark.parametrize(("headers", "expected"), TABLE, ids=[str(row[0]) for row in TABLE])
def test_the_table(headers: dict[str, str], expected: Any) -> None:
    given = Headers(headers)
    if expected in (412, 416):
        with pytest.raises(PreconditionFailed if expected == 412 else RangeNotSatisfiable):
            decide(given, _file(), LATER)
        return
    decision = decide(given, _file(), LATER)
    if isinstance(expected, ByteRange):
        assert (decision.status, decision.span) == (206, expected)
    else:
        assert (decision.status, decision.span) == (expected, ByteRange(0, 100))


@pytest.mark.parametrize(
    ("now", "status"),
    [
        ("2026-01-31T12:00:00.900Z", 200),
        ("2026-01-31T12:00:01.999Z", 200),
        ("2026-01-31T12:00:02.000Z", 206),
        ("2026-01-31T11:00:00.000Z", 200),
    ],
)
def test_a_date_in_if_range_counts_only_once_the_second_of_the_change_is_over(now: str, status: int) -> None:
    assert decide(Headers({"If-Range": SAME, "Range": "bytes=0-0"}), _file(), now).status == status


def test_no_range_of_an_empty_file_can_be_satisfied() -> None:
    for header in ("bytes=0-", "bytes=-1", "bytes=0-0"):
        with pytest.raises(RangeNotSatisfiable):
            decide(Headers({"Range": header}), _file(0), LATER)
    assert decide(Headers({"If-Range": OTHER, "Range": "bytes=0-"}), _file(0), LATER).span == ByteRange(0, 0)


def test_the_refused_condition_tells_the_present_entity_tag() -> None:
    with pytest.raises(PreconditionFailed) as caught:
        decide(Headers({"If-Match": OTHER}), _file(), LATER)
    assert caught.value.context == {"etag": QUOTED}


def test_last_modified_is_an_http_date_of_whole_seconds() -> None:
    assert last_modified(_file()) == SAME
