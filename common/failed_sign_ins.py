"""How often an address, and the network around it, has shown a wrong key lately: token buckets in a bounded table."""

from __future__ import annotations

import heapq
import ipaddress
import threading
from collections.abc import Iterator

from common.clock import Clock
from common.errors import TooManySignIns

MAX_BUCKETS = 8192
# A site gets a network of 48 bits, with 65,536 of those that one host gets. All of it may fail so many times as often.
SITE_SHARE = 8
_ROUNDING_SECONDS = 0.001


class FailedSignIns:
    """Who failed `per_minute` times must wait; what may be tried comes back evenly within a minute."""

    def __init__(self, clock: Clock, per_minute: int, max_buckets: int = MAX_BUCKETS) -> None:
        self._clock = clock
        self._per_minute = per_minute
        self._max_buckets = max_buckets
        self._lock = threading.Lock()
        # When each bucket will be full again; one that is has no need to be here.
        self._full_at: dict[str, float] = {}

    def require_patience(self, client: str | None) -> None:
        """Raise TooManySignIns where this address has to wait before it may try another key."""
        now = self._clock.monotonic()
        with self._lock:
            wait = max(self._wait_seconds(group, share, now) for group, share in _groups(client))
        if wait > _ROUNDING_SECONDS:
            seconds = max(1, round(wait + 0.5))
            raise TooManySignIns(
                f"too many wrong keys came from this address or its network; wait {seconds} s",
                retry_after_seconds=seconds,
            )

    def note(self, client: str | None) -> None:
        """This address has shown a wrong key. Those tried at once with it are owed: they make it wait longer."""
        now = self._clock.monotonic()
        with self._lock:
            for group, share in _groups(client):
                self._full_at[group] = max(now, self._full_at.get(group, now)) + self._seconds_each(share)
            if len(self._full_at) > self._max_buckets:
                self._forget_least()

    def __len__(self) -> int:
        """How many buckets are remembered."""
        return len(self._full_at)

    def _wait_seconds(self, group: str, share: int, now: float) -> float:
        """Until one try is left in this bucket."""
        # Of a full bucket the last try is left when all but one were spent.
        return self._full_at.get(group, now) - now - (60.0 - self._seconds_each(share))

    def _seconds_each(self, share: int) -> float:
        return 60.0 / (self._per_minute * share)

    def _forget_least(self) -> None:
        """Drop an eighth: those that would be full again the soonest.

        So nobody is forgotten who has failed often, however many addresses somebody else tries once.
        """
        surplus = len(self._full_at) - self._max_buckets + self._max_buckets // 8
        for group in heapq.nsmallest(surplus, self._full_at, key=self._full_at.__getitem__):
            del self._full_at[group]


def _groups(client: str | None) -> Iterator[tuple[str, int]]:
    """The buckets of an address, with how many times `per_minute` each takes.

    Of IPv6 they are for the network of 64 bits, which is what one host gets and can choose from, and that of its site.
    """
    try:
        parsed = ipaddress.ip_address((client or "").partition("%")[0])
    except ValueError:
        yield client or "", 1
        return
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is None:
        yield f"{parsed.packed[:8].hex()}/64", 1
        yield f"{parsed.packed[:6].hex()}/48", SITE_SHARE
    else:
        yield str(getattr(parsed, "ipv4_mapped", None) or parsed), 1
