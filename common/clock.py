"""The only place that reads the wall clock; what waits or stamps and is to be tested gets its time from here.

Elapsed time is monotonic. Wall-clock time is for timestamps that people read; no decision is taken on it, because
the clocks of two machines cannot be compared and one machine's clock can jump. The one exception: until when the
gateway's links and sessions count. That time must mean something to people, and the clock that set it judges it.
(The header Upload-Expires is no exception: it tells clients a time, by which nothing here is decided.)
"""

from __future__ import annotations

import time
from datetime import datetime, timezone
from typing import Protocol


class Clock(Protocol):
    """Where code that waits or stamps gets its time from; tests pass their own."""

    def monotonic(self) -> float:
        """Seconds since some fixed moment of this process; never goes back."""

    def timestamp(self) -> str:
        """Now, as RFC 3339 in UTC with milliseconds, e.g. 2026-01-31T12:00:00.000Z."""

    def unix_seconds(self) -> float:
        """Now, by the wall clock; only for what the module's docstring allows."""

    def sleep(self, seconds: float) -> None:
        """Block the calling thread."""


class SystemClock:
    """The clock of this machine."""

    def monotonic(self) -> float:
        return time.monotonic()

    def timestamp(self) -> str:
        return _format(datetime.now(timezone.utc))

    def unix_seconds(self) -> float:
        return time.time()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


def parse_timestamp(value: str) -> datetime:
    """Turn a timestamp made by `Clock.timestamp` back into an aware datetime."""
    # Each request makes and reads some of these: strptime and strftime take ten times as long.
    if not value.endswith("Z"):
        raise ValueError(f"{value!r} is no timestamp in UTC")
    return datetime.fromisoformat(f"{value[:-1]}+00:00")


def timestamp_seconds(value: str) -> float:
    """A timestamp of `Clock.timestamp` in seconds since 1970, as Prometheus has it."""
    return parse_timestamp(value).timestamp()


def format_timestamp(unix_seconds: float) -> str:
    """A moment in the form of `Clock.timestamp`."""
    return _format(datetime.fromtimestamp(unix_seconds, timezone.utc))


def age_seconds(modified_at: float) -> float:
    """How long ago a file was changed, by the wall clock that stamped it; a hint, for that clock can jump."""
    return max(0.0, time.time() - modified_at)


def _format(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"
