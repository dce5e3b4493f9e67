"""Files in a metadata store: conditional writes, keys that belong to one file, exact values."""

from __future__ import annotations

from dataclasses import replace

import pytest

from master_node import file_changes, model
from master_node.model import File
from master_node.store.base import IdTaken, KeyTaken, MetadataStore
from tests.contract.conftest import Connect
from tests.support.metadata import AWKWARD, make_file, make_old, make_version, next_revision


def test_a_file_is_read_back_exactly_as_it_was_written(store: MetadataStore) -> None:
    file = make_file("folder/name", size_bytes=2**40, old_versions=(make_old("v1"), make_old("v2", expires_at=1.5)))
    file = replace(file, old_versions=(replace(file.old_versions[0], is_released=True), file.old_versions[1]))
    store.insert_file(file)
    assert store.find_file(file.file_id) == file
    assert store.find_file_by_key(file.key) == file


def test_a_file_without_a_version_is_read_back(store: MetadataStore) -> None:
    bar = file_changes.bar("0" * 32, 5.0, "now")
    store.insert_file(bar)
    assert store.find_file(bar.file_id) == bar


def test_a_file_that_was_never_written_is_not_found(store: MetadataStore) -> None:
    assert store.find_file("0" * 32) is None
    assert store.find_file_by_key("a/x") is None


def test_what_one_master_wrote_another_reads(connect: Connect) -> None:
    file = make_file("a")
    connect().insert_file(file)
    assert connect().find_file(file.file_id) == file


@pytest.mark.parametrize("path", AWKWARD, ids=ascii)
def test_an_awkward_path_comes_back_by_id_and_by_key_and_by_no_other_key(store: MetadataStore, path: str) -> None:
    file = make_file(path)
    store.insert_file(make_file("other"))
    store.insert_file(file)
    assert store.find_file(file.file_id) == file
    assert store.find_file_by_key(f"a/{path}") == file
    assert store.find_file_by_key(f"a/{path}x") is None
    assert store.find_file_by_key(f"a/{path.upper()}x") is None


def test_all_awkward_paths_are_different_files(store: MetadataStore) -> None:
    for path in AWKWARD:
        store.insert_file(make_file(path))
    assert [store.find_file_by_key(f"a/{path}") for path in AWKWARD] == [make_file(path) for path in AWKWARD]


def test_inserting_an_id_twice_is_refused_and_changes_nothing(store: MetadataStore) -> None:
    file = make_file("a")
    store.insert_file(file)
    with pytest.raises(IdTaken):
        store.insert_file(replace(file, path="elsewhere"))
    with pytest.raises(IdTaken):
        store.insert_file(file)
    assert store.find_file(file.file_id) == file
    assert store.find_file_by_key("a/elsewhere") is None


def test_inserting_a_taken_key_is_refused_and_changes_nothing(store: MetadataStore) -> None:
    file, rival = make_file("a"), make_file("a", seed="rival")
    store.insert_file(file)
    with pytest.raises(KeyTaken):
        store.insert_file(rival)
    assert store.find_file(rival.file_id) is None
    assert store.find_file_by_key("a/a") == file


def test_where_both_id_and_key_are_taken_the_id_is_named(store: MetadataStore) -> None:
    """A commit that is repeated must see that the document is its own, whoever has the path."""
    file, other = make_file("a"), make_file("b")
    store.insert_file(file)
    store.insert_file(other)
    with pytest.raises(IdTaken):
        store.insert_file(file)
    with pytest.raises(IdTaken):
        store.insert_file(replace(other, path="a"))


def test_replacing_needs_the_revision_one_below(store: MetadataStore) -> None:
    file = make_file("a")
    store.insert_file(file)
    for revision in (0, 1, 3, 100):
        assert not store.replace_file(replace(file, revision=revision, modified_at="never"))
    assert store.find_file(file.file_id) == file
    changed = next_revision(file, modified_at="later")
    assert store.replace_file(changed)
    assert store.find_file(file.file_id) == changed


def test_the_same_replacement_succeeds_once(store: MetadataStore) -> None:
    file = make_file("a")
    store.insert_file(file)
    changed = next_revision(file, modified_at="later")
    assert [store.replace_file(changed) for _ in range(3)] == [True, False, False]


def test_replacing_a_file_that_is_not_there_makes_none(store: MetadataStore) -> None:
    file = make_file("a")
    assert not store.replace_file(next_revision(file))
    assert store.find_file(file.file_id) is None


def test_replacing_replaces_every_field(store: MetadataStore) -> None:
    file = make_file("a", old_versions=(make_old("v1", size_bytes=7),), size_bytes=5)
    store.insert_file(file)
    changed = next_revision(
        file,
        path="b",
        status=model.DELETED,
        version=make_version("new", size_bytes=1),
        old_versions=(),
        last_number=9,
        created_at="c",
        modified_at="m",
        expires_at=3.25,
    )
    assert store.replace_file(changed)
    assert store.find_file(file.file_id) == changed


def test_a_rename_onto_a_taken_key_is_refused_and_changes_nothing(store: MetadataStore) -> None:
    file, other = make_file("a"), make_file("b")
    store.insert_file(file)
    store.insert_file(other)
    with pytest.raises(KeyTaken):
        store.replace_file(next_revision(file, path="b"))
    assert store.find_file_by_key("a/a") == file
    assert store.find_file_by_key("a/b") == other


def test_a_stale_rename_onto_a_taken_key_is_simply_too_late(store: MetadataStore) -> None:
    file = make_file("a")
    store.insert_file(file)
    store.insert_file(make_file("b"))
    assert not store.replace_file(replace(file, path="b", revision=5))


def test_a_rename_frees_the_old_key_and_takes_the_new_one(store: MetadataStore) -> None:
    file = make_file("a")
    store.insert_file(file)
    renamed = next_revision(file, path="b")
    assert store.replace_file(renamed)
    assert store.find_file_by_key("a/a") is None
    assert store.find_file_by_key("a/b") == renamed
    store.insert_file(make_file("a", seed="new at the old path"))
    with pytest.raises(KeyTaken):
        store.insert_file(make_file("b", seed="too late"))


def test_a_file_in_the_trash_frees_its_path(store: MetadataStore) -> None:
    first = make_file("a")
    store.insert_file(first)
    assert store.replace_file(file_changes.trash(first, expires_at=9.0, now="later"))
    second = make_file("a", seed="second")
    store.insert_file(second)
    assert store.replace_file(file_changes.trash(second, expires_at=9.0, now="later"))
    store.insert_file(make_file("a", seed="third"))
    assert {file.file_id for file in store.scan_files("d/", "d0", 10)} == {first.file_id, second.file_id}


def test_purged_files_keep_no_path(store: MetadataStore) -> None:
    for seed in ("first", "second"):
        file = make_file("a", seed=seed)
        store.insert_file(file)
        assert store.replace_file(file_changes.purge(file, 0.0, "later"))
    assert store.find_file_by_key("a/a") is None


def test_a_file_is_removed_only_at_its_revision(store: MetadataStore) -> None:
    file = next_revision(make_file("a"))
    store.insert_file(file)
    for revision in (0, 1, 3):
        assert not store.delete_file(file.file_id, revision)
    assert store.find_file(file.file_id) == file
    assert store.delete_file(file.file_id, 2)
    assert store.find_file(file.file_id) is None
    assert not store.delete_file(file.file_id, 2)
    store.insert_file(file)


@pytest.mark.parametrize("count", [1, 700])
def test_a_document_of_300_kilobytes_is_no_special_case(store: MetadataStore, count: int) -> None:
    """Either one long text, or as many old versions as a file comes to have."""
    old_versions = tuple(make_old(number, number=number) for number in range(count))
    file: File = make_file("a", old_versions=old_versions)
    if count == 1:
        file = replace(file, modified_at="é" * 150_000)
    store.insert_file(file)
    changed = next_revision(file, path="b")
    assert store.replace_file(changed)
    assert store.find_file(file.file_id) == changed
    assert store.scan_files("a/", "a0", 10) == [changed]
