"""Chunks, uploads and the lease in a metadata store."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from common.records import MAX_CHUNK_INDEX, Checksum
from master_node import model
from master_node.attempts import Loose, Resumable, Sealed
from master_node.model import CommitTarget, Lease
from master_node.store.base import IdTaken, MetadataStore, Owed
from tests.contract.conftest import Connect
from tests.support.metadata import CHUNK_SIZE, hex_id, make_chunk, make_upload

V = hex_id("v")


def test_chunks_come_back_in_the_order_of_their_indexes(store: MetadataStore) -> None:
    indexes = [0, 1, 2, 9, 10, 11, 99, 100, 255, 256, 65535, 65536, 2**31, MAX_CHUNK_INDEX]
    chunks = [make_chunk(V, index, replicas=("worker_2", "worker_1"), owed=1) for index in indexes]
    store.insert_chunks(random.Random(1).sample(chunks, len(chunks)))
    assert store.list_chunks(V, 0, 1000) == chunks


def test_chunks_are_paged_by_index(store: MetadataStore) -> None:
    chunks = [make_chunk(V, index) for index in range(0, 600, 2)]
    store.insert_chunks(chunks)
    found, start = [], 0
    while page := store.list_chunks(V, start, 128):
        assert len(page) <= 128
        found += page
        start = page[-1].index + 1
    assert found == chunks
    assert store.list_chunks(V, 3, 2) == chunks[2:4]
    assert store.list_chunks(V, 4, 1) == chunks[2:3]
    assert store.list_chunks(V, 599, 10) == []


def test_inserting_a_chunk_leaves_one_that_is_there_as_it_is(store: MetadataStore) -> None:
    """A late copy of a report must not undo what was repaired or freed since."""
    present = make_chunk(V, 1, replicas=("worker_2", "worker_3"), owed=0)
    store.insert_chunks([present])
    store.insert_chunks([make_chunk(V, index, replicas=("worker_1",), owed=2) for index in range(3)])
    assert store.list_chunks(V, 0, 10) == [
        make_chunk(V, 0, replicas=("worker_1",), owed=2),
        present,
        make_chunk(V, 2, replicas=("worker_1",), owed=2),
    ]
    assert store.owed() == Owed(2, 4, 4 * CHUNK_SIZE, {1: 2})


def test_writing_no_chunks_is_no_error(store: MetadataStore) -> None:
    store.insert_chunks([])
    assert store.replace_chunks([]) == []
    assert store.delete_chunks([]) == []
    assert store.list_chunks(V, 0, 10) == []


def test_versions_do_not_see_each_others_chunks(store: MetadataStore) -> None:
    neighbours = ["0" * 32, "0" * 31 + "1", "f" * 32, "f" * 31 + "e"]
    for version_id in neighbours:
        store.insert_chunks([make_chunk(version_id, index) for index in range(3)])
    for version_id in neighbours:
        assert store.list_chunks(version_id, 0, 10) == [make_chunk(version_id, index) for index in range(3)]
    assert store.delete_chunks([make_chunk(neighbours[0], index) for index in range(3)]) == [True] * 3
    assert store.list_chunks(neighbours[0], 0, 10) == []
    assert len(store.list_chunks(neighbours[1], 0, 10)) == 3


def test_only_the_named_chunks_are_deleted_and_deleting_twice_is_harmless(store: MetadataStore) -> None:
    store.insert_chunks([make_chunk(V, index) for index in range(5)])
    for _ in range(2):
        assert store.delete_chunks([make_chunk(V, index) for index in (1, 3, 77)]) == [True] * 3
        assert [chunk.index for chunk in store.list_chunks(V, 0, 10)] == [0, 2, 4]


def test_a_thousand_chunks_are_written_and_deleted_at_once(store: MetadataStore) -> None:
    store.insert_chunks([make_chunk(V, index) for index in range(1000)])
    assert len(store.list_chunks(V, 0, 2000)) == 1000
    assert store.delete_chunks([make_chunk(V, index) for index in range(999)]) == [True] * 999
    assert [chunk.index for chunk in store.list_chunks(V, 0, 10)] == [999]


def test_an_upload_is_read_back_exactly_as_it_was_written(store: MetadataStore) -> None:
    upload = replace(
        make_upload("u", last_activity_at=1.25),
        workers=("worker_1", "worker_3"),
        recorded_count=3,
        recorded_bytes=2**41,
        placed_count=4,
        target=CommitTarget(V, "é\n😀", 7, is_insert=False),
        file_id=V,
    )
    store.insert_upload(upload)
    assert store.find_upload(upload.upload_id) == upload
    assert store.find_upload(V) is None


@pytest.mark.parametrize("sealed", [None, Sealed(2**41, 9, Checksum("sha256", "ab" * 32), "text/x", '"a"', None)])
def test_a_resumable_upload_is_read_back_exactly_as_it_was_written(store: MetadataStore, sealed: Sealed | None) -> None:
    resumable = Resumable(
        "é/p", None, "a " * 2000, "text/x", "x", False, 7, "s", 6, (Loose(1, 2, 3), Loose(6, 0, 9)), sealed
    )
    upload = replace(make_upload("u", state=model.LITTERED), resumable=resumable)
    store.insert_upload(upload)
    assert store.find_upload(upload.upload_id) == upload
    assert store.find_idle_uploads(model.LITTERED, 0.0, 10) == [upload]


def test_an_upload_id_is_used_once(store: MetadataStore) -> None:
    upload = make_upload("u")
    store.insert_upload(upload)
    for again in (upload, replace(upload, placed_count=9)):
        with pytest.raises(IdTaken):
            store.insert_upload(again)
    assert store.find_upload(upload.upload_id) == upload


def test_replacing_an_upload_needs_the_revision_one_below(store: MetadataStore) -> None:
    upload = make_upload("u")
    assert not store.replace_upload(replace(upload, revision=2))
    store.insert_upload(upload)
    for revision in (0, 1, 3):
        assert not store.replace_upload(replace(upload, revision=revision, placed_count=9))
    changed = replace(upload, revision=2, state=model.ABORTED, target=CommitTarget(V, "p", 0, is_insert=True))
    assert [store.replace_upload(changed) for _ in range(2)] == [True, False]
    assert store.find_upload(upload.upload_id) == changed


def test_deleting_an_upload_twice_is_harmless(store: MetadataStore) -> None:
    store.insert_upload(make_upload("u"))
    for _ in range(2):
        store.delete_uploads([make_upload("u").upload_id, "never-there"])
        assert store.find_upload(make_upload("u").upload_id) is None


def test_idle_uploads_are_found_by_state_oldest_first_up_to_the_limit(store: MetadataStore) -> None:
    for at in (30, 10, 20, 40):
        store.insert_upload(make_upload(at, last_activity_at=float(at)))
    store.insert_upload(make_upload("aborted", state=model.ABORTED, last_activity_at=5.0))
    found = store.find_idle_uploads(model.OPEN, 30.0, 10)
    assert [upload.last_activity_at for upload in found] == [10.0, 20.0, 30.0]
    assert store.find_idle_uploads(model.OPEN, 30.0, 1) == found[:1]
    assert store.find_idle_uploads(model.OPEN, 9.9, 10) == []
    assert store.find_idle_uploads(model.ABORTED, 5.0, 10) == [
        make_upload("aborted", state=model.ABORTED, last_activity_at=5.0)
    ]
    assert store.find_idle_uploads(model.COMMITTED, 1e12, 10) == []


def test_an_upload_that_moves_is_idle_no_more(store: MetadataStore) -> None:
    upload = make_upload("u", last_activity_at=1.0)
    store.insert_upload(upload)
    assert store.replace_upload(replace(upload, revision=2, last_activity_at=100.0))
    assert store.find_idle_uploads(model.OPEN, 50.0, 10) == []


def test_uploads_are_found_by_their_ids(store: MetadataStore) -> None:
    uploads = [make_upload(number) for number in range(3)]
    for upload in uploads:
        store.insert_upload(upload)
    found = store.find_uploads([uploads[2].upload_id, V, uploads[0].upload_id])
    assert sorted(found, key=uploads.index) == [uploads[0], uploads[2]]
    assert store.find_uploads([]) == []


def test_the_first_lease_is_written_once(connect: Connect) -> None:
    one, other = connect(), connect()
    assert one.read_lease() is None
    assert one.swap_lease(None, Lease("master_1", 1, 0, 0.0))
    assert not other.swap_lease(None, Lease("master_2", 1, 0, 0.0))
    assert other.read_lease() == Lease("master_1", 1, 0, 0.0)


def test_the_lease_is_swapped_only_from_what_stands_there(store: MetadataStore) -> None:
    first, second = Lease("master_1", 1, 0, 0.0), Lease("master_1", 1, 1, 2.5)
    assert not store.swap_lease(first, second)
    assert store.read_lease() is None
    assert store.swap_lease(None, first)
    assert store.swap_lease(first, second)
    taken = Lease("master_2", 2, 0, 2.5)
    for stale in (first, Lease("master_1", 2, 1, 2.5), Lease("master_1", 1, 2, 2.5), None):
        assert not store.swap_lease(stale, taken)
    assert store.read_lease() == second
    assert store.swap_lease(second, taken)
    assert store.read_lease() == taken
