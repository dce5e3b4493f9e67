"""A worker that says it has no usable copy is believed at once, at any master, however often it says so."""

from __future__ import annotations

from dataclasses import replace

import pytest

from common.errors import InvalidRequest, MetadataUnavailable
from master_node.bad_replicas import MAX_REPORTED, BadReplicas
from master_node.model import Chunk
from master_node.store.base import MetadataStore
from tests.support.logs import recording_log
from tests.support.metadata import hex_id, make_chunk

V = hex_id("v")
ALL = ("worker_1", "worker_2", "worker_3")


def make(store: object) -> BadReplicas:
    return BadReplicas(store, recording_log()[0])  # type: ignore[arg-type]


def read(store: MetadataStore) -> list[Chunk]:
    return store.list_chunks(V, 0, 100)


def test_a_reported_replica_counts_no_more_and_is_owed(store: MetadataStore) -> None:
    store.insert_chunks([make_chunk(V, index, replicas=ALL) for index in range(3)])
    chunks = read(store)
    assert make(store).strike("worker_2", [chunks[0].chunk_id, chunks[2].chunk_id]) == 2
    first, second, third = read(store)
    assert first.replicas == third.replicas == ("worker_1", "worker_3")
    assert (first.owed, first.doubtful) == (1, ())
    assert second == chunks[1]


def test_a_report_may_come_twice(store: MetadataStore) -> None:
    store.insert_chunks([make_chunk(V, 0, replicas=ALL)])
    (chunk,) = read(store)
    assert make(store).strike("worker_1", [chunk.chunk_id, chunk.chunk_id]) == 1
    after = read(store)
    assert make(store).strike("worker_1", [chunk.chunk_id]) == 0
    assert read(store) == after


def test_the_last_replica_is_struck_too_and_it_is_remembered_who_had_it(store: MetadataStore) -> None:
    store.insert_chunks([make_chunk(V, 0, replicas=("worker_1",))])
    (chunk,) = read(store)
    make(store).strike("worker_1", [chunk.chunk_id])
    (after,) = read(store)
    assert (after.replicas, after.owed, after.doubtful) == ((), 1, ("worker_1",))


def test_a_doubtful_copy_stays_as_it_may_be_under_way(store: MetadataStore) -> None:
    store.insert_chunks([replace(make_chunk(V, 0, replicas=ALL), doubtful=("worker_4",))])
    (chunk,) = read(store)
    assert make(store).strike("worker_4", [chunk.chunk_id]) == 0
    assert read(store) == [chunk]


def test_chunks_that_no_record_knows_are_passed_over(store: MetadataStore) -> None:
    assert make(store).strike("worker_1", [f"{hex_id('gone')}-00000000"]) == 0
    assert make(store).strike("worker_1", []) == 0


@pytest.mark.parametrize(
    "chunk_ids", [["x"], [3], [None], [f"{V}-0000000"], [f"{V}-00000000"] * (MAX_REPORTED + 1)], ids=repr
)
def test_what_is_no_list_of_chunk_ids_is_refused(store: MetadataStore, chunk_ids: list[object]) -> None:
    with pytest.raises(InvalidRequest):
        make(store).strike("worker_1", chunk_ids)  # type: ignore[arg-type]


class Contested:
    """A store in which somebody else changes the record first, so many times."""

    def __init__(self, store: MetadataStore, times: int) -> None:
        self._store, self._times = store, times

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)

    def replace_chunks(self, chunks: list[Chunk]) -> list[bool]:
        if self._times:
            self._times -= 1
            self._store.replace_chunks([replace(chunk, revision=chunk.revision + 1) for chunk in read(self._store)])
        return self._store.replace_chunks(chunks)


@pytest.mark.parametrize("times", [1, 5])
def test_a_record_that_somebody_else_changes_meanwhile_is_struck_as_it_stands_then(
    store: MetadataStore, times: int
) -> None:
    store.insert_chunks([make_chunk(V, 0, replicas=ALL)])
    (chunk,) = read(store)
    assert make(Contested(store, times)).strike("worker_1", [chunk.chunk_id]) == 1
    (after,) = read(store)
    assert (after.replicas, after.revision) == (("worker_2", "worker_3"), 2 + times)


def test_a_report_that_cannot_be_written_is_to_come_again(store: MetadataStore) -> None:
    store.insert_chunks([make_chunk(V, 0, replicas=ALL)])
    (chunk,) = read(store)
    with pytest.raises(MetadataUnavailable):
        make(Contested(store, 1000)).strike("worker_1", [chunk.chunk_id])
