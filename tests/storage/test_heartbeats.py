"""A worker's heartbeats say how full it is, go to a master that answers, and go on whatever happens."""

from __future__ import annotations

import contextlib
import dataclasses
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from common.clock import SystemClock
from common.config import Node
from common.errors import DFSError, DiskFailed
from common.http import HttpPool
from common.master_client import MasterClient
from common.version import PROTOCOL, VERSION
from storage.chunk_file import file_size
from storage.chunk_store import ChunkStore
from storage.heartbeats import HeartbeatSender, Reported
from storage.reports import QUEUE_LENGTH, BadReplicaReports
from tests.support.chunks import make_chunk, open_store, put, read_data
from tests.support.logs import Events, recording_log
from tests.support.tiny_server import Exchange, after_failures, never_answering, refusing, serving
from tests.support.waiting import wait_until

NODE = Node("worker_7", "10.0.0.7", 5007, zone="rack-2")
INTERVAL = 0.02


@pytest.fixture
def store(root: Path) -> ChunkStore:
    return open_store(root, capacity_bytes=1_000_000)


def sender_to(
    store: ChunkStore, *urls: str, node: Node = NODE, interval_seconds: float = INTERVAL
) -> tuple[HeartbeatSender, Events]:
    log, events = recording_log()
    masters = MasterClient(HttpPool(), urls, SystemClock(), timeout_seconds=0.3, deadline_seconds=1.0)
    reports = BadReplicaReports(node.node_id, masters, store.find_held, log)
    reported = Reported(store, reports, lambda: {"state": "reading"}, begin_anew=store.recover)
    return HeartbeatSender(node, reported, masters, log, interval_seconds), events


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
    for number in (0, 1, 2):
        put(store, make_chunk(1000, number))
    store.put_aside([make_chunk(1000, 2).chunk_id])
    used = 3 * file_size(1000)
    with serving(answer_well) as master:
        sender_to(store, master.url)[0].send()
        (seen,) = master.requests
    assert (seen.method, seen.target) == ("POST", "/heartbeat/worker_7")
    said = seen.json()
    assert len(said.pop("incarnation")) == 16
    assert said == {
        "url": "http://10.0.0.7:5007",
        "zone": "rack-2",
        "capacity_bytes": 1_000_000,
        "used_bytes": used,
        "free_bytes": 1_000_000 - used,
        "chunk_count": 2,
        "version": VERSION,
        "protocol": PROTOCOL,
        "quarantined_count": 1,
        "wants_inventory": False,
        "scrub": {"state": "reading"},
    }


def test_each_start_of_a_worker_has_an_incarnation_of_its_own(store: ChunkStore) -> None:
    with serving(answer_well) as master:
        for _ in range(2):
            sender, _ = sender_to(store, master.url)
            sender.send()
            sender.send()
        first, again, second, _ = [seen.json()["incarnation"] for seen in master.requests]
    assert first == again != second


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
    with serving(after_failures(4)) as master:
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
    """Without its disk the worker has nothing to say, and must not seem alive; here a file is in the disk's place."""
    store = open_store(tmp_path / "data")
    with serving(answer_well) as master:
        sender, events = sender_to(store, master.url)
        (tmp_path / "data").rename(tmp_path / "away")
        (tmp_path / "data").write_bytes(b"")
        with running(sender):
            wait_until(lambda: "heartbeat_not_heard" in events.names, "the disk is missed")
            assert master.requests == []
            (tmp_path / "data").unlink()
            (tmp_path / "away").rename(tmp_path / "data")
            wait_until(lambda: len(master.requests) >= 2, "heartbeats have begun again")
    assert "heartbeat_failed" not in events.names


@pytest.mark.parametrize("emptied", ["", "chunks", "chunks/files"])
def test_an_emptied_disk_is_found_made_fit_again_and_told_by_another_incarnation(tmp_path: Path, emptied: str) -> None:
    """The whole data folder, the folder of the chunks, or every file in that one."""
    root = tmp_path / "data"
    store = open_store(root)
    put(store, make_chunk())
    with serving(answer_well) as master:
        sender, events = sender_to(store, master.url)
        sender.send()
        if emptied == "chunks/files":
            for path in (root / "chunks").rglob("*"):
                if path.is_file():
                    path.unlink()
        else:
            shutil.rmtree(root / emptied)
        sender.send()
        put(store, make_chunk(seed=1))
        sender.send()
        before, after, later = [seen.json() for seen in master.requests]
    assert before["incarnation"] != after["incarnation"] == later["incarnation"]
    assert [said["chunk_count"] for said in (before, after, later)] == [1, 0, 1]
    assert (after["used_bytes"], later["used_bytes"]) == (0, file_size(len(make_chunk().content)))
    assert events.names.count("disk_emptied") == 1
    assert read_data(store, make_chunk(seed=1)) == make_chunk(seed=1).content


def test_a_disk_that_could_not_be_made_fit_at_once_is_told_of_all_the_same(tmp_path: Path) -> None:
    """Somebody was still deleting, so the first try met files that were gone when it looked at them."""
    root = tmp_path / "data"
    store = open_store(root)
    put(store, make_chunk())
    failures = iter([True])

    def begin_anew() -> None:
        store.recover()
        if next(failures, False):
            raise DiskFailed("a file vanished")

    with serving(answer_well) as master:
        sender, _ = sender_to(store, master.url)
        sender.reported = dataclasses.replace(sender.reported, begin_anew=begin_anew)
        sender.send()
        shutil.rmtree(root / "chunks")
        with pytest.raises(DiskFailed):
            sender.send()
        sender.send()
        sender.send()
        before, after, later = [seen.json()["incarnation"] for seen in master.requests]
    assert before != after == later
    assert next(failures, None) is None


def test_a_folder_of_chunks_that_somebody_removed_is_made_again(tmp_path: Path) -> None:
    store = open_store(tmp_path / "data")
    put(store, make_chunk())
    folder = Path(store.path(make_chunk().chunk_id)).parent
    with serving(answer_well) as master:
        sender, _ = sender_to(store, master.url)
        sender.send()
        shutil.rmtree(folder)
        sender.send()
        before, after = [seen.json() for seen in master.requests]
    assert before["incarnation"] != after["incarnation"]
    assert after["chunk_count"] == 0
    put(store, make_chunk())
    assert read_data(store, make_chunk()) == make_chunk().content


def test_a_disk_whose_mount_is_lost_is_not_taken_for_an_empty_one(store: ChunkStore, monkeypatch: Any) -> None:
    """A test cannot mount: that the device is another one is told by the store itself."""
    with serving(answer_well) as master:
        sender, _ = sender_to(store, master.url)
        sender.send()
        monkeypatch.setattr(store._folders, "_device", -1)
        (store._folders.parent / "store_id").unlink()
        with pytest.raises(DiskFailed):
            sender.send()
        assert len(master.requests) == 1


def test_what_could_not_be_reported_is_asked_for_by_an_inventory_until_a_master_has_heard_it(
    store: ChunkStore,
) -> None:
    with serving(after_failures(2)) as master:
        sender, _ = sender_to(store, master.url)
        for number in range(QUEUE_LENGTH + 1):
            sender.reported.reports.add(make_chunk(1, number).chunk_id)
        for _ in range(2):
            with contextlib.suppress(DFSError):
                sender.send()
        sender.send()
        sender.send()
        assert [seen.json()["wants_inventory"] for seen in master.requests][-2:] == [True, False]
        assert all(seen.json()["wants_inventory"] for seen in master.requests[:-1])


def test_a_defect_in_one_heartbeat_does_not_end_them(store: ChunkStore) -> None:
    """A node without a name cannot be addressed, which no rule for failures foresees."""
    nameless = dataclasses.replace(NODE, node_id=None)  # type: ignore[arg-type]
    with serving(answer_well) as master:
        sender, events = sender_to(store, master.url, node=nameless)
        with running(sender):
            wait_until(lambda: events.names.count("heartbeat_failed") >= 3, "the third failed heartbeat is logged")


def test_a_stopped_sender_ends_at_once_however_long_its_interval(store: ChunkStore) -> None:
    with serving(answer_well) as master:
        before = set(threading.enumerate())
        sender, _ = sender_to(store, master.url, interval_seconds=3600.0)
        sender.start()
        (thread,) = {thread for thread in threading.enumerate() if thread.name == "heartbeats"} - before
        wait_until(lambda: master.requests, "the first heartbeat")
        sender.stop()
        wait_until(lambda: not thread.is_alive(), "the sender has ended")
        assert len(master.requests) == 1


def test_a_worker_that_leaves_says_goodbye_after_its_last_heartbeat(store: ChunkStore) -> None:
    with serving(answer_well) as master:
        sender, _ = sender_to(store, master.url)
        sender.start()
        wait_until(lambda: len(master.requests) >= 3, "heartbeats")
        sender.leave()
        sender.wait(20.0)
        targets = [seen.target for seen in master.requests]
    assert targets[-1] == "/workers/worker_7/goodbye"
    assert set(targets[:-1]) == {"/heartbeat/worker_7"}


def test_a_worker_leaves_also_when_no_master_hears_it(store: ChunkStore) -> None:
    with refusing() as url:
        sender, events = sender_to(store, url)
        sender.start()
        sender.leave()
        sender.wait(20.0)
    assert "goodbye_not_heard" in events.names
