"""Which workers live: judged by each master's own clock, by when it saw their heartbeat counters move."""

from __future__ import annotations

from dataclasses import replace

import pytest

from common.errors import MetadataUnavailable
from common.records import Target
from common.settings import MasterSettings
from master_node.membership import ALIVE, DEAD, SUSPECT, Membership
from master_node.store.base import MetadataStore
from master_node.store.sqlite import SqliteStore
from tests.support.masters import ManualClock, url_of
from tests.support.metadata import make_heartbeat

SUSPECT_SECONDS, DEAD_SECONDS = 6.0, 15.0


def membership(store: MetadataStore, now: float = 0.0) -> tuple[Membership, ManualClock]:
    clock = ManualClock(now)
    settings = MasterSettings(suspect_seconds=SUSPECT_SECONDS, dead_seconds=DEAD_SECONDS)
    return Membership(store, clock, settings, lambda: 0.0, lambda: ("worker_1", "worker_2", "worker_3")), clock


def pass_time(one: Membership, clock: ManualClock, seconds: float) -> None:
    """Time passes while the master looks at the table every second."""
    end = clock.now + seconds
    while clock.now < end:
        clock.now = min(clock.now + 1.0, end)
        one.refresh()


def states(one: Membership) -> dict[str, str]:
    return {view.record.worker_id: view.state for view in one.workers()}


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
