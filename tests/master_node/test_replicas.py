"""The changes of chunk records: what counts, what is owed, and which copy goes first where there are too many."""

from __future__ import annotations

from dataclasses import replace

import pytest

from master_node.membership import ALIVE, DEAD, DRAINING, WorkerView
from master_node.model import Chunk, WorkerRecord
from master_node.replicas import adopted, choose_surplus, moved, promised, released, safe_replicas, struck
from tests.support.metadata import CHUNK_SIZE, hex_id, make_heartbeat


def chunk(replicas: str, doubtful: str = "", factor: int = 3) -> Chunk:
    """A record whose workers are single letters."""
    return Chunk(hex_id(1), 0, CHUNK_SIZE, hex_id(2), tuple(replicas), factor - len(replicas), tuple(doubtful), 7)


def view(name: str, state: str = ALIVE, *, zone: str = "", used: int = 0, is_reconciled: bool = True) -> WorkerView:
    heartbeat = replace(make_heartbeat(zone=zone), used_bytes=used, capacity_bytes=100)
    record = WorkerRecord(name, heartbeat, 1, state == DRAINING, None, 1, int(is_reconciled))
    return WorkerView(record, state, 0.0, is_lost=state == DEAD)


@pytest.mark.parametrize(
    ("before", "change", "after"),
    [
        (chunk("abc"), lambda it: struck(it, "b", is_proven=True), chunk("ac")),
        (chunk("abc"), lambda it: struck(it, "b", is_proven=False), chunk("ac", "b")),
        (chunk("a", "x"), lambda it: struck(it, "a", is_proven=True), chunk("", "xa")),
        (chunk("ab"), lambda it: adopted(it, "c"), chunk("abc")),
        (chunk("ab", "xc"), lambda it: adopted(it, "c"), chunk("abc", "x")),
        (chunk("abc"), lambda it: adopted(it, "d"), chunk("abcd")),
        (chunk("ab"), lambda it: promised(it, "c"), chunk("ab", "c")),
        (chunk("abc", "d"), lambda it: moved(it, "a", "d"), chunk("bcd", "a")),
        (chunk("abc", "d"), lambda it: released(it, "d"), chunk("abc")),
    ],
)
def test_a_change_gives_the_next_record_of_the_same_factor(before: Chunk, change: object, after: Chunk) -> None:
    found = change(before)  # type: ignore[operator]
    assert found == replace(after, revision=8)
    assert found.factor == 3


@pytest.mark.parametrize(
    ("before", "change"),
    [
        (chunk("a"), lambda it: struck(it, "a", is_proven=False)),
        (chunk("ab", "c"), lambda it: struck(it, "c", is_proven=True)),
        (chunk("abc"), lambda it: adopted(it, "a")),
        (chunk("abc"), lambda it: promised(it, "a")),
        (chunk("ab", "c"), lambda it: promised(it, "c")),
        (chunk("abc"), lambda it: moved(it, "x", "d")),
        (chunk("abc"), lambda it: moved(it, "a", "b")),
        (chunk("abc"), lambda it: released(it, "a")),
    ],
)
def test_where_nothing_is_to_change_the_record_is_the_very_same(before: Chunk, change: object) -> None:
    assert change(before) is before  # type: ignore[operator]


@pytest.mark.parametrize(
    ("replicas", "views", "chosen"),
    [
        # Not too many.
        ("abc", [view("a"), view("b"), view("c")], None),
        # Too few of the others are heard of, or were compared with the records.
        ("abcd", [view("a"), view("b"), view("c", DEAD), view("d", DEAD)], None),
        ("abcd", [view("a"), view("b"), view("c", is_reconciled=False), view("d", DEAD)], None),
        # One that is dead goes before all others; one that no view is of, too.
        ("abcd", [view("a", used=90), view("b"), view("c"), view("d", DEAD)], "d"),
        ("abcd", [view("a", used=90), view("b"), view("c")], "d"),
        # Draining before the zone, the zone before the fullest.
        ("abcd", [view("a", zone="x"), view("b", zone="x"), view("c", DRAINING, zone="y"), view("d", used=9)], "c"),
        ("abcd", [view("a", zone="x"), view("b", zone="x", used=1), view("c", zone="y", used=9), view("d")], "b"),
        ("abcd", [view("a", used=5), view("b", used=90), view("c"), view("d")], "b"),
        # Of five one goes at a time.
        ("abcde", [view("a"), view("b"), view("c"), view("d", DEAD), view("e", DEAD)], "d"),
    ],
)
def test_the_surplus_copy_is_the_one_that_is_missed_least(
    replicas: str, views: list[WorkerView], chosen: str | None
) -> None:
    assert choose_surplus(chunk(replicas), {one.worker_id: one for one in views}) == chosen


def test_a_replica_is_safe_on_a_worker_that_serves_and_was_compared_with_the_records() -> None:
    views = [view("a"), view("b", DRAINING), view("c", is_reconciled=False), view("d", DEAD)]
    assert safe_replicas(chunk("abcde"), {one.worker_id: one for one in views}) == ("a", "b")
