"""What a worker finds lost reaches the masters, however long they are away, and only while it is still lost."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from common.clock import SystemClock
from common.errors import DFSError, DiskFailed
from common.http import HttpPool
from common.master_client import MasterClient
from storage.reports import QUEUE_LENGTH, BadReplicaReports
from tests.support.chunks import chunk_files, make_chunk, put
from tests.support.logs import recording_log
from tests.support.tiny_server import Exchange, TinyServer, after_failures, refusing, serving
from tests.support.waiting import wait_until
from tests.support.worker import InProcessWorker, make_worker


def answer_well(exchange: Exchange) -> None:
    exchange.send_json({})


@pytest.fixture
def master() -> Iterator[TinyServer]:
    with serving(answer_well) as server:
        yield server


@pytest.fixture
def worker(root: Path, master: TinyServer) -> InProcessWorker:
    return make_worker(root, master.url)


def damage(worker: InProcessWorker, position: int) -> None:
    (file,) = chunk_files(worker.root)
    content = bytearray(file.read_bytes())
    content[position] ^= 1
    file.write_bytes(content)


@pytest.mark.parametrize(("method", "suffix"), [("GET", ""), ("HEAD", ""), ("POST", "/verify")])
def test_a_chunk_that_is_asked_for_and_not_here_is_reported(
    worker: InProcessWorker, master: TinyServer, method: str, suffix: str
) -> None:
    chunk_id = make_chunk().chunk_id
    for _ in range(2):
        assert worker.ask(method, f"/chunks/{chunk_id}{suffix}").status_code == 404
    worker.reports.send()
    (seen,) = master.requests
    assert (seen.method, seen.target) == ("POST", "/workers/worker_1/bad_replicas")
    assert seen.json() == {"chunk_ids": [chunk_id]}
    worker.reports.send()
    assert len(master.requests) == 1


@pytest.mark.parametrize(
    ("position", "method", "suffix"), [(0, "POST", "/verify"), (-1, "GET", ""), (-1, "POST", "/verify")]
)
def test_a_damaged_chunk_is_reported(
    worker: InProcessWorker, master: TinyServer, position: int, method: str, suffix: str
) -> None:
    chunk = make_chunk()
    worker.put(chunk)
    damage(worker, position)
    worker.ask(method, f"/chunks/{chunk.chunk_id}{suffix}")
    worker.reports.send()
    assert [seen.json() for seen in master.requests] == [{"chunk_ids": [chunk.chunk_id]}]


def test_a_chunk_that_is_here_again_is_not_reported(worker: InProcessWorker, master: TinyServer) -> None:
    gone, back = make_chunk(100, 1), make_chunk(100, 2)
    for chunk in (gone, back):
        worker.ask("GET", f"/chunks/{chunk.chunk_id}")
    put(worker.store, back)
    worker.reports.send()
    assert [seen.json() for seen in master.requests] == [{"chunk_ids": [gone.chunk_id]}]
    assert worker.reports.waiting == ()


def test_a_report_waits_until_a_master_has_taken_it(root: Path) -> None:
    with refusing() as url:
        worker = make_worker(root, url)
        worker.ask("GET", f"/chunks/{make_chunk().chunk_id}")
        with pytest.raises(DFSError):
            worker.reports.send()
        assert worker.reports.waiting == (make_chunk().chunk_id,)


def test_nothing_is_reported_of_a_disk_that_is_not_the_one_of_the_start(tmp_path: Path, master: TinyServer) -> None:
    worker = make_worker(tmp_path, master.url)
    worker.ask("GET", f"/chunks/{make_chunk().chunk_id}")
    shutil.rmtree(tmp_path / "chunks")
    with pytest.raises(DiskFailed):
        worker.reports.send()
    assert master.requests == []
    worker.store.recover()
    worker.reports.send()
    assert len(master.requests) == 1


def test_the_queue_is_bounded_and_what_did_not_fit_asks_for_an_inventory(worker: InProcessWorker) -> None:
    reports = worker.reports
    for number in range(QUEUE_LENGTH):
        reports.add(make_chunk(1, number).chunk_id)
    reports.add(make_chunk(1, 0).chunk_id)
    assert not reports.wants_inventory
    reports.add(make_chunk(1, QUEUE_LENGTH).chunk_id)
    assert len(reports.waiting) == QUEUE_LENGTH
    assert reports.wants_inventory
    told = reports.overflows
    reports.add(make_chunk(1, QUEUE_LENGTH + 1).chunk_id)
    reports.inventory_asked_for(told)
    assert reports.wants_inventory, "what came after that heartbeat is not covered by it"
    reports.inventory_asked_for(reports.overflows)
    assert not reports.wants_inventory


def test_the_thread_reports_by_itself_and_tries_again(root: Path) -> None:
    with serving(after_failures(3)) as master:
        log, events = recording_log()
        masters = MasterClient(HttpPool(), [master.url], SystemClock(), timeout_seconds=0.2, deadline_seconds=0.2)
        store = make_worker(root).store
        reports = BadReplicaReports("worker_1", masters, store.find_held, log, first_pause_seconds=0.01)
        with contextlib.ExitStack() as stack:
            reports.start()
            stack.callback(reports.stop)
            for number in (1, 2):
                reports.add(make_chunk(1, number).chunk_id)
                wait_until(lambda: not reports.waiting, "a master has taken it")
    assert "bad_replicas_reported" in events.names
