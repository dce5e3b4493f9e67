"""Who sends or takes too little while we wait is too slow; what we do ourselves does not count."""

from __future__ import annotations

import time

import pytest

from common.server.pace import Pace, TooSlow

WINDOW, LEAST = 60.0, 128


def waited(seconds: float) -> float:
    """A moment so long ago."""
    return time.monotonic() - seconds


def test_a_live_client_of_one_kilobyte_a_second_is_fast_enough_for_ever() -> None:
    pace = Pace(WINDOW, LEAST)
    for _ in range(1000):
        pace.note(waited(1.0), 1000)


def test_a_client_may_stand_still_for_almost_the_whole_window() -> None:
    pace = Pace(WINDOW, LEAST)
    for _ in range(3):
        pace.note(waited(59.0), 1)
        pace.note(waited(1.0), 100_000)


def test_a_client_that_drips_is_too_slow() -> None:
    pace = Pace(WINDOW, LEAST)
    for _ in range(59):
        pace.note(waited(1.0), 1)
    with pytest.raises(TooSlow):
        pace.note(waited(1.0), 1)


def test_bytes_that_come_without_waiting_are_never_too_few() -> None:
    pace = Pace(WINDOW, LEAST)
    for _ in range(10_000):
        pace.note(time.monotonic(), 1)


def test_without_a_least_only_silence_counts() -> None:
    pace = Pace(WINDOW, 0)
    pace.note(waited(1000.0), 0)
