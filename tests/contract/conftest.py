"""The backends of the contract suite: every test of it runs on every backend, none can opt out."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pymongo
import pytest
from mongomock.collection import BulkOperationBuilder

from master_node.store.base import MetadataStore
from master_node.store.mongo import MongoStore, open_mongo_store
from master_node.store.sqlite import SqliteStore
from tests.support.mock_server import OneCommandAtATime

SERVER_VARIABLE = "DFS_TEST_MONGO_URI"
Connect = Callable[[], MetadataStore]


@pytest.fixture(params=["sqlite", "mongomock", "server"])
def connect(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Connect]:
    """Opens a store on this test's own empty database, as each master does; all are closed afterwards."""
    opened: list[MetadataStore] = []
    open_one, clean_up = _BACKENDS[request.param](tmp_path)

    def connect_once() -> MetadataStore:
        opened.append(open_one())
        return opened[-1]

    yield connect_once
    for store in opened:
        store.close()
    clean_up()


@pytest.fixture
def store(connect: Connect) -> MetadataStore:
    return connect()


@pytest.fixture(autouse=True)
def _bulk_writes_in_mongomock(monkeypatch: pytest.MonkeyPatch) -> None:
    """mongomock 4.3 does not know the argument `sort`, which pymongo from 4.11 on hands to it, always None here."""

    def unsorted(write: Callable[..., None]) -> Callable[..., None]:
        def write_unsorted(self: BulkOperationBuilder, *values: Any, sort: None = None, **options: Any) -> None:
            write(self, *values, **options)

        return write_unsorted

    for name in ("add_replace", "add_update"):
        monkeypatch.setattr(BulkOperationBuilder, name, unsorted(getattr(BulkOperationBuilder, name)))


def _sqlite(folder: Path) -> tuple[Connect, Callable[[], None]]:
    return lambda: SqliteStore(folder / "databases" / "metadata.sqlite3"), lambda: None


def _mongomock(_: Path) -> tuple[Connect, Callable[[], None]]:
    # An in-memory stand-in: all stores of a test share it, as masters share a server.
    database = OneCommandAtATime()
    return lambda: MongoStore(database), lambda: None


def _server(_: Path) -> tuple[Connect, Callable[[], None]]:
    uri = os.environ.get(SERVER_VARIABLE)
    if not uri:
        pytest.skip(f"{SERVER_VARIABLE} is not set: it names the MongoDB-compatible server for this part of the suite")
    name = f"dfs_test_{secrets.token_hex(6)}"

    def drop() -> None:
        with pymongo.MongoClient(uri) as client:
            client.drop_database(name)

    return lambda: open_mongo_store(uri, name), drop


_BACKENDS: dict[str, Callable[[Path], tuple[Connect, Callable[[], None]]]] = {
    "sqlite": _sqlite,
    "mongomock": _mongomock,
    "server": _server,
}
