"""Scenarios of a database that does not answer, or too late: fault 14."""

from __future__ import annotations

import contextlib
import os
import secrets
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pymongo

from tests.chaos.proxy import Flow, Proxy
from tests.chaos.running import Lane, Run, Scenario, Settings
from tests.support.cluster import TestCluster

SERVER_VARIABLE = "DFS_TEST_MONGO_URI"


class LockDatabase:
    """Another process holds the database's write lock."""

    name = "the database locked"

    def __init__(self, cluster: TestCluster) -> None:
        self._path = cluster.config.sqlite_path()
        self._connection: sqlite3.Connection | None = None

    def strike(self) -> str:
        self._connection = sqlite3.connect(self._path, timeout=30, isolation_level=None)
        self._connection.execute("BEGIN EXCLUSIVE")
        return "locked the database"

    def heal(self) -> None:
        assert self._connection is not None
        self._connection.execute("ROLLBACK")
        self._connection.close()


class BreakDatabase:
    """The way between the masters and the database is cut, silent, or gives its answers too late."""

    def __init__(self, proxy: Proxy, flow: Flow) -> None:
        self.name = f"the database: {flow.value}"
        self._proxy = proxy
        self._flow = flow

    def strike(self) -> str:
        self._proxy.set_flow(self._flow)
        return self.name

    def heal(self) -> None:
        self._proxy.set_flow(Flow.OPEN)


def lock_database(run: Run) -> None:
    """Writes wait or are refused; nothing is lost, and nobody is found dead because nobody could look."""
    _disturb(run, [LockDatabase(run.cluster)])


def break_database(run: Run) -> None:
    cluster = run.cluster
    assert isinstance(cluster, MongoCluster)
    _disturb(run, [BreakDatabase(cluster.proxy, flow) for flow in (Flow.CUT, Flow.SILENT, Flow.LATE)])


def _disturb(run: Run, faults: list[LockDatabase] | list[BreakDatabase]) -> None:
    hold = (3.0, 6.0) if run.is_quick else (20.0, 60.0)
    with run.load():
        run.drive([Lane(faults, hold=hold, calm=(2.0, 4.0) if run.is_quick else (5.0, 10.0))])


class MongoCluster(TestCluster):
    """A cluster on a database of its own, on the server that the tests are given, behind a proxy."""

    __test__ = False

    def __init__(self, home: Path, settings: Settings, proxy: Proxy, database: str) -> None:
        self.proxy = proxy
        variables = {"MONGO_URI": proxy.uri, "MONGO_DATABASE": database}
        super().__init__(home, settings=settings, variables=variables)


@contextlib.contextmanager
def mongo_cluster(home: Path, settings: Settings) -> Iterator[TestCluster]:
    uri = os.environ[SERVER_VARIABLE]
    address = urlsplit(uri)
    database = f"dfs_chaos_{secrets.token_hex(6)}"
    proxy = Proxy((address.hostname or "127.0.0.1", address.port or 27017))
    with contextlib.closing(proxy):
        yield MongoCluster(home, settings, proxy, database)
    with pymongo.MongoClient[dict[str, object]](uri) as client:
        client.drop_database(database)


def _no_server() -> str:
    return "" if os.environ.get(SERVER_VARIABLE) else f"{SERVER_VARIABLE} does not name a MongoDB-compatible server"


DATABASE_SCENARIOS = (
    Scenario("database", "14", "the embedded database is locked for up to a minute", lock_database, seconds=150.0),
    Scenario(
        "mongodb",
        "14",
        "MongoDB is cut off, silent, or answers after the deadline",
        break_database,
        seconds=240.0,
        build=mongo_cluster,
        cannot_run=_no_server,
    ),
)
