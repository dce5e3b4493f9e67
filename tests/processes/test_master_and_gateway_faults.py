"""Masters, the gateway and the whole cluster are killed: nothing acknowledged is lost, nothing half-done is seen."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests

from tests.support.client import GatewayClient, assert_problem, assert_same_bytes, in_pieces, some_bytes
from tests.support.cluster import GATEWAY, KIB, MASTERS, TestCluster
from tests.support.waiting import wait_until

pytestmark = pytest.mark.alone

CHUNK = 256 * KIB


@pytest.fixture
def client(ring: TestCluster) -> GatewayClient:
    return GatewayClient(ring.base_url)


def _pause_between_writes(ring: TestCluster, name: str) -> None:
    """One that stands still amid a write keeps the embedded database locked: docs/architecture.md, known holes."""
    while True:
        ring.pause(name)
        database = sqlite3.connect(ring.config.sqlite_path(), timeout=0.5)
        with contextlib.closing(database), contextlib.suppress(sqlite3.OperationalError):
            database.execute("BEGIN IMMEDIATE")
            database.rollback()
            return
        ring.resume(name)


def _leader(ring: TestCluster) -> str:
    return wait_until(lambda: str(ring.state()["leader"] or ""), "a master leads")


@pytest.mark.parametrize("victim", [*MASTERS, "the leader"])
def test_a_master_killed_in_the_middle_of_an_upload_is_not_noticed(
    ring: TestCluster, client: GatewayClient, victim: str
) -> None:
    name = _leader(ring) if victim == "the leader" else victim
    content = some_bytes(12 * CHUNK + 1, victim)

    def body() -> Iterator[bytes]:
        yield content[: 6 * CHUNK]
        ring.kill(name)
        yield content[6 * CHUNK :]

    answer = client.put(f"masters/{victim}", body())
    assert answer.status_code == 201, answer.text
    assert not ring.is_running(name)
    assert_same_bytes(client.get(f"masters/{victim}").content, content)
    assert client.put("masters/small", b"more").status_code in (200, 201)
    assert f"masters/{victim}" in client.paths("masters/")
    wait_until(lambda: ring.state()["leader"] not in (None, name), "another master leads")
    expected = {other: "dead" if other == name else "alive" for other in MASTERS}
    wait_until(
        lambda: {item["master_id"]: item["state"] for item in ring.state()["masters"]} == expected,
        f"/cluster shows that {name} is dead and the others are alive",
    )


def test_a_master_paused_during_an_upload_only_slows_it(ring: TestCluster, client: GatewayClient) -> None:
    content = some_bytes(12 * CHUNK + 1, "paused master")
    name = _leader(ring)

    def body() -> Iterator[bytes]:
        yield content[: 6 * CHUNK]
        _pause_between_writes(ring, name)
        yield content[6 * CHUNK :]

    assert client.put("masters/paused", body()).status_code in (200, 201)
    assert_same_bytes(client.get("masters/paused").content, content)
    ring.resume(name)
    ring.wait_until_complete()
    assert client.info(client.listing(prefix="masters/paused")["files"][0]["file_id"])["version"] == 1


def test_with_every_master_dead_the_answer_is_503_and_afterwards_all_is_there(
    ring: TestCluster, client: GatewayClient
) -> None:
    client.stored("masters/before", b"here")
    for name in MASTERS:
        ring.kill(name)
    state = ring.state()
    assert state["leader"] is None
    assert [item["state"] for item in state["masters"]] == ["dead"] * 3
    # The gateway looks for a master for as long as its deadline says, then it must say so.
    answer = client.get("masters/before", timeout=60)
    assert_problem(answer, 503, "no_master_answers")
    assert answer.headers["Retry-After"]
    ring.restart_ended()
    assert client.get("masters/before").content == b"here"


def test_the_gateway_killed_in_the_middle_of_an_overwrite_leaves_the_old_file(
    ring: TestCluster, client: GatewayClient
) -> None:
    old, new = some_bytes(3 * CHUNK, "old"), some_bytes(20 * CHUNK, "new")
    file = client.stored("gateway/overwrite", old)
    before, pending = ring.all_chunk_ids(), ring.state()["replication"]["pending_free_bytes"]

    def body() -> Iterator[bytes]:
        yield from in_pieces(new[: 15 * CHUNK], 50_000)
        wait_until(lambda: len(ring.all_chunk_ids() - before) >= 5, "chunks of the new content are on the disks")
        ring.kill(GATEWAY)
        yield from in_pieces(new[15 * CHUNK :], 50_000)

    for path in ("gateway/overwrite", "gateway/new"):
        with pytest.raises(requests.RequestException):
            client.put(path, body())
        assert not ring.is_running(GATEWAY)
        ring.restart(GATEWAY)
    assert_same_bytes(client.get("gateway/overwrite").content, old)
    assert client.info(file["file_id"])["version"] == 1
    assert_problem(client.get("gateway/new"), 404, "file_not_found")
    assert client.paths("gateway/") == ["gateway/overwrite"]
    wait_until(lambda: ring.all_chunk_ids() == before, "the abandoned uploads' chunks have left the disks", 40)
    wait_until(
        lambda: ring.state()["replication"]["pending_free_bytes"] == pending, "no more is pending than before the kill"
    )


def test_fifty_clients_overwrite_one_name_and_one_of_them_wins_whole(ring: TestCluster, client: GatewayClient) -> None:
    contents = [some_bytes(2 * CHUNK + number, f"race {number}") for number in range(50)]
    together = threading.Barrier(len(contents))
    client.stored("race", b"before")

    def overwrite(content: bytes) -> dict[str, Any]:
        def body() -> Iterator[bytes]:
            # Before the first byte: there are fewer buffers than clients.
            together.wait(30)
            yield content

        return client.stored("race", body())

    stop = threading.Event()

    def read() -> list[bytes]:
        seen = []
        while not stop.is_set():
            seen.append(client.get("race").content)
        return seen

    with ThreadPoolExecutor(len(contents) + 1) as pool:
        reader = pool.submit(read)
        try:
            files = list(pool.map(overwrite, contents))
        finally:
            stop.set()
    assert len({file["file_id"] for file in files}) == 1
    assert sorted(file["version"] for file in files) == list(range(2, 52))
    last = max(files, key=lambda file: file["version"])
    assert client.get("race").content == contents[files.index(last)]
    assert set(reader.result()) <= {b"before", *contents}, "a reader saw bytes that nobody wrote as one file"
    for old in client.info(last["file_id"])["old_versions"][:3]:
        assert old["size"] in {len(b"before"), *map(len, contents)}


def test_a_restart_of_the_whole_cluster_finds_every_file(ring: TestCluster, client: GatewayClient) -> None:
    contents = {f"restart/{size}": some_bytes(size, "restart") for size in (0, 1, CHUNK - 1, CHUNK, 5 * CHUNK + 1)}
    files = {path: client.stored(path, content) for path, content in contents.items()}
    trashed = client.stored("restart/trashed", b"in the trash")
    client.delete(trashed["file_id"])

    def assert_all_there() -> None:
        assert client.paths("restart/") == sorted(contents)
        for path, content in contents.items():
            assert_same_bytes(client.get(path).content, content)
            assert client.info(files[path]["file_id"]) == files[path]
        assert client.info(trashed["file_id"])["status"] == "deleted"

    ring.stop()
    assert not any(ring.is_running(name) for name in (*ring.masters, *ring.workers, GATEWAY))
    ring.start()
    assert_all_there()
    ring.kill_all()
    ring.start()
    assert_all_there()
    assert client.call("POST", f"/files/{trashed['file_id']}/restore").status_code == 200
    assert client.get("restart/trashed").content == b"in the trash"
