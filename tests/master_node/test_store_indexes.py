"""Every query of a metadata store goes by an index, however many files there are."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import mongomock
import pytest

from master_node.store.mongo import MongoStore
from master_node.store.sqlite import SqliteStore
from tests.contract.test_failures import READS, WRITES
from tests.support.metadata import make_file

# Rows all of which are wanted: a handful, or the index that holds only what is owed.
ALLOWED_SCANS = {
    "list_workers": ["SCAN workers USING INDEX sqlite_autoindex_workers_1"],
    "list_jobs": ["SCAN jobs USING INDEX sqlite_autoindex_jobs_1"],
    "owed": ["SCAN chunks USING COVERING INDEX chunks_owed"],
}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    store = SqliteStore(tmp_path / "m.sqlite3")
    store.insert_file(make_file("a"))
    store.find_file("makes this thread's connection")
    yield store
    store.close()


@pytest.mark.parametrize("name", [*READS, *WRITES])
def test_no_statement_of_sqlite_scans_or_sorts(store: SqliteStore, name: str) -> None:
    seen: list[str] = []
    connections = (store._local.connection, store._commits._connection)
    for connection in connections:
        connection.set_trace_callback(seen.append)
    {**READS, **WRITES}[name](store)
    for connection in connections:
        connection.set_trace_callback(None)
    statements = [text for text in seen if text.startswith(("SELECT", "INSERT", "UPDATE", "DELETE"))]
    assert statements
    plan = [step for text in statements for step in steps(store._local.connection, text)]
    assert [step for step in plan if not step.startswith("SEARCH")] == ALLOWED_SCANS.get(name, [])


def test_no_trigger_of_sqlite_scans_or_sorts(store: SqliteStore) -> None:
    connection = store._commits._connection
    triggers = connection.execute("SELECT sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
    assert len(triggers) == 6
    for (trigger,) in triggers:
        body = re.sub(r"\b(OLD|NEW)\.\w+", "'[]'", trigger.partition("BEGIN")[2].rpartition("END")[0])
        for statement in body.split(";")[:-1]:
            plan = [step for step in steps(connection, statement) if "json_each" not in step and "SUBQUERY" not in step]
            assert [step for step in plan if step.startswith("SCAN")] == [], statement
            if "DELETE" in statement:
                key = "(worker_id=? AND kind=? AND version_id=? AND chunk_index=?)"
                assert plan[0] == f"SEARCH holdings USING PRIMARY KEY {key}"


def test_the_check_sees_a_scan(store: SqliteStore) -> None:
    assert steps(store._local.connection, "SELECT * FROM files WHERE revision = 1") == ["SCAN files"]


def test_mongodb_has_an_index_for_every_condition_and_order() -> None:
    """Beside `_id`: what MongoStore's conditions and sorts name, in that order."""
    database = mongomock.MongoClient()["dfs"]
    MongoStore(database).find_file("makes the indexes")
    indexes = {
        name: sorted([field for field, _ in index["key"]] for index in database[name].index_information().values())
        for name in ("files", "chunks", "uploads")
    }
    assert indexes == {
        "files": [["_id"], ["due_at"], ["key"]],
        "chunks": [["_id"], ["doubtful", "_id"], ["replicas", "_id"], ["urgency", "_id"]],
        "uploads": [["_id"], ["state", "last_activity_at"]],
    }


def steps(connection: sqlite3.Connection, statement: str) -> list[str]:
    return [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}")]
