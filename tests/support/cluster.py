"""A whole cluster of real processes in a folder of its own, which tests may kill, pause, corrupt and start again."""

from __future__ import annotations

import contextlib
import json
import os
import random
import secrets
import signal
import socket
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import requests

from common.config import Config, load_config
from common.environment import environment_without_settings
from common.launcher import Cluster, RunningNode, kill_node
from tests.support.waiting import wait_until

KIB = 1024
MIB = 1024 * 1024
MASTERS = ("master_1", "master_2", "master_3")
WORKERS = ("worker_1", "worker_2", "worker_3", "worker_4", "worker_5")
GATEWAY = "gateway"
LOOPBACK = "127.0.0.1"
READY_SECONDS = 60.0

Sections = Mapping[str, Mapping[str, Any]]

QUICK: dict[str, dict[str, Any]] = {
    "cluster": {"chunk_size_bytes": 64 * KIB, "listen_address": "127.0.0.1"},
    "gateway": {
        "worker_timeout_seconds": 3,
        "master_timeout_seconds": 1,
        "master_deadline_seconds": 5,
        "avoid_seconds": 1,
    },
    "master": {
        "suspect_seconds": 1.5,
        "dead_seconds": 4,
        "lease_seconds": 0.6,
        "job_interval_seconds": 0.1,
        # Tests that look at disks know where a file's replicas are.
        "rebalance_bytes_per_second": 0,
    },
    "worker": {"heartbeat_seconds": 0.2, "reserve_bytes": 64 * MIB},
}


class TestCluster:
    """Three masters, five workers and the gateway (or as many as asked for), all on 127.0.0.1.

    settings: sections of config.json to change; variables: lines for `.env`; environment: of every node's process;
    addresses: where nodes are that are not on 127.0.0.1. The nodes' TMPDIR is `scratch`, an empty folder, so that
    whatever is spooled can be seen.
    """

    __test__ = False

    def __init__(
        self,
        home: Path,
        *,
        settings: Sections | None = None,
        variables: Mapping[str, str] | None = None,
        masters: tuple[str, ...] = MASTERS,
        workers: tuple[str, ...] = WORKERS,
        environment: Mapping[str, str] | None = None,
        addresses: Mapping[str, str] | None = None,
    ) -> None:
        self.home = home
        self.masters = masters
        self.workers = workers
        self.scratch = home / "scratch"
        self.scratch.mkdir(parents=True)
        self._variables = {"TMPDIR": str(self.scratch), **(environment or {})}
        write_home(
            home, settings=settings, variables=variables, masters=masters, workers=workers, addresses=addresses or {}
        )
        self.config: Config = load_config(home, self.environment())
        self.base_url = self.config.gateway_url()
        # Of `requests`, for certificates.
        self.request_options: dict[str, Any] = {}
        self._cluster = self.make_launcher()

    def make_launcher(self) -> Cluster:
        """What starts the nodes; to be replaced where they are not plain processes of this host."""
        return Cluster(self.config, self.environment())

    def environment(self) -> dict[str, str]:
        """What every node's process gets of this one's environment."""
        return clean_environment(**self._variables)

    # --- the whole ---

    def start(self) -> None:
        """Start every node and wait until the cluster is complete."""
        self._cluster = self.make_launcher()
        try:
            self._cluster.start()
            self._cluster.wait_until_ready(READY_SECONDS)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End exactly what was started, also what is paused; returns when none of it is left."""
        for node in self._cluster.nodes:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(node.process.pid, signal.SIGCONT)
        self._cluster.stop()
        for node in self._cluster.nodes:
            kill_node(node)
            _wait_until_gone(node)

    @contextlib.contextmanager
    def running(self) -> Iterator[TestCluster]:
        """Started, and stopped when the block is left."""
        self.start()
        try:
            yield self
        finally:
            self.stop()

    def kill_all(self) -> None:
        """What a power cut does to every node at once."""
        for node in self._cluster.nodes:
            kill_node(node)
        for node in self._cluster.nodes:
            node.process.wait(10)
            _wait_until_gone(node)

    def wait_until_complete(self) -> None:
        """Wait until every master and worker is alive, as the gateway sees it, and a master leads."""
        wait_until(self._is_complete, "every node is alive", READY_SECONDS)

    # --- one node ---

    def kill(self, node_id: str) -> None:
        """SIGKILL for all processes of a node; proves that they are gone and were ended by that signal."""
        node = self.node(node_id)
        assert node.process.poll() is None, f"{node_id} had ended before it was killed"
        kill_node(node)
        status = node.process.wait(10)
        assert status == -signal.SIGKILL, f"{node_id} ended with status {status}"
        _wait_until_gone(node)

    def pause(self, node_id: str) -> None:
        """SIGSTOP for all processes of a node; proves that they stand still."""
        node = self.node(node_id)
        os.killpg(node.process.pid, signal.SIGSTOP)
        wait_until(lambda: set(group_states(node.process.pid)) == {"T"}, f"{node_id} stands still")

    def resume(self, node_id: str) -> None:
        os.killpg(self.node(node_id).process.pid, signal.SIGCONT)

    def restart(self, *node_ids: str, variables: Mapping[str, str] | None = None) -> None:
        """Start nodes that have ended, all at once, and wait until they answer. variables: of their environment."""
        started = []
        for node_id in node_ids:
            assert not self.is_running(node_id), f"{node_id} still runs"
            started.append(self._cluster.start_node(node_id, variables))
        for node in started:
            wait_until(lambda node=node: self._is_healthy(node), f"{node.node_id} answers", READY_SECONDS)  # type: ignore[misc]

    def node(self, node_id: str) -> RunningNode:
        return next(node for node in self._cluster.nodes if node.node_id == node_id)

    def is_running(self, node_id: str) -> bool:
        return self.node(node_id).process.poll() is None

    def restart_ended(self) -> None:
        """Bring back every node that a test has ended or paused."""
        for node in self._cluster.nodes:
            if node.process.poll() is None:
                os.killpg(node.process.pid, signal.SIGCONT)
        self.restart(*[node.node_id for node in self._cluster.nodes if node.process.poll() is not None])
        self.wait_until_complete()

    def peak_bytes(self, node_id: str) -> int:
        """The most memory that the node's processes have ever had resident, added up (VmHWM)."""
        return sum(_status_bytes(pid, "VmHWM") for pid in group_members(self.node(node_id).process.pid))

    def resident_bytes(self, node_id: str) -> int:
        """The memory that the node's processes have resident now, added up (VmRSS)."""
        return sum(_status_bytes(pid, "VmRSS") for pid in group_members(self.node(node_id).process.pid))

    # --- the configuration ---

    def add_worker(self, worker_id: str) -> None:
        """Name another worker in config.json and start it; nothing else is started anew."""
        self._change_workers(lambda workers: workers.update({worker_id: {"ip": LOOPBACK, "port": free_ports(1)[0]}}))
        self.workers = (*self.workers, worker_id)
        self._cluster.start_node(worker_id)

    def remove_worker(self, worker_id: str) -> None:
        """Take a worker that has ended out of config.json."""
        self._change_workers(lambda workers: workers.pop(worker_id))
        self.workers = tuple(name for name in self.workers if name != worker_id)

    def _change_workers(self, change: Callable[[dict[str, Any]], object]) -> None:
        path = self.home / "config.json"
        tree = json.loads(path.read_text(encoding="utf-8"))
        change(tree["workers"])
        path.write_text(json.dumps(tree, indent=1), encoding="utf-8")
        self.config = load_config(self.home, self.environment())
        self._cluster.config = self.config

    # --- what can be seen from outside ---

    @property
    def client_headers(self) -> dict[str, str]:
        """What a request to the gateway must carry."""
        key = self.config.gateway.api_key
        return {"Authorization": f"Bearer {key}"} if key else {}

    def state(self) -> dict[str, Any]:
        """The answer of /cluster."""
        answer = requests.get(
            f"{self.base_url}/cluster", headers=self.client_headers, timeout=30, **self.request_options
        )
        state: dict[str, Any] = answer.json()
        return state

    def chunk_files(self, worker_id: str) -> dict[str, Path]:
        """The chunk files on a worker's disk, by chunk id."""
        folder = self.config.data_dir(worker_id) / "chunks"
        return {path.name: path for path in folder.glob("*/*") if not path.name.endswith(".part")}

    def replicas(self, chunk_id: str) -> dict[str, Path]:
        """The files of one chunk, by worker id."""
        found = {worker_id: self.chunk_files(worker_id).get(chunk_id) for worker_id in self.workers}
        return {worker_id: path for worker_id, path in found.items() if path is not None}

    def all_chunk_ids(self) -> set[str]:
        """The ids of all chunks that lie on any disk."""
        return {name for worker_id in self.workers for name in self.chunk_files(worker_id)}

    def quarantined(self, worker_id: str) -> set[str]:
        """The chunk ids in a worker's quarantine."""
        folder = self.config.data_dir(worker_id) / "quarantine"
        return {path.name.partition(".")[0] for path in folder.iterdir()}

    def log_lines(self, node_id: str) -> list[str]:
        """What a node has logged so far."""
        text = ""
        for path in sorted(self.config.log_dir(node_id).glob("*.log")):
            text += path.read_text(encoding="utf-8", errors="replace")
        return text.splitlines()

    def _is_healthy(self, node: RunningNode) -> bool:
        assert node.process.poll() is None, f"{node.node_id} ended: {node.console.read_text(errors='replace')[-500:]}"
        try:
            return requests.get(f"{node.url}/health", timeout=2, **self.request_options).status_code == 200
        except requests.RequestException:
            return False

    def _is_complete(self) -> bool:
        try:
            state = self.state()
        except (requests.RequestException, ValueError):
            return False
        parts = state["masters"] + state["workers"]
        expected = len(self.masters) + len(self.workers)
        return bool(state["leader"]) and len(parts) == expected and all(part["state"] == "alive" for part in parts)


def write_home(
    home: Path,
    *,
    settings: Sections | None = None,
    variables: Mapping[str, str] | None = None,
    masters: tuple[str, ...] = MASTERS,
    workers: tuple[str, ...] = WORKERS,
    addresses: Mapping[str, str] | None = None,
) -> None:
    """Write config.json and .env of a cluster on free ports into `home`."""
    places = addresses or {}
    ports = iter(free_ports(len(masters) + len(workers) + 1))
    tree: dict[str, Any] = {
        "masters": {name: {"ip": places.get(name, LOOPBACK), "port": next(ports)} for name in masters},
        "workers": {name: {"ip": places.get(name, LOOPBACK), "port": next(ports)} for name in workers},
    }
    for section, values in QUICK.items():
        tree[section] = {**values, **(settings or {}).get(section, {})}
    tree["gateway"] |= {"ip": places.get(GATEWAY, LOOPBACK), "port": next(ports)}
    home.mkdir(parents=True, exist_ok=True)
    (home / "config.json").write_text(json.dumps(tree, indent=1), encoding="utf-8")
    lines = {"DFS_CLUSTER_SECRET": secrets.token_hex(32), **(variables or {})}
    (home / ".env").write_text("".join(f"{name}={value}\n" for name, value in lines.items()), encoding="utf-8")


def clean_environment(**changes: str) -> dict[str, str]:
    """This process's environment without any setting of the system, with `changes`: for a process to be started.

    This process's own stays as it is: a client's thread may be reading it.
    """
    return {**environment_without_settings(), **changes}


def free_ports(count: int) -> list[int]:
    """Ports that nobody uses now, below those that the system gives to outgoing connections.

    Test processes that run side by side look in ranges of their own.
    """
    found: list[int] = []
    first = 12000 + 4000 * (int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 5)
    while len(found) < count:
        port = random.randrange(first, first + 4000)
        if port in found:
            continue
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            found.append(port)
    return found


def group_members(group: int) -> list[int]:
    """The processes of a process group that have not ended."""
    return [pid for pid, state in _group(group) if state != "Z"]


def group_states(group: int) -> list[str]:
    """The state letters, as ps(1) has them, of a process group's processes that have not ended."""
    return [state for _, state in _group(group) if state != "Z"]


def processes_of_home(home: Path) -> list[int]:
    """The processes that were started with this folder as DFS_HOME."""
    wanted = f"DFS_HOME={home}".encode()
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if wanted in (folder / "environ").read_bytes().split(b"\0"):
                found.append(int(folder.name))
    return found


def _group(group: int) -> list[tuple[int, str]]:
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            # proc(5): pid (comm) state ppid pgrp ...; comm may hold blanks and brackets.
            state, _, pgrp = path.read_text().rpartition(")")[2].split()[:3]
            if int(pgrp) == group:
                # A first thread that has ended says nothing of the others, which keep the sockets open.
                has_others = state == "Z" and len(list((path.parent / "task").iterdir())) > 1
                found.append((int(path.parent.name), "D" if has_others else state))
    return found


def _wait_until_gone(node: RunningNode) -> None:
    wait_until(lambda: not group_members(node.process.pid), f"no process of {node.node_id} is left", 10)


def _status_bytes(pid: int, field: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * KIB
    raise AssertionError(f"process {pid} has no {field}")
