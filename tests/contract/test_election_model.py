"""The rules of the election as a model: masters with clocks that run fast, slow or not at all, on one store.

A state machine drives three masters through whatever can come between them and the store: calls that take long, with
the others at work meanwhile; calls that never arrive, whose answer is lost, or that take effect long after they were
given up; restarts, with and without resigning; a worker that remembers a later epoch. After everything that happens,
the rules are checked:

* no epoch ever has two holders, and epochs never go down;
* while the clocks' rates differ by less than a quarter, no two masters believe to lead at one moment;
* the cluster clock never goes back, in the store or as a master tells it, and never runs faster than the fastest clock;
* once the trouble is over, somebody leads within three times the lease.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from common.errors import MetadataUnavailable
from master_node.election import Election
from master_node.model import Lease
from master_node.store.base import MetadataStore
from tests.contract.conftest import Connect
from tests.support.masters import ManualClock

LEASE = 3.0
MASTERS = (0, 1, 2)
# How fast the masters' clocks run beside the true time; only in the last do they also stand still and leap.
ALIKE, DRIFTING, WILD = (1.0,), (0.9, 1.0, 1.1), (0.0, 0.3, 1.0, 3.0)
ARRIVES, LOST, ANSWER_LOST, LATE = "arrives", "lost", "answer lost", "late"
TOLERANCE = 1e-6

durations = st.sampled_from((0.0, 0.01, 0.3, 0.75, LEASE / 2, 0.8 * LEASE, LEASE, 3 * LEASE))
waits = st.one_of(st.just(0.0), durations)
masters = st.sampled_from(MASTERS)


@dataclass(frozen=True)
class Trouble:
    """What happens to one call to the store."""

    meanwhile: tuple[int, ...] = ()
    wait_before: float = 0.0
    fate: str = ARRIVES
    wait_after: float = 0.0


NONE = Trouble()
troubles = st.one_of(
    st.just(NONE),
    st.builds(
        Trouble,
        wait_before=waits,
        meanwhile=st.lists(masters, max_size=3).map(tuple),
        fate=st.sampled_from((ARRIVES, ARRIVES, LOST, ANSWER_LOST, LATE)),
        wait_after=waits,
    ),
)


class MonotonicOnly(ManualClock):
    """A clock whose wall time may be anything, so nobody may look at it."""

    def timestamp(self) -> str:
        raise AssertionError("the election looked at the wall clock")


class Line:
    """A master's way to the store, with trouble on it."""

    def __init__(self, world: Masters, trouble: Trouble) -> None:
        self._world = world
        self._trouble = trouble

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return lambda *arguments: self._world.call(self._trouble, name, arguments)


class Masters(RuleBasedStateMachine):
    """Three masters, the true time, and the store as everybody who can see all would see it."""

    store: MetadataStore

    @initialize(rates=st.sampled_from((ALIKE, DRIFTING, WILD)), starts=st.lists(durations, min_size=3, max_size=3))
    def begin(self, rates: tuple[float, ...], starts: list[float]) -> None:
        # The database outlives an example, the lease in it does not.
        self.store.swap_lease(self.store.read_lease(), Lease("nobody", 1, 0, 0.0))
        self.rates = rates
        # What the fastest clock would show, and how far the cluster clock has counted of it.
        self.fastest = self.counted_to = 0.0
        self.clock_rates = [1.0 for _ in MASTERS]
        self.clocks = [MonotonicOnly(1e6 * start) for start in starts]
        self.elections = [self.start_master(number) for number in MASTERS]
        self.told_clocks = [0.0 for _ in MASTERS]
        self.stepping: set[int] = set()
        self.in_flight: list[Callable[[], object]] = []
        self.holders: dict[int, set[str]] = {1: {"nobody"}}
        self.last = Lease("nobody", 1, 0, 0.0)

    # --- what can happen ---

    @rule(seconds=durations)
    def time_passes(self, seconds: float) -> None:
        self.pass_time(seconds)

    @rule(number=masters, reading=troubles, writing=troubles)
    def step(self, number: int, reading: Trouble, writing: Trouble) -> None:
        self.take_step(number, reading, writing)

    @rule(reading=troubles, writing=troubles)
    def holder_of_the_lease_steps(self, reading: Trouble, writing: Trouble) -> None:
        for number in MASTERS:
            if self.last.holder == f"master_{number}":
                self.take_step(number, reading, writing)
                return

    @rule(numbers=st.sets(masters, min_size=1), ticks=st.integers(1, 8))
    def some_run_without_trouble(self, numbers: set[int], ticks: int) -> None:
        """The others are paused."""
        for _ in range(ticks):
            for number in sorted(numbers):
                self.take_step(number, NONE, NONE)
            self.pass_time(LEASE / 4)

    @rule(data=st.data())
    def late_write_arrives(self, data: st.DataObject) -> None:
        if self.in_flight:
            self.in_flight.pop(data.draw(st.integers(0, len(self.in_flight) - 1)))()

    @rule(number=masters, choice=st.integers(0, 3))
    def clock_changes_its_rate(self, number: int, choice: int) -> None:
        self.clock_rates[number] = self.rates[choice % len(self.rates)]

    @rule(number=masters, seconds=durations)
    def clock_leaps(self, number: int, seconds: float) -> None:
        if self.rates is WILD:
            self.clocks[number].advance(seconds)
            self.fastest += seconds
            self.check()

    @rule(number=masters)
    def master_starts_again(self, number: int) -> None:
        self.elections[number] = self.start_master(number)
        self.told_clocks[number] = 0.0

    @rule(number=masters, reading=troubles, writing=troubles)
    def master_resigns_and_starts_again(self, number: int, reading: Trouble, writing: Trouble) -> None:
        self.take_step(number, reading, writing, lambda election: election.resign())
        self.master_starts_again(number)

    @rule(number=masters, ahead=st.integers(-2, 5))
    def worker_remembers_a_later_epoch(self, number: int, ahead: int) -> None:
        self.elections[number].outrank(self.last.epoch + ahead)

    @rule(number=masters)
    def master_tells_the_cluster_clock(self, number: int) -> None:
        told = self.elections[number].clock_seconds()
        assert told >= self.told_clocks[number], "a master's cluster clock went back"
        self.told_clocks[number] = told

    @rule()
    def trouble_ends(self) -> None:
        self.clock_rates = [1.0 for _ in MASTERS]
        for _ in range(12):
            self.pass_time(LEASE / 4)
            for number in MASTERS:
                self.take_step(number, NONE, NONE)
        assert len(self.leading()) == 1, "nobody leads after three times the lease without trouble"

    # --- how it happens ---

    def start_master(self, number: int) -> Election:
        return Election(f"master_{number}", self.store, self.clocks[number], LEASE)

    def take_step(
        self, number: int, reading: Trouble, writing: Trouble, step: Callable[[Election], None] = Election.step
    ) -> None:
        """A step whose first call has the one trouble and whose second has the other."""
        election = self.elections[number]
        lines = iter((Line(self, reading), Line(self, writing)))

        class Lines:
            def __getattr__(self, name: str) -> Callable[..., Any]:
                method: Callable[..., Any] = getattr(next(lines), name)
                return method

        self.stepping.add(number)
        election._store = Lines()  # type: ignore[assignment]
        try:
            with contextlib.suppress(MetadataUnavailable):
                step(election)
        finally:
            election._store = self.store
            self.stepping.discard(number)
        self.check()

    def call(self, trouble: Trouble, name: str, arguments: tuple[Any, ...]) -> object:
        begun_at = self.fastest
        self.others_step(trouble)
        self.pass_time(trouble.wait_before)
        if trouble.fate == LATE:
            self.in_flight.append(lambda: self.arrive(name, arguments, begun_at))
        if trouble.fate in (LATE, LOST):
            raise MetadataUnavailable("the database does not answer")
        result = self.arrive(name, arguments, begun_at)
        self.others_step(trouble)
        self.pass_time(trouble.wait_after)
        self.others_step(trouble)
        if trouble.fate == ANSWER_LOST:
            raise MetadataUnavailable("the database does not answer")
        return result

    def arrive(self, name: str, arguments: tuple[Any, ...], begun_at: float) -> object:
        """The call takes effect. begun_at: the fastest clock when its sender began it."""
        before = self.store.read_lease()
        result = getattr(self.store, name)(*arguments)
        after = self.store.read_lease()
        if after != before and after is not None and before is not None:
            gained = after.clock_seconds - before.clock_seconds
            assert gained <= begun_at - self.counted_to + TOLERANCE, "the cluster clock runs faster than every clock"
            self.counted_to = begun_at
        self.check()
        return result

    def others_step(self, trouble: Trouble) -> None:
        """A master's steps are taken by one thread, so never by one whose step is under way."""
        for other in trouble.meanwhile:
            if other not in self.stepping:
                self.take_step(other, NONE, NONE)

    def pass_time(self, seconds: float) -> None:
        self.fastest += seconds * max(1.0, *self.clock_rates)
        for clock, rate in zip(self.clocks, self.clock_rates, strict=True):
            clock.advance(seconds * rate)
        self.check()

    # --- what must hold ---

    def leading(self) -> dict[str, int]:
        epochs = {f"master_{number}": election.leading_epoch() for number, election in enumerate(self.elections)}
        return {name: epoch for name, epoch in epochs.items() if epoch is not None}

    @invariant()
    def check(self) -> None:
        lease = self.store.read_lease()
        assert lease is not None
        assert lease.epoch >= self.last.epoch, "an epoch went down"
        assert lease.clock_seconds >= self.last.clock_seconds, "the cluster clock went back"
        self.last = lease
        leading = self.leading()
        for holder, epoch in (*leading.items(), (lease.holder, lease.epoch)):
            self.holders.setdefault(epoch, set()).add(holder)
        assert all(len(holders) == 1 for holders in self.holders.values()), "an epoch with two holders"
        if self.rates is not WILD:
            assert len(leading) <= 1, "two masters believe to lead"


def test_the_rules_of_the_election_hold_whatever_happens_to_clocks_and_calls(
    connect: Connect, request: pytest.FixtureRequest
) -> None:
    class OnThisStore(Masters):
        store = connect()

    run_state_machine_as_test(
        OnThisStore,
        settings=settings(
            # An example costs a server ten times as much.
            max_examples=20 if "server" in request.node.callspec.id else 80,
            stateful_step_count=30,
            deadline=None,
            database=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
