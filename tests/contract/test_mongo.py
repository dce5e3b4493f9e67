"""What is MongoDB's own: answers that get lost, databases of an earlier release, levels that a server refuses."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pymongo
import pytest

from common.errors import MetadataUnavailable
from master_node.documents import chunk_to_document
from master_node.model import Chunk, JobRecord, Lease
from master_node.store import mongo_calls
from master_node.store.base import Holding, MetadataStore, Owed, ReadLevel
from master_node.store.mongo import MongoStore
from master_node.store.mongo_schema import BATCH_DOCUMENTS
from tests.contract.conftest import SERVER_VARIABLE
from tests.support.faulty_mongo import LosesAnswers, Refuses
from tests.support.metadata import (
    CHUNK_SIZE,
    hex_id,
    make_chunk,
    make_file,
    make_heartbeat,
    make_upload,
    next_chunk,
    next_revision,
)
from tests.support.mock_server import OneCommandAtATime
from tests.support.threads import run_together

V = hex_id("v")
CHUNKS = [make_chunk(V, index) for index in range(3)]


@pytest.fixture(params=["mongomock", "server"])
def database(request: pytest.FixtureRequest) -> Iterator[Any]:
    if request.param == "mongomock":
        yield OneCommandAtATime()
        return
    uri = os.environ.get(SERVER_VARIABLE)
    if not uri:
        pytest.skip(f"{SERVER_VARIABLE} is not set: it names the MongoDB-compatible server for this part of the suite")
    with pymongo.MongoClient(uri) as client:
        name = f"dfs_test_{secrets.token_hex(6)}"
        yield client[name]
        client.drop_database(name)


# --- lost answers ---

# A call whose answer is lost, and what it must return all the same.
CALLS: dict[str, tuple[Callable[[MetadataStore], object], object]] = {
    "insert_file": (lambda store: store.insert_file(make_file("new")), None),
    "replace_file": (lambda store: store.replace_file(next_revision(make_file("a"))), True),
    "delete_file": (lambda store: store.delete_file(make_file("a").file_id, 1), True),
    "insert_chunks": (lambda store: store.insert_chunks([make_chunk(V, 9)]), None),
    "replace_chunks": (lambda store: store.replace_chunks([next_chunk(chunk) for chunk in CHUNKS]), [True] * 3),
    "replace some chunks": (
        lambda store: store.replace_chunks([next_chunk(CHUNKS[0]), CHUNKS[1], make_chunk(V, 7, revision=2)]),
        [True, False, False],
    ),
    "delete_chunks": (lambda store: store.delete_chunks([CHUNKS[0], next_chunk(CHUNKS[1])]), [True, False]),
    "insert_upload": (lambda store: store.insert_upload(make_upload("new")), None),
    "replace_upload": (lambda store: store.replace_upload(replace(make_upload("u"), revision=2)), True),
    "delete_uploads": (lambda store: store.delete_uploads([V]), None),
    "change_worker": (lambda store: store.change_worker("worker_1", is_draining=True), True),
    "finish_inventory": (lambda store: store.finish_inventory("worker_1", 1), None),
    "forget_worker": (lambda store: store.forget_worker("worker_1"), None),
    "put_jobs": (lambda store: store.put_jobs([JobRecord("repair", {"state": "idle"})]), None),
    "first lease": (lambda store: store.swap_lease(None, Lease("master_1", 1, 0, 0.0)), True),
}


@pytest.mark.parametrize("call", CALLS)
def test_a_call_whose_answer_is_lost_returns_what_is_true_and_has_happened_once(database: Any, call: str) -> None:
    calmly, again = _filled(database), OneCommandAtATime()
    lossy = LosesAnswers(database)
    act, expected = CALLS[call]
    assert act(MongoStore(lossy)) == expected
    assert len(lossy.lost) == 1
    act(_filled(again))
    assert _contents(calmly) == _contents(MongoStore(again))


def _filled(database: Any) -> MongoStore:
    store = MongoStore(database)
    store.insert_file(make_file("a"))
    store.insert_chunks(CHUNKS)
    store.insert_upload(make_upload("u"))
    store.record_heartbeat("worker_1", make_heartbeat())
    return store


def _contents(store: MongoStore) -> list[object]:
    chunks, files = store.scan_chunks("", 100), store.scan_files("", "z", 100)
    upload = store.find_upload(make_upload("u").upload_id)
    return [chunks, files, upload, store.list_workers(), store.list_jobs(), store.read_lease()]


def test_a_lost_answer_is_true_also_when_others_have_gone_on_meanwhile(database: Any) -> None:
    """One was written and changed again, one had been changed before, one was written."""
    store = MongoStore(database)
    store.insert_chunks(CHUNKS)
    mine = [next_chunk(chunk, doubtful=("worker_2",)) for chunk in CHUNKS]
    before = next_chunk(CHUNKS[1], doubtful=("worker_3",))
    after = next_chunk(mine[0], doubtful=("worker_4",))
    assert store.replace_chunks([before]) == [True]
    lossy = LosesAnswers(database, meanwhile=lambda: store.replace_chunks([after]))
    assert MongoStore(lossy).replace_chunks(mine) == [True, False, True]
    assert store.list_chunks(V, 0, 10) == [after, before, mine[2]]


def test_a_start_whose_answer_is_lost_asks_for_one_inventory(database: Any) -> None:
    for number, incarnation in enumerate(("a", "b"), start=1):
        heartbeat = replace(make_heartbeat(), incarnation=incarnation)
        row = MongoStore(LosesAnswers(database)).record_heartbeat("worker_1", heartbeat)
        assert (row.inventory_wanted, row.heartbeat) == (number, heartbeat)


def test_a_record_remembers_few_changes(database: Any) -> None:
    store, chunk = MongoStore(database), CHUNKS[0]
    store.insert_chunks([chunk])
    for _ in range(20):
        chunk = next_chunk(chunk)
        assert store.replace_chunks([chunk]) == [True]
    assert len(database["chunks"].find_one({"_id": chunk.chunk_id})["change_ids"]) == 4


# --- databases of an earlier release ---


def _old_database(database: Any, chunks: list[Chunk]) -> None:
    """As the release before the revisions left it."""
    database["chunks"].create_index([("owed", 1)])
    for chunk in chunks:
        document = {"_id": chunk.chunk_id, **chunk_to_document(chunk)}
        del document["revision"]
        database["chunks"].insert_one(document)
    database["workers"].insert_one(
        {
            "_id": "worker_1",
            "worker_id": "worker_1",
            "heartbeat": {
                "url": "http://127.0.0.1:5001",
                "zone": "",
                "capacity_bytes": 1,
                "used_bytes": 0,
                "free_bytes": 1,
                "chunk_count": 0,
                "version": "old",
            },
            "heartbeat_count": 9,
        }
    )


def test_what_an_old_database_owes_is_found(database: Any) -> None:
    count = BATCH_DOCUMENTS * 2 + 1
    owing = [make_chunk(V, index, replicas=("worker_1", "worker_2")[: 1 + index % 2], owed=1) for index in range(count)]
    right = [make_chunk(hex_id("w"), index) for index in range(3)]
    _old_database(database, [*owing, *right])
    for store in run_together([lambda: _prepared(database) for _ in range(3)]):
        assert store.owed() == Owed(count, count, count * CHUNK_SIZE, {1: count // 2 + 1, 2: count // 2})
        assert store.find_owed(1, "", count) == owing[::2]
        assert store.find_owed(2, "", count) == owing[1::2]
        assert store.find_surplus("", 10) == []
        assert store.find_held("worker_2", Holding.REPLICA, "", count) == owing[1::2]
        assert store.list_chunks(hex_id("w"), 0, 10) == right
    assert "owed_1" not in database["chunks"].index_information()
    assert database["chunks"].find_one({"_id": right[0].chunk_id}).get("urgency") is None


def _prepared(database: Any) -> MongoStore:
    store = MongoStore(database)
    store.owed()
    return store


def test_a_record_without_a_revision_has_the_first(database: Any) -> None:
    _old_database(database, [make_chunk(V, 0, owed=2), make_chunk(V, 1), make_chunk(V, 2)])
    store = MongoStore(database)
    assert store.replace_chunks([make_chunk(V, index, revision=3) for index in (0, 1)]) == [False, False]
    changed = make_chunk(V, 0, replicas=("worker_1", "worker_2", "worker_3"), owed=0, revision=2)
    assert store.replace_chunks([changed]) == [True]
    assert store.replace_chunks([changed]) == [False]
    assert store.delete_chunks([make_chunk(V, 1, revision=2), make_chunk(V, 2)]) == [False, True]
    assert store.scan_chunks("", 10) == [changed, make_chunk(V, 1)]
    assert store.owed() == Owed(0, 0)


def test_a_worker_of_an_old_database_is_compared_with_the_records(database: Any) -> None:
    _old_database(database, [])
    store = MongoStore(database)
    assert not store.list_workers()[0].is_reconciled
    row = store.record_heartbeat("worker_1", make_heartbeat())
    assert (row.heartbeat_count, row.inventory_wanted, row.inventory_done) == (10, 1, 0)
    store.finish_inventory("worker_1", 1)
    assert store.record_heartbeat("worker_1", make_heartbeat()).is_reconciled


# --- levels of reading ---

LINEARIZABLE, PRIMARY = ("linearizable", "primary"), ("majority", "primary")
NEAREST, DEFAULT = ("local", "secondaryPreferred"), ("default", "default")
ONE: Callable[[MetadataStore], object] = lambda store: store.find_file_by_key("a/a")  # noqa: E731
MANY: Callable[[MetadataStore], object] = lambda store: store.scan_files("a/", "a0", 10)  # noqa: E731
OFFERED = [
    (ReadLevel.LINEARIZABLE, ONE, LINEARIZABLE),
    (ReadLevel.LINEARIZABLE, MANY, PRIMARY),
    (ReadLevel.MAJORITY, ONE, DEFAULT),
    (ReadLevel.MAJORITY, MANY, DEFAULT),
    (ReadLevel.EVENTUAL, ONE, NEAREST),
    (ReadLevel.EVENTUAL, MANY, NEAREST),
]


@pytest.mark.parametrize(("level", "read", "expected"), OFFERED)
def test_a_level_is_asked_for_where_the_server_offers_it(
    level: ReadLevel, read: Callable[[MetadataStore], object], expected: tuple[str, str]
) -> None:
    server = Refuses(OneCommandAtATime(), (), 0)
    read(MongoStore(server).reading(level))
    assert server.asked == [expected]


@pytest.mark.parametrize(
    ("level", "first", "then"),
    [(ReadLevel.LINEARIZABLE, LINEARIZABLE, PRIMARY), (ReadLevel.EVENTUAL, NEAREST, DEFAULT)],
)
def test_a_refused_level_is_replaced_by_the_next_stronger_and_not_asked_for_again(
    level: ReadLevel, first: tuple[str, str], then: tuple[str, str]
) -> None:
    server = Refuses(OneCommandAtATime(), ("linearizable", "local"), 123)
    store = MongoStore(server)
    store.insert_file(make_file("a"))
    server.asked.clear()
    for _ in range(3):
        assert store.reading(level).find_file_by_key("a/a") == make_file("a")
    assert server.asked == [first, then, then, then]


def test_a_read_that_fails_for_another_reason_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """A level must never be lowered by a passing fault."""
    monkeypatch.setattr(mongo_calls, "GIVE_UP_SECONDS", 0.1)
    server = Refuses(OneCommandAtATime(), ("linearizable",), 50)
    store = MongoStore(server).reading(ReadLevel.LINEARIZABLE)
    with pytest.raises(MetadataUnavailable):
        store.find_file(V)
    server.levels = ()
    store.find_file(V)
    assert server.asked == [LINEARIZABLE, LINEARIZABLE]
