"""A worker tells what lies on its disk, page by page, and puts aside what the leader does not know."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from common.auth import ClusterSecret
from common.errors import DiskFailed, InvalidRequest, StaleEpoch
from common.http import HttpPool
from common.worker_client import INVENTORY_FOLDERS, MAX_INVENTORY_PAGE, WorkerClient
from tests.support.chunks import Chunk, chunk_files, make_chunk, put, quarantined_files
from tests.support.environment import SECRET
from tests.support.own_server import own_server
from tests.support.worker import InProcessWorker, make_worker


class Asked:
    """A worker behind a real server, with the client that masters use."""

    def __init__(self, worker: InProcessWorker, url: str) -> None:
        self.worker = worker
        self.url = url
        self.client = WorkerClient(HttpPool(ClusterSecret(SECRET)), timeout_seconds=10.0)

    def listed(self, folder: int, after: str = "", limit: int = 1000) -> list[str]:
        return [chunk.chunk_id for chunk in self.client.list_inventory(self.url, folder, after, limit)]


@pytest.fixture
def asked(root: Path) -> Iterator[Asked]:
    worker = make_worker(root)
    with own_server(worker.client.application) as server:
        yield Asked(worker, f"http://127.0.0.1:{server.address[1]}")


def chunks_of_one_folder(worker: InProcessWorker, count: int) -> tuple[int, list[str]]:
    """Stored chunks that share a folder, in the order of their ids, and its number."""
    folders: dict[str, list[Chunk]] = {}
    for number in range(10_000):
        chunk = make_chunk(1, number)
        alike = folders.setdefault(Path(worker.store.path(chunk.chunk_id)).parent.name, [])
        alike.append(chunk)
        if len(alike) == count:
            for each in reversed(alike):
                put(worker.store, each)
            return int(Path(worker.store.path(chunk.chunk_id)).parent.name, 16), sorted(c.chunk_id for c in alike)
    raise AssertionError("no folder has so many")


def test_every_chunk_is_listed_in_exactly_one_folder(asked: Asked) -> None:
    stored = [make_chunk(1, number) for number in range(300)]
    for chunk in stored:
        put(asked.worker.store, chunk)
    listed = [chunk_id for folder in range(INVENTORY_FOLDERS) for chunk_id in asked.listed(folder)]
    assert sorted(listed) == [chunk.chunk_id for chunk in stored]


def test_a_folder_is_listed_in_pages_in_the_order_of_the_ids(asked: Asked) -> None:
    folder, chunk_ids = chunks_of_one_folder(asked.worker, 5)
    assert asked.listed(folder) == chunk_ids
    assert asked.listed(folder, limit=2) == chunk_ids[:2]
    assert asked.listed(folder, after=chunk_ids[1], limit=2) == chunk_ids[2:4]
    assert asked.listed(folder, after=chunk_ids[4]) == []
    asked.worker.store.delete([chunk_ids[1]])
    assert asked.listed(folder, after=chunk_ids[1]) == chunk_ids[2:]


def test_what_is_no_chunk_is_not_listed(asked: Asked) -> None:
    folder, chunk_ids = chunks_of_one_folder(asked.worker, 1)
    beside = Path(asked.worker.store.path(chunk_ids[0]))
    for name in (f"{chunk_ids[0]}.1234.part", "notes.txt"):
        (beside.parent / name).write_bytes(b"x")
    assert asked.listed(folder) == chunk_ids


def test_a_chunk_is_listed_with_the_age_of_its_file(asked: Asked) -> None:
    folder, (chunk_id,) = chunks_of_one_folder(asked.worker, 1)
    path = asked.worker.store.path(chunk_id)
    written = os.stat(path).st_mtime
    for ago, least, most in ((1000, 1000, 2000), (-1000, 0, 0)):
        os.utime(path, (written - ago, written - ago))
        (chunk,) = asked.client.list_inventory(asked.url, folder, "", 10)
        assert least <= chunk.age_seconds <= most


@pytest.mark.parametrize(
    "query", ["/inventory/00?limit=0", f"/inventory/00?limit={MAX_INVENTORY_PAGE + 1}", "/inventory/00?after=x"]
)
def test_a_page_that_cannot_be_is_refused(asked: Asked, query: str) -> None:
    assert asked.worker.ask("GET", query).status_code == 400


@pytest.mark.parametrize("folder", ["0", "000", "0G", "AB", "-1", "100"])
def test_a_folder_that_cannot_be_is_refused(asked: Asked, folder: str) -> None:
    assert asked.worker.ask("GET", f"/inventory/{folder}").status_code == 400


def test_of_the_chunks_asked_for_those_that_are_here_are_told(asked: Asked) -> None:
    held, other = make_chunk(1, 1), make_chunk(1, 2)
    put(asked.worker.store, held)
    assert asked.client.find_held(asked.url, [other.chunk_id, held.chunk_id]) == {held.chunk_id}
    assert asked.client.find_held(asked.url, []) == set()
    with pytest.raises(InvalidRequest):
        asked.client.find_held(asked.url, ["../../etc/passwd"])


def test_asking_what_is_held_reports_nothing(asked: Asked) -> None:
    asked.client.find_held(asked.url, [make_chunk().chunk_id])
    assert asked.worker.reports.waiting == ()


def test_a_disk_that_was_taken_away_tells_nothing_of_what_it_held(tmp_path: Path) -> None:
    """The masters believe a worker that says that a chunk is gone; a lost mount must not say it."""
    worker = make_worker(tmp_path)
    chunk = make_chunk()
    put(worker.store, chunk)
    (tmp_path / "chunks").rename(tmp_path / "away")
    for answer in (
        worker.ask("POST", "/chunks/held", json={"chunk_ids": [chunk.chunk_id]}),
        worker.ask("GET", "/inventory/00"),
        worker.ask("GET", f"/chunks/{chunk.chunk_id}"),
        worker.ask("POST", f"/chunks/{chunk.chunk_id}/verify"),
    ):
        assert (answer.status_code, answer.get_json(force=True)["code"]) == (503, DiskFailed.code)
    assert worker.reports.waiting == ()
    (tmp_path / "away").rename(tmp_path / "chunks")
    assert worker.ask("GET", f"/chunks/{chunk.chunk_id}").data == chunk.content


def test_chunks_put_aside_are_gone_from_the_inventory_and_kept_on_the_disk(asked: Asked) -> None:
    unknown, known = make_chunk(100, 1), make_chunk(100, 2)
    for chunk in (unknown, known):
        put(asked.worker.store, chunk)
    before = asked.worker.store.usage().used_bytes
    for _ in range(2):
        asked.client.quarantine_chunks(asked.url, [unknown.chunk_id], epoch=3)
    assert asked.client.find_held(asked.url, [unknown.chunk_id, known.chunk_id]) == {known.chunk_id}
    (kept,) = quarantined_files(asked.worker.root)
    assert kept.name.startswith(unknown.chunk_id)
    assert kept.read_bytes()[:100] == unknown.content
    usage = asked.worker.store.usage()
    assert (usage.chunk_count, usage.quarantined_count, usage.used_bytes) == (1, 1, before)
    assert asked.worker.reports.waiting == ()
    assert asked.worker.events.names.count("unknown_chunks_quarantined") == 1


def test_only_the_leader_puts_chunks_aside(asked: Asked) -> None:
    put(asked.worker.store, make_chunk())
    asked.client.delete_chunks(asked.url, [], epoch=5)
    with pytest.raises(StaleEpoch):
        asked.client.quarantine_chunks(asked.url, [make_chunk().chunk_id], epoch=4)
    answer = asked.worker.ask("POST", "/chunks/quarantine", json={"chunk_ids": [make_chunk().chunk_id]})
    assert answer.status_code == 400
    assert len(chunk_files(asked.worker.root)) == 1


def test_what_is_put_aside_is_freed_after_its_time_and_not_before(asked: Asked, root: Path) -> None:
    store = asked.worker.store
    for number in (1, 2):
        put(store, make_chunk(100, number))
        for file in chunk_files(root):
            # Written long ago: what counts is when it was put aside.
            os.utime(file, (1, 1))
        store.put_aside([make_chunk(100, number).chunk_id])
    assert store.free_quarantined(3600) == 0
    first, second = quarantined_files(root)
    put_aside = first.stat().st_mtime
    os.utime(first, (put_aside - 3601, put_aside - 3601))
    assert store.free_quarantined(3600) == 1
    assert quarantined_files(root) == [second]
    usage = store.usage()
    assert (usage.quarantined_count, usage.used_bytes) == (1, second.stat().st_size)


def test_a_lost_quarantine_folder_is_an_error_of_the_disk(tmp_path: Path) -> None:
    store = make_worker(tmp_path).store
    put(store, make_chunk())
    shutil.rmtree(tmp_path / "quarantine")
    with pytest.raises(DiskFailed):
        store.put_aside([make_chunk().chunk_id])
    assert store.usage().chunk_count == 1


def test_a_disk_that_vanishes_while_it_is_asked_proves_nothing(tmp_path: Path) -> None:
    store = make_worker(tmp_path).store
    put(store, make_chunk())

    def asked_for() -> Iterator[str]:
        (tmp_path / "chunks").rename(tmp_path / "elsewhere")
        yield make_chunk().chunk_id

    with pytest.raises(DiskFailed):
        store.find_held(asked_for())


def test_nothing_is_stored_below_the_place_of_a_disk_that_is_gone(tmp_path: Path) -> None:
    """As when it was once started without its disk: there are folders, but not those of the start."""
    store = make_worker(tmp_path / "disk").store
    make_worker(tmp_path / "below")
    (tmp_path / "disk" / "chunks").rename(tmp_path / "elsewhere")
    (tmp_path / "below" / "chunks").rename(tmp_path / "disk" / "chunks")
    with pytest.raises(DiskFailed):
        put(store, make_chunk())
    assert chunk_files(tmp_path / "disk") == []


def test_files_that_were_put_here_by_hand_never_make_the_counters_negative(tmp_path: Path) -> None:
    """They were not counted when they came; a negative number would be refused by the masters, with every heartbeat."""
    store = make_worker(tmp_path).store
    by_hand = [make_chunk(1, number) for number in range(3)]
    for chunk in by_hand:
        Path(store.path(chunk.chunk_id)).write_bytes(b"something")
    assert store.put_aside([chunk.chunk_id for chunk in by_hand[:2]]) == 2
    assert store.delete([by_hand[2].chunk_id]) == 1
    usage = store.usage()
    assert usage.chunk_count == 0
    assert usage.used_bytes >= 0
    store.recover()
    put(store, make_chunk())
    assert store.usage().chunk_count == 1
