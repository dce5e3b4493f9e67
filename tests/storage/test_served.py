"""A worker behind the server loop: windows come back from every client, however it behaves."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import storage.chunk_store as store_module
from tests.support.chunks import Chunk, chunk_files, make_chunk
from tests.support.own_server import OwnServer, connection_threads, own_server
from tests.support.signing import SignedCaller
from tests.support.waiting import wait_until
from tests.support.worker import InProcessWorker, make_worker

LARGE = 4 * 1024 * 1024


@pytest.fixture
def worker(root: Path, monkeypatch: pytest.MonkeyPatch) -> InProcessWorker:
    """A worker with one window to write through and two to read."""
    monkeypatch.setattr(store_module, "WINDOW_WAIT_SECONDS", 0.05)
    return make_worker(root, window_count=1)


@pytest.fixture
def server(worker: InProcessWorker) -> Iterator[OwnServer]:
    with own_server(worker.client.application) as running:
        yield running


def put(chunk: Chunk, *fields: str) -> bytes:
    lines = [f"PUT /chunks/{chunk.chunk_id} HTTP/1.1", "Host: h", f"X-DFS-Checksum: {chunk.checksum}", *fields]
    return ("\r\n".join([*lines, f"Content-Length: {len(chunk.content)}", "", ""])).encode()


def get(chunk: Chunk) -> bytes:
    return f"GET /chunks/{chunk.chunk_id} HTTP/1.1\r\nHost: h\r\n\r\n".encode()


@pytest.mark.parametrize("size", [0, 1, 4095, 4096, 512 * 1024, 1024 * 1024, 1024 * 1024 + 1, LARGE, LARGE + 4097])
def test_a_chunk_of_every_size_comes_back_as_it_was_sent(server: OwnServer, size: int) -> None:
    chunk = make_chunk(size)
    caller = SignedCaller(server)
    assert caller.ask(put(chunk) + chunk.content).status == 201
    assert caller.ask(get(chunk)).body == chunk.content


def test_while_all_windows_are_in_use_a_writer_is_told_to_come_again(server: OwnServer) -> None:
    slow, other = make_chunk(LARGE, 1), make_chunk(LARGE, 2)
    first, second = SignedCaller(server), SignedCaller(server)
    first.send(put(slow, "Expect: 100-continue"))
    assert first.caller.reply().status == 100
    reply = second.ask(put(other) + other.content[:100_000])
    assert (reply.status, reply.fields["retry-after"]) == (503, "2")
    assert first.caller.ask(slow.content).status == 201
    assert SignedCaller(server).ask(put(other) + other.content).status == 201


@pytest.mark.parametrize("sent_bytes", [0, 1, 1024 * 1024, LARGE - 1])
def test_a_writer_that_breaks_off_leaves_nothing_and_its_window_comes_back(
    server: OwnServer, worker: InProcessWorker, sent_bytes: int
) -> None:
    chunk = make_chunk(LARGE)
    caller = SignedCaller(server)
    caller.send(put(chunk) + chunk.content[:sent_bytes])
    caller.caller.end_sending()
    assert caller.caller.reply().status in (400, 503)
    assert caller.caller.is_ended()
    assert chunk_files(worker.root) == []
    assert SignedCaller(server).ask(put(chunk) + chunk.content).status == 201


def test_readers_that_break_off_give_their_windows_back(server: OwnServer) -> None:
    chunk = make_chunk(LARGE)
    assert SignedCaller(server).ask(put(chunk) + chunk.content).status == 201
    for _ in range(6):
        caller = SignedCaller(server, receive_buffer_bytes=4096)
        caller.send(get(chunk))
        assert caller.caller.sock.recv(10).startswith(b"HTTP/1.1 2")
        caller.caller.close()
        wait_until(lambda: connection_threads() <= 1, "the reader is gone")
    assert SignedCaller(server).ask(get(chunk)).body == chunk.content
