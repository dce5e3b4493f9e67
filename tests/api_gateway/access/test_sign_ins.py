"""Failed sign-ins: who must wait, who need not, and how much is remembered of them."""

from __future__ import annotations

import pytest

from api_gateway.access.sign_ins import FailedSignIns
from common.errors import TooManySignIns
from tests.support.clocks import StepClock

HERE = "203.0.113.9"


def waits(failures: FailedSignIns, client: str | None) -> int:
    """For how many seconds this client is told to wait; 0 where it need not."""
    try:
        failures.require_patience(client)
    except TooManySignIns as error:
        return int(error.context["retry_after_seconds"])
    return 0


def fail(failures: FailedSignIns, client: str | None, times: int) -> None:
    for _ in range(times):
        failures.note(client)


def test_an_address_may_fail_so_often_and_then_waits_its_turn() -> None:
    clock = StepClock()
    failures = FailedSignIns(clock, per_minute=6)
    fail(failures, HERE, 5)
    assert waits(failures, HERE) == 0
    fail(failures, HERE, 1)
    assert 10 <= waits(failures, HERE) <= 11
    clock.now += 10
    assert waits(failures, HERE) == 0
    fail(failures, HERE, 1)
    assert waits(failures, HERE) > 0
    clock.now += 3600
    fail(failures, HERE, 5)
    assert waits(failures, HERE) == 0


def test_many_wrong_keys_at_once_are_no_more_than_one_after_the_other() -> None:
    clock = StepClock()
    failures = FailedSignIns(clock, per_minute=6)
    assert [waits(failures, HERE) for _ in range(100)] == [0] * 100
    fail(failures, HERE, 100)
    assert waits(failures, HERE) > 900
    clock.now += 900
    assert waits(failures, HERE) > 0
    clock.now += 60
    assert waits(failures, HERE) == 0


@pytest.mark.parametrize(
    ("one", "other", "is_shared"),
    [
        (HERE, "203.0.113.10", False),
        (HERE, f"::ffff:{HERE}", True),
        ("::ffff:203.0.113.9", "::ffff:203.0.113.10", False),
        ("2001:db8:0:1::1", "2001:db8:0:1:ffff::2", True),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
        ("fe80::1%eth0", "fe80::2%eth0", True),
        (None, HERE, False),
        (None, None, True),
    ],
)
def test_one_host_has_one_bucket(one: str | None, other: str | None, is_shared: bool) -> None:
    failures = FailedSignIns(StepClock(), per_minute=2)
    fail(failures, one, 2)
    assert waits(failures, one) > 0
    assert (waits(failures, other) > 0) is is_shared


def test_no_more_addresses_are_remembered_than_allowed() -> None:
    failures = FailedSignIns(StepClock(), per_minute=1, max_addresses=10)
    for number in range(100):
        fail(failures, f"10.0.0.{number}", 1)
    assert [number for number in range(100) if waits(failures, f"10.0.0.{number}")] == list(range(90, 100))
