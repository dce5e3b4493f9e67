"""Clusters over databases of different sizes, measured side by side through their gateways."""

from __future__ import annotations

import random
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import pymongo

from benchmarks.homes import Ports, make_home, resident_bytes
from benchmarks.operations import Client
from benchmarks.populate import fill_mongo, fill_sqlite
from common.config import Config
from common.environment import environment_without_settings
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


def sqlite_database(folder: Path, ports: Ports, size: int) -> Database:
    config = make_home(folder / f"sqlite_{size}", ports)
    started = time.monotonic()
    fill_sqlite(config.sqlite_path(), size)
    return Database(size, config, time.monotonic() - started, lambda: None)


def mongo_database(folder: Path, ports: Ports, size: int, uri: str) -> Database:
    """In a new database of the server at `uri`, which is dropped at the end."""
    name = f"dfs_scale_{size}_{secrets.token_hex(4)}"
    config = make_home(folder / f"mongodb_{size}", ports, variables={"MONGO_URI": uri, "MONGO_DATABASE": name})

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


def measure_round(databases: Sequence[Database], turns: int) -> dict[int, Round]:
    """Start a cluster over every database, let them take turns, stop them; returns the figures by size.

    All run at once and are asked one after the other, so that whatever else the machine does meets all sizes alike.
    """
    with ExitStack() as running:
        clusters = {one.size: running.enter_context(_running(one.config)) for one in databases}
        clients = {one.size: running.enter_context(closing(Client(one.config, one.size))) for one in databases}
        for database in databases:
            _read_into_cache(database.config.sqlite_path())
            clients[database.size].warm_up()
        taken: dict[int, list[dict[str, float]]] = {size: [] for size in clients}
        for _ in range(turns):
            for size in random.sample(list(clients), len(clients)):
                taken[size].append(clients[size].take_turn())
        return {size: _round(clients[size], clusters[size], taken[size]) for size in clients}


def _round(client: Client, cluster: Cluster, taken: Sequence[Mapping[str, float]]) -> Round:
    client.exercise_masters()
    return Round(
        milliseconds={name: 1000 * median(turn[name] for turn in taken) for name in taken[0]},
        resident_bytes={
            node.node_id: resident_bytes(node.process.pid)
            for node in cluster.nodes
            if node.node_id not in cluster.config.workers
        },
    )


def _read_into_cache(path: Path) -> None:
    """As on a host that has served for a while: the system may have dropped a new file's pages, at random."""
    if path.exists():
        with open(path, "rb", buffering=0) as file:
            while file.read(_READ_PIECE):
                pass


@contextmanager
def _running(config: Config) -> Iterator[Cluster]:
    cluster = Cluster(config, environment_without_settings())
    try:
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


def _client(uri: str) -> pymongo.MongoClient[dict[str, Any]]:
    return pymongo.MongoClient(uri)
