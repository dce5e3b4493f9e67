"""Garbage collection against real workers: what nobody can reach goes from their disks, and nothing else does."""

from __future__ import annotations

from dataclasses import replace

import pytest

from common.errors import DFSError, FileUnknown, VersionUnknown
from common.master_client import MapPart
from common.settings import MasterSettings
from master_node import model
from master_node.model import File
from master_node.store.base import Pending
from master_node.store.sqlite import SqliteStore
from tests.support.masters import WORKERS, ManualClock, Master, commit_request
from tests.support.served import ServedWorkers

RETENTION = 100.0
SETTINGS = MasterSettings(trash_retention_seconds=RETENTION, upload_idle_seconds=60.0, dead_seconds=15.0)
# Longer than everything that is put off.
LONG = 200.0


@pytest.fixture
def master(store: SqliteStore, clock: ManualClock, workers: ServedWorkers) -> Master:
    return new_master("master_1", store, clock, workers)


def new_master(name: str, store: SqliteStore, clock: ManualClock, workers: ServedWorkers) -> Master:
    master = Master(name, store, clock, workers.client, SETTINGS)
    master.urls = workers.urls
    master.look()
    return master


def put(master: Master, workers: ServedWorkers, path: str, chunks: int = 2) -> File:
    """A file with its bytes on all workers."""
    upload_id = begin(master, workers, path, chunks)
    return master.commit(upload_id, path, chunks)


def begin(master: Master, workers: ServedWorkers, path: str | None, chunks: int = 2) -> str:
    upload_id = master.begin(path, chunks)
    workers.put(upload_id, chunks, WORKERS)
    return upload_id


def version_of(file: File) -> str:
    assert file.version is not None
    return file.version.version_id


def collect_for(master: Master, seconds: float, workers: tuple[str, ...] = WORKERS) -> None:
    """Collect now, and again after each stretch of time, until `seconds` are over."""
    master.collect()
    for _ in range(int(seconds / 10)):
        master.pass_time(10.0, workers)
        master.collect()


def test_what_was_deleted_for_good_goes_at_once_and_all_else_stays(master: Master, workers: ServedWorkers) -> None:
    kept, gone = put(master, workers, "kept"), put(master, workers, "gone")
    master.catalog.delete(gone.file_id, is_permanent=True)
    assert master.store.pending(master.election.clock_seconds()).due_bytes > 0
    master.collect()
    assert workers.versions() == {version_of(kept)}
    assert master.store.list_chunks(version_of(gone), 0, 10) == []
    assert len(master.store.list_chunks(version_of(kept), 0, 10)) == 2
    assert master.store.pending(1e12) == Pending(0, 0)


def test_nothing_is_collected_where_nothing_is_due(master: Master, workers: ServedWorkers) -> None:
    file = put(master, workers, "a")
    in_trash = put(master, workers, "b")
    master.catalog.delete(in_trash.file_id, is_permanent=False)
    open_upload = begin(master, workers, "c")
    assert master.collect() == 0
    assert workers.versions() == {version_of(file), version_of(in_trash), open_upload}


def test_trash_is_freed_when_its_time_is_over_and_not_before(master: Master, workers: ServedWorkers) -> None:
    file = put(master, workers, "a")
    master.catalog.delete(file.file_id, is_permanent=False)
    collect_for(master, RETENTION - 10.0)
    assert workers.versions() == {version_of(file)}
    collect_for(master, 20.0)
    assert workers.versions() == set()
    with pytest.raises(FileUnknown):
        master.catalog.restore(file.file_id, None, None)


def test_what_is_restored_in_time_is_never_freed(master: Master, workers: ServedWorkers) -> None:
    file = put(master, workers, "a")
    master.catalog.delete(file.file_id, is_permanent=False)
    collect_for(master, RETENTION - 10.0)
    master.catalog.restore(file.file_id, None, None)
    collect_for(master, 3 * RETENTION)
    assert workers.versions() == {version_of(file)}
    assert len(master.catalog.find_path("a", MapPart(0, 9)).chunks) == 2


def test_a_superseded_version_is_freed_when_its_time_is_over(master: Master, workers: ServedWorkers) -> None:
    old = put(master, workers, "a")
    new = put(master, workers, "a")
    collect_for(master, RETENTION - 10.0)
    assert workers.versions() == {version_of(old), version_of(new)}
    collect_for(master, 20.0)
    assert workers.versions() == {version_of(new)}
    assert master.catalog.find_path("a").file.old_versions == ()
    with pytest.raises(VersionUnknown):
        master.catalog.restore(old.file_id, 1, None)


def test_an_old_version_that_expires_does_not_take_its_file_out_of_the_trash(
    master: Master, workers: ServedWorkers
) -> None:
    old = put(master, workers, "a")
    new = put(master, workers, "a")
    collect_for(master, RETENTION / 2)
    master.catalog.delete(old.file_id, is_permanent=False)
    collect_for(master, RETENTION / 2 + 10.0)
    assert workers.versions() == {version_of(new)}
    assert master.catalog.restore(old.file_id, None, None).version_id == version_of(new)


def test_an_old_version_restored_in_time_outlives_the_one_that_replaced_it(
    master: Master, workers: ServedWorkers
) -> None:
    old = put(master, workers, "a")
    new = put(master, workers, "a")
    collect_for(master, RETENTION - 20.0)
    master.catalog.restore(old.file_id, 1, None)
    collect_for(master, 50.0)
    assert workers.versions() == {version_of(old), version_of(new)}
    collect_for(master, RETENTION)
    assert workers.versions() == {version_of(old)}


def test_versions_beyond_the_limit_are_freed_before_their_time(
    store: SqliteStore, clock: ManualClock, workers: ServedWorkers
) -> None:
    settings = MasterSettings(trash_retention_seconds=1e6, max_versions=2)
    master = Master("master_1", store, clock, workers.client, settings)
    master.urls = workers.urls
    master.look()
    files = [put(master, workers, "a", 1) for _ in range(5)]
    master.collect()
    assert workers.versions() == {version_of(file) for file in files[2:]}


@pytest.mark.parametrize("recorded", [0, 1, 2])
def test_an_aborted_upload_leaves_nothing(master: Master, workers: ServedWorkers, recorded: int) -> None:
    upload_id = master.begin("a", 2, recorded=recorded)
    workers.put(upload_id, 2, WORKERS)
    master.uploads.abort(upload_id)
    master.collect()
    assert workers.versions() == set()
    collect_for(master, LONG)
    assert master.store.find_upload(upload_id) is None
    assert master.store.list_chunks(upload_id, 0, 10) == []


def test_a_chunk_that_was_still_under_way_at_the_abort_goes_too(master: Master, workers: ServedWorkers) -> None:
    upload_id = begin(master, workers, "a")
    master.uploads.abort(upload_id)
    master.collect()
    workers.put(upload_id, 1, ("worker_2",))
    collect_for(master, LONG)
    assert workers.versions() == set()


def test_an_idle_upload_is_collected_and_a_slow_one_is_not(master: Master, workers: ServedWorkers) -> None:
    idle, slow = begin(master, workers, "idle"), begin(master, workers, "slow")
    for _ in range(10):
        collect_for(master, 30.0)
        master.uploads.record(slow, [], 2, 1)
    assert workers.versions() == {slow}
    master.commit(slow, "slow", 2)
    with pytest.raises(DFSError):
        master.commit(idle, "idle", 2)


def test_a_committed_upload_s_document_goes_and_its_bytes_stay(master: Master, workers: ServedWorkers) -> None:
    upload_id = begin(master, workers, "a")
    master.commit(upload_id, "a", 2)
    collect_for(master, 600.0)
    assert master.store.find_upload(upload_id) is None
    assert workers.versions() == {upload_id}


def test_a_dead_worker_leaves_the_item_pending_and_its_return_frees_it(master: Master, workers: ServedWorkers) -> None:
    file = put(master, workers, "a")
    workers.take_away("worker_2")
    master.pass_time(60.0, ("worker_1", "worker_3"))
    master.catalog.delete(file.file_id, is_permanent=True)
    collect_for(master, 100.0, ("worker_1", "worker_3"))
    assert workers.held("worker_1") == workers.held("worker_3") == set()
    assert len(workers.held("worker_2")) == 2
    assert master.store.pending(1e12).total_bytes > 0
    left = master.store.list_chunks(version_of(file), 0, 10)
    assert [(chunk.replicas, chunk.doubtful, chunk.owed) for chunk in left] == [((), ("worker_2",), 0)] * 2
    workers.bring_back("worker_2")
    collect_for(master, 60.0)
    assert workers.versions() == set()
    assert master.store.pending(1e12) == Pending(0, 0)
    assert master.store.list_chunks(version_of(file), 0, 10) == []


def test_a_worker_that_does_not_answer_although_it_seems_alive_leaves_the_item_pending(
    master: Master, workers: ServedWorkers
) -> None:
    file, upload_id = put(master, workers, "a"), begin(master, workers, "b")
    workers.take_away("worker_3")
    master.catalog.delete(file.file_id, is_permanent=True)
    master.uploads.abort(upload_id)
    master.collect()
    assert workers.held("worker_1") == workers.held("worker_2") == set()
    assert len(workers.held("worker_3")) == 4
    workers.bring_back("worker_3")
    collect_for(master, LONG)
    assert workers.versions() == set()


def test_bytes_on_a_worker_that_is_away_for_longer_than_the_tombstone_are_freed_all_the_same(
    master: Master, workers: ServedWorkers
) -> None:
    file = put(master, workers, "a")
    workers.take_away("worker_2")
    master.catalog.delete(file.file_id, is_permanent=True)
    lease = master.store.read_lease()
    assert lease is not None
    for _ in range(3):
        master.collect()
        lease = type(lease)(lease.holder, lease.epoch, lease.renewals + 1, lease.clock_seconds + 86400.0)
        assert master.store.swap_lease(master.store.read_lease(), lease)
        master.look()
    master.collect()
    assert len(workers.held("worker_2")) == 2
    workers.bring_back("worker_2")
    collect_for(master, 60.0)
    assert workers.versions() == set()


def test_one_item_that_cannot_be_freed_does_not_hold_up_the_others(master: Master, workers: ServedWorkers) -> None:
    stuck = [put(master, workers, f"stuck {number}") for number in range(3)]
    workers.take_away("worker_1")
    for file in stuck:
        master.catalog.delete(file.file_id, is_permanent=True)
    aborted = master.begin("b", 1)
    workers.put(aborted, 1, ("worker_2", "worker_3"))
    master.uploads.abort(aborted)
    master.collect()
    assert aborted not in workers.versions()
    assert workers.held("worker_2") == workers.held("worker_3") == set()


def test_a_worker_that_left_the_configuration_holds_nothing_up(master: Master, workers: ServedWorkers) -> None:
    file = put(master, workers, "a")
    workers.take_away("worker_3")
    master.configured.discard("worker_3")
    master.catalog.delete(file.file_id, is_permanent=True)
    collect_for(master, 60.0, ("worker_1", "worker_2"))
    assert master.store.pending(1e12) == Pending(0, 0)
    assert master.store.list_chunks(version_of(file), 0, 10) == []


def test_a_replica_that_no_record_names_goes_with_its_version(master: Master, workers: ServedWorkers) -> None:
    """The gateway gave a straggling worker up, which stored its replica all the same."""
    upload_id = master.begin("a", 1)
    request = commit_request("a", 1)
    chunk = type(request.chunks[0])(**{**vars(request.chunks[0]), "replicas": ("worker_1", "worker_2")})
    workers.put(upload_id, 1, WORKERS)
    file, _ = master.committer.commit(upload_id, type(request)(**{**vars(request), "chunks": (chunk,)}))
    master.catalog.delete(file.file_id, is_permanent=True)
    master.collect()
    assert workers.versions() == set()


def test_orders_of_a_leader_that_was_replaced_free_nothing(
    store: SqliteStore, clock: ManualClock, workers: ServedWorkers, master: Master
) -> None:
    file = put(master, workers, "a")
    other = put(master, workers, "b")
    master.catalog.delete(other.file_id, is_permanent=True)
    master.collect(epoch=7)
    assert workers.versions() == {version_of(file)}
    master.catalog.delete(file.file_id, is_permanent=True)
    master.collect(epoch=6, units=20)
    assert workers.versions() == {version_of(file)}
    assert store.pending(1e12).total_bytes > 0
    # The one that leads now goes beyond every epoch that the workers have obeyed.
    collect_for(master, 60.0)
    assert workers.versions() == set()
    assert (master.election.leading_epoch() or 0) > 7


def test_a_commit_that_happened_before_the_abort_keeps_its_bytes(
    store: SqliteStore, clock: ManualClock, workers: ServedWorkers, master: Master
) -> None:
    """A master wrote the file and died before it could say so anywhere else."""
    upload_id = begin(master, workers, "a")
    upload = store.find_upload(upload_id)
    assert upload is not None
    file = master.commit(upload_id, "a", 2)
    present = store.find_upload(upload_id)
    assert present is not None
    # The upload's document as it stood before the commit was noted.
    store.delete_uploads([upload_id])
    store.insert_upload(upload)
    master.uploads.abort(upload_id)
    collect_for(master, LONG)
    assert workers.versions() == {upload_id}
    assert master.catalog.find_path("a").file == file.to_info()


@pytest.mark.parametrize("chunks", [0, 1, 501])
def test_files_of_any_number_of_chunks_are_freed(master: Master, workers: ServedWorkers, chunks: int) -> None:
    upload_id = master.uploads.open("a", 3, min(chunks, 256)).upload_id
    if chunks > 256:
        master.uploads.record(upload_id, [], 256, chunks - 256)
    request = commit_request("a", chunks, recorded=0)
    workers.put(upload_id, chunks, ("worker_1",))
    file, _ = master.committer.commit(upload_id, request)
    assert len(workers.held("worker_1")) == chunks
    master.catalog.delete(file.file_id, is_permanent=True)
    master.collect()
    assert workers.versions() == set()
    assert master.store.list_chunks(upload_id, 0, 10) == []
    assert master.store.find_file(file.file_id) is not None
    present = master.store.find_file(file.file_id)
    assert present is not None
    assert (present.status, present.old_versions) == (model.PURGED, ())


def test_a_late_replica_that_comes_after_its_file_was_freed_is_freed_too(
    master: Master, workers: ServedWorkers
) -> None:
    upload_id = master.begin("a", 1)
    workers.put(upload_id, 1, WORKERS[:2])
    request = commit_request("a", 1)
    late = replace(request.chunks[0], replicas=WORKERS[:2], doubtful=WORKERS[2:])
    file, _ = master.committer.commit(upload_id, replace(request, chunks=(late,)))
    master.catalog.delete(file.file_id, is_permanent=True)
    master.collect()
    assert workers.versions() == set()
    workers.put(upload_id, 1, WORKERS[2:])
    collect_for(master, 150.0)
    assert workers.versions() == set()
    assert master.store.list_chunks(upload_id, 0, 10) == []
