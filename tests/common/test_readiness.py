"""Readiness looks at what a service depends on, once a second whoever asks."""

from __future__ import annotations

import threading

from common.errors import DiskFailed
from common.readiness import Readiness
from tests.support.masters import ManualClock


def test_a_service_without_dependencies_is_ready() -> None:
    assert Readiness().look().to_json() == {"status": "ready", "checks": {}}


def test_one_check_that_does_not_hold_makes_the_service_not_ready() -> None:
    ready = Readiness({"disk": lambda: True, "master": lambda: False}).look()
    assert not ready.is_ready
    assert ready.to_json() == {"status": "not_ready", "checks": {"disk": True, "master": False}}


def test_a_check_that_raises_does_not_hold_and_its_reason_is_not_told() -> None:
    def check() -> bool:
        raise DiskFailed("/mnt/secret/place is gone")

    assert Readiness({"disk": check}).look().to_json() == {"status": "not_ready", "checks": {"disk": False}}


def test_the_checks_are_made_once_a_second() -> None:
    clock, looks = ManualClock(), []
    readiness = Readiness({"disk": lambda: looks.append(1) is None}, clock)
    for _ in range(3):
        readiness.look()
    clock.advance(0.9)
    readiness.look()
    assert len(looks) == 1
    clock.advance(0.2)
    readiness.look()
    assert len(looks) == 2


def test_nobody_waits_for_a_look_that_takes_long() -> None:
    clock, may_end, has_begun = ManualClock(), threading.Event(), threading.Event()
    answers = iter([True, False])

    def check() -> bool:
        answer = next(answers)
        if not answer:
            has_begun.set()
            assert may_end.wait(20)
        return answer

    readiness = Readiness({"master": check}, clock)
    assert readiness.look().is_ready
    clock.advance(2)
    slow = threading.Thread(target=readiness.look)
    slow.start()
    assert has_begun.wait(20)
    assert readiness.look().is_ready
    may_end.set()
    slow.join()
    assert not readiness.look().is_ready
