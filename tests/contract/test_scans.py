"""The order of a metadata store: listings run in the order of code points, what is due comes longest due first."""

from __future__ import annotations

import random

import pytest

from master_node import file_changes, model
from master_node.model import File
from master_node.store.base import MetadataStore, Pending
from tests.support.metadata import AWKWARD, make_file, make_old

HIGHEST = "\U0010ffff"


def insert(store: MetadataStore, paths: list[str]) -> list[File]:
    """Files at these paths, inserted in another order than the one returned, which is that of the keys."""
    files = sorted((make_file(path) for path in paths), key=lambda file: file.key)
    for file in random.Random(7).sample(files, len(files)):
        store.insert_file(file)
    return files


def test_a_scan_gives_the_order_of_code_points(store: MetadataStore) -> None:
    awkward = [*AWKWARD, *(f"{left}{right}" for left in AWKWARD[::5] for right in AWKWARD[::4])]
    files = insert(store, sorted(set(awkward)))
    found = store.scan_files("a/", "a0", len(files) + 1)
    assert [file.path for file in found] == sorted(file.path for file in files)
    assert found == files


@pytest.mark.parametrize("is_inclusive", [False, True])
def test_every_range_has_exactly_the_files_between_its_bounds(store: MetadataStore, is_inclusive: bool) -> None:
    files = insert(store, list(AWKWARD))
    bounds = [file.key for file in files[::3]] + ["", "a/", "a/a\x00", "a/zz", "a0", HIGHEST]
    for after in bounds:
        for before in bounds:
            between = [f for f in files if (after < f.key or (is_inclusive and after == f.key)) and f.key < before]
            assert store.scan_files(after, before, 1000, is_inclusive) == between, (after, before)
            assert store.scan_files(after, before, 1000, is_inclusive, is_reverse=True) == between[::-1]


def test_a_scan_is_exclusive_unless_told(store: MetadataStore) -> None:
    files = insert(store, ["a", "b", "c"])
    assert store.scan_files("a/a", "a/c", 10) == [files[1]]
    assert store.scan_files("a/a", "a/c", 10, is_inclusive=True) == files[:2]


@pytest.mark.parametrize("limit", [1, 2, 39, 40, 41, 42, 1000])
def test_a_scan_gives_the_first_files_up_to_its_limit(store: MetadataStore, limit: int) -> None:
    files = insert(store, list(AWKWARD))
    assert store.scan_files("a/", "a0", limit) == files[:limit]
    assert store.scan_files("a/", "a0", limit, is_reverse=True) == files[::-1][:limit]


def test_a_scan_of_an_empty_store_gives_nothing(store: MetadataStore) -> None:
    assert store.scan_files("", HIGHEST, 10, is_inclusive=True) == []


def test_a_scan_sees_only_its_own_name_space(store: MetadataStore) -> None:
    active = make_file("x")
    trashed = make_file("x", seed="trashed", status=model.DELETED, expires_at=5.0)
    purged = make_file("x", seed="purged", status=model.PURGED)
    for file in (active, trashed, purged):
        store.insert_file(file)
    assert store.scan_files("a/", "a0", 10, is_inclusive=True) == [active]
    assert store.scan_files("d/", "d0", 10, is_inclusive=True) == [trashed]


def test_what_is_due_comes_longest_due_first_up_to_the_limit(store: MetadataStore) -> None:
    files = [make_file(f"f{at}", status=model.DELETED, expires_at=float(at)) for at in (30, 10, 20, 40)]
    never = make_file("never")
    for file in (*files, never):
        store.insert_file(file)
    assert [file.due_at for file in store.find_due_files(30.0, 10)] == [10.0, 20.0, 30.0]
    assert [file.due_at for file in store.find_due_files(30.0, 2)] == [10.0, 20.0]
    assert store.find_due_files(9.999, 10) == []


def test_an_old_version_makes_its_file_due(store: MetadataStore) -> None:
    file = make_file("a", old_versions=(make_old("v1", expires_at=50.0), make_old("v2", expires_at=20.0)))
    store.insert_file(file)
    assert store.find_due_files(19.0, 10) == []
    assert store.find_due_files(20.0, 10) == [file]


@pytest.mark.parametrize("clock_seconds", [1e14, model.NEVER, 1e16])
def test_a_file_that_is_never_due_is_not_found_at_any_time(store: MetadataStore, clock_seconds: float) -> None:
    store.insert_file(make_file("a", size_bytes=5))
    assert store.find_due_files(clock_seconds, 10) == []
    assert store.pending(clock_seconds) == Pending(0, 0)


def test_a_file_ceases_to_be_due_when_it_is_restored(store: MetadataStore) -> None:
    file = make_file("a", status=model.DELETED, expires_at=5.0, size_bytes=9)
    store.insert_file(file)
    assert store.pending(5.0) == Pending(9, 9)
    assert store.replace_file(file_changes.restore_from_trash(file, None, "later"))
    assert store.find_due_files(100.0, 10) == []
    assert store.pending(100.0) == Pending(0, 0)


def test_pending_counts_all_that_waits_and_what_is_due(store: MetadataStore) -> None:
    assert store.pending(0.0) == Pending(0, 0)
    store.insert_file(make_file("trash", status=model.DELETED, expires_at=100.0, size_bytes=1000))
    store.insert_file(make_file("old", size_bytes=7, old_versions=(make_old("v", expires_at=50.0, size_bytes=200),)))
    store.insert_file(make_file("active", size_bytes=2**50))
    assert store.pending(10.0) == Pending(1200, 0)
    assert store.pending(50.0) == Pending(1200, 200)
    assert store.pending(100.0) == Pending(1200, 1200)


def test_pending_counts_terabytes(store: MetadataStore) -> None:
    for number in range(3):
        store.insert_file(make_file(f"f{number}", status=model.DELETED, expires_at=1.0, size_bytes=2**42))
    assert store.pending(1.0) == Pending(3 * 2**42, 3 * 2**42)
