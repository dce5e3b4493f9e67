"""How often an address has shown a wrong key lately: a token bucket for each, in a table of bounded size."""

from __future__ import annotations

import ipaddress
import threading
from collections import OrderedDict

from common.clock import Clock
from common.errors import TooManySignIns

MAX_ADDRESSES = 4096


class FailedSignIns:
    """An address that failed `per_minute` times must wait; what it may try comes back evenly within a minute."""

    def __init__(self, clock: Clock, per_minute: int, max_addresses: int = MAX_ADDRESSES) -> None:
        self._clock = clock
        self._per_minute = per_minute
        self._max_addresses = max_addresses
        self._lock = threading.Lock()
        # What is left of each, and when that was so; the one that failed last comes last.
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def require_patience(self, client: str | None) -> None:
        """Raise TooManySignIns where this address has to wait before it may try another key."""
        with self._lock:
            left = self._left(_group(client))
        if left < 1.0:
            seconds = max(1, round((1.0 - left) * 60 / self._per_minute + 0.5))
            raise TooManySignIns(
                f"too many wrong keys came from this address; wait {seconds} s", retry_after_seconds=seconds
            )

    def note(self, client: str | None) -> None:
        """This address has shown a wrong key. Those tried at once with it are owed: they make it wait longer."""
        group = _group(client)
        with self._lock:
            left = self._left(group)
            self._buckets[group] = (left - 1.0, self._clock.monotonic())
            self._buckets.move_to_end(group)
            while len(self._buckets) > self._max_addresses:
                self._buckets.popitem(last=False)

    def _left(self, group: str) -> float:
        found = self._buckets.get(group)
        if found is None:
            return float(self._per_minute)
        left, since = found
        return min(float(self._per_minute), left + (self._clock.monotonic() - since) * self._per_minute / 60)


def _group(client: str | None) -> str:
    """The address; of IPv6 the network of 64 bits, for that is what one host gets and can choose from."""
    try:
        parsed = ipaddress.ip_address((client or "").partition("%")[0])
    except ValueError:
        return client or ""
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.IPv6Network((parsed.packed[:8] + bytes(8), 64)))
    return str(parsed)
