"""A look at the heartbeat table never waits for the election, and the log tells when the database is lost and back."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from common.errors import MetadataUnavailable
from master_node.model import Lease
from master_node.store.base import MetadataStore
from master_node.watch import Watch
from tests.support.logs import Events, recording_log
from tests.support.masters import ChunkHosts, ManualClock, Master
from tests.support.metadata import make_heartbeat
from tests.support.rosters import make_roster
from tests.support.waiting import wait_until


class SlowStore:
    """A store whose lease can be held up, or not be read at all."""

    def __init__(self, store: object) -> None:
        self._store = store
        self.may_read_lease = threading.Event()
        self.is_down = False

    def __getattr__(self, name: str) -> object:
        if self.is_down:
            raise MetadataUnavailable("no answer")
        return getattr(self._store, name)

    def read_lease(self) -> object:
        self.may_read_lease.wait(30)
        return self.__getattr__("read_lease")()  # type: ignore[operator]


@pytest.fixture
def slow(store: object) -> Iterator[SlowStore]:
    slow = SlowStore(store)
    yield slow
    slow.may_read_lease.set()


def watched(slow: object, on_change: Callable[[], None] = lambda: None) -> tuple[Watch, Master, Events]:
    master = Master("master_1", slow, ManualClock(), ChunkHosts())  # type: ignore[arg-type]
    log, events = recording_log()
    return Watch(master.election, master.membership, make_roster(), on_change, log, 0.01), master, events


def test_the_heartbeat_table_is_seen_while_the_election_waits_for_the_database(slow: SlowStore) -> None:
    watch, master, _ = watched(slow)
    slow.record_heartbeat("worker_1", make_heartbeat(1))  # type: ignore[operator]
    watch.start()
    try:
        assert len(master.membership.candidates()) == 1
        slow.record_heartbeat("worker_2", make_heartbeat(2))  # type: ignore[operator]
        wait_until(lambda: len(master.membership.candidates()) == 2, "the second worker is seen")
        assert not master.election.leads()
        slow.may_read_lease.set()
        wait_until(master.election.leads, "the master leads")
    finally:
        watch.stop()


def test_the_log_says_once_that_the_database_is_lost_and_once_that_it_is_back(slow: SlowStore) -> None:
    watch, _, events = watched(slow)
    slow.may_read_lease.set()
    for is_down in (False, True, True, True, False, False):
        slow.is_down = is_down
        watch.step_election()
        watch.see_workers()
    told = [(name, fields["reading"]) for name, fields in events.entries if "reading" in fields]
    assert told == [
        ("database_lost", "lease"),
        ("database_lost", "workers"),
        ("database_back", "lease"),
        ("database_back", "workers"),
    ]


def test_a_change_of_a_worker_s_state_is_told_and_logged_once(store: MetadataStore) -> None:
    changes: list[str] = []
    watch, master, events = watched(store, lambda: changes.append("change"))
    watch.see_workers()
    assert not changes
    master.membership.receive("worker_1", make_heartbeat(1))
    for _ in range(3):
        watch.see_workers()
    assert len(changes) == 1
    for _ in range(50):
        master.clock.advance(1.0)
        watch.see_workers()
    told = [fields["now"] for name, fields in events.entries if name == "worker_state"]
    assert told == ["alive", "suspect", "dead", "lost"]
    assert len(changes) == len(told)


def test_the_leader_asks_for_an_inventory_of_a_dead_worker_once(store: MetadataStore) -> None:
    watch, master, _ = watched(store)
    watch.step_election()
    master.membership.receive("worker_1", make_heartbeat(1))
    store.finish_inventory("worker_1", 1)
    watch.see_workers()
    assert store.list_workers()[0].is_reconciled
    for _ in range(30):
        master.clock.advance(1.0)
        watch.step_election()
        watch.see_workers()
    (record,) = store.list_workers()
    assert (record.inventory_wanted, record.inventory_done, record.is_reconciled) == (2, 1, False)


def test_a_master_that_follows_asks_for_no_inventory(store: MetadataStore) -> None:
    assert store.swap_lease(None, Lease("master_9", 1, 0, 0.0))
    watch, master, _ = watched(store)
    master.membership.receive("worker_1", make_heartbeat(1))
    store.finish_inventory("worker_1", 1)
    for _ in range(30):
        master.clock.advance(1.0)
        watch.see_workers()
    assert master.membership.workers()[0].state == "dead"
    assert store.list_workers()[0].is_reconciled
