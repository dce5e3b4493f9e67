"""Which copy is planned: from where, to whom, and when none can be made."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from master_node.copy_plans import CopyPlan, Site, plan_copy, plan_move, plan_move_to
from master_node.membership import ALIVE, DEAD, DRAINING, MAINTENANCE, SUSPECT, WorkerView
from master_node.model import Chunk, WorkerRecord
from tests.support.metadata import CHUNK_SIZE, hex_id, make_heartbeat


def chunk(replicas: str, doubtful: str = "", factor: int = 3) -> Chunk:
    """A record whose workers are single letters."""
    return Chunk(hex_id(1), 0, CHUNK_SIZE, hex_id(2), tuple(replicas), factor - len(replicas), tuple(doubtful))


def site(
    states: dict[str, str] | None = None,
    *,
    zones: dict[str, str] | None = None,
    room: dict[str, int] | None = None,
    pending: dict[str, int] | None = None,
    refusing: str = "",
    seed: int = 0,
) -> Site:
    """Five workers, a to e, all alive but for those in `states`."""
    views = {}
    for name in "abcde":
        heartbeat = replace(
            make_heartbeat(zone=(zones or {}).get(name, "")),
            url=f"http://{name}",
            free_bytes=(room or {}).get(name, 10**9),
        )
        state = (states or {}).get(name, ALIVE)
        views[name] = WorkerView(WorkerRecord(name, heartbeat, 1), state, 0.0, is_lost=state == DEAD)
    return Site(
        views, lambda name: (pending or {}).get(name, 0), lambda _, name: name not in refusing, random.Random(seed)
    )


def spell(plan: CopyPlan | None) -> str:
    """A plan as sources > target."""
    if plan is None:
        return "none"
    return "".join(sorted(source.worker_id for source in plan.sources)) + ">" + plan.target.worker_id


@pytest.mark.parametrize(
    ("record", "where", "wanted"),
    [
        # Only who is alive takes copies, and who is heard of gives them.
        (chunk("ab"), site({"c": DEAD, "d": SUSPECT}), "ab>e"),
        (chunk("ab"), site({"a": DEAD, "c": DRAINING, "d": MAINTENANCE}), "b>e"),
        (chunk("ab"), site({"b": DRAINING, "c": DEAD, "d": DEAD}), "ab>e"),
        (chunk("ab"), site({"a": DEAD, "b": SUSPECT}), "none"),
        (chunk("ab"), site(dict.fromkeys("cde", DEAD)), "none"),
        (chunk(""), site(), "none"),
        # Another zone first, as far as there is room.
        (chunk("ab"), site(zones={"a": "x", "b": "x", "c": "x", "d": "y", "e": "x"}), "ab>d"),
        (chunk("ab"), site(zones={"d": "y"}, room={"d": CHUNK_SIZE, "e": CHUNK_SIZE}), "ab>c"),
        (chunk("ab"), site(room=dict.fromkeys("cde", CHUNK_SIZE)), "none"),
        (chunk("ab"), site(room={"c": 2 * CHUNK_SIZE, "d": 0, "e": 0}), "ab>c"),
        (chunk("ab"), site(room={"c": 2 * CHUNK_SIZE, "d": 0, "e": 0}, pending={"c": 1}), "none"),
        # A doubtful copy is turned to before any other worker; on one that drains only where nobody else has any.
        (chunk("ab", "c"), site(), "ab>c"),
        (chunk("ab", "cd"), site({"c": DRAINING}), "ab>d"),
        (chunk("ab", "c"), site({"c": DEAD, "d": DEAD}), "ab>e"),
        (chunk("ab", "c"), site({"a": DEAD, "b": DEAD}), ">c"),
        (chunk("ab", "c"), site({"a": DEAD, "b": DEAD, "c": DRAINING}), ">c"),
        (chunk("", "c"), site(), ">c"),
        (chunk("", "c"), site({"c": DEAD}), "none"),
        # Who refused of late is left alone.
        (chunk("ab", "c"), site({"d": DEAD}, refusing="c"), "ab>e"),
        (chunk("ab"), site(refusing="cde"), "none"),
    ],
)
def test_one_more_copy(record: Chunk, where: Site, wanted: str) -> None:
    assert spell(plan_copy(record, where)) == wanted


def test_of_several_doubtful_copies_each_is_asked_for_at_some_time() -> None:
    """One that cannot answer, time after time, must not hide a good one."""
    plans = {spell(plan_copy(chunk("", "cd"), site(seed=seed))) for seed in range(50)}
    assert plans == {">c", ">d"}


@pytest.mark.parametrize(
    ("record", "where", "wanted"),
    [
        (chunk("abc"), site({"a": DRAINING, "d": DEAD}), "abc>e"),
        (chunk("a", factor=1), site({"a": DRAINING, "b": DEAD, "c": DEAD, "d": DEAD}), "a>e"),
        (chunk("a", factor=1), site({"a": DEAD}), "none"),
        (chunk("abc", "d"), site({"a": DRAINING}), "abc>d"),
        (chunk("abc", "d"), site({"a": DRAINING, "d": DRAINING}), "abc>e"),
        (chunk("abc"), site({"a": DRAINING, "d": DRAINING, "e": DEAD}), "none"),
        # The zone of the copy that goes is free again.
        (chunk("abc"), site({"a": DRAINING}, zones={"a": "x", "b": "y", "c": "z", "d": "y", "e": "x"}), "abc>e"),
    ],
)
def test_a_move_away_from_a_worker(record: Chunk, where: Site, wanted: str) -> None:
    plan = plan_move(record, "a", where)
    assert spell(plan) == wanted
    assert plan is None or plan.leaving == "a"


@pytest.mark.parametrize("seed", range(20))
def test_the_copy_that_leaves_is_the_last_to_be_copied_from(seed: int) -> None:
    plan = plan_move(chunk("abc"), "a", site({"a": DRAINING}, seed=seed))
    assert plan is not None
    assert plan.sources[-1].worker_id == "a"


@pytest.mark.parametrize(
    ("record", "where", "wanted"),
    [
        (chunk("abc"), site(), "abc>d"),
        (chunk("abd"), site(), "none"),
        (chunk("abc", "d"), site(), "none"),
        (chunk("abc"), site(refusing="d"), "none"),
        (chunk("abc"), site(zones={"a": "x", "b": "y", "c": "z", "d": "y"}), "none"),
        (chunk("abc"), site(zones={"a": "x", "b": "y", "c": "z", "d": "x"}), "abc>d"),
        (chunk("abc"), site(zones={"a": "y", "b": "y", "c": "z", "d": "y"}), "abc>d"),
        (chunk("abc"), site(zones={"a": "y", "b": "y", "c": "z", "d": "w"}), "abc>d"),
    ],
)
def test_a_move_to_a_worker_keeps_zones_apart(record: Chunk, where: Site, wanted: str) -> None:
    assert spell(plan_move_to(record, "a", "d", where)) == wanted


def test_targets_are_chosen_in_proportion_to_their_free_space() -> None:
    where = site(room={"c": 3 * 10**9, "d": 10**9, "e": 0})
    chosen = [spell(plan_copy(chunk("ab"), where)) for _ in range(1000)]
    assert 650 < chosen.count("ab>c") < 850
    assert chosen.count("ab>e") == 0
