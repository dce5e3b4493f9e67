"""The date of answers is today's, as HTTP writes it, and is not made anew for every answer."""

from __future__ import annotations

from common.server.date import HttpDate


class _Clock:
    def __init__(self) -> None:
        self.elapsed = 5.0
        self.wall = "1994-11-06T08:49:37.999Z"

    def monotonic(self) -> float:
        return self.elapsed

    def timestamp(self) -> str:
        return self.wall

    def sleep(self, seconds: float) -> None:
        self.elapsed += seconds


def test_the_date_is_written_as_the_rfc_has_it() -> None:
    assert HttpDate(_Clock()).now() == "Sun, 06 Nov 1994 08:49:37 GMT"


def test_the_date_follows_the_clock_within_a_second() -> None:
    clock = _Clock()
    date = HttpDate(clock)
    before = date.now()
    clock.wall = "1994-11-06T08:49:40.000Z"
    assert date.now() == before
    clock.sleep(1.0)
    assert date.now() == "Sun, 06 Nov 1994 08:49:40 GMT"
