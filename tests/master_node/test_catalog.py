"""Delete, restore, rename and find, as one master does them; each change can be repeated."""

from __future__ import annotations

import pytest

from common.errors import Conflict, FileDeleted, FileUnknown, InvalidPath, PathTaken, PreconditionFailed, VersionUnknown
from common.master_client import MapPart
from common.records import Checksum
from master_node import file_changes, model
from master_node.catalog import Expected
from master_node.listing import ListingQuery
from master_node.store.sqlite import SqliteStore
from tests.support.masters import WORKERS, ChunkHosts, ManualClock, Master, commit_request, outcome_of
from tests.support.metadata import AWKWARD, hex_id
from tests.support.threads import run_together


def paths(master: Master, status: str = model.ACTIVE) -> list[str]:
    return [file["path"] for file in master.catalog.list(ListingQuery(limit=1000, status=status))["files"]]


@pytest.mark.parametrize("path", [path for path in AWKWARD if not path.endswith("/")], ids=ascii)
def test_an_awkward_name_goes_through_every_change(master: Master, path: str) -> None:
    file_id = master.put(path).file_id
    assert master.catalog.find_path(path).file.path == path
    assert master.catalog.rename(file_id, f"moved/{path}").path == f"moved/{path}"
    assert master.catalog.rename(file_id, path).path == path
    assert master.catalog.delete(file_id, is_permanent=False).status == model.DELETED
    assert paths(master) == []
    assert paths(master, model.DELETED) == [path]
    assert master.catalog.restore(file_id, None, None).path == path
    assert paths(master) == [path]


def test_a_deleted_file_is_found_by_its_id_only_and_frees_its_path(master: Master) -> None:
    file = master.put("a")
    master.catalog.delete(file.file_id, is_permanent=False)
    with pytest.raises(FileUnknown):
        master.catalog.find_path("a")
    assert master.catalog.find(file.file_id).file.status == model.DELETED
    assert master.put("a").file_id != file.file_id


def test_the_trash_says_how_long_each_file_can_still_be_restored(master: Master) -> None:
    for path in ("old", "new"):
        master.catalog.delete(master.put(path).file_id, is_permanent=False)
        master.pass_time(100.0)
    listing = master.catalog.list(ListingQuery(status=model.DELETED))
    left = {file["path"]: file["expires_in_seconds"] for file in listing["files"]}
    assert left["new"] - left["old"] == 100
    assert listing["retention_seconds"] - 100 - master.settings.lease_seconds <= left["new"]
    assert left["new"] < listing["retention_seconds"]


def test_deleting_twice_changes_nothing_the_second_time(master: Master) -> None:
    file = master.put("a")
    master.catalog.delete(file.file_id, is_permanent=False)
    before = master.store.find_file(file.file_id)
    master.pass_time(5.0)
    master.catalog.delete(file.file_id, is_permanent=False)
    assert master.store.find_file(file.file_id) == before


def test_deleting_for_good_can_be_repeated_and_leaves_nothing_to_find(master: Master) -> None:
    file = master.put("a")
    answers = [master.catalog.delete(file.file_id, is_permanent=True) for _ in range(2)]
    assert [(info.status, info.version_id) for info in answers] == [(model.PURGED, file.to_info().version_id)] * 2
    for call in (
        lambda: master.catalog.find(file.file_id),
        lambda: master.catalog.find_path("a"),
        lambda: master.catalog.restore(file.file_id, None, None),
        lambda: master.catalog.restore(file.file_id, 1, None),
        lambda: master.catalog.rename(file.file_id, "b"),
        lambda: master.catalog.delete(file.file_id, is_permanent=False),
    ):
        with pytest.raises(FileUnknown):
            call()
    assert paths(master) == paths(master, model.DELETED) == []


def test_what_is_in_the_trash_can_be_deleted_for_good(master: Master) -> None:
    file = master.put("a")
    master.catalog.delete(file.file_id, is_permanent=False)
    master.catalog.delete(file.file_id, is_permanent=True)
    assert paths(master, model.DELETED) == []


def test_an_unknown_file_cannot_be_changed(master: Master) -> None:
    unknown = hex_id("unknown")
    for call in (
        lambda: master.catalog.find(unknown),
        lambda: master.catalog.delete(unknown, is_permanent=False),
        lambda: master.catalog.delete(unknown, is_permanent=True),
        lambda: master.catalog.restore(unknown, None, None),
        lambda: master.catalog.rename(unknown, "b"),
    ):
        with pytest.raises(FileUnknown):
            call()


def test_restoring_can_be_repeated(master: Master) -> None:
    file = master.put("a")
    master.catalog.delete(file.file_id, is_permanent=False)
    answers = [master.catalog.restore(file.file_id, None, "b") for _ in range(2)]
    assert answers[0] == answers[1]
    assert answers[0].path == "b"
    assert paths(master) == ["b"]


def test_restoring_to_a_taken_path_is_refused_and_another_path_helps(master: Master) -> None:
    file = master.put("a")
    master.catalog.delete(file.file_id, is_permanent=False)
    master.put("a")
    with pytest.raises(PathTaken):
        master.catalog.restore(file.file_id, None, None)
    assert master.catalog.find(file.file_id).file.status == model.DELETED
    assert master.catalog.restore(file.file_id, None, "a (restored)").path == "a (restored)"


def test_restoring_is_no_way_to_rename(master: Master) -> None:
    file = master.put("a")
    with pytest.raises(Conflict):
        master.catalog.restore(file.file_id, None, "b")
    assert paths(master) == ["a"]


def test_renaming_can_be_repeated_and_keeps_file_and_content(master: Master) -> None:
    file = master.put("a", 2)
    answers = [master.catalog.rename(file.file_id, "b") for _ in range(2)]
    assert answers[0] == answers[1]
    assert (answers[0].file_id, answers[0].version_id) == (file.file_id, file.to_info().version_id)
    assert paths(master) == ["b"]
    assert len(master.catalog.find_path("b", MapPart(0, 9)).chunks) == 2


def test_renaming_onto_a_taken_path_is_refused_and_changes_nothing(master: Master) -> None:
    file = master.put("a")
    other = master.put("b")
    with pytest.raises(PathTaken):
        master.catalog.rename(file.file_id, "b")
    assert master.catalog.find_path("a").file.file_id == file.file_id
    assert master.catalog.find_path("b").file.file_id == other.file_id


def test_a_file_in_the_trash_cannot_be_renamed(master: Master) -> None:
    file = master.put("a")
    master.catalog.delete(file.file_id, is_permanent=False)
    with pytest.raises(FileDeleted):
        master.catalog.rename(file.file_id, "b")


@pytest.mark.parametrize("path", ["", "/a", "a//b", "..", "x" * 256, "a\0"])
def test_an_impossible_path_is_refused(master: Master, path: str) -> None:
    file = master.put("a")
    trashed = master.put("t")
    master.catalog.delete(trashed.file_id, is_permanent=False)
    with pytest.raises(InvalidPath):
        master.catalog.rename(file.file_id, path)
    with pytest.raises(InvalidPath):
        master.catalog.restore(trashed.file_id, None, path)
    with pytest.raises(InvalidPath):
        master.catalog.find_path(path)


def test_bytes_never_come_to_a_folder_s_own_entry(master: Master) -> None:
    file = master.put("a", 1)
    with pytest.raises(InvalidPath):
        master.catalog.rename(file.file_id, "folder/")
    master.catalog.delete(file.file_id, is_permanent=False)
    with pytest.raises(InvalidPath):
        master.catalog.restore(file.file_id, None, "folder/")
    grown = master.put("b", 1)
    master.put("b", 0)
    master.catalog.rename(grown.file_id, "folder/")
    with pytest.raises(InvalidPath):
        master.catalog.restore(grown.file_id, 1, None)


def test_an_old_version_comes_back_with_its_bytes_once_however_often_asked(master: Master) -> None:
    first = master.put("a", 3)
    master.put("a", 1)
    answers = [master.catalog.restore(first.file_id, 1, None) for _ in range(2)]
    assert answers[0] == answers[1]
    assert (answers[0].version, answers[0].version_id) == (3, first.to_info().version_id)
    assert len(master.catalog.find_path("a", MapPart(0, 9)).chunks) == 3
    with pytest.raises(VersionUnknown):
        master.catalog.restore(first.file_id, 1 + 3, None)


def test_an_expected_content_is_checked_with_the_change(master: Master) -> None:
    file = master.put("a")
    stale = Expected(if_match=file.to_info().etag)
    master.put("a")
    for call in (
        lambda: master.catalog.delete(file.file_id, False, stale),
        lambda: master.catalog.delete(file.file_id, True, stale),
        lambda: master.catalog.rename(file.file_id, "b", stale),
    ):
        with pytest.raises(PreconditionFailed):
            call()
    assert paths(master) == ["a"]
    fresh = Expected(if_match=master.catalog.find_path("a").file.etag)
    master.catalog.rename(file.file_id, "b", fresh)
    master.catalog.delete(file.file_id, False, fresh)


def test_a_file_that_is_elsewhere_by_now_is_neither_renamed_nor_restored(master: Master) -> None:
    file = master.put("a")
    master.catalog.rename(file.file_id, "b")
    for change in (
        lambda: master.catalog.rename(file.file_id, "c", Expected(path="a")),
        lambda: master.catalog.restore(file.file_id, 1, None, Expected(path="a")),
    ):
        with pytest.raises(FileUnknown):
            change()
    assert paths(master) == ["b"]


def test_a_move_from_a_path_can_be_repeated(master: Master) -> None:
    file = master.put("a")
    for _ in range(2):
        assert master.catalog.rename(file.file_id, "b", Expected(path="a")).path == "b"
    master.catalog.delete(file.file_id, is_permanent=False)
    for _ in range(2):
        assert master.catalog.restore(file.file_id, None, "c", Expected(path="b")).path == "c"


def test_a_file_that_was_renamed_is_not_deleted_by_its_old_path(master: Master) -> None:
    file = master.put("a")
    master.catalog.rename(file.file_id, "b")
    for is_permanent in (False, True):
        with pytest.raises(FileUnknown):
            master.catalog.delete(file.file_id, is_permanent, Expected(path="a"))
    assert paths(master) == ["b"]


def test_the_trash_is_kept_for_its_time_by_the_cluster_s_clock_also_on_a_fresh_master(
    store: SqliteStore, clock: ManualClock
) -> None:
    old = Master("master_1", store, clock, ChunkHosts())
    old.look()
    old.pass_time(100.0)
    fresh = Master("master_2", store, clock, ChunkHosts())
    kept = old.settings.trash_retention_seconds
    file, overwritten = old.put("a"), old.put("b")
    fresh.catalog.delete(file.file_id, is_permanent=False)
    fresh.committer.commit(old.begin("b"), commit_request("b"))
    for file_id in (file.file_id, overwritten.file_id):
        present = store.find_file(file_id)
        assert present is not None
        assert present.due_at == pytest.approx(100.0 + kept)


def test_a_checksum_of_what_is_not_there_is_refused(master: Master) -> None:
    file = master.put("a")
    checksum = Checksum("sha256", "11" * 32)
    with pytest.raises(FileUnknown):
        master.catalog.record_checksum(hex_id("nobody"), hex_id("nothing"), checksum)
    with pytest.raises(VersionUnknown):
        master.catalog.record_checksum(file.file_id, hex_id("nothing"), checksum)
    master.catalog.delete(file.file_id, is_permanent=True)
    with pytest.raises(FileUnknown):
        master.catalog.record_checksum(file.file_id, file.to_info().version_id, checksum)


def test_the_chunk_map_names_living_workers_first(master: Master) -> None:
    master.put("a", 2)
    master.clock.advance(1000.0)
    master.look(["worker_3"])
    for chunk in master.catalog.find_path("a", MapPart(0, 10)).chunks:
        assert chunk.replicas[0].worker_id == "worker_3"
        assert {target.worker_id for target in chunk.replicas} == set(WORKERS)


def test_the_chunk_map_comes_in_pages(master: Master) -> None:
    file = master.put("a", 5)
    version_id = file.to_info().version_id
    assert [chunk.index for chunk in master.catalog.find(file.file_id, MapPart(0, 2)).chunks] == [0, 1]
    assert [chunk.index for chunk in master.catalog.list_chunks(version_id, 2, 2)] == [2, 3]
    assert [chunk.index for chunk in master.catalog.list_chunks(version_id, 4, 100)] == [4]
    assert master.catalog.list_chunks(version_id, 5, 100) == ()
    assert master.catalog.find(file.file_id).chunks == ()


def test_changes_at_once_by_many_masters_all_happen_or_say_why(store: SqliteStore, clock: ManualClock) -> None:
    masters = [Master(f"master_{number}", store, clock, ChunkHosts()) for number in range(4)]
    for master in masters:
        master.look()
    file_id = masters[0].put("start").file_id

    def rename(number: int) -> object:
        return outcome_of(lambda: masters[number % 4].catalog.rename(file_id, f"p{number}"))

    outcomes = run_together([lambda number=number: rename(number) for number in range(16)])
    assert all(not isinstance(outcome, Exception) for outcome in outcomes), outcomes
    present = store.find_file(file_id)
    assert present is not None
    assert present.revision == 1 + 16
    assert paths(masters[0]) == [present.path]


def test_of_many_files_renamed_to_one_path_one_gets_it(store: SqliteStore, clock: ManualClock) -> None:
    master = Master("master_1", store, clock, ChunkHosts())
    master.look()
    ids = [master.put(f"f{number}").file_id for number in range(10)]

    def rename(file_id: str) -> object:
        return outcome_of(lambda: master.catalog.rename(file_id, "one"))

    outcomes = run_together([lambda file_id=file_id: rename(file_id) for file_id in ids])
    assert sum(isinstance(outcome, PathTaken) for outcome in outcomes) == 9
    assert paths(master).count("one") == 1
    assert len(paths(master)) == 10


def test_a_replica_on_a_worker_of_which_nothing_is_known_is_named_all_the_same(
    store: SqliteStore, clock: ManualClock, master: Master
) -> None:
    """A master that has just started: nobody must conclude that the chunk has no replica."""
    file = master.put("a")
    fresh = Master("master_2", store, clock, ChunkHosts())
    chunk = fresh.catalog.list_chunks(file.to_info().version_id, 0, 1)[0]
    assert {(target.worker_id, target.url) for target in chunk.replicas} == {(name, "") for name in WORKERS}


def test_a_file_is_found_as_it_was_with_an_old_version(master: Master) -> None:
    first = master.put("a", chunks=2).to_info()
    second = master.put("a", chunks=3).to_info()
    found = master.catalog.find(first.file_id, MapPart(0, 10), version=1)
    assert (found.file.version_id, found.file.size, found.file.etag) == (first.version_id, first.size, first.etag)
    assert len(found.chunks) == 2
    assert master.catalog.find(first.file_id, MapPart(0, 10), version=2).file.version_id == second.version_id
    with pytest.raises(VersionUnknown):
        master.catalog.find(first.file_id, version=3)


def test_a_version_that_may_be_freed_already_is_not_found(master: Master) -> None:
    first = master.put("a").to_info()
    master.put("a")
    file = master.store.find_file(first.file_id)
    assert file is not None
    assert master.store.replace_file(file_changes.released(file, first.version_id))
    with pytest.raises(VersionUnknown):
        master.catalog.find(first.file_id, version=1)
