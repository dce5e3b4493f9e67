"""Every service is restarted while clients write and read: no request fails, and no copy of a chunk is made."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from common.cluster_state import read_state
from common.environment import PROJECT_ROOT
from common.errors import DFSError
from common.http import HttpPool
from common.launcher import Cluster, RunningNode, kill_node
from deploy.hosts.rolling import NotBack, State, roll
from tests.support.cluster import GATEWAY, KIB, Sections, TestCluster
from tests.support.steady_load import SteadyLoad
from tests.support.waiting import wait_until

pytestmark = pytest.mark.alone

MASTERS = ("master_1", "master_2")
WORKERS = ("worker_1", "worker_2", "worker_3")
# Two replicas on three workers, so that there is room for both while one is away.
SETTINGS: Sections = {"cluster": {"chunk_size_bytes": 64 * KIB, "log_level": "DEBUG", "replication_factor": 2}}


class _Activated(Cluster):
    """Starts the gateway on a socket that stays open, as systemd does, and more than one process of it at a time."""

    def __init__(self, cluster: Cluster, listener: socket.socket) -> None:
        super().__init__(cluster.config, cluster.environment)
        self._listener = listener

    def start(self) -> None:
        for node_id in (*MASTERS, *WORKERS, GATEWAY):
            self.start_node(node_id)

    def start_node(self, node_id: str, variables: Mapping[str, str] | None = None) -> RunningNode:
        if node_id != GATEWAY:
            return super().start_node(node_id, variables)
        self.nodes = [node for node in self.nodes if node.node_id != GATEWAY] + [self.start_gateway(variables)]
        return self.nodes[-1]

    def start_gateway(self, variables: Mapping[str, str] | None = None) -> RunningNode:
        number = self._listener.fileno()
        console = self.config.log_dir(GATEWAY) / "console.log"
        console.parent.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, str(PROJECT_ROOT / "tests/support/activated.py"), str(number)]
        with open(console, "ab") as output:
            process = subprocess.Popen(
                [*command, sys.executable, "-m", "api_gateway.gateway"],
                cwd=PROJECT_ROOT,
                env=self.node_environment(variables),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=[number],
            )
        return RunningNode(GATEWAY, f"http://{self.config.gateway.ip}:{self.config.gateway.port}", process, console)


class ActivatedCluster(TestCluster):
    """A cluster whose gateway is given its socket."""

    __test__ = False
    listener: socket.socket | None = None

    def make_launcher(self) -> Cluster:
        if self.listener is None:
            self.listener = socket.create_server((self.config.gateway.ip, self.config.gateway.port), backlog=2048)
        self.activated = _Activated(super().make_launcher(), self.listener)
        return self.activated

    def close(self) -> None:
        self.stop()
        if self.listener is not None:
            self.listener.close()


class PlainRing:
    """A ring whose nodes are stopped by SIGTERM and started again."""

    def __init__(self, cluster: ActivatedCluster) -> None:
        self._cluster = cluster
        self._pool = HttpPool.of(cluster.config)

    def state(self) -> State:
        try:
            return State(**read_state(self._cluster.config, self._pool))
        except DFSError as error:
            raise NotBack(str(error)) from error

    def restart(self, node_id: str) -> None:
        _terminate(self._cluster.node(node_id))
        self._cluster.restart(node_id)

    def exchange_gateway(self) -> None:
        """As deploy/hosts/steps.py does it."""
        launcher = self._cluster.activated
        stand_in = launcher.start_gateway()
        try:
            _wait_until_started(stand_in, 2)
            _terminate(self._cluster.node(GATEWAY))
            launcher.start_node(GATEWAY)
            _wait_until_started(stand_in, 3)
            _terminate(stand_in)
        finally:
            kill_node(stand_in)

    def close(self) -> None:
        self._pool.close()


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[ActivatedCluster]:
    made = ActivatedCluster(tmp_path / "home", settings=SETTINGS, masters=MASTERS, workers=WORKERS)
    try:
        made.start()
        yield made
    finally:
        made.close()


def _terminate(node: RunningNode) -> None:
    """A clean stop: it ends by itself, and well."""
    node.process.send_signal(signal.SIGTERM)
    assert node.process.wait(60) == 0, f"{node.node_id}: {node.console.read_text()[-500:]}"


def _wait_until_started(gateway: RunningNode, times: int) -> None:
    """All gateway processes print to one file that they have started."""

    def is_started() -> bool:
        assert gateway.process.poll() is None, gateway.console.read_text()[-500:]
        return gateway.console.read_text().count("takes at most") >= times

    wait_until(is_started, "the other gateway process is up")


def _copies_started(cluster: ActivatedCluster) -> list[str]:
    return [line for name in WORKERS for line in cluster.log_lines(name) if '"POST"' in line and '/copy"' in line]


def test_a_rolling_restart_of_every_service_under_load_fails_no_request_and_copies_nothing(
    cluster: ActivatedCluster,
) -> None:
    ring = PlainRing(cluster)
    said: list[str] = []
    first = cluster.node(GATEWAY).process.pid
    try:
        with SteadyLoad(cluster.base_url, {}, each=1) as load:
            roll(ring, WORKERS, MASTERS, said.append, 60.0)
            load.wait_for_more()
    finally:
        ring.close()
    assert load.failures == []
    assert cluster.node(GATEWAY).process.pid != first
    assert len(said) == len(WORKERS) + len(MASTERS) + 1
    assert _copies_started(cluster) == []
    assert cluster.state()["replication"]["owed_replicas"] == 0
