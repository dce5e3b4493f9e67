"""The masters' records are lost: a backup is restored, and the workers' disks give back what it lacks."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.client import GatewayClient, some_bytes
from tests.support.cluster import KIB, TestCluster
from tests.support.waiting import wait_until

ROOT = Path(__file__).resolve().parent.parent.parent
CHUNK = 64 * KIB
SIZES = {"none": 0, "one": 1, "edge": CHUNK, "two": CHUNK + 1, "many": 3 * CHUNK}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestCluster]:
    settings = {"master": {"trash_retention_seconds": 3600, "orphan_grace_seconds": 1}}
    cluster = TestCluster(
        tmp_path_factory.mktemp("lost_metadata"),
        masters=("master_1",),
        workers=("worker_1", "worker_2", "worker_3"),
        settings=settings,
    )
    with cluster.running():
        yield cluster


def run(cluster: TestCluster, command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**cluster.environment(), "DFS_HOME": str(cluster.home)}
    return subprocess.run(
        [sys.executable, "-m", f"master_node.{command}", *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_after_a_loss_of_all_records_every_file_is_intact_found_or_named_as_lost(
    cluster: TestCluster, tmp_path: Path
) -> None:
    client = GatewayClient(cluster.base_url)
    stored = {f"old/{name}": some_bytes(size, name) for name, size in SIZES.items()}
    stored |= {"changed": some_bytes(CHUNK + 5, "before"), "moved": b"moves", "vanishing": b"purged after the backup"}
    ids = {path: client.stored(path, content)["file_id"] for path, content in stored.items()}
    backup = run(cluster, "backup", str(tmp_path / "backup"))
    assert backup.returncode == 0, backup.stderr

    after = {f"new/{name}": some_bytes(size, f"new {name}") for name, size in SIZES.items()}
    after |= {"new/naïve name é.txt": b"named in UTF-8", "new/folder/": b""}
    for path, content in after.items():
        client.stored(path, content)
    client.stored("changed", b"the later content")
    assert client.call("PATCH", f"/files/{ids['moved']}", json={"path": "moved/away"}).status_code == 200
    client.stored("moved", b"another file at the old path")
    assert client.delete(ids["vanishing"], permanent=True).status_code == 200
    broken = client.stored("new/broken", some_bytes(2 * CHUNK, "broken"))
    for path in cluster.replicas(f"{broken['version_id']}-00000001").values():
        path.unlink()
    wait_until(lambda: not versions_held(cluster, ids["vanishing"]), "the purged file is freed")

    assert run(cluster, "restore", str(tmp_path / "backup")).returncode == 2, "a master runs"
    cluster.kill("master_1")
    refused = run(cluster, "restore", str(tmp_path / "backup"))
    assert refused.returncode == 2
    assert "--force" in refused.stderr
    restored = run(cluster, "restore", str(tmp_path / "backup"), "--force")
    assert restored.returncode == 0, restored.stderr

    # With a master that leads, has looked at every disk and would free what it does not know.
    on_disk = cluster.all_chunk_ids()
    cluster.restart("master_1")
    cluster.wait_until_complete()
    wait_until(lambda: all_inventories_done(client), "all disks were compared")
    assert cluster.all_chunk_ids() == on_disk

    rebuilt = run(cluster, "rebuild", "--json")
    assert rebuilt.returncode == 1, rebuilt.stderr
    *rows, sums = [json.loads(line) for line in rebuilt.stdout.splitlines()]
    by_path = {row["path"] or row["known_as"]: row for row in rows}
    kinds = {path: row["kind"] for path, row in by_path.items()}
    recovered = {path for path, row in by_path.items() if row["path"].startswith("recovered/")}

    assert {path for path, kind in kinds.items() if kind == "intact"} == set(stored) - {"vanishing"}
    assert kinds["vanishing"] == "lost"
    assert kinds["new/broken"] == "incomplete"
    assert by_path["new/broken"]["missing_chunks"] == 1
    assert {path for path, kind in kinds.items() if kind == "found"} == set(after) | recovered
    assert {by_path[path]["known_as"] for path in recovered} == {"changed", "moved"}
    assert sums["counts"] == {"intact": 7, "lost": 1, "incomplete": 1, "found": len(after) + 2}
    assert all(row["completeness"] == "proven" for row in rows if row["kind"] == "found")

    for path, content in {**stored, **after}.items():
        if path != "vanishing":
            assert client.get(path).content == content, path
    contents = {by_path[path]["known_as"]: client.get(path).content for path in recovered}
    assert contents == {"changed": b"the later content", "moved": b"another file at the old path"}
    assert all(client.call("GET", f"/files/{file['file_id']}").ok for file in client.listing()["files"])

    # Freeing has begun again: what is left of the broken file goes, everything else gets its replicas.
    wait_until(lambda: not versions_held(cluster, broken["version_id"]), "what nobody knows is put aside")
    wait_until(lambda: client.call("GET", "/cluster").json()["replication"]["under_replicated_chunks"] <= 1, "healed")


def versions_held(cluster: TestCluster, version_id: str) -> set[str]:
    return {one for one in cluster.all_chunk_ids() if one.startswith(version_id)}


def all_inventories_done(client: GatewayClient) -> bool:
    jobs: list[dict[str, Any]] = client.call("GET", "/cluster/jobs").json()["jobs"]
    workers = next((job["progress"].get("workers", {}) for job in jobs if job["name"] == "inventory"), {})
    return len(workers) == 3 and all(
        one["state"] == "done" and one["last_age_seconds"] is not None for one in workers.values()
    )
