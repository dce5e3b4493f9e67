"""How jobs go through an index, and what they leave alone for a while."""

from __future__ import annotations

from master_node.model import Chunk
from master_node.passes import FIRST_PAUSE_SECONDS, FORGIVEN_SECONDS, LAST_PAUSE_SECONDS, PAGE, PutOff, Walk
from tests.support.masters import ManualClock
from tests.support.metadata import hex_id, make_chunk


class Index:
    """Chunks in the order of their ids, and how many were read."""

    def __init__(self, count: int) -> None:
        self.chunks = [make_chunk(hex_id(1), index) for index in range(count)]
        self.read_count = 0

    def read(self, after: str, limit: int) -> list[Chunk]:
        page = [chunk for chunk in self.chunks if chunk.chunk_id > after][:limit]
        self.read_count += len(page)
        return page


def test_a_look_takes_no_more_than_it_may_and_the_next_begins_where_it_was() -> None:
    index, walk = Index(5 * PAGE), Walk()
    stuck = {chunk.chunk_id for chunk in index.chunks[: 3 * PAGE]}
    chosen = walk.choose(index.read, lambda chunk: None if chunk.chunk_id in stuck else chunk, 10)
    assert chosen == index.chunks[3 * PAGE : 3 * PAGE + 10]
    del index.chunks[3 * PAGE : 3 * PAGE + 10]
    index.read_count = 0
    assert walk.choose(index.read, lambda chunk: chunk, 10) == index.chunks[3 * PAGE : 3 * PAGE + 10]
    assert index.read_count == PAGE


def test_a_look_is_bounded_and_all_are_seen_in_the_end() -> None:
    index, walk = Index(7 * PAGE + 1), Walk(max_pages=3)
    seen: set[str] = set()
    looks = 0
    while len(seen) < len(index.chunks):
        assert walk.choose(index.read, lambda chunk: seen.add(chunk.chunk_id), 10) == []
        looks += 1
    assert looks == 3
    assert walk.has_found
    assert walk.choose(index.read, lambda chunk: chunk, 1) == index.chunks[:1]


def test_an_empty_index_has_nothing() -> None:
    walk = Walk()
    assert walk.choose(Index(0).read, lambda chunk: chunk, 1) == []
    assert not walk.has_found


def test_what_fails_again_is_put_off_for_longer_up_to_a_limit() -> None:
    clock = ManualClock()
    put_off = PutOff(clock)
    pauses = []
    for _ in range(8):
        put_off.add("a")
        since = clock.now
        while put_off.has("a"):
            clock.advance(0.5)
        pauses.append(clock.now - since)
    assert pauses[0] == FIRST_PAUSE_SECONDS
    assert pauses == sorted(pauses)
    assert pauses[-1] == LAST_PAUSE_SECONDS


def test_what_went_well_for_long_is_left_alone_no_longer_than_at_first() -> None:
    clock = ManualClock()
    put_off = PutOff(clock)
    for _ in range(10):
        put_off.add("a")
    clock.advance(LAST_PAUSE_SECONDS + FORGIVEN_SECONDS)
    put_off.add("a")
    clock.advance(FIRST_PAUSE_SECONDS)
    assert not put_off.has("a")


def test_only_so_many_are_remembered_and_all_can_be_forgotten() -> None:
    put_off = PutOff(ManualClock(), max_count=2)
    for name in "abc":
        put_off.add(name)
    assert [put_off.has(name) for name in "abcd"] == [False, True, True, False]
    put_off.clear()
    assert not put_off.has("c")
