"""A worker that comes back finds its disk put in order: nothing is resurrected, nothing forgotten keeps its bytes."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from common.records import chunk_id
from tests.support.client import GatewayClient
from tests.support.cluster import KIB, TestCluster, clean_environment
from tests.support.metadata import hex_id
from tests.support.waiting import wait_until

ROOT = Path(__file__).resolve().parents[2]
AWAY = "worker_2"
SETTINGS = {
    "master": {
        "repair_grace_seconds": 1.0,
        "inventory_seconds": 2.0,
        "orphan_grace_seconds": 0.0,
        "trash_retention_seconds": 1.0,
    },
    "worker": {"quarantine_seconds": 1.0},
}


@pytest.fixture(scope="module")
def shared_ring(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestCluster]:
    cluster = TestCluster(tmp_path_factory.mktemp("return"), settings=SETTINGS)
    with cluster.running():
        yield cluster


@pytest.fixture
def client(ring: TestCluster) -> GatewayClient:
    return GatewayClient(ring.base_url)


def test_what_was_deleted_or_overwritten_meanwhile_does_not_come_back_and_its_bytes_are_freed(
    ring: TestCluster, client: GatewayClient
) -> None:
    files = [client.stored(f"return/{number}", _content(number, "old")) for number in range(9)]
    before = set(ring.chunk_files(AWAY))
    assert before, f"{AWAY} holds chunks, or this test shows nothing"
    ring.kill(AWAY)
    wait_until(lambda: _state_of(ring, AWAY) == "dead", f"{AWAY} is dead")
    for file in files[:3]:
        assert client.delete(file["file_id"], permanent=True).status_code == 200
    for file in files[3:6]:
        assert client.delete(file["file_id"]).status_code == 200
    for number in range(6, 9):
        client.stored(f"return/{number}", _content(number, "new"))
    assert set(ring.chunk_files(AWAY)) == before
    ring.restart(AWAY)
    wait_until(lambda: not before & set(ring.chunk_files(AWAY)), "the old bytes are freed", 60)
    for file in files[:6]:
        assert client.call("GET", f"/files/{file['file_id']}").status_code in (404, 410)
    for number in range(6):
        assert client.get(f"return/{number}").status_code == 404
    for number in range(6, 9):
        assert client.get(f"return/{number}").content == _content(number, "new")
    wait_until(lambda: not before & ring.all_chunk_ids(), "no worker holds an old byte", 60)
    _wait_until_clean(ring)


def test_files_that_no_record_names_are_put_aside_and_then_freed(ring: TestCluster, client: GatewayClient) -> None:
    client.stored("kept", _content(0, "kept"))
    kept = ring.all_chunk_ids()
    orphans = {chunk_id(hex_id(f"orphan {number}"), number) for number in range(10)}
    example = next(path for worker_id in ring.workers for path in ring.chunk_files(worker_id).values())
    folder = ring.config.data_dir(AWAY) / "chunks"
    for name in orphans:
        shutil.copyfile(example, folder / f"{zlib.crc32(name.encode()) % 256:02x}" / name)
    assert orphans <= set(ring.chunk_files(AWAY))
    wait_until(lambda: not orphans & set(ring.chunk_files(AWAY)), "the orphans are out of the way", 60)
    wait_until(lambda: not orphans & ring.quarantined(AWAY), "the orphans are freed", 60)
    assert kept <= ring.all_chunk_ids()
    assert client.get("kept").content == _content(0, "kept")


def test_replicas_that_somebody_deleted_are_found_missing_and_made_again(
    ring: TestCluster, client: GatewayClient
) -> None:
    file = client.stored("deleted below", _content(1, "deleted below"))
    for path in ring.chunk_files(AWAY).values():
        path.unlink()
    wait_until(lambda: _is_on_three_disks(ring, client, file), "every replica that counts is on its disk", 60)
    assert client.get("deleted below").content == _content(1, "deleted below")


def test_the_command_checks_everything_and_its_status_says_whether_something_differs(
    ring: TestCluster, client: GatewayClient
) -> None:
    client.stored("checked", _content(2, "checked"))
    _wait_until_clean(ring)
    client.stored("an open upload is no difference", _content(3, "open"))
    verified = _fsck(ring, "--verify")
    assert verified.returncode == 0, verified.stdout + verified.stderr
    assert ": 0 differences" in verified.stdout
    assert ", 0 replicas verified" not in verified.stdout
    ring.kill(AWAY)
    wait_until(lambda: _state_of(ring, AWAY) == "dead", f"{AWAY} is dead")
    differs = _fsck(ring)
    assert differs.returncode == 1, differs.stdout + differs.stderr
    assert f"worker_not_checked {AWAY}: {AWAY} is dead" in differs.stdout


def test_the_command_says_when_no_master_answers(ring: TestCluster) -> None:
    for master_id in ring.masters:
        ring.kill(master_id)
    failed = _fsck(ring)
    assert failed.returncode == 2
    assert failed.stdout == ""
    assert "The check could not be made" in failed.stderr


def _content(number: int, kind: str) -> bytes:
    return f"{kind} {number} ".encode() * (20 * KIB)


def _state_of(ring: TestCluster, worker_id: str) -> str:
    return next(str(worker["state"]) for worker in ring.state()["workers"] if worker["worker_id"] == worker_id)


def _is_on_three_disks(ring: TestCluster, client: GatewayClient, file: dict[str, Any]) -> bool:
    """Whether each chunk of the file has three replicas that count, and a file for each of them."""
    chunks = client.call("GET", f"/files/{file['file_id']}/chunks?limit=1000").json()["chunks"]
    counted = {
        chunk_id(file["version_id"], chunk["index"]): {replica["worker_id"] for replica in chunk["replicas"]}
        for chunk in chunks
    }
    return all(len(names) == 3 and names <= set(ring.replicas(name)) for name, names in counted.items())


def _wait_until_clean(ring: TestCluster) -> None:
    """Records and disks agree once repair and garbage collection have done what was due."""
    answers = [_fsck(ring)]

    def is_clean() -> bool:
        answers.append(_fsck(ring))
        return answers[-1].returncode == 0

    try:
        wait_until(is_clean, "a check finds no difference", 90)
    except AssertionError as error:
        raise AssertionError(f"{error}\n{answers[-1].stdout}\n{answers[-1].stderr}") from None


def _fsck(ring: TestCluster, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "master_node.fsck", *options],
        cwd=ROOT,
        env=clean_environment(DFS_HOME=str(ring.home)),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
