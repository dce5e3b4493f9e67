"""A worker's heartbeats say how full it is, go to a master that answers, and go on whatever happens."""

from __future__ import annotations

import contextlib
import dataclasses
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from common.clock import SystemClock
from common.config import Node
from common.http import HttpPool
from common.master_client import MasterClient
from common.version import VERSION
from storage.chunk_file import file_size
from storage.chunk_store import ChunkStore
from storage.heartbeats import HeartbeatSender
from tests.support.chunks import make_chunk, open_store, put
from tests.support.logs import Events, recording_log
from tests.support.tiny_server import Exchange, never_answering, refusing, serving
from tests.support.waiting import wait_until

NODE = Node("worker_7", "10.0.0.7", 5007, zone="rack-2")
INTERVAL = 0.02


@pytest.fixture
def store(root: Path) -> ChunkStore:
    return open_store(root, capacity_bytes=1_000_000)


def sender_to(store: ChunkStore, *urls: str) -> tuple[HeartbeatSender, Events]:
    log, events = recording_log()
    masters = MasterClient(HttpPool({}), urls, SystemClock(), timeout_seconds=0.3, deadline_seconds=1.0)
    return HeartbeatSender(NODE, store, masters, log, INTERVAL), events


@contextlib.contextmanager
def running(sender: HeartbeatSender) -> Iterator[None]:
    sender.start()
    try:
        yield
    finally:
        sender.stop()


def answer_well(exchange: Exchange) -> None:
    exchange.send_json({})


def test_a_heartbeat_says_who_and_where_the_worker_is_and_how_full(store: ChunkStore) -> None:
    put(store, make_chunk(1000))
    put(store, make_chunk(70_000, 1))
    used = file_size(1000) + file_size(70_000)
    with serving(answer_well) as master:
        sender_to(store, master.url)[0].send()
        (seen,) = master.requests
    assert (seen.method, seen.target) == ("POST", "/heartbeat/worker_7")
    assert seen.json() == {
        "url": "http://10.0.0.7:5007",
        "zone": "rack-2",
        "capacity_bytes": 1_000_000,
        "used_bytes": used,
        "free_bytes": 1_000_000 - used,
        "chunk_count": 2,
        "version": VERSION,
        "incarnation": "",
        "quarantined_count": 0,
        "wants_inventory": False,
        "scrub": {},
    }


def test_each_heartbeat_tells_the_state_at_its_own_time(store: ChunkStore) -> None:
    with serving(answer_well) as master:
        sender = sender_to(store, master.url)[0]
        sender.send()
        put(store, make_chunk())
        sender.send()
        store.delete([make_chunk().chunk_id])
        sender.send()
        assert [seen.json()["chunk_count"] for seen in master.requests] == [0, 1, 0]


def test_heartbeats_go_to_whichever_master_answers(store: ChunkStore) -> None:
    with refusing() as dead, never_answering() as silent, serving(answer_well) as third:
        sender, _ = sender_to(store, dead, silent, third.url)
        with running(sender):
            wait_until(lambda: len(third.requests) >= 3, "the third master has heard three heartbeats")


def test_heartbeats_go_on_after_failures_and_the_log_says_so_once_each(store: ChunkStore) -> None:
    """Four beats reach a master that refuses them; two lines of log, not one for each."""
    refused = iter(range(4))

    def answer(exchange: Exchange) -> None:
        if next(refused, None) is None:
            exchange.send_json({})
        else:
            exchange.send(b"broken", 500)

    with serving(answer) as master:
        sender, events = sender_to(store, master.url)
        with running(sender):
            wait_until(lambda: len(master.requests) >= 8, "heartbeats go on")
    assert events.names == ["heartbeat_not_heard", "heartbeat_heard_again"]


def test_heartbeats_go_on_when_the_master_comes_back(store: ChunkStore) -> None:
    is_back = False

    def answer(exchange: Exchange) -> None:
        if is_back:
            exchange.send_json({})
        else:
            exchange.hang_up()

    with serving(answer) as master:
        sender, events = sender_to(store, master.url)
        with running(sender):
            wait_until(lambda: "heartbeat_not_heard" in events.names, "the master is missed")
            is_back = True
            wait_until(lambda: "heartbeat_heard_again" in events.names, "the master is heard again")


def test_heartbeats_go_on_when_the_disk_comes_back(tmp_path: Path) -> None:
    """As after a lost mount: without its disk the worker has nothing to say, and must not seem alive."""
    store = open_store(tmp_path / "data")
    with serving(answer_well) as master:
        sender, events = sender_to(store, master.url)
        (tmp_path / "data").rename(tmp_path / "away")
        with running(sender):
            wait_until(lambda: "heartbeat_not_heard" in events.names, "the disk is missed")
            assert master.requests == []
            (tmp_path / "away").rename(tmp_path / "data")
            wait_until(lambda: len(master.requests) >= 2, "heartbeats have begun again")
    assert "heartbeat_failed" not in events.names


def test_a_defect_in_one_heartbeat_does_not_end_them(store: ChunkStore) -> None:
    """A node without a name cannot be addressed, which no rule for failures foresees."""
    log, events = recording_log()
    with serving(answer_well) as master:
        masters = MasterClient(HttpPool({}), [master.url], SystemClock(), timeout_seconds=5.0, deadline_seconds=5.0)
        nameless = dataclasses.replace(NODE, node_id=None)  # type: ignore[arg-type]
        sender = HeartbeatSender(nameless, store, masters, log, INTERVAL)
        with running(sender):
            wait_until(lambda: events.names.count("heartbeat_failed") >= 3, "the third failed heartbeat is logged")


def test_a_stopped_sender_ends_at_once_however_long_its_interval(store: ChunkStore) -> None:
    log, _ = recording_log()
    with serving(answer_well) as master:
        masters = MasterClient(HttpPool({}), [master.url], SystemClock(), timeout_seconds=5.0, deadline_seconds=5.0)
        before = set(threading.enumerate())
        sender = HeartbeatSender(NODE, store, masters, log, interval_seconds=3600.0)
        sender.start()
        (thread,) = {thread for thread in threading.enumerate() if thread.name == "heartbeats"} - before
        wait_until(lambda: master.requests, "the first heartbeat")
        sender.stop()
        wait_until(lambda: not thread.is_alive(), "the sender has ended")
        assert len(master.requests) == 1
