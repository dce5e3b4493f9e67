"""Commits in one process: complete or refused, once however often repeated, preconditions decided with the write."""

from __future__ import annotations

from typing import Any

import pytest

from common.errors import (
    Conflict,
    DFSError,
    InvalidPath,
    InvalidRequest,
    PreconditionFailed,
    TooManyVersions,
    UploadClosed,
    UploadUnknown,
)
from common.master_client import MapPart
from common.settings import MasterSettings
from master_node import file_changes, model
from master_node.commit import CommitRequest
from master_node.store.sqlite import SqliteStore
from tests.support.masters import WORKERS, ChunkHosts, ManualClock, Master, commit_request, outcome_of
from tests.support.metadata import CHUNK_SIZE, stored
from tests.support.threads import run_together


def masters(store: SqliteStore, clock: ManualClock, count: int, settings: MasterSettings | None = None) -> list[Master]:
    made = [Master(f"master_{number}", store, clock, ChunkHosts(), settings) for number in range(count)]
    for master in made:
        master.look()
    return made


@pytest.mark.parametrize("chunks", [0, 1, 2, 5])
@pytest.mark.parametrize("path", ["a", None])
def test_a_committed_upload_is_the_file(master: Master, chunks: int, path: str | None) -> None:
    upload_id = master.begin(path, chunks)
    file, is_new = master.committer.commit(upload_id, commit_request("a", chunks))
    assert is_new
    info = master.catalog.find_path("a", MapPart(0, 10))
    assert info.file == file.to_info()
    assert (info.file.version_id, info.file.version, info.file.chunk_count) == (upload_id, 1, chunks)
    assert info.file.size == max(0, (chunks - 1) * CHUNK_SIZE + 1) if chunks else info.file.size == 0
    assert [(chunk.index, chunk.size_bytes) for chunk in info.chunks] == [
        (index, 1 if index == chunks - 1 else CHUNK_SIZE) for index in range(chunks)
    ]
    assert all({target.worker_id for target in chunk.replicas} == set(WORKERS) for chunk in info.chunks)


def test_nothing_is_visible_before_the_commit(master: Master) -> None:
    master.begin("a", 3)
    with pytest.raises(DFSError, match="no file has this path"):
        master.catalog.find_path("a")


@pytest.mark.parametrize(
    ("size_off", "count_off", "left_out"), [(1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0), (0, 0, 1)]
)
def test_a_commit_that_does_not_match_what_was_recorded_is_refused(
    master: Master, size_off: int, count_off: int, left_out: int
) -> None:
    upload_id = master.begin("a", 3)
    right = commit_request("a", 3)
    wrong = type(right)(
        **{
            **vars(right),
            "size": right.size + size_off,
            "chunk_count": right.chunk_count + count_off,
            "chunks": right.chunks[left_out:],
        }
    )
    with pytest.raises(InvalidRequest):
        master.committer.commit(upload_id, wrong)
    assert master.store.find_file_by_key("a/a") is None
    master.committer.commit(upload_id, right)


def test_only_the_last_chunk_may_be_short(master: Master) -> None:
    upload_id = master.begin("a", 3, recorded=1)
    request = commit_request("a", 3, recorded=1)
    short = stored(1, WORKERS, size_bytes=7)
    with pytest.raises(InvalidRequest):
        master.committer.commit(upload_id, type(request)(**{**vars(request), "chunks": (short, request.chunks[-1])}))


def test_a_folder_s_own_entry_holds_no_bytes(master: Master) -> None:
    upload_id = master.begin(None, 1)
    with pytest.raises(InvalidPath):
        master.commit(upload_id, "folder/", 1)
    assert master.commit(master.begin("folder/", 0), "folder/", 0).path == "folder/"


def test_an_upload_opened_for_a_path_is_committed_to_no_other(master: Master) -> None:
    upload_id = master.begin("a", 1)
    with pytest.raises(Conflict):
        master.commit(upload_id, "b")
    assert master.commit(upload_id, "a").path == "a"


def test_an_overwrite_is_a_new_version_of_the_same_file(master: Master) -> None:
    first = master.put("a")
    second, is_new = master.committer.commit(master.begin("a", 2), commit_request("a", 2))
    assert not is_new
    assert second.file_id == first.file_id
    assert second.version is not None
    assert second.version.number == 2
    assert [old.version for old in second.old_versions] == [first.version]


@pytest.mark.parametrize("state_before", ["free", "taken"])
def test_a_repeated_commit_gives_the_same_result_at_any_master(
    store: SqliteStore, clock: ManualClock, state_before: str
) -> None:
    one, other = masters(store, clock, 2)
    if state_before == "taken":
        one.put("a")
    upload_id = one.begin("a", 2)
    results = [master.committer.commit(upload_id, commit_request("a", 2)) for master in (one, one, other)]
    assert len({(file.file_id, file.version, is_new) for file, is_new in results}) == 1
    present = store.find_file_by_key("a/a")
    assert present is not None
    assert len(present.old_versions) == (state_before == "taken")


@pytest.mark.parametrize("change", ["overwritten", "renamed", "trashed", "restored from the trash"])
def test_a_commit_repeated_after_the_file_has_changed_names_its_own_version(master: Master, change: str) -> None:
    upload_id = master.begin("a")
    file = master.commit(upload_id, "a")
    if change == "overwritten":
        master.put("a")
    elif change == "renamed":
        master.catalog.rename(file.file_id, "b")
        master.put("a")
    else:
        master.catalog.delete(file.file_id, is_permanent=False)
        if change != "trashed":
            master.catalog.restore(file.file_id, None, None)
    revision = master.store.find_file(file.file_id)
    again, is_new = master.committer.commit(upload_id, commit_request("a"))
    assert is_new
    assert again.version == file.version
    assert master.store.find_file(file.file_id) == revision


def test_a_repeated_commit_does_not_bring_back_what_was_deleted_for_good(master: Master) -> None:
    upload_id = master.begin("a")
    file = master.commit(upload_id, "a")
    master.catalog.delete(file.file_id, is_permanent=True)
    outcome_of(lambda: master.commit(upload_id, "a"))
    master.collect()
    outcome_of(lambda: master.commit(upload_id, "a"))
    assert master.store.scan_files("a/", "a0", 10) == []
    master.pass_time(400.0)
    master.collect()
    with pytest.raises(UploadUnknown):
        master.commit(upload_id, "a")
    assert master.store.scan_files("a/", "a0", 10) == []


def test_a_commit_after_the_abort_is_refused_before_and_after_the_collection(master: Master) -> None:
    upload_id = master.begin("a")
    master.uploads.abort(upload_id)
    with pytest.raises(UploadClosed):
        master.commit(upload_id, "a")
    master.collect()
    master.pass_time(100.0)
    master.collect()
    with pytest.raises(UploadUnknown):
        master.commit(upload_id, "a")
    assert master.store.find_file_by_key("a/a") is None


def test_a_path_that_was_taken_meanwhile_is_overwritten(master: Master) -> None:
    upload_id = master.begin("a")
    other = master.put("a")
    file = master.commit(upload_id, "a")
    assert file.file_id == other.file_id
    assert [old.version for old in file.old_versions] == [other.version]


def test_a_path_that_was_freed_meanwhile_gets_a_new_file(master: Master) -> None:
    other = master.put("a")
    upload_id = master.begin("a")
    master.catalog.delete(other.file_id, is_permanent=False)
    file = master.commit(upload_id, "a")
    assert file.file_id == upload_id
    assert master.catalog.find(other.file_id).file.status == model.DELETED


def test_more_versions_than_the_hard_limit_are_held_back_until_some_are_freed(
    store: SqliteStore, clock: ManualClock
) -> None:
    (master,) = masters(store, clock, 1, MasterSettings(max_versions=2))
    for _ in range(9):
        master.put("a")
    upload_id = master.begin("a")
    with pytest.raises(TooManyVersions):
        master.commit(upload_id, "a")
    master.collect()
    assert master.commit(upload_id, "a").last_number == 10


def test_if_none_match_star_makes_a_file_but_replaces_none(master: Master) -> None:
    first = master.put("a", if_none_match="*")
    with pytest.raises(PreconditionFailed) as caught:
        master.put("a", if_none_match="*")
    assert first.version is not None
    assert caught.value.context["etag"] == f'"{first.version.version_id}"'
    assert master.catalog.find_path("a").file == first.to_info()


def test_if_match_replaces_only_the_content_that_it_names(master: Master) -> None:
    with pytest.raises(PreconditionFailed):
        master.put("a", if_match="*")
    first = master.put("a")
    second = master.put("a", if_match=first.to_info().etag)
    with pytest.raises(PreconditionFailed):
        master.put("a", if_match=first.to_info().etag)
    assert master.catalog.find_path("a").file.version_id == second.to_info().version_id


def test_a_file_in_the_trash_does_not_count_as_content(master: Master) -> None:
    first = master.put("a")
    master.catalog.delete(first.file_id, is_permanent=False)
    with pytest.raises(PreconditionFailed):
        master.put("a", if_match="*")
    master.put("a", if_none_match="*")


def test_a_conditional_commit_can_be_repeated_although_the_file_is_there_now(master: Master) -> None:
    upload_id = master.begin("a")
    results = [master.committer.commit(upload_id, commit_request("a", if_none_match="*")) for _ in range(2)]
    assert results[0] == results[1]


def race_to_commit(made: list[Master], uploads: list[str], request: CommitRequest) -> list[Any]:
    """What each upload's commit came to, all sent at the same moment to these masters in turn."""

    def commit(number: int) -> Any:
        return outcome_of(lambda: made[number % len(made)].committer.commit(uploads[number], request))

    return run_together([lambda number=number: commit(number) for number in range(len(uploads))])


def test_of_twenty_racing_to_make_a_file_exactly_one_does(store: SqliteStore, clock: ManualClock) -> None:
    made = masters(store, clock, 4)
    for turn in range(5):
        path = f"p{turn}"
        uploads = [made[0].begin(path if number % 2 else None) for number in range(20)]
        outcomes = race_to_commit(made, uploads, commit_request(path, if_none_match="*"))
        won = [outcome for outcome in outcomes if isinstance(outcome, tuple)]
        assert len(won) == 1, outcomes
        assert sum(isinstance(outcome, PreconditionFailed) for outcome in outcomes) == 19, outcomes
        assert made[0].catalog.find_path(path).file == won[0][0].to_info()


def test_of_twenty_racing_to_replace_one_content_exactly_one_does(store: SqliteStore, clock: ManualClock) -> None:
    made = masters(store, clock, 4)
    first = made[0].put("a")
    uploads = [made[0].begin("a") for _ in range(20)]
    outcomes = race_to_commit(made, uploads, commit_request("a", if_match=first.to_info().etag))
    assert sum(isinstance(outcome, tuple) for outcome in outcomes) == 1
    assert sum(isinstance(outcome, PreconditionFailed) for outcome in outcomes) == 19
    present = store.find_file(first.file_id)
    assert present is not None
    assert [old.version for old in present.old_versions] == [first.version]


def test_of_twenty_unconditional_writers_each_is_a_version(store: SqliteStore, clock: ManualClock) -> None:
    made = masters(store, clock, 4)
    uploads = [made[0].begin("a") for _ in range(20)]
    outcomes = race_to_commit(made, uploads, commit_request("a"))
    assert len({file.file_id for file, _ in outcomes}) == 1
    assert sorted(file.version.number for file, _ in outcomes) == list(range(1, 21))
    assert [is_new for _, is_new in outcomes].count(True) == 1


def test_a_commit_that_was_answered_412_does_not_happen_afterwards(store: SqliteStore, clock: ManualClock) -> None:
    """One master is paused in the middle of the commit; another answered the client, and then the path became free."""
    slow, quick = masters(store, clock, 2)
    upload_id = slow.begin("a")
    request = commit_request("a", if_none_match="*")

    class Paused:
        """What happens while the slow master stands still right before its write."""

        def __getattr__(self, name: str) -> Any:
            return getattr(store, name)

        def insert_file(self, file: model.File) -> None:
            winner = quick.put("a")
            with pytest.raises(PreconditionFailed):
                quick.committer.commit(upload_id, request)
            quick.catalog.delete(winner.file_id, is_permanent=False)
            store.insert_file(file)

    slow.committer._store = Paused()  # type: ignore[assignment]
    outcome = outcome_of(lambda: slow.committer.commit(upload_id, request))
    assert isinstance(outcome, DFSError)
    assert store.find_file_by_key("a/a") is None


def test_a_try_that_comes_late_to_a_file_that_was_purged_since_makes_no_second_file(
    store: SqliteStore, clock: ManualClock
) -> None:
    """Another try made the same write and died before it could note it; then the file was purged, its path is free."""
    slow, quick = masters(store, clock, 2)
    present = quick.put("a")
    upload_id = slow.begin("a")

    class Paused:
        """What happens while the slow master stands still right before its write."""

        def __getattr__(self, name: str) -> Any:
            return getattr(store, name)

        def replace_file(self, file: model.File) -> bool:
            assert store.replace_file(file)
            quick.catalog.delete(present.file_id, is_permanent=True)
            return store.replace_file(file)

    slow.committer._store = Paused()  # type: ignore[assignment]
    outcome_of(lambda: slow.commit(upload_id, "a"))
    holders = [file.file_id for file in store.scan_files("", "y", 100) if file.has_version(upload_id)]
    assert holders == [present.file_id]
    assert store.find_file_by_key("a/a") is None


def test_a_try_that_slept_while_its_path_came_and_went_makes_no_second_file(
    store: SqliteStore, clock: ManualClock
) -> None:
    """The upload's bar stands, two tries are about to revive it; the path is taken, moves on, and is taken again."""
    slow, quick = masters(store, clock, 2)
    first, second = quick.put("first"), quick.put("second")
    upload_id = slow.begin("a")
    target = model.CommitTarget(upload_id, "a", 1, is_insert=False)
    store.insert_file(file_changes.bar(upload_id, 0.0, "now"))
    upload = store.find_upload(upload_id)
    assert upload is not None
    assert store.replace_upload(type(upload)(**{**vars(upload), "target": target, "revision": upload.revision + 1}))

    class Paused:
        """What happens while the slow master stands still right before its write."""

        def __getattr__(self, name: str) -> Any:
            return getattr(store, name)

        def replace_file(self, file: model.File) -> bool:
            slow.committer._store = store
            quick.catalog.rename(first.file_id, "a")
            quick.committer._store = Moving()
            assert quick.commit(upload_id, "a").file_id == second.file_id
            quick.catalog.rename(second.file_id, "b")
            return store.replace_file(file)

    class Moving:
        """While the quick master sees the path taken by one file, it passes to another."""

        def __getattr__(self, name: str) -> Any:
            return getattr(store, name)

        def replace_upload(self, upload: model.Upload, is_relaxed: bool = False) -> bool:
            quick.committer._store = store
            quick.catalog.rename(first.file_id, "first")
            quick.catalog.rename(second.file_id, "a")
            return store.replace_upload(upload, is_relaxed)

    slow.committer._store = Paused()  # type: ignore[assignment]
    outcome_of(lambda: slow.commit(upload_id, "a"))
    holders = [file.file_id for file in store.scan_files("", "y", 100) if file.has_version(upload_id)]
    assert holders == [second.file_id]
