"""The limit and the meter of moved bytes."""

from __future__ import annotations

import pytest

from master_node.rates import Meter, RateLimit
from tests.support.masters import ManualClock


def test_over_time_no_more_passes_than_the_rate_and_one_second_s_burst() -> None:
    clock = ManualClock()
    limit = RateLimit(100, clock)
    passed = 0
    for _ in range(1000):
        while limit.is_open():
            limit.spend(30)
            passed += 30
        clock.advance(0.01)
    assert 1000 <= passed <= 1100 + 30


def test_what_is_larger_than_a_second_s_bytes_passes_and_is_paid_for_afterwards() -> None:
    clock = ManualClock()
    limit = RateLimit(100, clock)
    limit.spend(500)
    clock.advance(3.9)
    assert not limit.is_open()
    clock.advance(0.2)
    assert limit.is_open()


def test_a_rate_of_nothing_lets_nothing_pass() -> None:
    clock = ManualClock()
    limit = RateLimit(0, clock)
    clock.advance(1000.0)
    assert not limit.is_open()


def test_a_long_rest_saves_up_no_more_than_a_second() -> None:
    clock = ManualClock()
    limit = RateLimit(100, clock)
    clock.advance(1000.0)
    limit.spend(100)
    assert not limit.is_open()


def test_the_meter_shows_what_was_moved_of_late_and_in_all() -> None:
    clock = ManualClock()
    meter = Meter(clock)
    assert meter.bytes_per_second() == 0.0
    for _ in range(50):
        meter.add(10)
        clock.advance(0.1)
    assert meter.bytes_per_second() == pytest.approx(100.0, rel=0.05)
    clock.advance(20.0)
    assert meter.bytes_per_second() == 0.0
    assert (meter.count, meter.total_bytes) == (50, 500)
