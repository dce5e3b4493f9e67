"""Every change that a file can undergo, as a pure function: what changes, what stays, what is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from common.errors import (
    Conflict,
    DFSError,
    FileDeleted,
    FileUnknown,
    PreconditionFailed,
    TooManyVersions,
    VersionUnknown,
)
from common.records import Checksum
from master_node import file_changes, model
from master_node.model import File, Preconditions, Version
from tests.support.metadata import hex_id, make_file, make_old, make_upload, make_version

LATER = "2026-02-01T00:00:00.000Z"
SHA256 = Checksum("sha256", "11" * 32)
FILE = make_file("a", size_bytes=10)
UNSUMMED = replace(FILE, version=replace(make_version("a", size_bytes=10), checksum=None))
TRASHED = file_changes.trash(FILE, expires_at=50.0, now=LATER)
PURGED = file_changes.purge(FILE, 7.0, LATER)
BAR = file_changes.bar(hex_id("u"), 7.0, LATER)


def overwritten(file: File, version: Version, expires_at: float = 100.0, max_versions: int = 3) -> File:
    return file_changes.overwrite(file, version, expires_at=expires_at, max_versions=max_versions, now=LATER)


def restored(file: File, number: int) -> File:
    return file_changes.restore_version(file, number, expires_at=100.0, max_versions=3, now=LATER)


def with_versions(count: int) -> File:
    """A file that was written `count` times; version number n is made of the seed n."""
    file = replace(FILE, version=make_version(1, size_bytes=10))
    for number in range(2, count + 1):
        file = overwritten(file, make_version(number, size_bytes=10 * number), max_versions=100)
    return file


CHANGES: dict[str, Callable[[], tuple[File, File]]] = {
    "overwrite": lambda: (FILE, overwritten(FILE, make_version(2))),
    "rename": lambda: (FILE, file_changes.rename(FILE, "b", LATER)),
    "trash": lambda: (FILE, TRASHED),
    "purge": lambda: (FILE, PURGED),
    "purge from the trash": lambda: (TRASHED, file_changes.purge(TRASHED, 9.0, LATER)),
    "restore from the trash": lambda: (TRASHED, file_changes.restore_from_trash(TRASHED, None, LATER)),
    "restore a version": lambda: (with_versions(2), restored(with_versions(2), 1)),
    "free a version": lambda: (with_versions(2), file_changes.without_version(with_versions(2), hex_id(1))),
    "release a version": lambda: (with_versions(2), file_changes.released(with_versions(2), hex_id(1))),
    "postpone": lambda: (with_versions(2), file_changes.postponed(with_versions(2), 9.0)),
    "checksum": lambda: (UNSUMMED, file_changes.with_checksum(UNSUMMED, hex_id("a"), SHA256)),
    "touch": lambda: (FILE, file_changes.touched(FILE)),
    "revive": lambda: (BAR, file_changes.revive(BAR, "a", make_version("u"), LATER)),
}


@pytest.mark.parametrize("change", CHANGES)
def test_every_change_counts_one_revision_and_keeps_the_file_s_identity(change: str) -> None:
    before, after = CHANGES[change]()
    assert after.revision == before.revision + 1
    assert after.file_id == before.file_id
    assert after.created_at == before.created_at
    assert after.last_number >= before.last_number


def test_an_overwrite_keeps_the_old_content_until_it_expires() -> None:
    after = overwritten(FILE, make_version("new", number=77), expires_at=42.0)
    assert after.version == make_version("new", number=2)
    assert [(old.version, old.expires_at, old.is_released) for old in after.old_versions] == [
        (FILE.version, 42.0, False)
    ]
    assert (after.due_at, after.pending_bytes, after.modified_at) == (42.0, 10, LATER)


def test_version_numbers_never_repeat() -> None:
    file = with_versions(3)
    numbers = [file.version.number] if file.version else []
    for _ in range(3):
        file = file_changes.without_version(file, file.old_versions[0].version.version_id)
        file = overwritten(file, make_version(("next", file.revision)))
        numbers.append(file.last_number)
    assert numbers == [3, 4, 5, 6]


def test_beyond_the_limit_the_oldest_versions_are_due_at_once_and_cannot_come_back() -> None:
    file = with_versions(1)
    for number in range(2, 8):
        file = overwritten(file, make_version(number), max_versions=3)
    assert [(old.version.number, old.is_released, old.expires_at) for old in file.old_versions] == [
        (1, True, 0.0),
        (2, True, 0.0),
        (3, True, 0.0),
        (4, False, 100.0),
        (5, False, 100.0),
        (6, False, 100.0),
    ]
    for number in (1, 2, 3):
        with pytest.raises(VersionUnknown):
            restored(file, number)


@pytest.mark.parametrize(("count", "is_refused"), [(12, False), (13, True)])
def test_a_file_with_four_times_its_versions_takes_no_more_until_some_are_freed(count: int, is_refused: bool) -> None:
    file = with_versions(count)
    if not is_refused:
        overwritten(file, make_version("one more"), max_versions=3)
        return
    with pytest.raises(TooManyVersions):
        overwritten(file, make_version("one more"), max_versions=3)
    overwritten(file_changes.without_version(file, hex_id(1)), make_version("one more"), max_versions=3)


def test_an_old_version_comes_back_under_a_new_number_and_the_present_one_becomes_old() -> None:
    after = restored(with_versions(2), 1)
    assert after.version is not None
    assert (after.version.version_id, after.version.number, after.last_number) == (hex_id(1), 3, 3)
    assert [old.version.number for old in after.old_versions] == [2]


def test_restoring_a_version_twice_changes_nothing_the_second_time() -> None:
    once = restored(with_versions(2), 1)
    assert restored(once, 1) is once
    assert restored(once, 3) is once


def test_versions_can_be_restored_back_and_forth() -> None:
    file = with_versions(2)
    for number, seed in ((1, 1), (2, 2), (3, 1), (4, 2)):
        file = restored(file, number)
        assert file.version is not None
        assert file.version.version_id == hex_id(seed)
        assert len(file.old_versions) == 1


@pytest.mark.parametrize("number", [-1, 0, 3, 99])
def test_a_version_that_there_is_not_cannot_be_restored(number: int) -> None:
    with pytest.raises(VersionUnknown):
        restored(with_versions(2), number)


def test_a_released_version_cannot_be_restored_but_counts_as_the_file_s() -> None:
    file = file_changes.released(with_versions(3), hex_id(2))
    assert file.has_version(hex_id(2))
    with pytest.raises(VersionUnknown):
        restored(file, 2)
    assert restored(file, 1).has_version(hex_id(2))


def test_a_file_in_the_trash_comes_back_where_it_was_or_elsewhere() -> None:
    back = file_changes.restore_from_trash(TRASHED, None, LATER)
    assert (back.status, back.path, back.expires_at, back.key) == (model.ACTIVE, "a", model.NEVER, "a/a")
    assert file_changes.restore_from_trash(TRASHED, "b", LATER).key == "a/b"


@pytest.mark.parametrize(
    "file", [UNSUMMED, overwritten(UNSUMMED, make_version(2)), file_changes.trash(UNSUMMED, expires_at=50.0, now=LATER)]
)
def test_a_checksum_goes_to_just_the_version_it_is_of(file: File) -> None:
    summed = file_changes.with_checksum(file, hex_id("a"), SHA256)
    versions = [summed.version, *(old.version for old in summed.old_versions)]
    checksums = {version.version_id: version.checksum for version in versions if version is not None}
    others = {hex_id(2): make_version(2).checksum} if file.old_versions else {}
    assert checksums == {hex_id("a"): SHA256, **others}
    assert replace(summed, revision=file.revision, version=None, old_versions=()) == replace(
        file, version=None, old_versions=()
    )


def test_a_checksum_is_put_down_once_and_never_changed() -> None:
    summed = file_changes.with_checksum(UNSUMMED, hex_id("a"), SHA256)
    assert file_changes.with_checksum(summed, hex_id("a"), SHA256) is summed
    with pytest.raises(Conflict):
        file_changes.with_checksum(summed, hex_id("a"), Checksum("sha256", "22" * 32))
    with pytest.raises(VersionUnknown):
        file_changes.with_checksum(UNSUMMED, hex_id("another"), SHA256)


def test_a_purged_file_has_given_up_all_its_bytes() -> None:
    after = file_changes.purge(with_versions(3), 9.0, LATER)
    assert (after.status, after.key) == (model.PURGED, f"x/{FILE.file_id}")
    assert [old.version.number for old in after.old_versions] == [1, 2, 3]
    assert all(old.is_released and old.expires_at == 9.0 for old in after.old_versions)
    assert after.due_at == 9.0
    assert after.pending_bytes == 10 + 20 + 30
    freed = after
    for number in (1, 2, 3):
        freed = file_changes.without_version(freed, hex_id(number))
    assert (freed.pending_bytes, freed.due_at) == (0, 9.0 + file_changes.TOMBSTONE_SECONDS)


def test_a_purged_file_outlives_its_tombstone_while_bytes_wait() -> None:
    waiting = file_changes.postponed(
        file_changes.purge(with_versions(2), 0.0, LATER), 10 * file_changes.TOMBSTONE_SECONDS
    )
    assert waiting.due_at == 10 * file_changes.TOMBSTONE_SECONDS


def test_postponing_never_hastens() -> None:
    file = replace(FILE, old_versions=(make_old("v1", expires_at=5.0), make_old("v2", expires_at=500.0)))
    assert [old.expires_at for old in file_changes.postponed(file, 30.0).old_versions] == [30.0, 500.0]


def test_an_active_file_is_never_due_and_holds_nothing_up() -> None:
    assert (FILE.due_at, FILE.pending_bytes) == (model.NEVER, 0)
    assert (TRASHED.due_at, TRASHED.pending_bytes) == (50.0, 10)


@pytest.mark.parametrize(
    ("file", "error"), [(TRASHED, FileDeleted), (PURGED, FileUnknown), (BAR, FileUnknown)], ids=["trash", "gone", "bar"]
)
def test_what_needs_an_active_file_refuses_any_other(file: File, error: type[DFSError]) -> None:
    changes: list[Callable[[], File]] = [
        lambda: file_changes.rename(file, "b", LATER),
        lambda: file_changes.trash(file, expires_at=1.0, now=LATER),
        lambda: restored(file, 1),
    ]
    for change in changes:
        with pytest.raises(error):
            change()


def test_a_bar_is_no_file() -> None:
    with pytest.raises(FileUnknown):
        BAR.to_info()
    assert BAR.key == f"x/{hex_id('u')}"
    assert BAR.due_at == 7.0 + file_changes.TOMBSTONE_SECONDS


def test_a_revived_bar_is_like_a_new_file() -> None:
    upload, version = make_upload("u"), make_version("u", size_bytes=3)
    revived = file_changes.revive(BAR, "a", version, LATER)
    made = file_changes.new_file(upload, "a", version, LATER)
    assert revived == replace(made, revision=2)


def test_a_file_is_shown_with_its_versions_newest_first() -> None:
    info = file_changes.released(with_versions(3), hex_id(1)).to_info()
    assert (info.version, info.size, info.path, info.etag) == (3, 30, "a", f'"{hex_id(3)}"')
    assert [(old["version"], old["is_restorable"]) for old in info.old_versions] == [(2, True), (1, False)]


def test_a_file_is_given_as_it_was_with_an_older_version() -> None:
    file = with_versions(3)
    assert file_changes.as_of(file, hex_id(3)) is file
    before = file_changes.as_of(file, hex_id(1)).version
    assert before is not None
    assert (before.number, before.version_id) == (1, hex_id(1))


ETAG = f'"{hex_id(1)}"'
OTHER = f'"{hex_id("other")}"'


@pytest.mark.parametrize(
    ("if_match", "if_none_match", "with_file", "without_file"),
    [
        (None, None, True, True),
        ("*", None, True, False),
        (ETAG, None, True, False),
        (OTHER, None, False, False),
        (f"{OTHER}, {ETAG}", None, True, False),
        (f"W/{ETAG}", None, False, False),
        (hex_id(1), None, False, False),
        ("", None, False, False),
        (None, "*", False, True),
        (None, " * ", False, True),
        (None, ETAG, False, True),
        (None, OTHER, True, True),
        (None, f"{OTHER},{ETAG}", False, True),
        (None, f"W/{ETAG}", False, True),
        (None, "", True, True),
        (ETAG, ETAG, False, False),
        (ETAG, OTHER, True, False),
    ],
)
def test_preconditions_are_those_of_rfc_9110(
    if_match: str | None, if_none_match: str | None, with_file: bool, without_file: bool
) -> None:
    for file, is_met in ((with_versions(1), with_file), (None, without_file), (BAR, without_file)):
        if is_met:
            Preconditions(if_match, if_none_match).check(file)
        else:
            with pytest.raises(PreconditionFailed):
                Preconditions(if_match, if_none_match).check(file)
