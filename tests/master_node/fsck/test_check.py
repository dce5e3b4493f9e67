"""A check of a small cluster: what it finds, what it does not, and that it changes nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from common.errors import ChunkMissing, DiskFailed, MetadataUnavailable, PeerUnreachable
from common.records import chunk_id
from master_node import model
from master_node.fsck import check as check_module
from master_node.fsck import disks as disks_module
from master_node.fsck import versions as versions_module
from master_node.fsck.check import Check
from master_node.model import ABORTED, OPEN, Chunk, File
from master_node.replicas import released
from master_node.store.sqlite import SqliteStore
from tests.support.disks import WorkerDisks
from tests.support.masters import WORKERS, ManualClock, Master
from tests.support.metadata import hex_id, make_chunk, make_file, make_old, make_upload, next_revision

MINE = "worker_1"


class Ring:
    """A master that leads, the workers' disks, and files with their chunks on the first three workers."""

    def __init__(self, store: SqliteStore, clock: ManualClock) -> None:
        self.store, self.clock, self.disks = store, clock, WorkerDisks()
        self.master = Master("master_1", store, clock, self.disks)
        self.disks.look(self.master)

    def put(self, path: str, chunks: int = 2) -> File:
        file = make_file(path, size_bytes=chunks * 65536)
        self.store.insert_file(file)
        self.put_chunks(version_of(file), chunks)
        return file

    def put_chunks(self, version_id: str, count: int) -> list[Chunk]:
        records = [make_chunk(version_id, index, replicas=WORKERS) for index in range(count)]
        self.store.insert_chunks(records)
        for record in records:
            self.disks.put(record.chunk_id, *WORKERS)
        return records

    def begin(self, *, is_verifying: bool = False, max_versions: int = 50_000) -> Check:
        return Check(
            self.store,
            self.master.membership,
            self.disks,  # type: ignore[arg-type]
            self.clock,
            is_verifying=is_verifying,
            max_versions=max_versions,
        )

    def check(self, **options: Any) -> Check:
        """A whole check."""
        check = self.begin(**options)
        while check.step():
            pass
        return check


def version_of(file: File) -> str:
    assert file.version is not None
    return file.version.version_id


@pytest.fixture
def ring(store: SqliteStore, clock: ManualClock) -> Ring:
    return Ring(store, clock)


def kinds(check: Check) -> dict[str, int]:
    return dict(check.findings.counts)


def test_a_cluster_in_order_shows_nothing_and_everything_was_looked_at(ring: Ring) -> None:
    for number in range(5):
        ring.put(f"file {number}", chunks=3)
    ring.put("empty", chunks=0)
    check = ring.check()
    assert kinds(check) == {}
    assert check.progress == Counter(records_checked=15, replicas_checked=45, versions_checked=6, files_checked=45)


def test_an_empty_cluster_is_in_order(ring: Ring) -> None:
    assert kinds(ring.check()) == {}


def test_a_check_changes_nothing(ring: Ring) -> None:
    file = ring.put("a")
    first, second = ring.store.list_chunks(version_of(file), 0, 10)
    ring.disks.remove(first.chunk_id, MINE)
    ring.disks.put(chunk_id(hex_id("orphan"), 0), MINE)
    disks = {worker_id: dict(ages) for worker_id, ages in ring.disks.ages.items()}
    assert kinds(ring.check()) == {"replica_missing": 1, "file_unknown": 1}
    assert ring.store.list_chunks(version_of(file), 0, 10) == [first, second]
    assert ring.disks.ages == disks


def test_each_difference_names_what_it_is_about_and_says_what_will_happen(ring: Ring) -> None:
    chunk = ring.store.list_chunks(version_of(ring.put("a")), 0, 1)[0]
    ring.disks.remove(chunk.chunk_id, "worker_2")
    (found,) = ring.check().findings.listed
    assert (found.kind, found.chunk_id, found.worker_id) == ("replica_missing", chunk.chunk_id, "worker_2")
    assert "repair" in found.explanation


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"replicas": WORKERS[:2], "owed": 1}, {"replicas_owed": 1, "file_unnamed": 1}),
        ({"owed": -1}, {"replicas_surplus": 1}),
        ({"replicas": (), "owed": 3, "doubtful": WORKERS}, {"no_replica": 1, "doubtful_present": 3}),
        ({"doubtful": ("worker_4",)}, {}),
    ],
)
def test_records_that_are_not_as_they_should_be_are_found(
    ring: Ring, changes: dict[str, Any], expected: dict[str, int]
) -> None:
    chunk = ring.store.list_chunks(version_of(ring.put("a")), 0, 1)[0]
    assert ring.store.replace_chunks([replace(chunk, revision=2, **changes)]) == [True]
    assert kinds(ring.check()) == expected


# --- versions ---


def test_a_version_that_lacks_a_record_is_found_also_an_old_one_and_one_in_the_trash(ring: Ring) -> None:
    trashed = next_revision(ring.put("trashed"), status=model.DELETED)
    assert ring.store.replace_file(trashed)
    old = make_old("old", size_bytes=65536)
    ring.store.insert_file(make_file("with old", old_versions=(old,)))
    gone = ring.put("gone", chunks=1)
    ring.store.delete_chunks(ring.store.list_chunks(version_of(trashed), 1, 1))
    ring.store.delete_chunks(ring.store.list_chunks(version_of(gone), 0, 1))
    check = ring.check()
    assert check.findings.counts["version_incomplete"] == 3
    found = {one.file_id for one in check.findings.listed if one.kind == "version_incomplete"}
    assert found == {trashed.file_id, hex_id("with old"), gone.file_id}


def test_versions_that_are_being_freed_need_no_records(ring: Ring) -> None:
    purged = next_revision(ring.put("purged"), status=model.PURGED)
    assert ring.store.replace_file(purged)
    ring.store.delete_chunks(ring.store.list_chunks(version_of(purged), 0, 1))
    ring.store.insert_file(make_file("b", old_versions=(replace(make_old("o", size_bytes=65536), is_released=True),)))
    found = kinds(ring.check())
    assert "version_incomplete" not in found
    assert "records_unowned" not in found


def test_records_of_a_version_that_nothing_has_are_found_and_those_of_an_upload_are_not(ring: Ring) -> None:
    ring.put("a")
    ring.put_chunks(hex_id("nobody's"), 3)
    for state in (OPEN, ABORTED):
        ring.store.insert_upload(make_upload(state, state=state))
        ring.put_chunks(hex_id(state), 2)
    check = ring.check()
    assert kinds(check) == {"records_unowned": 1}
    assert check.findings.listed[0].chunk_id == chunk_id(hex_id("nobody's"), 0)
    assert check.findings.listed[0].explanation.startswith("3 chunk records")


@pytest.mark.parametrize("max_versions", [1, 2, 3, 7, 20])
@pytest.mark.parametrize("page", [1, 2, 5, 100])
def test_every_version_is_compared_once_however_many_fit_into_memory(
    ring: Ring, monkeypatch: pytest.MonkeyPatch, max_versions: int, page: int
) -> None:
    monkeypatch.setattr(check_module, "PAGE_CHUNKS", page)
    monkeypatch.setattr(versions_module, "PAGE_FILES", page)
    monkeypatch.setattr(versions_module, "PAGE_IDS", page)
    files = [ring.put(f"file {number}", chunks=number % 4) for number in range(12)]
    broken = [file for file in files if file.version is not None and file.version.chunk_count == 3]
    for file in broken:
        ring.store.delete_chunks(ring.store.list_chunks(version_of(file), 1, 1))
    for number in range(3):
        ring.put_chunks(hex_id(f"nobody's {number}"), 2)
    check = ring.check(max_versions=max_versions)
    assert check.findings.counts["version_incomplete"] == len(broken) == 3
    assert check.findings.counts["records_unowned"] == 3
    assert check.progress["versions_checked"] == 12


def test_a_file_that_is_renamed_behind_the_reader_s_back_keeps_its_records(
    ring: Ring, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(versions_module, "PAGE_FILES", 1)
    ring.put("b")
    moving = ring.put("z")
    check = ring.begin()
    while check.stage != "versions":
        check.step()
    check.step()
    assert ring.store.replace_file(next_revision(moving, path="a"))
    while check.step():
        pass
    assert kinds(check) == {}


def test_a_file_that_comes_and_one_that_goes_while_the_check_runs_are_no_differences(ring: Ring) -> None:
    going = ring.put("going")
    check = ring.begin()
    check.step()
    ring.put("coming", chunks=3)
    chunks = ring.store.list_chunks(version_of(going), 0, 10)
    assert ring.store.delete_file(going.file_id, going.revision)
    for chunk in chunks:
        ring.disks.remove(chunk.chunk_id, *WORKERS)
    assert ring.store.delete_chunks(chunks) == [True, True]
    while check.step():
        pass
    assert kinds(check) == {}


# --- the second look ---


def test_what_is_in_order_at_the_second_look_is_no_difference(ring: Ring) -> None:
    chunk = ring.store.list_chunks(version_of(ring.put("a")), 0, 1)[0]
    orphan = chunk_id(hex_id("short-lived"), 0)
    ring.disks.remove(chunk.chunk_id, MINE)
    ring.disks.put(orphan, "worker_2")
    sleep = ring.clock.sleep

    def heal(seconds: float) -> None:
        sleep(seconds)
        ring.disks.put(chunk.chunk_id, MINE)
        ring.disks.ages["worker_2"].pop(orphan, None)

    ring.clock.sleep = heal  # type: ignore[method-assign]
    assert kinds(ring.check()) == {}


def test_a_disk_full_of_unknown_files_is_looked_at_twice_without_a_wait_for_each_page(
    ring: Ring, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("master_node.fsck.second_looks.MAX_WAITING_PAGES", 300)
    for number in range(2000):
        ring.disks.put(chunk_id(hex_id(number), 0), MINE)
    began = ring.clock.now
    check = ring.check()
    assert kinds(check) == {"file_unknown": 2000}
    assert ring.clock.now - began <= 2.0


def test_with_too_many_pages_that_wait_the_check_waits_too(ring: Ring, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("master_node.fsck.second_looks.MAX_WAITING_PAGES", 2)
    for number in range(8):
        ring.disks.put(chunk_id(hex_id(number), 0), MINE)
    slept: list[float] = []
    sleep = ring.clock.sleep

    def note(seconds: float) -> None:
        slept.append(seconds)
        sleep(seconds)

    ring.clock.sleep = note  # type: ignore[method-assign]
    assert kinds(ring.check()) == {"file_unknown": 8}
    assert 3 <= len(slept) <= 8


def test_a_worker_that_fails_at_the_second_look_is_named(ring: Ring) -> None:
    ring.disks.put(chunk_id(hex_id("unknown"), 0), "worker_2")

    def fail(name: str) -> None:
        if name == "find_held":
            ring.disks.failing["worker_2"] = PeerUnreachable("no answer")

    ring.disks.on_call = fail
    assert kinds(ring.check()) == {"worker_not_checked": 1}


def test_an_order_carried_out_between_record_and_disk_is_no_difference(ring: Ring) -> None:
    chunk = ring.store.list_chunks(version_of(ring.put("a")), 0, 1)[0]
    doubtful = replace(chunk, replicas=WORKERS[1:], doubtful=(MINE,), revision=2)
    assert ring.store.replace_chunks([replace(doubtful, owed=0)]) == [True]

    def release(name: str) -> None:
        if name == "list_inventory":
            ring.disks.on_call = lambda _name: None
            ring.disks.remove(chunk.chunk_id, MINE)
            assert ring.store.replace_chunks([released(ring.store.find_chunks([chunk.chunk_id])[0], MINE)]) == [True]

    ring.disks.on_call = release
    assert kinds(ring.check()) == {"doubtful_present": 1}


# --- disks ---


def test_files_on_disks_are_explained_by_their_uploads(ring: Ring) -> None:
    for state in (OPEN, ABORTED):
        ring.store.insert_upload(make_upload(state, state=state))
        ring.disks.put(chunk_id(hex_id(state), 0), MINE)
    ring.disks.put(chunk_id(hex_id("unknown"), 0), MINE)
    assert kinds(ring.check()) == {"file_of_open_upload": 1, "file_of_aborted_upload": 1, "file_unknown": 1}


@pytest.mark.parametrize("page", [1, 2, 3, 100])
def test_all_files_are_compared_however_they_fill_the_pages(
    ring: Ring, monkeypatch: pytest.MonkeyPatch, page: int
) -> None:
    monkeypatch.setattr(disks_module, "PAGE_CHUNKS", page)
    monkeypatch.setattr("tests.support.disks.zlib.crc32", lambda name: len(name) % 2)
    for number in range(6):
        ring.disks.put(chunk_id(hex_id(number), 0), *WORKERS)
    check = ring.check()
    assert check.findings.counts["file_unknown"] == check.progress["files_checked"] == 18


# --- workers that cannot be asked ---


@pytest.mark.parametrize("error", [PeerUnreachable("no answer"), DiskFailed("input/output error")])
def test_a_worker_that_fails_is_named_once_and_none_of_its_replicas_counts_as_missing(
    ring: Ring, error: PeerUnreachable | DiskFailed
) -> None:
    ring.put("a", chunks=4)
    ring.disks.failing["worker_2"] = error
    check = ring.check()
    assert kinds(check) == {"worker_not_checked": 1}
    assert check.findings.listed[0].worker_id == "worker_2"
    assert "4 replicas" in check.findings.listed[0].explanation
    assert check.progress["replicas_checked"] == 8


def test_a_dead_worker_is_named_with_its_state(ring: Ring) -> None:
    ring.put("a", chunks=4)
    for _ in range(20):
        ring.clock.advance(1.0)
        ring.disks.look(ring.master, WORKERS[:2])
    check = ring.check()
    assert kinds(check) == {"worker_not_checked": 1}
    assert check.findings.listed[0].explanation.startswith("worker_3 is dead")


def test_a_worker_that_records_name_and_the_masters_do_not_know_is_named(ring: Ring) -> None:
    ring.store.insert_chunks([make_chunk(hex_id("a"), 0, replicas=("worker_9",))])
    ring.store.insert_upload(make_upload("a"))
    (found,) = ring.check().findings.listed
    assert (found.kind, found.worker_id) == ("worker_not_checked", "worker_9")


def test_a_database_that_does_not_answer_for_a_moment_loses_nothing(ring: Ring) -> None:
    file = ring.put("a")
    ring.disks.remove(ring.store.list_chunks(version_of(file), 0, 1)[0].chunk_id, MINE)
    check = ring.begin()
    methods = ("scan_chunks", "scan_files", "find_uploads", "find_chunks")
    for name in methods:
        _fail_once(ring.store, name)
    failures = 0
    while True:
        try:
            if not check.step():
                break
        except MetadataUnavailable:
            failures += 1
    assert failures == len(methods)
    assert kinds(check) == {"replica_missing": 1}
    assert check.progress["records_checked"] == 2


# --- the bytes ---


def test_bytes_are_read_only_when_that_is_asked_for(ring: Ring) -> None:
    chunk = ring.store.list_chunks(version_of(ring.put("a", chunks=25)), 7, 1)[0]
    ring.disks.corrupt.add((MINE, chunk.chunk_id))
    assert kinds(ring.check()) == {}
    check = ring.check(is_verifying=True)
    assert [(one.kind, one.chunk_id, one.worker_id) for one in check.findings.listed] == [
        ("replica_corrupt", chunk.chunk_id, MINE)
    ]
    assert check.progress["replicas_verified"] == 75


def test_a_replica_that_is_freed_before_it_is_read_is_not_corrupt(ring: Ring) -> None:
    ring.put("a", chunks=1)

    def miss(url: str, chunk_id: str) -> bool:
        raise ChunkMissing("freed a moment ago", chunk_id=chunk_id)

    ring.disks.verify_chunk = miss  # type: ignore[method-assign]
    check = ring.check(is_verifying=True)
    assert (kinds(check), check.progress["replicas_verified"]) == ({}, 0)


def test_a_missing_replica_is_not_read(ring: Ring) -> None:
    chunk = ring.store.list_chunks(version_of(ring.put("a", chunks=1)), 0, 1)[0]
    ring.disks.remove(chunk.chunk_id, MINE)
    check = ring.check(is_verifying=True)
    assert (kinds(check), check.progress["replicas_verified"]) == ({"replica_missing": 1}, 2)


def _fail_once(store: SqliteStore, name: str) -> None:
    method = getattr(store, name)

    def fail(*_arguments: Sequence[object]) -> object:
        setattr(store, name, method)
        raise MetadataUnavailable("no answer")

    setattr(store, name, fail)
