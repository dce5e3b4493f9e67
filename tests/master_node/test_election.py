"""Who leads: masters on one store, each with a clock of its own that can stop, jump and run slow."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable
from typing import Any

import mongomock
import pytest

from common.errors import MetadataUnavailable
from master_node.election import Election, Leadership
from master_node.model import Lease
from master_node.store.base import MetadataStore
from master_node.store.mongo import MongoStore
from tests.support.masters import ManualClock

LEASE = 3.0
# A leader that cannot renew stops this long after its last renewal, before anybody may take over.
LEADS_FOR = 0.8 * LEASE


class Hooked:
    """A store with something to happen before and after each of its calls."""

    def __init__(self, store: MetadataStore, before: Callable[[], None], after: Callable[[], None]) -> None:
        self._store, self.before, self.after = store, before, after

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._store, name)

        def call(*arguments: Any) -> Any:
            self.before()
            result = method(*arguments)
            self.after()
            return result

        return call


def nothing() -> None:
    """No hook."""


def unavailable() -> None:
    raise MetadataUnavailable("the database is away")


def candidate(store: Any, name: str = "master_1", now: float = 0.0) -> tuple[Election, ManualClock]:
    clock = ManualClock(now)
    return Election(name, store, clock, LEASE), clock


def test_the_first_master_leads_at_once_in_epoch_one(store: MetadataStore) -> None:
    election, _ = candidate(store)
    assert not election.leads()
    assert election.leadership() == Leadership(None, 0, False)
    election.step()
    assert election.leads()
    assert election.leadership() == Leadership("master_1", 1, True)


def test_a_second_master_follows_while_the_lease_moves(store: MetadataStore) -> None:
    (first, first_clock), (second, second_clock) = candidate(store), candidate(store, "master_2", now=5e6)
    for _ in range(50):
        first.step()
        second.step()
        assert first.leads()
        assert second.leadership() == Leadership("master_1", 1, False)
        first_clock.advance(1.0)
        second_clock.advance(1.0)


def test_a_standing_lease_is_taken_over_after_lease_seconds_of_the_taker_s_own_clock(store: MetadataStore) -> None:
    (first, _), (second, clock) = candidate(store), candidate(store, "master_2", now=77.0)
    first.step()
    second.step()
    clock.advance(LEASE - 0.01)
    second.step()
    assert not second.leads()
    clock.advance(0.01)
    second.step()
    assert second.leadership() == Leadership("master_2", 2, True)


def test_a_lease_that_moved_once_starts_the_wait_anew(store: MetadataStore) -> None:
    (first, first_clock), (second, clock) = candidate(store), candidate(store, "master_2")
    first.step()
    second.step()
    for _ in range(5):
        first_clock.advance(LEADS_FOR - 0.1)
        first.step()
        clock.advance(LEASE - 0.1)
        second.step()
        assert not second.leads()


def test_a_restarted_master_waits_like_any_other_and_gets_a_new_epoch(store: MetadataStore) -> None:
    candidate(store)[0].step()
    again, clock = candidate(store)
    again.step()
    assert not again.leads()
    clock.advance(LEASE)
    again.step()
    assert again.leadership() == Leadership("master_1", 2, True)


def test_a_leader_stops_leading_when_it_could_not_renew_in_time(store: MetadataStore) -> None:
    hooked = Hooked(store, nothing, nothing)
    election, clock = candidate(hooked)
    election.step()
    hooked.before = unavailable
    clock.advance(LEADS_FOR - 0.01)
    with pytest.raises(MetadataUnavailable):
        election.step()
    assert election.leads()
    clock.advance(0.01)
    assert not election.leads()
    assert election.leading_epoch() is None
    assert not election.leadership().is_self


def test_a_paused_leader_does_not_renew_what_another_has_taken(store: MetadataStore) -> None:
    """It read the lease, slept through a takeover, and wakes up with the renewal in its hand."""
    (second, second_clock) = candidate(store, "master_2")
    first_clock = ManualClock()

    def sleep() -> None:
        second.step()
        second_clock.advance(LEASE)
        second.step()
        first_clock.advance(LEASE)

    hooked = Hooked(store, nothing, nothing)
    first = Election("master_1", hooked, first_clock, LEASE)
    first.step()
    calls = iter([nothing, sleep])
    hooked.before = lambda: next(calls)()
    first.step()
    assert not first.leads()
    assert second.leadership() == Leadership("master_2", 2, True)
    hooked.before = nothing
    first.step()
    assert first.leadership() == Leadership("master_2", 2, False)


def test_a_renewal_that_took_longer_than_the_lease_does_not_count(store: MetadataStore) -> None:
    clock = ManualClock()
    hooked = Hooked(store, nothing, lambda: clock.advance(LEADS_FOR / 4))
    election = Election("master_1", hooked, clock, LEASE)
    election.step()
    election.step()
    assert election.leading_epoch() == 1
    hooked.after = lambda: clock.advance(LEADS_FOR)
    election.step()
    assert not election.leads()


def test_a_lease_that_was_given_back_is_taken_over_at_once(store: MetadataStore) -> None:
    leader, _ = candidate(store)
    other, _ = candidate(store, "master_2", 500.0)
    leader.step()
    other.step()
    assert not other.leads()
    leader.resign()
    assert not leader.leads()
    assert leader.leadership().leader == "master_1", "what it has seen last"
    other.step()
    assert other.leads()
    assert other.leadership() == Leadership("master_2", 3, True), "epoch 2 was nobody's"


def test_a_master_that_has_resigned_takes_no_lease_any_more(store: MetadataStore) -> None:
    election, clock = candidate(store)
    election.step()
    election.resign()
    clock.advance(10 * LEASE)
    election.step()
    assert not election.leads()
    assert election.leadership().leader is None


def test_a_follower_that_is_stopped_leaves_the_leader_alone(store: MetadataStore) -> None:
    leader, _ = candidate(store)
    follower, _ = candidate(store, "master_2")
    leader.step()
    follower.step()
    follower.resign()
    leader.step()
    assert leader.leadership() == Leadership("master_1", 1, True)


def test_the_cluster_clock_counts_up_to_the_resignation(store: MetadataStore) -> None:
    election, clock = candidate(store)
    election.step()
    clock.advance(2.0)
    election.resign()
    other, _ = candidate(store, "master_2", 77.0)
    other.step()
    assert other.seen_clock_seconds() == 2.0


def test_nobody_is_named_as_leader_once_the_lease_has_stood_still_for_long(store: MetadataStore) -> None:
    (first, _), (second, clock) = candidate(store), candidate(store, "master_2")
    first.step()
    second.step()
    clock.advance(2 * LEASE)
    assert second.leadership() == Leadership(None, 1, False)


def test_the_cluster_clock_counts_the_time_that_somebody_led(store: MetadataStore) -> None:
    (first, first_clock), (second, second_clock) = candidate(store), candidate(store, "master_2", now=1e9)
    first.step()
    for _ in range(10):
        first_clock.advance(1.0)
        first.step()
    assert first.clock_seconds() == pytest.approx(10.0)
    # Nobody leads for a thousand seconds; then the other does, with quite another clock.
    second.step()
    second_clock.advance(1000.0)
    second.step()
    assert second.clock_seconds() == pytest.approx(10.0)
    second_clock.advance(2.0)
    second.step()
    assert second.clock_seconds() == pytest.approx(12.0)


def test_a_renewal_whose_answer_was_lost_is_not_counted_twice(store: MetadataStore) -> None:
    hooked = Hooked(store, nothing, nothing)
    election, clock = candidate(hooked)
    election.step()
    clock.advance(1.0)
    answers = iter([nothing, unavailable])
    hooked.after = lambda: next(answers)()
    with pytest.raises(MetadataUnavailable):
        election.step()
    hooked.after = nothing
    clock.advance(1.0)
    election.step()
    assert election.clock_seconds() == pytest.approx(2.0)


def test_a_master_that_has_not_looked_yet_knows_the_cluster_clock(store: MetadataStore) -> None:
    assert store.swap_lease(None, Lease("master_9", 4, 7, 123456.0))
    fresh, _ = candidate(store)
    assert fresh.clock_seconds() == 123456.0


def test_a_master_that_slept_does_not_use_the_clock_of_before(store: MetadataStore) -> None:
    (first, first_clock), (second, clock) = candidate(store), candidate(store, "master_2")
    first.step()
    second.step()
    for _ in range(100):
        first_clock.advance(1.0)
        first.step()
    clock.advance(100.0)
    assert second.clock_seconds() == pytest.approx(100.0, abs=LEASE)


def test_a_leader_outranked_by_a_worker_s_memory_goes_beyond_it(store: MetadataStore) -> None:
    """The database was put back from a backup, so the epochs that workers remember are ahead of it."""
    election, clock = candidate(store)
    election.step()
    election.outrank(41)
    assert election.leading_epoch() == 1
    clock.advance(1.0)
    election.step()
    assert election.leading_epoch() == 42
    assert store.read_lease() == Lease("master_1", 42, 0, pytest.approx(1.0))
    clock.advance(1.0)
    election.step()
    assert election.leading_epoch() == 42


class World:
    """Masters with clocks of their own, and the true time that none of them knows."""

    def __init__(self, seed: int, *, is_orderly: bool) -> None:
        self.rng = random.Random(seed)
        self.true_time = 0.0
        self.store = MongoStore(mongomock.MongoClient().db)
        self.clocks = [ManualClock(self.rng.uniform(0, 1e6)) for _ in range(self.rng.choice((2, 3)))]
        self.rates = [1.0 if is_orderly else self.rng.choice((0.3, 0.9, 1.0, 1.1, 3.0)) for _ in self.clocks]
        self._is_orderly = is_orderly
        self.elections = [
            Election(f"master_{number}", Hooked(self.store, self.trouble, self.trouble), clock, LEASE)  # type: ignore[arg-type]
            for number, clock in enumerate(self.clocks)
        ]
        self.holders: dict[int, set[str]] = {}
        self.cluster_clock = 0.0
        self.leaderless_since = 0.0

    def trouble(self) -> None:
        """What happens around a call: it takes its time, or fails, before or after it took effect."""
        chance = self.rng.random()
        if chance < 0.1:
            self.advance(self.rng.choice((0.01, 0.5, LEASE / 2, LEASE, 3 * LEASE)))
        elif chance < 0.15:
            raise MetadataUnavailable("the database is away")

    def advance(self, seconds: float) -> None:
        self.true_time += seconds
        for clock, rate in zip(self.clocks, self.rates, strict=True):
            clock.advance(seconds * rate)
        self.check()

    def turn(self) -> None:
        self.advance(self.rng.choice((0.0, 0.1, 0.5, 0.75, 1.0)))
        if not self._is_orderly and self.rng.random() < 0.02:
            self.rng.choice(self.clocks).advance(self.rng.choice((1.0, LEASE, 1e5)))
        # One that is left out for long is a paused master.
        election = self.rng.choice(self.elections[: self.rng.choice((1, 2, 3))])
        with contextlib.suppress(MetadataUnavailable):
            election.step()
        self.check()

    def check(self) -> None:
        leading = []
        for number, election in enumerate(self.elections):
            epoch = election.leading_epoch()
            if epoch is not None:
                leading.append(epoch)
                self.holders.setdefault(epoch, set()).add(f"master_{number}")
        assert all(len(holders) == 1 for holders in self.holders.values()), "an epoch with two holders"
        assert len(leading) == len(set(leading))
        if self._is_orderly:
            assert len(leading) <= 1, "two leaders at one moment, although their clocks run alike"
        lease = self.store.read_lease()
        if lease is not None:
            assert lease.clock_seconds >= self.cluster_clock, "the cluster clock went back"
            self.cluster_clock = lease.clock_seconds
        if self._is_orderly:
            assert self.cluster_clock <= self.true_time + 1e-6, "the cluster clock runs ahead of the time"


@pytest.mark.parametrize("seed", range(10))
def test_masters_whose_clocks_run_alike_never_lead_together(seed: int) -> None:
    world = World(seed, is_orderly=True)
    for _ in range(400):
        world.turn()
    assert len(world.holders) > 5


@pytest.mark.parametrize("seed", range(10))
def test_no_epoch_has_two_holders_whatever_the_clocks_do(seed: int) -> None:
    world = World(seed, is_orderly=False)
    for _ in range(400):
        world.turn()
    assert len(world.holders) > 5


def test_somebody_leads_again_once_the_trouble_is_over() -> None:
    for seed in range(10):
        world = World(seed, is_orderly=True)
        for _ in range(50):
            world.turn()
        world.trouble = nothing  # type: ignore[method-assign]
        for election in world.elections:
            election._store.before = election._store.after = nothing  # type: ignore[attr-defined]
        for _ in range(10):
            world.advance(1.0)
            for election in world.elections:
                election.step()
        assert sum(election.leads() for election in world.elections) == 1
