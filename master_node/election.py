"""Who leads: one lease in the store, and the cluster clock that it carries.

A master never compares its clock with another's. It takes the lease over when the lease, as read, has not moved for
`lease_seconds` of its own monotonic clock; it stops leading when it has not managed to renew within four fifths of that
time, counted from *before* it sent the renewal. So no two lead at one moment while their clocks' rates differ by less
than a quarter; where a clock stands still, the epoch that goes with every order tells the workers whom to obey.
Renewing and taking over are each one conditional write.

The cluster clock is the sum of all time that somebody led, in seconds. The leader adds its own monotonic time at each
renewal; time without a leader does not count. Retention is measured on it, so no wall clock can shorten it.

A leader that is stopped on purpose resigns: it leaves a lease of the next epoch that nobody holds, which the first
master to see it takes over without waiting.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass

from common.clock import Clock
from common.metrics import Count
from master_node.model import Lease
from master_node.store.base import MetadataStore

NOBODY = ""
_LEADING_SHARE = 0.8


@dataclass(frozen=True)
class Leadership:
    """What one master knows of the lease."""

    leader: str | None
    epoch: int
    is_self: bool


class Election:
    """One master's part in the election. `step` is called by one thread; the rest by any."""

    def __init__(self, master_id: str, store: MetadataStore, clock: Clock, lease_seconds: float) -> None:
        self._master_id = master_id
        self._store = store
        self._clock = clock
        self._lease_seconds = lease_seconds
        self._lock = threading.Lock()
        self._seen: Lease | None = None
        self._seen_at = clock.monotonic()
        self._looked_at = float("-inf")
        self._outranked = 0
        self._has_resigned = False
        self._leads_until = float("-inf")
        # The cluster clock at this master's last acknowledged renewal, and its own clock then.
        self._renewed_clock, self._renewed_at = 0.0, 0.0
        self.changes = Count()

    @property
    def unseen_seconds(self) -> float:
        """For how long the lease has not been read, by this master's own clock."""
        with self._lock:
            return self._clock.monotonic() - self._looked_at

    def step(self) -> None:
        """Read the lease, then renew it, take it over, or wait. To be called several times per `lease_seconds`.

        Raises MetadataUnavailable; the leadership then simply runs out.
        """
        lease = self._store.read_lease()
        # Dated after the read: a slow one must not make another's lease look older than it is.
        now = self._clock.monotonic()
        self._observe(lease, now, is_authoritative=True)
        if self._has_resigned:
            return
        if lease is None:
            self._try(None, Lease(self._master_id, 1, 0, 0.0), now)
        elif lease.holder == self._master_id and self.leading_epoch() is not None:
            self._try(lease, self._renewed(lease, now), now)
        elif lease.holder == NOBODY or now - self._seen_at >= self._lease_seconds:
            epoch = max(lease.epoch, self._outranked) + 1
            self._try(lease, Lease(self._master_id, epoch, 0, lease.clock_seconds), now)

    def resign(self) -> None:
        """Leave the lease to whoever sees it first, and take part no more: this master is being stopped.

        What was done as leader is to have ended. A renewal that is under way may win; then the lease runs out.
        Raises MetadataUnavailable.
        """
        self._has_resigned = True
        if not self.leads():
            return
        self._leads_until = float("-inf")
        lease = self._store.read_lease()
        if lease is not None and lease.holder == self._master_id:
            clock_seconds = self._renewed(lease, self._clock.monotonic()).clock_seconds
            self._store.swap_lease(lease, Lease(NOBODY, max(lease.epoch, self._outranked) + 1, 0, clock_seconds))

    def leading_epoch(self) -> int | None:
        """The epoch in which this master may act as leader at this moment; None when it may not."""
        with self._lock:
            if self._seen is None or self._seen.holder != self._master_id:
                return None
            return self._seen.epoch if self._clock.monotonic() < self._leads_until else None

    def leads(self) -> bool:
        """Whether this master may act as leader at this moment."""
        return self.leading_epoch() is not None

    def outrank(self, epoch: int) -> None:
        """A worker has obeyed a later epoch than this leader's: the database is younger than the worker's memory
        (a new one, or one put back from a backup). The next renewal goes beyond it, if this master still leads then.
        """
        with self._lock:
            self._outranked = max(self._outranked, epoch)

    def leadership(self) -> Leadership:
        """Who leads as far as this master knows; nobody once the lease has stood still for twice its time."""
        with self._lock:
            lease, age = self._seen, self._clock.monotonic() - self._seen_at
        if lease is None:
            return Leadership(None, 0, False)
        leader = (lease.holder or None) if age < 2 * self._lease_seconds else None
        return Leadership(leader, lease.epoch, self.leads())

    def seen_clock_seconds(self) -> float:
        """The cluster clock as this master last saw it, however long ago; never waits for the database."""
        with self._lock:
            return self._seen.clock_seconds if self._seen is not None else 0.0

    def clock_seconds(self) -> float:
        """The cluster clock, behind by `lease_seconds` at most; reads the lease where it was not seen of late.

        Raises MetadataUnavailable.
        """
        with self._lock:
            seen = self._seen
            is_fresh = self._clock.monotonic() - self._looked_at < self._lease_seconds
        if not is_fresh:
            seen = self._store.read_lease()
            self._observe(seen, self._clock.monotonic())
        return seen.clock_seconds if seen is not None else 0.0

    def _observe(self, lease: Lease | None, now: float, is_authoritative: bool = False) -> None:
        """Note when the lease last moved, by this master's own clock.

        is_authoritative: believe also a lease that went back, as it does when the database is replaced. Other looks
        may come late from other threads and count only if they show something later.
        """
        with self._lock:
            self._looked_at = max(self._looked_at, now)
            if lease != self._seen and (is_authoritative or _is_later(lease, self._seen)):
                if lease is not None and self._seen is not None and lease.epoch != self._seen.epoch:
                    self.changes.add()
                self._seen, self._seen_at = lease, now

    def _renewed(self, lease: Lease, now: float) -> Lease:
        clock_seconds = max(lease.clock_seconds, self._renewed_clock + now - self._renewed_at)
        if self._outranked > lease.epoch:
            return Lease(self._master_id, self._outranked + 1, 0, clock_seconds)
        return Lease(self._master_id, lease.epoch, lease.renewals + 1, clock_seconds)

    def _try(self, expected: Lease | None, wanted: Lease, started: float) -> None:
        if self._store.swap_lease(expected, wanted):
            self._observe(wanted, started)
            self._renewed_clock, self._renewed_at = wanted.clock_seconds, started
            self._leads_until = started + _LEADING_SHARE * self._lease_seconds
        elif expected is not None and expected.holder == self._master_id:
            self._leads_until = float("-inf")


def _is_later(lease: Lease | None, seen: Lease | None) -> bool:
    if lease is None or seen is None:
        return lease is not None
    return (lease.epoch, lease.renewals) > (seen.epoch, seen.renewals)
