"""What is said of a chunk of which no copy can be made: a table of the workers' states."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from common.records import Heartbeat
from master_node.copy_plans import Site
from master_node.membership import ALIVE, DEAD, DRAINING, WorkerView
from master_node.model import WorkerRecord
from master_node.obstacles import obstacle
from tests.support.metadata import CHUNK_SIZE, hex_id, make_chunk, make_heartbeat

ONE, TWO, THREE, FOUR = (f"worker_{number}" for number in range(1, 5))


def site(full: str = "", **states: str) -> Site:
    views = {name: _view(name, state, 0 if name == full else 100 * CHUNK_SIZE) for name, state in states.items()}
    return Site(views, lambda _name: 0, lambda _chunk, _name: True, random.Random(1))


def _view(name: str, state: str, free_bytes: int) -> WorkerView:
    heartbeat: Heartbeat = replace(make_heartbeat(), free_bytes=free_bytes)
    return WorkerView(WorkerRecord(name, heartbeat, 1), state, 0.0, is_lost=False)


ALL_ALIVE = dict.fromkeys((ONE, TWO, THREE, FOUR), ALIVE)


@pytest.mark.parametrize(
    ("replicas", "owed", "seen", "leaving", "expected"),
    [
        ((ONE, TWO), 1, site(**ALL_ALIVE), "", None),
        ((), 3, site(**ALL_ALIVE), "", "no copy of it is left"),
        ((ONE,), 2, site(**{**ALL_ALIVE, ONE: DEAD}), "", "no worker that has a copy answers: worker_1"),
        ((ONE,), 2, site(**{**ALL_ALIVE, ONE: DRAINING}), "", None),
        (
            (ONE,),
            2,
            site(**{**ALL_ALIVE, THREE: DEAD, FOUR: DRAINING}),
            "",
            "3 workers are needed that take chunks, and there are 2",
        ),
        (
            (ONE, TWO, THREE),
            0,
            site(**{ONE: DRAINING, TWO: ALIVE, THREE: ALIVE}),
            ONE,
            "3 other workers are needed that take chunks, and there are 2",
        ),
        (
            (ONE, TWO, THREE),
            0,
            site(FOUR, **{**ALL_ALIVE, ONE: DRAINING}),
            ONE,
            "no other worker has room: worker_4",
        ),
        ((ONE, TWO, THREE), 0, site(**{**ALL_ALIVE, ONE: DRAINING}), ONE, None),
    ],
)
def test_what_stands_in_the_way(
    replicas: tuple[str, ...], owed: int, seen: Site, leaving: str, expected: str | None
) -> None:
    chunk = make_chunk(hex_id("v"), 0, replicas=replicas, owed=owed)
    assert obstacle(chunk, seen, leaving) == expected
