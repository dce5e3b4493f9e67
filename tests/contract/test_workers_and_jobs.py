"""The heartbeat table and what is written down of jobs, in a metadata store; and the levels of reading."""

from __future__ import annotations

from dataclasses import replace

import pytest

from common.records import Heartbeat
from master_node.model import JobRecord
from master_node.store.base import MetadataStore, ReadLevel
from tests.contract.conftest import Connect
from tests.support.metadata import hex_id, make_chunk, make_file, make_heartbeat, next_revision

V = hex_id("v")


def heartbeat(incarnation: str) -> Heartbeat:
    return replace(make_heartbeat(), incarnation=incarnation)


def test_each_heartbeat_is_counted_and_the_last_one_is_kept(connect: Connect) -> None:
    one, other = connect(), connect()
    assert one.list_workers() == []
    assert one.record_heartbeat("worker_2", make_heartbeat(2)).heartbeat_count == 1
    assert other.record_heartbeat("worker_1", make_heartbeat(1)).heartbeat_count == 1
    last = replace(
        make_heartbeat(3, zone="é", free_bytes=2**43),
        incarnation="started twice",
        quarantined_count=7,
        wants_inventory=True,
        scrub={"checked": 5, "place": None, "rate": 0.5},
    )
    row = other.record_heartbeat("worker_2", last)
    assert (row.heartbeat_count, row.heartbeat) == (2, last)
    workers = one.list_workers()
    assert [(worker.worker_id, worker.heartbeat_count) for worker in workers] == [("worker_1", 1), ("worker_2", 2)]
    assert workers[1] == row
    assert not workers[1].is_draining


def test_every_start_of_a_worker_asks_for_one_inventory(connect: Connect) -> None:
    one, other = connect(), connect()
    seen = [
        store.record_heartbeat("worker_1", heartbeat(incarnation)).inventory_wanted
        for store, incarnation in ((one, "a"), (other, "a"), (one, "b"), (other, "b"), (one, "b"), (one, ""))
    ]
    assert seen == [1, 1, 2, 2, 2, 3]


def test_an_inventory_settles_what_was_wanted_when_it_began(store: MetadataStore) -> None:
    wanted = store.record_heartbeat("worker_1", heartbeat("a")).inventory_wanted
    assert not store.list_workers()[0].is_reconciled
    store.record_heartbeat("worker_1", heartbeat("b"))
    store.finish_inventory("worker_1", wanted)
    assert not store.list_workers()[0].is_reconciled
    store.finish_inventory("worker_1", wanted + 1)
    assert store.record_heartbeat("worker_1", heartbeat("b")).is_reconciled
    store.finish_inventory("worker_1", wanted)
    assert store.list_workers()[0].is_reconciled
    store.want_inventory("worker_1")
    row = store.list_workers()[0]
    assert (row.inventory_wanted, row.inventory_done) == (3, 2)


def test_draining_stays_over_heartbeats_until_it_is_taken_back(store: MetadataStore) -> None:
    store.record_heartbeat("worker_1", heartbeat("a"))
    assert store.change_worker("worker_1", is_draining=True)
    assert store.record_heartbeat("worker_1", heartbeat("b")).is_draining
    assert store.change_worker("worker_1", left_at=5.5)
    assert store.list_workers()[0].is_draining
    assert store.change_worker("worker_1", is_draining=False)
    assert not store.list_workers()[0].is_draining


def test_a_goodbye_is_forgotten_with_the_next_heartbeat(store: MetadataStore) -> None:
    store.record_heartbeat("worker_1", heartbeat("a"))
    for left_at in (0.0, 12.25):
        assert store.change_worker("worker_1", left_at=left_at)
        assert store.change_worker("worker_1", is_draining=True)
        assert store.list_workers()[0].left_at == left_at
    assert store.record_heartbeat("worker_1", heartbeat("a")).left_at is None
    assert store.list_workers()[0].left_at is None


def test_a_change_of_a_worker_that_is_not_there_makes_none(store: MetadataStore) -> None:
    assert not store.change_worker("worker_1", is_draining=True)
    assert not store.change_worker("worker_1", left_at=1.0)
    assert not store.change_worker("worker_1")
    store.want_inventory("worker_1")
    store.finish_inventory("worker_1", 1)
    store.forget_worker("worker_1")
    assert store.list_workers() == []


def test_a_change_of_nothing_changes_nothing(store: MetadataStore) -> None:
    row = store.record_heartbeat("worker_1", heartbeat("a"))
    assert store.change_worker("worker_1")
    assert store.list_workers() == [row]


def test_a_forgotten_worker_starts_anew(store: MetadataStore) -> None:
    for name in ("worker_1", "worker_2"):
        first = store.record_heartbeat(name, heartbeat("a"))
        store.finish_inventory(name, 1)
        assert store.change_worker(name, is_draining=True)
    store.forget_worker("worker_2")
    assert [worker.worker_id for worker in store.list_workers()] == ["worker_1"]
    assert store.record_heartbeat("worker_2", heartbeat("a")) == first


def test_jobs_are_listed_by_name_as_they_were_last_put(connect: Connect) -> None:
    one, other = connect(), connect()
    assert one.list_jobs() == []
    one.put_jobs([])
    awkward = {"": 1, "a.b": {"$set": [None, True, 2**53, 0.5]}, "é": "😀"}
    one.put_jobs([JobRecord("trim", {"state": "busy"}), JobRecord("repair", awkward)])
    assert other.list_jobs() == [JobRecord("repair", awkward), JobRecord("trim", {"state": "busy"})]
    other.put_jobs([JobRecord("trim", {"units_done": 3}), JobRecord("drain", {})])
    assert one.list_jobs() == [
        JobRecord("drain", {}),
        JobRecord("repair", awkward),
        JobRecord("trim", {"units_done": 3}),
    ]


@pytest.mark.parametrize("level", ReadLevel)
def test_every_level_reads_what_one_database_holds(connect: Connect, level: ReadLevel) -> None:
    """With one copy of the data no level can be behind; what each promises beyond is the database's own."""
    store, view = connect(), connect().reading(level)
    file, chunks = make_file("a/b"), [make_chunk(V, index) for index in range(3)]
    assert view.find_file(file.file_id) is None
    store.insert_file(file)
    store.insert_chunks(chunks)
    assert view.find_file(file.file_id) == file
    assert view.find_file_by_key("a/a/b") == file
    assert view.find_file_by_key("a/a") is None
    assert view.scan_files("a/", "a0", 10) == [file]
    assert view.list_chunks(V, 1, 10) == chunks[1:]
    changed = next_revision(file, path="c")
    assert store.replace_file(changed)
    assert view.find_file(file.file_id) == changed
    assert view.scan_files("a/", "a0", 10, is_inclusive=True) == [changed]
