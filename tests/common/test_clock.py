"""Timestamps: what is written is RFC 3339 with milliseconds, and read back as the same moment."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from common.clock import SystemClock, format_timestamp, parse_timestamp


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "1970-01-01T00:00:00.000Z"),
        (1_769_860_800.0, "2026-01-31T12:00:00.000Z"),
        (1_769_860_799.9996, "2026-01-31T11:59:59.999Z"),
        (1_769_860_800.0625, "2026-01-31T12:00:00.062Z"),
    ],
)
def test_a_moment_is_written_with_milliseconds_and_never_ahead_of_itself(seconds: float, text: str) -> None:
    assert format_timestamp(seconds) == text
    assert 0 <= seconds - parse_timestamp(text).timestamp() < 0.001


def test_now_is_in_utc() -> None:
    before = datetime.now(timezone.utc).timestamp()
    now = parse_timestamp(SystemClock().timestamp())
    assert now.tzinfo == timezone.utc
    assert -0.001 <= now.timestamp() - before < 60


@pytest.mark.parametrize("text", ["", "2026-01-31T12:00:00.000", "2026-01-31T12:00:00.000+01:00", "yesterdayZ"])
def test_what_is_no_timestamp_in_utc_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"timestamp|isoformat"):
        parse_timestamp(text)
