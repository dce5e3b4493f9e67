"""Workers join and leave by a change of config.json, while everything else goes on without a restart."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.client import GatewayClient, assert_same_bytes, some_bytes
from tests.support.cluster import KIB, TestCluster
from tests.support.waiting import wait_until

FILES = {f"file {number}": some_bytes(150 * KIB + number, f"changing {number}") for number in range(10)}


@pytest.fixture
def four(tmp_path: Path) -> Iterator[TestCluster]:
    """A cluster of four workers that is quick to give a dead one up."""
    cluster = TestCluster(
        tmp_path / "home",
        settings={"master": {"repair_grace_seconds": 1}},
        workers=("worker_1", "worker_2", "worker_3", "worker_4"),
    )
    with cluster.running():
        yield cluster


def shown(cluster: TestCluster, worker_id: str) -> dict[str, Any] | None:
    return next((worker for worker in cluster.state()["workers"] if worker["worker_id"] == worker_id), None)


def holders(client: GatewayClient, file_id: str) -> set[str]:
    chunks = client.call("GET", f"/files/{file_id}/chunks").json()["chunks"]
    return {replica["worker_id"] for chunk in chunks for replica in chunk["replicas"]}


def test_a_worker_is_added_and_another_emptied_and_taken_out_without_a_restart_of_the_others(four: TestCluster) -> None:
    client = GatewayClient(four.base_url)
    file_ids = [client.put(path, content).json()["file_id"] for path, content in FILES.items()]
    processes = {name: four.node(name).process.pid for name in (*four.masters, *four.workers, "gateway")}

    four.add_worker("worker_5")
    four.wait_until_complete()

    def all_holders() -> set[str]:
        return set().union(*(holders(client, file_id) for file_id in file_ids))

    drained = client.call("POST", "/cluster/workers/worker_1/drain").json()
    assert (drained["state"], drained["drain"]["is_complete"]) == ("draining", False)
    wait_until(lambda: "worker_1" not in all_holders(), "nothing is read from worker_1 any more", 60)
    wide = client.put("wide", b"on all that are left", headers={"X-DFS-Replication": "4"}).json()["file_id"]
    wait_until(lambda: "worker_5" in holders(client, wide), "the new worker gets chunks", 60)
    four.kill("worker_1")
    four.remove_worker("worker_1")
    wait_until(lambda: shown(four, "worker_1") is None, "worker_1 is forgotten", 60)

    assert {name: four.node(name).process.pid for name in processes} == processes
    assert all(four.is_running(name) for name in processes if name != "worker_1")
    assert four.state()["replication"]["owed_replicas"] == 0
    for path, content in FILES.items():
        assert_same_bytes(client.get(path).content, content)
