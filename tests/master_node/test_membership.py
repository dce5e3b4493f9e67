"""Which workers live: judged by each master's own clock, by when it saw their heartbeat counters move."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace

import pytest

from common.errors import MetadataUnavailable, WorkerUnknown
from common.records import Target
from common.settings import MasterSettings
from master_node.membership import ALIVE, DEAD, DRAINING, MAINTENANCE, SUSPECT, Membership
from master_node.store.base import MetadataStore
from master_node.store.sqlite import SqliteStore
from tests.support.masters import ManualClock, url_of
from tests.support.metadata import make_heartbeat

SUSPECT_SECONDS, DEAD_SECONDS, GRACE_SECONDS, MAINTENANCE_SECONDS = 6.0, 15.0, 30.0, 100.0
CONFIGURED = ("worker_1", "worker_2", "worker_3", "worker_4", "worker_5")


def membership(
    store: MetadataStore,
    now: float = 0.0,
    *,
    cluster_clock: Callable[[], float] = lambda: 0.0,
    configured: Collection[str] = CONFIGURED,
) -> tuple[Membership, ManualClock]:
    clock = ManualClock(now)
    settings = MasterSettings(
        suspect_seconds=SUSPECT_SECONDS,
        dead_seconds=DEAD_SECONDS,
        repair_grace_seconds=GRACE_SECONDS,
        maintenance_seconds=MAINTENANCE_SECONDS,
    )
    return Membership(store, clock, settings, cluster_clock, lambda: configured), clock


def pass_time(one: Membership, clock: ManualClock, seconds: float) -> None:
    """Time passes while the master looks at the table every second."""
    end = clock.now + seconds
    while clock.now < end:
        clock.now = min(clock.now + 1.0, end)
        one.refresh()


def states(one: Membership) -> dict[str, str]:
    return {view.record.worker_id: view.state for view in one.workers()}


def test_a_worker_whose_row_began_anew_is_heard_of_by_those_who_knew_the_old_one(store: MetadataStore) -> None:
    one, clock = membership(store)
    other, _ = membership(store)
    for _ in range(50):
        other.receive("worker_1", make_heartbeat())
        pass_time(one, clock, 1.0)
    assert states(one) == {"worker_1": ALIVE}
    store.forget_worker("worker_1")
    for _ in range(10):
        other.receive("worker_1", make_heartbeat())
        pass_time(one, clock, 1.0)
    assert states(one) == {"worker_1": ALIVE}
    pass_time(one, clock, DEAD_SECONDS + 1.0)
    assert states(one) == {"worker_1": DEAD}


def test_a_cluster_without_heartbeats_has_no_workers(store: MetadataStore) -> None:
    one, _ = membership(store)
    one.refresh()
    assert one.workers() == []
    assert one.candidates() == []
    assert one.targets() == {}
    assert not one.is_alive("worker_1")


@pytest.mark.parametrize(
    ("age", "state"),
    [
        (0.0, ALIVE),
        (5.99, ALIVE),
        (6.0, SUSPECT),
        (14.99, SUSPECT),
        (15.0, DEAD),
        (1000.0, DEAD),
    ],
)
def test_silence_makes_a_worker_suspect_then_dead(store: MetadataStore, age: float, state: str) -> None:
    one, clock = membership(store)
    one.receive("worker_1", make_heartbeat(1))
    pass_time(one, clock, age)
    (view,) = one.workers()
    assert (view.state, view.age_seconds) == (state, pytest.approx(age))
    assert one.is_alive("worker_1") == (state == ALIVE)
    assert len(one.candidates()) == (state != DEAD)


def test_a_dead_worker_is_alive_again_with_its_next_heartbeat(store: MetadataStore) -> None:
    one, clock = membership(store)
    one.receive("worker_1", make_heartbeat(1))
    pass_time(one, clock, 100.0)
    assert states(one) == {"worker_1": DEAD}
    one.receive("worker_1", make_heartbeat(1))
    assert states(one) == {"worker_1": ALIVE}


def test_a_heartbeat_that_another_master_received_counts_from_when_it_was_seen(store: MetadataStore) -> None:
    (one, _), (other, clock) = membership(store), membership(store, now=9e9)
    one.receive("worker_1", make_heartbeat(1))
    other.refresh()
    for _ in range(20):
        clock.advance(2.0)
        one.receive("worker_1", make_heartbeat(1))
        other.refresh()
        assert states(other) == {"worker_1": ALIVE}
    clock.advance(SUSPECT_SECONDS)
    other.refresh()
    assert states(other) == {"worker_1": SUSPECT}


def test_an_old_row_of_a_dead_worker_is_not_alive_and_then_dead(store: MetadataStore) -> None:
    store.record_heartbeat("worker_1", make_heartbeat(1))
    one, clock = membership(store)
    one.refresh()
    (view,) = one.workers()
    assert (view.state, view.age_seconds) == (SUSPECT, None)
    assert [candidate.is_doubtful for candidate in one.candidates()] == [True]
    for _ in range(20):
        clock.advance(1.0)
        one.refresh()
    assert states(one) == {"worker_1": DEAD}
    assert one.candidates() == []


def test_a_counter_that_moves_after_the_first_look_makes_a_worker_alive(store: MetadataStore) -> None:
    store.record_heartbeat("worker_1", make_heartbeat(1))
    one, clock = membership(store)
    one.refresh()
    clock.advance(1.0)
    store.record_heartbeat("worker_1", make_heartbeat(1))
    one.refresh()
    assert states(one) == {"worker_1": ALIVE}


def test_a_late_look_at_an_older_row_does_not_undo_a_heartbeat(store: MetadataStore) -> None:
    one, _ = membership(store)
    one.receive("worker_1", make_heartbeat(1))
    one.receive("worker_1", make_heartbeat(1, free_bytes=5))

    class Late:
        """A store whose list of workers was read before the second heartbeat."""

        def list_workers(self) -> list[object]:
            return [replace(record, heartbeat_count=1, heartbeat=make_heartbeat(1)) for record in store.list_workers()]

    one._store = Late()  # type: ignore[assignment]
    one.refresh()
    assert one.workers()[0].record.heartbeat.free_bytes == 5


def test_candidates_carry_what_placement_needs(store: MetadataStore) -> None:
    one, clock = membership(store)
    one.receive("worker_1", make_heartbeat(1, zone="left", free_bytes=7))
    pass_time(one, clock, SUSPECT_SECONDS)
    one.receive("worker_2", make_heartbeat(2, zone="right", free_bytes=9))
    first, second = one.candidates()
    assert (first.zone, first.free_bytes, first.is_doubtful) == ("left", 7, True)
    assert (second.zone, second.free_bytes, second.is_doubtful) == ("right", 9, False)
    assert second.target == Target("worker_2", url_of("worker_2"))


def test_dead_workers_can_still_be_reached_by_readers(store: MetadataStore) -> None:
    one, clock = membership(store)
    one.receive("worker_1", make_heartbeat(1))
    pass_time(one, clock, 100.0)
    assert states(one) == {"worker_1": DEAD}
    assert one.targets() == {"worker_1": Target("worker_1", url_of("worker_1"))}


def test_a_worker_that_moves_to_another_address_is_found_there(store: MetadataStore) -> None:
    (one, _), (other, _) = membership(store), membership(store)
    one.receive("worker_1", make_heartbeat(1))
    other.refresh()
    one.receive("worker_1", make_heartbeat(4))
    other.refresh()
    assert other.targets()["worker_1"].url == url_of("worker_4")


def test_workers_come_in_the_order_of_their_ids(store: MetadataStore) -> None:
    one, _ = membership(store)
    for number in (3, 1, 2):
        one.receive(f"worker_{number}", make_heartbeat(number))
    assert list(states(one)) == ["worker_1", "worker_2", "worker_3"]


def test_a_heartbeat_that_could_not_be_stored_is_not_counted(store: SqliteStore) -> None:
    one, _ = membership(store)
    store.close()
    with pytest.raises(MetadataUnavailable):
        one.receive("worker_1", make_heartbeat(1))
    assert one.workers() == []


@pytest.mark.parametrize("gap", [20.0, 3600.0])
def test_a_master_that_was_paused_finds_nobody_dead(store: MetadataStore, gap: float) -> None:
    one, clock = membership(store)
    one.receive("worker_1", make_heartbeat(1))
    clock.advance(gap)
    assert states(one) == {"worker_1": SUSPECT}
    one.refresh()
    assert states(one) == {"worker_1": SUSPECT}
    pass_time(one, clock, DEAD_SECONDS - SUSPECT_SECONDS)
    assert states(one) == {"worker_1": DEAD}


def test_while_the_database_does_not_answer_nobody_becomes_dead(store: SqliteStore) -> None:
    one, clock = membership(store)
    one.receive("worker_1", make_heartbeat(1))

    class Silent:
        def list_workers(self) -> list[object]:
            raise MetadataUnavailable("no answer")

    one._store = Silent()  # type: ignore[assignment]
    for _ in range(100):
        clock.advance(1.0)
        with pytest.raises(MetadataUnavailable):
            one.refresh()
    assert states(one) == {"worker_1": SUSPECT}
    assert len(one.candidates()) == 1


def test_a_dead_worker_is_lost_after_the_grace_and_not_before(store: MetadataStore) -> None:
    one, clock = membership(store)
    one.receive("worker_1", make_heartbeat(1))
    pass_time(one, clock, DEAD_SECONDS + GRACE_SECONDS - 0.01)
    assert not one.workers()[0].is_lost
    pass_time(one, clock, 0.02)
    assert one.workers()[0].is_lost
    one.receive("worker_1", make_heartbeat(1))
    assert not one.workers()[0].is_lost


class ClusterClock:
    """The cluster clock as the election last saw it."""

    def __init__(self) -> None:
        self.now = 500.0

    def __call__(self) -> float:
        return self.now


def test_a_worker_that_said_goodbye_is_in_maintenance_for_its_time_and_then_dead_and_then_lost(
    store: MetadataStore,
) -> None:
    time = ClusterClock()
    one, clock = membership(store, cluster_clock=time)
    one.receive("worker_1", make_heartbeat(1))
    one.receive_goodbye("worker_1", 500.0)
    assert states(one) == {"worker_1": MAINTENANCE}
    assert one.candidates() == []
    assert not one.is_alive("worker_1")
    seen = []
    for _ in range(int(MAINTENANCE_SECONDS + GRACE_SECONDS) + 2):
        time.now += 1.0
        pass_time(one, clock, 1.0)
        (view,) = one.workers()
        seen.append("lost" if view.is_lost else view.state)
    assert [seen.count(state) for state in (MAINTENANCE, DEAD, "lost")] == [
        MAINTENANCE_SECONDS - 1,
        GRACE_SECONDS,
        3,
    ]


def test_a_goodbye_holds_for_every_master_and_over_a_restart_of_all(store: MetadataStore) -> None:
    time = ClusterClock()
    one, _ = membership(store, cluster_clock=time)
    one.receive("worker_1", make_heartbeat(1))
    one.receive_goodbye("worker_1", 500.0)
    fresh, clock = membership(store, now=9e6, cluster_clock=time)
    fresh.refresh()
    assert states(fresh) == {"worker_1": MAINTENANCE}
    # Without a leader the cluster clock stands, so nobody is lost for that.
    pass_time(fresh, clock, 2 * MAINTENANCE_SECONDS)
    assert states(fresh) == {"worker_1": MAINTENANCE}


def test_a_heartbeat_ends_maintenance_at_every_master(store: MetadataStore) -> None:
    time = ClusterClock()
    (one, _), (other, _) = membership(store, cluster_clock=time), membership(store, cluster_clock=time)
    one.receive("worker_1", make_heartbeat(1))
    one.receive_goodbye("worker_1", 500.0)
    other.refresh()
    assert states(other) == {"worker_1": MAINTENANCE}
    one.receive("worker_1", make_heartbeat(1))
    other.refresh()
    assert states(one) == states(other) == {"worker_1": ALIVE}


def test_a_goodbye_of_a_worker_that_was_never_heard_of_changes_nothing(store: MetadataStore) -> None:
    one, _ = membership(store)
    one.receive_goodbye("worker_1", 500.0)
    assert one.workers() == []


def test_a_draining_worker_serves_and_gets_nothing_new(store: MetadataStore) -> None:
    one, clock = membership(store)
    other, _ = membership(store)
    one.receive("worker_1", make_heartbeat(1))
    for _ in range(2):
        assert one.set_draining("worker_1", True).state == DRAINING
    assert one.candidates() == []
    assert one.is_alive("worker_1")
    # The order outlives heartbeats, and every master sees it.
    other.receive("worker_1", make_heartbeat(1))
    assert states(other) == {"worker_1": DRAINING}
    pass_time(one, clock, SUSPECT_SECONDS)
    other.receive("worker_1", make_heartbeat(1))
    pass_time(one, clock, DEAD_SECONDS + 1.0)
    assert states(one) == {"worker_1": DEAD}
    assert one.candidates() == []
    one.receive("worker_1", make_heartbeat(1))
    assert one.set_draining("worker_1", False).state == ALIVE
    assert len(one.candidates()) == 1


def test_a_worker_that_was_never_heard_of_cannot_be_drained(store: MetadataStore) -> None:
    one, _ = membership(store)
    with pytest.raises(WorkerUnknown):
        one.set_draining("worker_1", True)


@pytest.mark.parametrize(
    ("alive", "left", "are_most_gone"),
    [
        (5, 0, False),
        (4, 0, False),
        (3, 0, False),
        (2, 0, True),
        (0, 0, True),
        (2, 1, False),
        (1, 3, False),
        (0, 5, False),
    ],
)
def test_most_are_gone_when_more_than_half_are_silent_without_a_goodbye(
    store: MetadataStore, alive: int, left: int, are_most_gone: bool
) -> None:
    one, clock = membership(store)
    for number in range(1, 6):
        one.receive(f"worker_{number}", make_heartbeat(number))
    for number in range(5 - left + 1, 6):
        one.receive_goodbye(f"worker_{number}", 500.0)
    pass_time(one, clock, SUSPECT_SECONDS)
    for number in range(1, alive + 1):
        one.receive(f"worker_{number}", make_heartbeat(number))
    assert one.are_most_gone() == are_most_gone


def test_a_draining_worker_is_not_gone(store: MetadataStore) -> None:
    one, _ = membership(store, configured=("worker_1",))
    one.receive("worker_1", make_heartbeat(1))
    one.set_draining("worker_1", True)
    assert not one.are_most_gone()


def test_a_worker_that_left_the_configuration_gets_nothing_new_and_is_not_waited_for(store: MetadataStore) -> None:
    configured = {"worker_1", "worker_2"}
    one, clock = membership(store, configured=configured)
    for number in (1, 2):
        one.receive(f"worker_{number}", make_heartbeat(number))
    one.receive_goodbye("worker_2", 500.0)
    configured.remove("worker_1")
    configured.remove("worker_2")
    assert one.candidates() == []
    assert states(one) == {"worker_1": ALIVE, "worker_2": ALIVE}
    assert not any(view.is_configured for view in one.workers())
    pass_time(one, clock, DEAD_SECONDS + GRACE_SECONDS)
    assert all(view.is_lost for view in one.workers())
    store.forget_worker("worker_1")
    one.refresh()
    assert states(one) == {"worker_2": DEAD}


def test_a_heartbeat_that_wants_an_inventory_asks_for_one(store: MetadataStore) -> None:
    one, _ = membership(store)
    one.receive("worker_1", make_heartbeat(1))
    store.finish_inventory("worker_1", 1)
    one.receive("worker_1", replace(make_heartbeat(1), wants_inventory=True))
    one.refresh()
    assert not one.workers()[0].record.is_reconciled


def test_a_dead_worker_is_compared_with_the_records_when_it_returns(store: MetadataStore) -> None:
    one, clock = membership(store)
    one.receive("worker_1", make_heartbeat(1))
    store.finish_inventory("worker_1", 1)
    pass_time(one, clock, DEAD_SECONDS - 0.01)
    one.distrust_dead()
    assert store.list_workers()[0].is_reconciled
    pass_time(one, clock, 0.01)
    one.distrust_dead()
    one.receive("worker_1", make_heartbeat(1))
    one.refresh()
    assert states(one) == {"worker_1": ALIVE}
    assert not one.workers()[0].record.is_reconciled


def test_another_master_sees_a_worker_die_no_later_than_the_one_that_heard_it(store: MetadataStore) -> None:
    (one, clock), (other, other_clock) = membership(store), membership(store)
    one.receive("worker_1", make_heartbeat(1))
    other.refresh()
    for _ in range(3):
        for moved in (clock, other_clock):
            moved.advance(0.1)
        one.receive("worker_1", make_heartbeat(1))
        other_clock.advance(0.7)
        other.refresh()
        clock.advance(0.7)
    pass_time(other, other_clock, DEAD_SECONDS - 0.7)
    assert states(other) == {"worker_1": DEAD}
