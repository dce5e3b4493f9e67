"""A replica is fetched from another worker as it is there, or the order says what is wrong and with whom."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import storage.chunk_store as store_module
from common.auth import ClusterSecret
from common.errors import ChunkCorrupt, ChunkMissing, DFSError, DiskFailed, DiskFull, PeerUnreachable, StaleEpoch
from common.http import HttpPool
from common.worker_client import CHECKSUM_HEADER, WorkerClient
from storage.chunk_file import file_size
from tests.support.chunks import BLOCK, chunk_files, make_chunk, open_store, pieces, put, quarantined_files, read_data
from tests.support.environment import SECRET
from tests.support.own_server import OwnServer, own_server
from tests.support.tiny_server import Exchange, refusing, serving
from tests.support.worker import InProcessWorker, assert_problem, make_worker

LARGE = 4 * 1024 * 1024
CHUNK = make_chunk(LARGE + 4097)


class Pair:
    """Two workers behind real servers, and the leader that orders copies from the first to the second."""

    def __init__(self, source: InProcessWorker, target: InProcessWorker, servers: tuple[OwnServer, OwnServer]) -> None:
        self.source, self.target = source, target
        self.source_url, self.target_url = (f"http://127.0.0.1:{server.address[1]}" for server in servers)
        self._client = WorkerClient(HttpPool(ClusterSecret(SECRET)), timeout_seconds=10.0)

    def copy(self, **changes: Any) -> None:
        order = {"size_bytes": len(CHUNK.content), "checksum": CHUNK.checksum, "epoch": 1, **changes}
        source_url = order.pop("source_url", self.source_url)
        self._client.copy_chunk(self.target_url, CHUNK.chunk_id, source_url, **order)


@pytest.fixture
def pair(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pair]:
    monkeypatch.setattr(store_module, "WINDOW_WAIT_SECONDS", 0.05)
    source, target = make_worker(tmp_path / "a"), make_worker(tmp_path / "b", window_count=1)
    with own_server(source.client.application) as first, own_server(target.client.application) as second:
        yield Pair(source, target, (first, second))


@pytest.mark.parametrize("size", [0, 1, BLOCK, BLOCK + 1, LARGE, LARGE + 4097])
def test_a_copy_is_the_chunk_byte_for_byte(pair: Pair, size: int) -> None:
    chunk = make_chunk(size)
    put(pair.source.store, chunk)
    pair.copy(size_bytes=size, checksum=chunk.checksum)
    assert read_data(pair.target.store, chunk) == chunk.content
    assert pair.target.store.verify(chunk.chunk_id)
    assert pair.target.store.usage().chunk_count == 1


def test_a_copy_of_an_empty_chunk_brings_its_note_and_needs_its_source(pair: Pair) -> None:
    chunk = make_chunk(0)
    with pytest.raises(ChunkMissing):
        pair.copy(size_bytes=0, checksum=chunk.checksum)
    _assert_nothing_kept(pair)
    pair.source.store.write(chunk.chunk_id, pieces(b""), 0, chunk.checksum, lambda: b"a note")
    pair.copy(size_bytes=0, checksum=chunk.checksum)
    assert pair.target.store.describe([chunk.chunk_id])[0].note == b"a note"


def test_a_copy_that_is_ordered_again_is_not_fetched_again(pair: Pair) -> None:
    put(pair.source.store, CHUNK)
    pair.copy()
    pair.source.store.delete([CHUNK.chunk_id])
    pair.copy()
    assert read_data(pair.target.store, CHUNK) == CHUNK.content


@pytest.mark.parametrize("position", [0, LARGE, -1])
def test_a_damaged_file_at_the_target_is_put_aside_and_made_good(pair: Pair, position: int) -> None:
    for store in (pair.source.store, pair.target.store):
        put(store, CHUNK)
    _damage(pair.target, position)
    pair.copy()
    assert read_data(pair.target.store, CHUNK) == CHUNK.content
    assert len(quarantined_files(pair.target.root)) == 1


def test_a_source_that_does_not_have_the_chunk_is_named_and_tells_the_masters(pair: Pair) -> None:
    with pytest.raises(ChunkMissing) as raised:
        pair.copy()
    assert raised.value.context["source"] == pair.source_url
    assert pair.source.reports.waiting == (CHUNK.chunk_id,)
    _assert_nothing_kept(pair)


@pytest.mark.parametrize("position", [0, LARGE])
def test_a_damaged_source_is_named_looks_at_its_replica_and_tells_the_masters(pair: Pair, position: int) -> None:
    put(pair.source.store, CHUNK)
    _damage(pair.source, position)
    with pytest.raises(ChunkCorrupt) as raised:
        pair.copy()
    assert raised.value.context["source"] == pair.source_url
    assert len(quarantined_files(pair.source.root)) == 1
    assert pair.source.reports.waiting == (CHUNK.chunk_id,)
    _assert_nothing_kept(pair)


@pytest.mark.parametrize("changes", [{"size_bytes": 5}, {"checksum": "0" * 32}])
def test_a_replica_that_is_not_the_one_of_the_record_is_not_copied(pair: Pair, changes: dict[str, Any]) -> None:
    put(pair.source.store, CHUNK)
    with pytest.raises(ChunkCorrupt):
        pair.copy(**changes)
    assert pair.source.store.verify(CHUNK.chunk_id)
    _assert_nothing_kept(pair)


def _answer_half(exchange: Exchange) -> None:
    headers = {CHECKSUM_HEADER: CHUNK.checksum}
    exchange.send(CHUNK.content[:LARGE], 200, headers, length=len(CHUNK.content))
    exchange.hang_up()


def _answer_an_error(exchange: Exchange) -> None:
    error = DiskFailed("the source's disk refuses")
    exchange.send_problem(error.to_problem(), error.status)


@pytest.mark.parametrize("answer", [_answer_half, _answer_an_error, lambda exchange: exchange.hang_up()])
def test_a_source_that_breaks_off_or_refuses_is_unreachable(pair: Pair, answer: Callable[[Exchange], None]) -> None:
    with serving(answer) as other, pytest.raises(PeerUnreachable) as raised:
        pair.copy(source_url=other.url)
    assert raised.value.context["source"] == other.url
    _assert_nothing_kept(pair)


def test_a_source_that_is_down_is_unreachable(pair: Pair) -> None:
    with refusing() as url, pytest.raises(PeerUnreachable) as raised:
        pair.copy(source_url=url)
    assert raised.value.context["source"] == url


@pytest.mark.parametrize("source_url", ["", "x", "file:///etc/passwd", "http://"])
def test_a_source_that_is_no_address_is_unreachable(pair: Pair, source_url: str) -> None:
    with pytest.raises(PeerUnreachable):
        pair.copy(source_url=source_url)


def test_a_full_target_says_so_before_the_source_is_asked(tmp_path: Path) -> None:
    target = make_worker(tmp_path, capacity_bytes=file_size(1))
    with serving(_answer_half) as source:
        assert_problem(_order(target, source.url), 507, "disk_full")
        assert source.requests == []


def test_copies_in_both_directions_through_one_window_each_both_end(pair: Pair) -> None:
    """Whoever waits for a window of its own holds none of the other's."""
    other = make_chunk(LARGE, 1)
    put(pair.source.store, CHUNK)
    put(pair.target.store, other)
    pair.copy()
    answer = pair.source.ask(
        "POST",
        f"/chunks/{other.chunk_id}/copy",
        {"X-DFS-Epoch": "1"},
        json={"source_url": pair.target_url, "size_bytes": LARGE, "checksum": other.checksum},
    )
    assert answer.status_code == 200
    assert read_data(pair.source.store, other) == other.content


def test_an_order_of_a_leader_that_was_replaced_is_refused(pair: Pair) -> None:
    put(pair.source.store, CHUNK)
    pair.copy(epoch=2)
    pair.target.store.delete([CHUNK.chunk_id])
    with pytest.raises(StaleEpoch):
        pair.copy(epoch=1)
    _assert_nothing_kept(pair)


@pytest.mark.parametrize(
    "changes",
    [
        {"size_bytes": -1},
        {"size_bytes": 2**40},
        {"checksum": "x"},
        {"checksum": 5},
        {"source_url": 5},
    ],
)
def test_an_order_that_is_not_valid_is_refused(root: Path, changes: dict[str, Any]) -> None:
    assert_problem(_order(make_worker(root), "http://127.0.0.1:1", **changes), 400, "invalid_request")


def test_what_the_own_disk_says_is_not_blamed_on_the_source(pair: Pair) -> None:
    put(pair.source.store, CHUNK)
    for folder in (pair.target.root / "chunks").glob("??"):
        folder.rmdir()
    with pytest.raises((DiskFailed, DiskFull)) as raised:
        pair.copy()
    assert isinstance(raised.value, DFSError)
    assert "source" not in raised.value.context
    open_store(pair.target.root)
    pair.copy()


def _order(worker: InProcessWorker, url: str, **changes: Any) -> Any:
    body = {"source_url": url, "size_bytes": len(CHUNK.content), "checksum": CHUNK.checksum, **changes}
    return worker.ask("POST", f"/chunks/{CHUNK.chunk_id}/copy", {"X-DFS-Epoch": "1"}, json=body)


def _damage(worker: InProcessWorker, position: int) -> None:
    (file,) = chunk_files(worker.root)
    content = bytearray(file.read_bytes())
    content[position] ^= 1
    file.write_bytes(content)


def _assert_nothing_kept(pair: Pair) -> None:
    assert chunk_files(pair.target.root) == []
