"""Nodes of the last release and of this one work together: an update goes node by node, and no request fails.

Where the last release's code is not to be had, or does not speak this protocol, it is this code under another number,
so that the way of an update is tried all the same; a test that is skipped then says why.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from common.launcher import Cluster
from common.version import VERSION
from tests.support.client import GatewayClient, some_bytes
from tests.support.cluster import KIB, TestCluster
from tests.support.releases import PACKAGES, ROOT, NoLastRelease, last_release, unpack
from tests.support.waiting import wait_until

OTHER_NUMBER = "0.0.9"
SIZES = (0, KIB, 71 * KIB, 141 * KIB)
MASTERS = ("master_1", "master_2")
WORKERS = ("worker_1", "worker_2", "worker_3")


class _Mixed(Cluster):
    """Starts each node from the folder of the release that it is to run."""

    def __init__(self, cluster: _UpdatedCluster) -> None:
        super().__init__(cluster.config, cluster.environment())
        self._cluster = cluster

    def code_folder(self, node_id: str) -> Path:
        return ROOT if node_id in self._cluster.updated else self._cluster.old_code


class _UpdatedCluster(TestCluster):
    """A cluster whose nodes run the old code, until they are started again after having been updated."""

    __test__ = False

    def __init__(self, home: Path, old_code: Path) -> None:
        self.updated: set[str] = set()
        self.old_code = old_code
        super().__init__(home, masters=MASTERS, workers=WORKERS, settings={"master": {"maintenance_seconds": 60}})

    def make_launcher(self) -> Cluster:
        return _Mixed(self)

    def update(self, node_id: str) -> None:
        """Stop a node as an operator does, and start the new code in its place."""
        process = self.node(node_id).process
        process.terminate()
        process.wait(20)
        self.updated.add(node_id)
        self.restart(node_id)
        self.wait_until_complete()


@dataclass(frozen=True)
class _OldCode:
    """why_not: empty where it is that of the last release."""

    folder: Path
    why_not: str


@pytest.fixture(scope="module")
def old_code(tmp_path_factory: pytest.TempPathFactory) -> _OldCode:
    folder = tmp_path_factory.mktemp("last_release")
    try:
        unpack(last_release(), folder)
    except NoLastRelease as reason:
        for name in PACKAGES:
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("data", "__pycache__"))
        module = folder / "common" / "version.py"
        module.write_text(module.read_text().replace(f'VERSION = "{VERSION}"', f'VERSION = "{OTHER_NUMBER}"'))
        return _OldCode(folder, str(reason))
    return _OldCode(folder, "")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory, old_code: _OldCode) -> Iterator[_UpdatedCluster]:
    cluster = _UpdatedCluster(tmp_path_factory.mktemp("updated"), old_code.folder)
    with cluster.running():
        yield cluster


def test_masters_and_workers_are_updated_one_by_one_and_no_request_fails(cluster: _UpdatedCluster) -> None:
    client = GatewayClient(cluster.base_url)
    old_version = _versions(cluster)
    assert len(old_version) == 1
    assert old_version != {VERSION}, "this code has the number of the last release"
    load = _Load(client)
    with load:
        for node_id in (*WORKERS, *MASTERS):
            cluster.update(node_id)
            load.go_on()
    assert load.failures == []
    assert _versions(cluster) == {VERSION}
    # The gateway has one address: its clients see its restart, and nothing else.
    cluster.update("gateway")
    load.stored["empty at the end"] = b""
    client.stored("empty at the end", b"")
    for path, content in load.stored.items():
        assert client.get(path).content == content


def test_the_old_code_is_that_of_the_last_release(old_code: _OldCode) -> None:
    if old_code.why_not:
        pytest.skip(f"the update was tried from this code under another number: {old_code.why_not}")
    assert (old_code.folder / "master_node" / "master.py").is_file()


class _Load:
    """A client that stores and reads small files all the time."""

    def __init__(self, client: GatewayClient) -> None:
        self._client = client
        self._is_wanted = True
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.stored: dict[str, bytes] = {}
        self.failures: list[str] = []

    def __enter__(self) -> _Load:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_wanted = False
        self._thread.join(60)
        assert not self._thread.is_alive()

    def go_on(self) -> None:
        """Wait until some more files were stored and read."""
        enough = len(self.stored) + 5
        wait_until(lambda: len(self.stored) >= enough or bool(self.failures), "the load goes on")

    def _run(self) -> None:
        while self._is_wanted:
            path, content = f"load/{len(self.stored)}", some_bytes(SIZES[len(self.stored) % len(SIZES)], "load")
            put = self._client.put(path, content)
            if put.status_code not in (200, 201):
                self.failures.append(f"PUT {path}: {put.status_code} {put.text}")
            elif self._client.get(path).content != content:
                self.failures.append(f"GET {path}")
            else:
                self.stored[path] = content


def _versions(cluster: TestCluster) -> set[str]:
    """The releases of masters and workers, as the cluster tells."""
    state = cluster.state()
    return {node["version"] for node in state["masters"] + state["workers"]}
