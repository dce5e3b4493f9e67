"""How the cluster fares, in a sentence: a table of what `/cluster` can say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from api_gateway.verdict import BAD, BUSY, GOOD, LEVELS, WARN, count_text, duration_text, summarise

ALIVE = ("alive", "alive", "alive", "alive")


def worker(number: int, state: str, **changes: Any) -> dict[str, Any]:
    """One that reports; state lost: dead for longer than the grace; never: not heard of yet."""
    return {
        "worker_id": f"worker_{number}",
        "state": "dead" if state in ("lost", "never") else state,
        "is_lost": state == "lost",
        "url": "" if state == "never" else f"http://10.0.0.{number}:5000",
        "chunk_count": 7,
        "drain": None,
        **changes,
    }


def cluster(states: Sequence[str] = ALIVE, *, leader: str | None = "master_1", **changes: Any) -> dict[str, Any]:
    """changes: of the replication."""
    replication = {
        "replication_factor": 3,
        "under_replicated_chunks": 0,
        "under_replicated_by_copies": {},
        "owed_replicas": 0,
        "repair_seconds_left": 0,
        "repair_blocked": None,
        "is_held_back": False,
        **changes,
    }
    return {
        "leader": leader,
        "masters": [{"master_id": f"master_{number}", "state": "alive"} for number in (1, 2, 3)],
        "workers": [worker(number, state) for number, state in enumerate(states, 1)],
        "replication": replication,
        "jobs": [],
    }


def owing(chunks: int, **changes: Any) -> dict[str, Any]:
    copies = {"under_replicated_by_copies": {"2": chunks}, "repair_seconds_left": 40.2}
    return {"under_replicated_chunks": chunks, "owed_replicas": chunks, **copies, **changes}


@pytest.mark.parametrize(
    ("seen", "level", "text"),
    [
        (cluster(), GOOD, "Everything is stored three times"),
        (cluster(replication_factor=1), GOOD, "Everything is stored once"),
        (cluster(replication_factor=2), GOOD, "Everything is stored twice"),
        (cluster(replication_factor=7), GOOD, "Everything is stored 7 times"),
        (cluster(**owing(213)), BUSY, "213 chunks are being copied again, about 40 s left"),
        (cluster(**owing(1, repair_seconds_left=None)), BUSY, "1 chunk is being copied again"),
        (
            cluster(**owing(2, repair_seconds_left=None, repair_blocked="no other worker has room: worker_4")),
            WARN,
            "2 chunks have too few copies, and none can be made now: no other worker has room: worker_4",
        ),
        (
            cluster(**owing(2, under_replicated_by_copies={"0": 1, "2": 1})),
            BAD,
            "1 chunk has no copy left: fsck names the files",
        ),
        (
            cluster(("alive", "suspect", "dead", "dead"), is_held_back=True),
            BAD,
            "Held back: most workers are silent, which looks like the network; nothing is copied or freed",
        ),
        (
            cluster(("alive", "suspect", "alive", "alive")),
            WARN,
            "worker_2 is silent: if that lasts, its chunks are copied again elsewhere",
        ),
        (
            cluster(("suspect", "dead", *ALIVE)),
            WARN,
            "worker_1 and worker_2 are silent: if that lasts, their chunks are copied again elsewhere",
        ),
        (cluster(("lost", *ALIVE)), WARN, "worker_1 is gone: what it held was made again on the others"),
        (cluster(("maintenance", *ALIVE)), BUSY, "worker_1 was stopped on purpose: its return is waited for"),
        (cluster(("never", *ALIVE)), WARN, "worker_1 has never reported"),
        (cluster(("never", "never")), WARN, "No worker has reported yet: nothing can be stored until some do"),
        (cluster(()), WARN, "No worker has reported yet: nothing can be stored until some do"),
        (cluster(leader=None), WARN, "No master leads just now: nothing is repaired or freed until one does"),
        (
            {"problem": "no master answers"},
            BAD,
            "No master answers: nothing can be listed, stored or read until one does. What is stored stays",
        ),
        ({"problem": "the database"}, BAD, "The masters cannot say how the cluster fares: the database"),
    ],
)
def test_the_most_pressing_comes_first(seen: dict[str, Any], level: str, text: str) -> None:
    summary = summarise(seen)
    assert (summary["level"], summary["text"]) == (level, text)


def test_what_else_there_is_to_know_follows_in_the_order_of_its_weight() -> None:
    seen = cluster(("lost", "maintenance", *ALIVE), **owing(5))
    seen["masters"][2]["state"] = "dead"
    seen["workers"][3]["drain"] = {"blocked": "no other worker has room: worker_9"}
    seen["jobs"] = [
        {"name": "trim", "state": "failed", "last_error": "the database"},
        {"name": "drain", "state": "idle"},
    ]
    assert summarise(seen) == {
        "level": WARN,
        "text": "master_3 does not answer: the other masters do the work",
        "notes": [
            "worker_4 cannot be emptied now: no other worker has room: worker_9",
            "The job trim failed, and is tried again: the database",
            "5 chunks are being copied again, about 40 s left",
            "worker_1 is gone: what it held is being made again on the others",
            "worker_2 was stopped on purpose: its return is waited for",
        ],
    }


def test_it_is_good_news_too_that_nothing_is_owed_although_a_worker_is_gone() -> None:
    assert summarise(cluster(("lost", *ALIVE)))["notes"] == ["Everything is stored three times"]
    assert summarise(cluster(("dead", *ALIVE)))["notes"] == []


def test_an_empty_cluster_is_well() -> None:
    seen = cluster()
    for one in seen["workers"]:
        one["chunk_count"] = 0
    assert summarise(seen) == {"level": GOOD, "text": "All is well: nothing is stored yet", "notes": []}


def test_many_names_are_cut_short() -> None:
    assert summarise(cluster(("dead",) * 5 + ALIVE * 2))["text"].startswith(
        "worker_1, worker_2, worker_3 and 2 more are"
    )


def test_every_level_is_known() -> None:
    assert LEVELS == (GOOD, BUSY, WARN, BAD)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (59.4, "59 s"),
        (59.5, "1 min 0 s"),
        (200, "3 min 20 s"),
        (7500, "2 h 5 min"),
        (172799, "47 h 59 min"),
        (172800, "2 days"),
    ],
)
def test_a_time_is_told_in_its_two_largest_units(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text


def test_numbers_are_told_with_their_noun() -> None:
    assert (count_text(1, "chunk"), count_text(12345, "chunk")) == ("1 chunk", "12,345 chunks")
