"""Failed sign-ins: who must wait, who need not, and how much is remembered of them."""

from __future__ import annotations

import pytest

from common.errors import TooManySignIns
from common.failed_sign_ins import SITE_SHARE, FailedSignIns
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


def test_a_site_that_changes_from_one_of_its_networks_to_the_next_waits_as_a_whole() -> None:
    clock = StepClock()
    failures = FailedSignIns(clock, per_minute=6)
    for number in range(6 * SITE_SHARE):
        assert waits(failures, site(1, number)) == 0
        fail(failures, site(1, number), 1)
    assert waits(failures, site(1, 60_000)) > 0
    assert waits(failures, site(2, 1)) == 0
    clock.now += 60 / (6 * SITE_SHARE)
    assert waits(failures, site(1, 60_000)) == 0


def test_however_many_addresses_fail_once_those_that_failed_often_are_remembered() -> None:
    failures = FailedSignIns(StepClock(), per_minute=6, max_buckets=64)
    fail(failures, HERE, 100)
    fail(failures, site(0, 0), 100)
    for number in range(10_000):
        fail(failures, site(number % 100 + 1, number), 1)
    assert waits(failures, HERE) > 900
    assert waits(failures, site(0, 0)) > 900
    assert len(failures) <= 64


def site(number: int, network: int) -> str:
    return f"2001:db8:{number:x}:{network:x}::1"
