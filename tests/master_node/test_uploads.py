"""Uploads: opened, placed and recorded in order, aborted; each call may be repeated at any master."""

from __future__ import annotations

from dataclasses import replace

import pytest

from common.errors import (
    ClusterFull,
    DFSError,
    InvalidPath,
    InvalidRequest,
    NotEnoughWorkers,
    UploadClosed,
    UploadUnknown,
)
from common.master_client import MapPart
from common.records import StoredChunk
from master_node import model
from master_node.store.sqlite import SqliteStore
from tests.support.masters import WORKERS, ChunkHosts, ManualClock, Master, commit_request
from tests.support.metadata import CHUNK_SIZE, hex_id, make_heartbeat, stored
from tests.support.threads import run_together

FIVE = tuple(f"worker_{number}" for number in range(1, 6))


def recorded(master: Master, upload_id: str) -> tuple[int, int]:
    upload = master.store.find_upload(upload_id)
    assert upload is not None
    records = master.store.list_chunks(upload_id, 0, 1000)
    assert [chunk.index for chunk in records][: upload.recorded_count] == list(range(upload.recorded_count))
    return upload.recorded_count, upload.recorded_bytes


def test_an_opened_upload_says_what_the_gateway_needs(master: Master) -> None:
    opened = master.uploads.open("a", None, 4)
    assert (opened.chunk_size, opened.replication_factor, opened.write_quorum) == (CHUNK_SIZE, 3, 2)
    assert [placement.index for placement in opened.placements] == [0, 1, 2, 3]
    assert recorded(master, opened.upload_id) == (0, 0)


def test_each_opening_is_an_upload_of_its_own(master: Master) -> None:
    assert len({master.uploads.open("a", None, 0).upload_id for _ in range(50)}) == 50


def test_the_quorum_is_never_more_than_the_replicas(master: Master) -> None:
    assert master.uploads.open("a", 1, 1).write_quorum == 1


@pytest.mark.parametrize(
    ("consistency", "factor", "quorum"),
    [
        (None, None, 2),
        (None, 1, 1),
        (None, 5, 2),
        *(("one", factor, 1) for factor in range(1, 6)),
        ("quorum", None, 2),
        ("quorum", 1, 1),
        ("quorum", 2, 2),
        ("quorum", 4, 3),
        ("quorum", 5, 3),
        *(("all", factor, factor) for factor in range(1, 6)),
    ],
)
def test_the_quorum_is_what_the_client_asks_for(
    master: Master, consistency: str | None, factor: int | None, quorum: int
) -> None:
    master.look(FIVE)
    opened = master.uploads.open("a", factor, 1, consistency)
    assert (opened.replication_factor, opened.write_quorum) == (factor or 3, quorum)


@pytest.mark.parametrize("consistency", ["", "ALL", "two", "quorum ", "majority"])
def test_another_consistency_is_refused_and_the_choices_are_named(master: Master, consistency: str) -> None:
    with pytest.raises(InvalidRequest, match="one, quorum, all"):
        master.uploads.open("a", None, 1, consistency)


def test_the_quorum_holds_at_every_master_and_to_the_end(store: SqliteStore, clock: ManualClock) -> None:
    one, other = (Master(name, store, clock, ChunkHosts()) for name in ("master_1", "master_2"))
    for master in (one, other):
        master.look()
    upload_id = one.uploads.open("a", None, 2, "all").upload_id
    assert other.uploads.record(upload_id, [], 0, 1).write_quorum == 3
    with pytest.raises(InvalidRequest, match="2 of 3 replicas"):
        other.uploads.record(upload_id, [stored(0, WORKERS[:2])], 0, 0)
    other.uploads.record(upload_id, [stored(0, WORKERS)], 0, 0)
    last = stored(1, WORKERS[:2], size_bytes=1)
    with pytest.raises(InvalidRequest, match="2 of 3 replicas"):
        other.committer.commit(upload_id, replace(commit_request("a", 2), chunks=(last,)))
    assert other.commit(upload_id, "a", 2).path == "a"


def test_a_write_that_its_quorum_rules_out_is_refused_before_anything_is_written(master: Master) -> None:
    for factor, consistency, needed in ((4, "all", 4), (5, "all", 5)):
        with pytest.raises(NotEnoughWorkers) as refused:
            master.uploads.open("a", factor, 1, consistency)
        assert refused.value.context == {"alive": 3, "needed": needed}
    assert master.store.find_idle_uploads(model.OPEN, 1e12, 10) == []


def test_with_fewer_workers_than_replicas_but_a_quorum_the_rest_is_owed(master: Master) -> None:
    opened = master.uploads.open("a", 5, 1, "quorum")
    assert len(opened.placements[0].targets) == 3
    master.uploads.record(opened.upload_id, [stored(0, WORKERS)], 0, 0)
    chunk = master.store.list_chunks(opened.upload_id, 0, 1)[0]
    assert (chunk.owed, chunk.factor) == (2, 5)


@pytest.mark.parametrize("factor", [0, -1, 6, 17, 10**9])
def test_an_impossible_replication_factor_is_refused(master: Master, factor: int) -> None:
    with pytest.raises(InvalidRequest, match="from 1 to 5"):
        master.uploads.open("a", factor, 1)


def test_one_more_worker_in_the_configuration_allows_one_more_replica(master: Master) -> None:
    master.configured.add("worker_6")
    assert master.uploads.open("a", 6, 1).replication_factor == 6


@pytest.mark.parametrize("path", ["", "/a", "a//b", "../a", "a/..", "x" * 256, "é" * 513, "a\0b", "\ud800"])
def test_an_impossible_path_is_refused_before_a_byte_is_sent(master: Master, path: str) -> None:
    with pytest.raises(InvalidPath):
        master.uploads.open(path, None, 1)
    assert master.store.find_idle_uploads(model.OPEN, 1e12, 10) == []


@pytest.mark.parametrize("place", [-1, 257, 10**9])
def test_no_more_is_placed_at_once_than_allowed(master: Master, place: int) -> None:
    upload_id = master.begin("a", 1)
    with pytest.raises(InvalidRequest):
        master.uploads.open("a", None, place)
    with pytest.raises(InvalidRequest):
        master.uploads.record(upload_id, [], 0, place)


def test_without_workers_nothing_is_opened(store: SqliteStore, clock: ManualClock) -> None:
    master = Master("master_1", store, clock, ChunkHosts())
    master.look([])
    with pytest.raises(NotEnoughWorkers):
        master.uploads.open("a", None, 1)
    for worker_id in WORKERS:
        master.membership.receive(worker_id, make_heartbeat(free_bytes=0))
    with pytest.raises(ClusterFull):
        master.uploads.open("a", None, 1)
    assert store.find_idle_uploads(model.OPEN, 1e12, 10) == []


def test_chunks_are_recorded_in_order_and_more_are_placed_by_the_same_call(master: Master) -> None:
    upload_id = master.begin("a", 2, recorded=0)
    answer = master.uploads.record(upload_id, [stored(0, WORKERS), stored(1, WORKERS[:2])], 2, 3)
    assert [placement.index for placement in answer.placements] == [2, 3, 4]
    assert recorded(master, upload_id) == (2, 2 * CHUNK_SIZE)
    assert [chunk.owed for chunk in master.store.list_chunks(upload_id, 0, 10)] == [0, 1]


def test_a_repeated_record_is_harmless(master: Master) -> None:
    upload_id = master.begin("a", 4, recorded=0)
    first, second = [stored(0, WORKERS), stored(1, WORKERS)], [stored(1, WORKERS), stored(2, WORKERS)]
    for chunks in (first, first, second, first, second):
        master.uploads.record(upload_id, chunks, 0, 0)
    assert recorded(master, upload_id) == (3, 3 * CHUNK_SIZE)


def test_masters_that_record_the_same_at_once_record_it_once(store: SqliteStore, clock: ManualClock) -> None:
    masters = [Master(f"master_{number}", store, clock, ChunkHosts()) for number in range(3)]
    for master in masters:
        master.look()
    upload_id = masters[0].begin("a", 2, recorded=0)
    chunks = [stored(0, WORKERS), stored(1, WORKERS)]
    run_together([lambda master=master: master.uploads.record(upload_id, chunks, 0, 0) for master in masters])
    assert recorded(masters[0], upload_id) == (2, 2 * CHUNK_SIZE)


@pytest.mark.parametrize(
    "chunk",
    [
        stored(2, WORKERS),
        stored(1, WORKERS, size_bytes=CHUNK_SIZE - 1),
        stored(1, WORKERS, size_bytes=CHUNK_SIZE + 1),
        stored(1, WORKERS, size_bytes=0),
        stored(1, ("worker_1", "stranger")),
    ],
    ids=["gap", "short", "long", "empty", "stranger"],
)
def test_a_record_that_cannot_be_right_is_refused_and_changes_nothing(master: Master, chunk: StoredChunk) -> None:
    upload_id = master.begin("a", 3, recorded=1)
    with pytest.raises(InvalidRequest):
        master.uploads.record(upload_id, [chunk], 0, 0)
    assert recorded(master, upload_id) == (1, CHUNK_SIZE)


@pytest.mark.parametrize("chunks", [(), (stored(0, WORKERS, size_bytes=0),)], ids=["as earlier releases", "marked"])
def test_a_file_without_a_byte_has_no_chunk_or_an_empty_one_and_clients_see_none(
    master: Master, chunks: tuple[StoredChunk, ...]
) -> None:
    request = replace(commit_request("a", 0), chunks=chunks, chunk_count=len(chunks))
    file, _ = master.committer.commit(master.begin("a"), request)
    assert (file.to_info().size, file.to_info().chunk_count) == (0, 0)
    assert len(master.store.list_chunks(file.file_id, 0, 10)) == len(chunks)
    assert master.catalog.find_path("a", MapPart(0, 4)).chunks == ()


def test_a_chunk_that_was_never_placed_cannot_be_recorded(master: Master) -> None:
    """Garbage collection looks for an upload's bytes only where they were placed."""
    upload_id = master.begin("a", 1, recorded=1)
    with pytest.raises(InvalidRequest):
        master.uploads.record(upload_id, [stored(1, WORKERS)], 0, 0)


def test_recording_shows_that_the_upload_is_not_idle(master: Master) -> None:
    upload_id = master.begin("a", 1)
    master.pass_time(10.0)
    master.uploads.record(upload_id, [], 1, 1)
    upload = master.store.find_upload(upload_id)
    assert upload is not None
    assert upload.last_activity_at == pytest.approx(10.0)


def test_an_aborted_upload_takes_nothing_more(master: Master) -> None:
    upload_id = master.begin("a", 1)
    for _ in range(3):
        master.uploads.abort(upload_id)
    with pytest.raises(UploadClosed):
        master.uploads.record(upload_id, [stored(0, WORKERS)], 0, 0)
    with pytest.raises(UploadClosed):
        master.commit(upload_id, "a")


def test_an_abort_after_the_commit_changes_nothing(master: Master) -> None:
    upload_id = master.begin("a", 1)
    file = master.commit(upload_id, "a")
    master.uploads.abort(upload_id)
    master.collect()
    assert master.catalog.find_path("a").file == file.to_info()
    with pytest.raises(UploadClosed):
        master.uploads.record(upload_id, [], 0, 0)


def test_an_unknown_upload_takes_nothing_and_can_be_aborted(master: Master) -> None:
    unknown = hex_id("unknown")
    calls = [lambda: master.uploads.record(unknown, [], 0, 0), lambda: master.commit(unknown, "a")]
    for call in calls:
        with pytest.raises(UploadUnknown):
            call()
    master.uploads.abort(unknown)


def test_an_upload_opened_by_a_master_that_just_started_is_not_idle(store: SqliteStore, clock: ManualClock) -> None:
    old = Master("master_1", store, clock, ChunkHosts())
    old.look()
    old.pass_time(5000.0)
    fresh = Master("master_2", store, clock, ChunkHosts())
    for worker_id in WORKERS:
        fresh.membership.receive(worker_id, make_heartbeat())
    upload_id = fresh.uploads.open("a", None, 1).upload_id
    old.collect()
    upload = store.find_upload(upload_id)
    assert upload is not None
    assert upload.state == model.OPEN


def test_every_refusal_is_an_error_of_the_system(master: Master) -> None:
    with pytest.raises(DFSError):
        master.uploads.record("not an id", [], 0, 0)


def test_a_master_that_has_not_seen_the_workers_yet_looks_before_it_refuses(master: Master, store: SqliteStore) -> None:
    """Right after a start the workers have been heard by another master, a moment ago."""
    other = Master("master_2", store, ManualClock(), ChunkHosts())
    for worker_id in WORKERS:
        master.membership.receive(worker_id, replace(make_heartbeat(), url=master.urls[worker_id]))
    assert other.membership.candidates() == []
    opened = other.uploads.open("a", None, 1)
    assert {target.worker_id for target in opened.placements[0].targets} == set(WORKERS)
