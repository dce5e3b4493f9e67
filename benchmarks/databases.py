"""Clusters over databases of different sizes: made once, started in turn, measured through the gateway."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import pymongo

from benchmarks.homes import make_home, only_own_settings, resident_bytes
from benchmarks.operations import Client
from benchmarks.populate import fill_mongo, fill_sqlite
from common.config import Config
from common.launcher import Cluster, kill_node
from master_node.store.mongo import open_mongo_store

READY_SECONDS = 60.0
_READ_PIECE = 1024 * 1024


@dataclass(frozen=True)
class Database:
    """A filled database with the configuration of a cluster over it. `remove`: what the scratch folder does not."""

    size: int
    config: Config
    fill_seconds: float
    remove: Callable[[], None]


@dataclass(frozen=True)
class Round:
    """One measurement at one size: the median of every operation, and what masters and gateway have resident then."""

    milliseconds: dict[str, float]
    resident_bytes: dict[str, int]


def sqlite_database(folder: Path, size: int) -> Database:
    config = make_home(folder / f"sqlite_{size}")
    started = time.monotonic()
    fill_sqlite(config.sqlite_path(), size)
    return Database(size, config, time.monotonic() - started, lambda: None)


def mongo_database(folder: Path, size: int, uri: str) -> Database:
    """In a new database of the server at `uri`, which is dropped at the end."""
    name = f"dfs_scale_{size}_{secrets.token_hex(4)}"
    config = make_home(folder / f"mongodb_{size}", variables={"MONGO_URI": uri, "MONGO_DATABASE": name})

    def drop() -> None:
        with closing(_client(uri)) as dropping:
            dropping.drop_database(name)

    started = time.monotonic()
    store = open_mongo_store(uri, name)
    try:
        with closing(_client(uri)) as client:
            fill_mongo(store, client[name], size)
    except BaseException:
        drop()
        raise
    finally:
        store.close()
    return Database(size, config, time.monotonic() - started, drop)


def _client(uri: str) -> pymongo.MongoClient[dict[str, Any]]:
    return pymongo.MongoClient(uri)


def measure_round(database: Database, turns: int) -> Round:
    """Start the cluster, do every operation `turns` times, stop it."""
    _read_into_cache(database.config.sqlite_path())
    with _running(database.config) as cluster:
        client = Client(database.config, database.size)
        try:
            seconds = client.measure(turns)
            client.exercise_masters()
        finally:
            client.close()
        resident = {
            node.node_id: resident_bytes(node.process.pid)
            for node in cluster.nodes
            if node.node_id not in database.config.workers
        }
    return Round({name: 1000 * median(values) for name, values in seconds.items()}, resident)


def _read_into_cache(path: Path) -> None:
    """As on a host that has served for a while: the system may have dropped a new file's pages, at random."""
    if path.exists():
        with open(path, "rb", buffering=0) as file:
            while file.read(_READ_PIECE):
                pass


@contextmanager
def _running(config: Config) -> Iterator[Cluster]:
    cluster = Cluster(config)
    try:
        with only_own_settings():
            cluster.start()
        cluster.wait_until_ready(READY_SECONDS)
        yield cluster
        cluster.require_all_running()
    finally:
        try:
            cluster.stop()
        finally:
            for node in cluster.nodes:
                if node.process.poll() is None:
                    kill_node(node)
