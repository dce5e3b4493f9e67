"""Changes of chunk records, and how they are found: by worker, and by what has to be done about them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from common.records import MAX_ATTEMPT, MAX_CHUNK_INDEX, chunk_id
from master_node.model import Chunk
from master_node.store.base import Holding, MetadataStore, Owed
from tests.support.metadata import CHUNK_SIZE, hex_id, make_chunk, next_chunk

V = hex_id("v")
VERSIONS = sorted(hex_id(number) for number in range(4))
Find = Callable[[MetadataStore, str, int], list[Chunk]]
# Each way to go through chunk records, and a chunk that is found by it.
WAYS: dict[str, tuple[Find, Callable[[str, int], Chunk]]] = {
    "all": (lambda store, after, limit: store.scan_chunks(after, limit), make_chunk),
    "replica": (
        lambda store, after, limit: store.find_held("worker_2", Holding.REPLICA, after, limit),
        lambda version_id, index: make_chunk(version_id, index, replicas=("worker_1", "worker_2"), owed=1),
    ),
    "doubtful": (
        lambda store, after, limit: store.find_held("worker_2", Holding.DOUBTFUL, after, limit),
        lambda version_id, index: make_chunk(version_id, index, doubtful=("worker_3", "worker_2")),
    ),
    "owed": (
        lambda store, after, limit: store.find_owed(2, after, limit),
        lambda version_id, index: make_chunk(version_id, index, replicas=("worker_2", "worker_1"), owed=1),
    ),
    "surplus": (
        lambda store, after, limit: store.find_surplus(after, limit),
        lambda version_id, index: make_chunk(version_id, index, replicas=("worker_2", "worker_1"), owed=-1),
    ),
}
# What none of them but the first may find.
OTHER = ("worker_20", "worker_", "worker", "WORKER_2")


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> tuple[Find, Callable[[str, int], Chunk]]:
    return WAYS[request.param]


def test_records_are_found_in_the_order_of_their_ids(
    store: MetadataStore, way: tuple[Find, Callable[[str, int], Chunk]]
) -> None:
    find, make = way
    indexes = (0, 9, 10, 255, 256, 65536, MAX_CHUNK_INDEX)
    chunks = [make(version_id, index) for version_id in VERSIONS for index in indexes]
    store.insert_chunks(chunks[::-1])
    assert find(store, "", 100) == chunks
    assert [chunk.chunk_id for chunk in chunks] == sorted(chunk.chunk_id for chunk in chunks)


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 11, 12, 13])
def test_records_are_found_page_by_page(
    store: MetadataStore, way: tuple[Find, Callable[[str, int], Chunk]], limit: int
) -> None:
    find, make = way
    chunks = [make(version_id, index) for version_id in VERSIONS for index in range(3)]
    store.insert_chunks(chunks)
    found: list[Chunk] = []
    while page := find(store, found[-1].chunk_id if found else "", limit):
        assert len(page) <= limit
        found += page
    assert found == chunks


def test_a_page_may_begin_after_a_record_that_is_gone(
    store: MetadataStore, way: tuple[Find, Callable[[str, int], Chunk]]
) -> None:
    find, make = way
    chunks = [make(V, index) for index in range(3)]
    store.insert_chunks(chunks)
    store.delete_chunks(chunks[1:2])
    assert find(store, chunks[1].chunk_id, 10) == chunks[2:]
    assert find(store, chunks[2].chunk_id, 10) == []


def test_an_empty_store_has_no_records(store: MetadataStore, way: tuple[Find, Callable[[str, int], Chunk]]) -> None:
    assert way[0](store, "", 10) == []
    assert store.owed() == Owed(0, 0)
    assert store.find_chunks([]) == []


def test_only_what_is_asked_for_is_found(store: MetadataStore) -> None:
    one = make_chunk(V, 0, replicas=("worker_1",), owed=2, doubtful=("worker_2",))
    two = make_chunk(V, 1, replicas=("worker_1", "worker_2"), owed=1)
    right = make_chunk(V, 2, replicas=OTHER[:3], doubtful=OTHER[3:])
    over = make_chunk(V, 3, replicas=("worker_2", *OTHER), owed=-2)
    none = make_chunk(V, 4, replicas=(), owed=3, doubtful=("worker_2", "worker_1"))
    store.insert_chunks([one, two, right, over, none])
    assert [store.find_owed(copies, "", 10) for copies in range(4)] == [[none], [one], [two], []]
    assert store.find_surplus("", 10) == [over]
    assert store.find_held("worker_2", Holding.REPLICA, "", 10) == [two, over]
    assert store.find_held("worker_2", Holding.DOUBTFUL, "", 10) == [one, none]
    assert store.find_held("worker_9", Holding.REPLICA, "", 10) == []
    assert store.owed() == Owed(3, 6, 6 * CHUNK_SIZE, {0: 1, 1: 1, 2: 1}, 3 * CHUNK_SIZE)


def test_what_is_owed_is_counted_in_bytes_beyond_32_bits(store: MetadataStore) -> None:
    store.insert_chunks([replace(make_chunk(V, index, owed=2), size_bytes=2**31) for index in range(3)])
    assert store.owed() == Owed(3, 6, 6 * 2**31, {1: 3})


def test_chunks_are_found_by_their_ids(store: MetadataStore) -> None:
    chunks = [make_chunk(version_id, index) for version_id in VERSIONS for index in range(3)]
    store.insert_chunks(chunks)
    wanted = [chunks[7], chunks[0], chunks[11]]
    found = store.find_chunks([make_chunk(V, 0).chunk_id, *(chunk.chunk_id for chunk in wanted)])
    assert sorted(found, key=chunks.index) == sorted(wanted, key=chunks.index)


def test_a_replacement_needs_the_revision_one_below(store: MetadataStore) -> None:
    chunk = make_chunk(V, 0, owed=2)
    assert store.replace_chunks([next_chunk(chunk)]) == [False]
    store.insert_chunks([chunk])
    for revision in (0, 1, 3):
        assert store.replace_chunks([replace(chunk, revision=revision, owed=1)]) == [False]
    changed = next_chunk(chunk, replicas=("worker_2", "worker_1"), owed=1, doubtful=("worker_3",))
    assert [store.replace_chunks([changed]) for _ in range(2)] == [[True], [False]]
    assert store.list_chunks(V, 0, 10) == [changed]
    assert store.replace_chunks([next_chunk(changed)]) == [True]


def test_of_many_replacements_each_is_answered_for_itself(store: MetadataStore) -> None:
    chunks = [make_chunk(V, index) for index in range(300)]
    store.insert_chunks(chunks)
    elsewhere = [next_chunk(chunk, doubtful=("worker_9",)) for chunk in chunks[::3]]
    assert store.replace_chunks(elsewhere) == [True] * 100
    mine = [next_chunk(chunk, doubtful=("worker_8",)) for chunk in chunks]
    written = store.replace_chunks([*mine, make_chunk(hex_id("gone"), 0, revision=2)])
    assert written == [*(index % 3 != 0 for index in range(300)), False]
    assert store.find_held("worker_9", Holding.DOUBTFUL, "", 1000) == elsewhere
    assert store.find_held("worker_8", Holding.DOUBTFUL, "", 1000) == [c for c in mine if c.index % 3]


def test_a_record_is_found_by_what_it_says_now_and_never_by_what_it_said(store: MetadataStore) -> None:
    chunk = make_chunk(V, 0, replicas=("worker_1",), owed=2, doubtful=("worker_2",))
    store.insert_chunks([chunk])
    seen = []
    for changes in (
        {"replicas": ("worker_1", "worker_2"), "owed": 1, "doubtful": ()},
        {"replicas": ("worker_1", "worker_2", "worker_3", "worker_4"), "owed": -1},
        {"replicas": ("worker_2", "worker_3", "worker_4"), "owed": 0, "doubtful": ("worker_1",)},
        {"replicas": (), "owed": 3, "doubtful": ("worker_1", "worker_2", "worker_3", "worker_4")},
    ):
        chunk = next_chunk(chunk, **changes)
        assert store.replace_chunks([chunk]) == [True]
        workers = [f"worker_{number}" for number in range(1, 5)]
        for kind, named in ((Holding.REPLICA, chunk.replicas), (Holding.DOUBTFUL, chunk.doubtful)):
            assert [w for w in workers if store.find_held(w, kind, "", 10) == [chunk]] == sorted(named)
            assert [w for w in workers if not store.find_held(w, kind, "", 10)] == sorted(set(workers) - set(named))
        owed = [copies for copies in range(5) if store.find_owed(copies, "", 10) == [chunk]]
        seen.append((owed, store.find_surplus("", 10) == [chunk], store.owed().replicas))
    assert seen == [([2], False, 1), ([], True, 0), ([], False, 0), ([0], False, 3)]
    assert store.delete_chunks([chunk]) == [True]
    assert not any(find(store, "", 10) for find, _ in WAYS.values())
    assert store.owed() == Owed(0, 0)


def test_a_deletion_needs_the_very_revision(store: MetadataStore) -> None:
    chunks = [make_chunk(V, index) for index in range(3)]
    store.insert_chunks(chunks)
    assert store.replace_chunks([next_chunk(chunks[1])]) == [True]
    assert store.delete_chunks([*chunks, make_chunk(V, 9)]) == [True, False, True, True]
    assert store.list_chunks(V, 0, 10) == [next_chunk(chunks[1])]
    assert store.delete_chunks([replace(chunks[1], revision=3)]) == [False]
    assert store.delete_chunks([next_chunk(chunks[1])]) == [True]


def test_an_insert_that_changes_nothing_leaves_all_look_ups_as_they_are(store: MetadataStore) -> None:
    present = make_chunk(V, 0, replicas=("worker_1",), doubtful=("worker_2",))
    store.insert_chunks([present])
    store.insert_chunks([make_chunk(V, 0, replicas=("worker_3",), owed=2, doubtful=("worker_4",))])
    assert store.find_held("worker_3", Holding.REPLICA, "", 10) == []
    assert store.find_held("worker_4", Holding.DOUBTFUL, "", 10) == []
    assert store.find_owed(1, "", 10) == []
    assert store.find_held("worker_1", Holding.REPLICA, "", 10) == [present]
    assert store.find_held("worker_2", Holding.DOUBTFUL, "", 10) == [present]


def test_a_record_that_names_a_worker_twice_is_found_once(store: MetadataStore) -> None:
    """A worker can be both; within one list it should not be, and does no harm."""
    chunk = make_chunk(V, 0, replicas=("worker_1", "worker_1"), doubtful=("worker_1",))
    store.insert_chunks([chunk])
    for kind in Holding:
        assert store.find_held("worker_1", kind, "", 10) == [chunk]
    assert store.replace_chunks([next_chunk(chunk, replicas=("worker_1",), doubtful=())]) == [True]
    assert store.find_held("worker_1", Holding.DOUBTFUL, "", 10) == []


def test_a_place_has_one_record_and_only_its_own_attempt_finds_it(store: MetadataStore) -> None:
    present = replace(make_chunk(V, 1), attempt=2)
    store.insert_chunks([make_chunk(V, 0), present, replace(make_chunk(V, 2), attempt=MAX_ATTEMPT)])
    store.insert_chunks([replace(make_chunk(V, 1), attempt=attempt) for attempt in (0, 1, 3)])
    assert [chunk.attempt for chunk in store.list_chunks(V, 0, 10)] == [0, 2, MAX_ATTEMPT]
    ids = [chunk_id(V, index, attempt) for index in (0, 1, 2) for attempt in (0, 1, 2, 3, MAX_ATTEMPT)]
    found = sorted(store.find_chunks(ids), key=lambda chunk: chunk.index)
    assert found == store.list_chunks(V, 0, 10)
    assert store.find_chunks([chunk_id(V, 1), chunk_id(V, 1, 1), chunk_id(V, 1, 3)]) == []


def test_a_record_can_go_over_to_another_attempt_on_condition_of_its_revision(store: MetadataStore) -> None:
    chunk = replace(make_chunk(V, 1), attempt=1)
    store.insert_chunks([chunk])
    later = next_chunk(chunk, attempt=5, checksum=hex_id("other"), size_bytes=7, replicas=("worker_2",))
    assert [store.replace_chunks([later]) for _ in range(2)] == [[True], [False]]
    assert store.list_chunks(V, 0, 10) == store.find_chunks([later.chunk_id]) == [later]
    assert store.find_chunks([chunk.chunk_id]) == []
    assert store.delete_chunks([chunk]) == [False]
    assert store.delete_chunks([later]) == [True]


def test_pages_go_on_behind_a_place_whatever_its_attempt(
    store: MetadataStore, way: tuple[Find, Callable[[str, int], Chunk]]
) -> None:
    find, make = way
    chunks = [replace(make(V, index), attempt=index % 3 * 7) for index in range(7)]
    store.insert_chunks(chunks)
    for attempt in (0, 1, 7, 14, MAX_ATTEMPT):
        assert find(store, chunk_id(V, 2, attempt), 2) == chunks[3:5]
    assert find(store, chunks[6].chunk_id, 2) == []
