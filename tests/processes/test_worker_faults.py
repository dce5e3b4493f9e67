"""Workers are killed, paused and corrupted: the client gets the right bytes, or an error, never wrong ones."""

from __future__ import annotations

import http.client
import socket
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.support.client import GatewayClient, assert_problem, assert_same_bytes, fs, in_pieces, some_bytes
from tests.support.cluster import KIB, MIB, TestCluster
from tests.support.waiting import wait_until

pytestmark = pytest.mark.alone

CHUNK = 256 * KIB
BIG = 32 * MIB


@pytest.fixture
def client(ring: TestCluster) -> GatewayClient:
    return GatewayClient(ring.base_url)


def _uploaded_with(
    ring: TestCluster, client: GatewayClient, content: bytes, action: Any, path: str = "faults/upload"
) -> requests.Response:
    """Upload slowly: half of it, then `action(workers that hold chunks of it)`, then the rest."""
    before = ring.all_chunk_ids()

    def holders() -> list[str]:
        return [name for name in ring.workers if set(ring.chunk_files(name)) - before]

    def body() -> Iterator[bytes]:
        half = len(content) // 2
        yield from in_pieces(content[:half], 100_000)
        wait_until(lambda: len(holders()) >= 3, "workers hold chunks of the upload")
        action(holders())
        yield from in_pieces(content[half:], 100_000)

    return client.put(path, body())


@pytest.mark.parametrize("count", [1, 2])
def test_workers_killed_in_the_middle_of_an_upload_are_not_noticed(
    ring: TestCluster, client: GatewayClient, count: int
) -> None:
    content = some_bytes(40 * CHUNK + 11, f"killed {count}")
    killed: list[str] = []

    def kill(holders: list[str]) -> None:
        for name in holders[:count]:
            ring.kill(name)
            killed.append(name)

    answer = _uploaded_with(ring, client, content, kill)
    assert answer.status_code in (200, 201), answer.text
    assert len(killed) == count
    assert not any(ring.is_running(name) for name in killed)
    assert_same_bytes(client.get("faults/upload").content, content)
    later = _chunks_of(client, answer.json()["file_id"])[25:]
    for chunk in later:
        holders = {replica["worker_id"] for replica in chunk["replicas"]}
        assert len(holders - set(killed)) >= 2, "a chunk written after the kill has a quorum on live workers"


@pytest.mark.parametrize("count", [1, 2])
def test_workers_killed_in_the_middle_of_a_download_are_not_noticed(
    ring: TestCluster, client: GatewayClient, count: int
) -> None:
    content = some_bytes(BIG + 3, "download")
    client.stored("faults/download", content)
    with _SlowReader(client, "faults/download") as reader:
        received = reader.read(100_000)
        for name in ring.workers[:count]:
            ring.kill(name)
        # The rest does not fit into the buffers of a socket, so most of it is read from workers after the kill.
        received += reader.read(len(content))
    assert_same_bytes(received, content)
    assert not any(ring.is_running(name) for name in ring.workers[:count])
    failed = [line for line in ring.log_lines("gateway") if "replica_not_read" in line]
    assert any(name in line for name in ring.workers[:count] for line in failed), "a killed worker was asked in vain"


def test_a_worker_paused_during_an_upload_is_passed_over(ring: TestCluster, client: GatewayClient) -> None:
    content = some_bytes(40 * CHUNK + 7, "paused")
    paused: list[str] = []

    def pause(holders: list[str]) -> None:
        ring.pause(holders[0])
        paused.append(holders[0])

    answer = _uploaded_with(ring, client, content, pause)
    assert answer.status_code in (200, 201), answer.text
    assert_same_bytes(client.get("faults/upload").content, content)
    ring.resume(paused[0])
    ring.wait_until_complete()
    assert_same_bytes(client.get("faults/upload").content, content)


def test_a_worker_paused_during_a_download_is_passed_over(ring: TestCluster, client: GatewayClient) -> None:
    content = some_bytes(BIG + 3, "download")
    client.stored("faults/download", content)
    with _SlowReader(client, "faults/download") as reader:
        received = reader.read(100_000)
        ring.pause("worker_2")
        received += reader.read(len(content))
    assert_same_bytes(received, content)
    ring.resume("worker_2")


def test_with_four_of_five_workers_dead_an_upload_is_refused_and_leaves_nothing(
    ring: TestCluster, client: GatewayClient
) -> None:
    for name in ring.workers[1:]:
        ring.kill(name)
    answer = client.put("faults/refused", some_bytes(2 * CHUNK))
    assert answer.status_code == 503
    assert answer.json()["code"] in ("quorum_not_reached", "not_enough_workers")
    assert answer.headers["Retry-After"]
    assert_problem(client.get("faults/refused"), 404, "file_not_found")


# --- rot on the disk ---


@pytest.fixture
def rotten(ring: TestCluster, client: GatewayClient) -> Iterator[dict[str, Any]]:
    """A file of three chunks on three workers each, freed again afterwards."""
    content = some_bytes(3 * CHUNK - 5, "rot")
    file = client.stored("faults/rot", content, headers={"X-DFS-Consistency": "all"})
    yield {"content": content, **file}
    assert client.delete(file["file_id"], permanent=True).status_code == 200


def _flip(path: Path, offset: int) -> None:
    with open(path, "r+b") as file:
        file.seek(offset)
        byte = file.read(1)
        file.seek(offset)
        file.write(bytes([byte[0] ^ 0x10]))


def _truncate(path: Path, _: int) -> None:
    with open(path, "r+b") as file:
        file.truncate(CHUNK // 2)


def _empty(path: Path, _: int) -> None:
    path.write_bytes(b"")


def _flip_last(path: Path, _: int) -> None:
    _flip(path, path.stat().st_size - 1)


@pytest.mark.parametrize("damage", [_flip, _truncate, _empty, _flip_last])
@pytest.mark.parametrize("count", [1, 2])
def test_damaged_replicas_are_not_noticed_and_go_into_quarantine(
    ring: TestCluster, client: GatewayClient, rotten: dict[str, Any], damage: Any, count: int
) -> None:
    chunk_id = f"{rotten['version_id']}-00000001"
    damaged = sorted(ring.replicas(chunk_id))[:count]
    assert len(damaged) == count
    for name in damaged:
        damage(ring.replicas(chunk_id)[name], 100_000)

    def all_in_quarantine() -> bool:
        """A read asks the replicas in random order, so it takes some reads until each was asked."""
        assert_same_bytes(client.get("faults/rot").content, rotten["content"])
        return all(chunk_id in ring.quarantined(name) for name in damaged)

    wait_until(all_in_quarantine, f"{damaged} have put the damaged replica aside")
    wait_until(lambda: len(ring.replicas(chunk_id)) == 3, "the chunk has three replicas again")
    assert (
        client.get("faults/rot", headers={"Range": f"bytes={CHUNK}-{CHUNK}"}).content
        == (rotten["content"][CHUNK : CHUNK + 1])
    )


def test_a_chunk_file_that_was_removed_is_not_noticed(
    ring: TestCluster, client: GatewayClient, rotten: dict[str, Any]
) -> None:
    for path in list(ring.replicas(f"{rotten['version_id']}-00000000").values())[:2]:
        path.unlink()
    for _ in range(5):
        assert_same_bytes(client.get("faults/rot").content, rotten["content"])


def _remove(path: Path, _: int) -> None:
    path.unlink()


@pytest.mark.parametrize("damage", [_flip, _truncate, _remove])
def test_a_first_chunk_damaged_everywhere_is_an_error(
    ring: TestCluster, client: GatewayClient, rotten: dict[str, Any], damage: Any
) -> None:
    for path in ring.replicas(f"{rotten['version_id']}-00000000").values():
        damage(path, 5)
    for _ in range(2):
        problem = assert_problem(client.get("faults/rot"), 500, "chunk_lost")
        assert problem["chunk_index"] == 0
    assert_same_bytes(client.get("faults/rot", headers={"Range": f"bytes={CHUNK}-"}).content, rotten["content"][CHUNK:])


def test_a_chunk_whose_workers_are_all_down_is_there_again_when_one_returns(
    ring: TestCluster, client: GatewayClient, rotten: dict[str, Any]
) -> None:
    holders = sorted(ring.replicas(f"{rotten['version_id']}-00000000"))
    for name in holders:
        ring.kill(name)
    answer = client.get("faults/rot", headers={"Range": "bytes=0-99"})
    assert_problem(answer, 503, "chunk_unavailable")
    assert answer.headers["Retry-After"]
    ring.restart(holders[0])
    first = wait_until(lambda: client.get("faults/rot", headers={"Range": "bytes=0-99"}).content, "it can be read")
    assert first == rotten["content"][:100]


def test_a_last_chunk_damaged_everywhere_breaks_the_download_off_before_a_wrong_byte(
    ring: TestCluster, client: GatewayClient, rotten: dict[str, Any]
) -> None:
    for path in ring.replicas(f"{rotten['version_id']}-00000002").values():
        _flip(path, 5)
    received = bytearray()
    with client.get("faults/rot", stream=True) as answer:
        assert answer.status_code == 200
        with pytest.raises(requests.RequestException):
            deque((received.extend(piece) for piece in answer.iter_content(10_000)), maxlen=0)
    assert len(received) <= 2 * CHUNK
    assert_same_bytes(bytes(received), rotten["content"][: len(received)])
    headed = client.call("HEAD", fs("faults/rot"))
    assert headed.headers["Content-Length"] == str(len(rotten["content"]))


class _SlowReader:
    """A download through a socket with the smallest receive buffer, read only as far as asked for."""

    def __init__(self, client: GatewayClient, path: str) -> None:
        host, _, port = client.netloc.rpartition(":")
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self._socket.settimeout(60)
        self._socket.connect((host, int(port)))
        self._socket.sendall(f"GET {fs(path)} HTTP/1.1\r\nHost: {client.netloc}\r\n\r\n".encode())
        self._response = http.client.HTTPResponse(self._socket)
        self._response.begin()
        assert self._response.status == 200

    def read(self, size: int) -> bytes:
        return self._response.read(size)

    def __enter__(self) -> _SlowReader:
        return self

    def __exit__(self, *_: object) -> None:
        self._response.close()
        self._socket.close()


def _chunks_of(client: GatewayClient, file_id: str) -> list[dict[str, Any]]:
    answer = client.call("GET", f"/files/{file_id}/chunks?limit=1000").json()
    assert answer["next_start"] is None
    chunks: list[dict[str, Any]] = answer["chunks"]
    return chunks
