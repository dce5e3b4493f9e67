"""Every node in a network namespace of its own, so that ways between them can be cut, one way only, or made slow."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from common.config import Config
from common.environment import PROJECT_ROOT
from common.launcher import Cluster, RunningNode
from tests.chaos.running import Settings
from tests.support.cluster import GATEWAY, MASTERS, WORKERS, TestCluster

# Networks that are meant for such tests: RFC 2544.
_SUBNETS = "198.18"
_numbers = itertools.count()
# No machine has this one, so what is sent to it is lost, as on a line that is cut.
_NOBODY = "02:00:00:00:00:01"
NODES = (*MASTERS, *WORKERS, GATEWAY)


class Network:
    """A bridge and a namespace for each name, the nodes' unless others are given, from the start until `close`."""

    def __init__(self, names: Sequence[str] = NODES) -> None:
        # Several may run on a machine, and what is removed may stay for a moment.
        number = os.getpid() * 10 + next(_numbers)
        self._bridge = f"dfs{number % 10**8}"
        self._subnet = f"{_SUBNETS}.{number % 256}"
        self.addresses = {node_id: f"{self._subnet}.{10 + number}" for number, node_id in enumerate(names)}
        self._made: list[Sequence[str]] = []
        try:
            self._make()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Remove exactly what was made."""
        for undo in reversed(self._made):
            subprocess.run(undo, check=False, capture_output=True)
        self._made = []

    def cut(self, sender: str, receiver: str) -> None:
        """From now on nothing that `sender` sends reaches `receiver`; the other way is open."""
        self._ip(
            sender, "neigh", "replace", self.addresses[receiver], "lladdr", _NOBODY, "nud", "permanent", "dev", "eth0"
        )

    def mend(self, sender: str, receiver: str) -> None:
        self._ip(sender, "neigh", "del", self.addresses[receiver], "dev", "eth0")

    def namespace(self, node_id: str) -> str:
        return f"{self._bridge}_{node_id}"

    def slow(self, node_id: str, rate: str) -> None:
        """What the node sends goes no faster than this, e.g. 4mbit."""
        self._tc(node_id, "replace", "root", "tbf", "rate", rate, "burst", "16kb", "latency", "1s")

    def unslow(self, node_id: str) -> None:
        self._tc(node_id, "del", "root")

    def _make(self) -> None:
        bridge = self._bridge
        self._do(["ip", "link", "add", bridge, "type", "bridge"], ["ip", "link", "del", bridge])
        _run("ip", "addr", "add", f"{self._subnet}.1/24", "dev", bridge)
        _run("ip", "link", "set", bridge, "up")
        for number, (node_id, address) in enumerate(self.addresses.items()):
            name, outer = self.namespace(node_id), f"{bridge}_{number}"
            self._do(["ip", "netns", "add", name], ["ip", "netns", "del", name])
            veth = ["ip", "link", "add", outer, "type", "veth", "peer", "name", "eth0", "netns", name]
            self._do(veth, ["ip", "link", "del", outer])
            _run("ip", "link", "set", outer, "master", bridge, "up")
            for arguments in (("addr", "add", f"{address}/24", "dev", "eth0"), ("link", "set", "eth0", "up")):
                self._ip(node_id, *arguments)
            self._ip(node_id, "link", "set", "lo", "up")

    def _do(self, command: Sequence[str], undo: Sequence[str]) -> None:
        _run(*command)
        self._made.append(undo)

    def _ip(self, node_id: str, *arguments: str) -> None:
        _run("ip", "-n", self.namespace(node_id), *arguments)

    def _tc(self, node_id: str, verb: str, *arguments: str) -> None:
        _run("tc", "-n", self.namespace(node_id), "qdisc", verb, "dev", "eth0", *arguments)


class NetworkCluster(TestCluster):
    """A cluster whose nodes meet over a network that can be harmed."""

    __test__ = False

    def __init__(self, home: Path, settings: Settings, network: Network) -> None:
        self.network = network
        open_to_all = {**settings, "cluster": {**settings["cluster"], "listen_address": "0.0.0.0"}}
        super().__init__(
            home,
            settings=open_to_all,
            variables={"DFS_GATEWAY_API_KEY": "a-key-of-the-chaos-command"},
            addresses=network.addresses,
        )

    def make_launcher(self) -> Cluster:
        return _Namespaced(self.config, self.network, self.environment())


class _Namespaced(Cluster):
    """Starts each node inside its namespace; the rest is as everywhere."""

    def __init__(self, config: Config, network: Network, environment: Mapping[str, str]) -> None:
        super().__init__(config, environment)
        self._network = network

    def start(self) -> None:
        self.nodes = [self._launch(node_id) for node_id in NODES]

    def start_node(self, node_id: str, variables: Mapping[str, str] | None = None) -> RunningNode:
        node = self._launch(node_id, variables)
        self.nodes = [other for other in self.nodes if other.node_id != node_id] + [node]
        return node

    def _launch(self, node_id: str, variables: Mapping[str, str] | None = None) -> RunningNode:
        log_dir = self.config.log_dir(node_id)
        log_dir.mkdir(parents=True, exist_ok=True)
        console = log_dir / "console.log"
        with open(console, "wb") as output:
            process = subprocess.Popen(
                ["ip", "netns", "exec", self._network.namespace(node_id), sys.executable, *_entry_point(node_id)],
                cwd=PROJECT_ROOT,
                env=self.node_environment(variables),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return RunningNode(node_id, _url(self.config, node_id), process, console)


def no_network() -> str:
    """Why nodes cannot be put into namespaces here; empty when they can."""
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        return "only root of a Linux machine can make network namespaces"
    missing = [tool for tool in ("ip", "tc") if shutil.which(tool) is None]
    if missing:
        return f"{' and '.join(missing)} of the package iproute2 are not installed"
    try:
        Network().close()
    except subprocess.CalledProcessError as error:
        return f"this machine does not allow it: {error.stderr.decode().strip()}"
    return ""


@contextlib.contextmanager
def network_cluster(home: Path, settings: Settings) -> Iterator[TestCluster]:
    with contextlib.closing(Network()) as network:
        yield NetworkCluster(home, settings, network)


def _entry_point(node_id: str) -> list[str]:
    if node_id == GATEWAY:
        return ["-m", "api_gateway.gateway"]
    return ["-m", "master_node.master" if node_id in MASTERS else "storage.worker", node_id]


def _url(config: Config, node_id: str) -> str:
    if node_id == GATEWAY:
        return f"http://{config.gateway.ip}:{config.gateway.port}"
    return {**config.masters, **config.workers}[node_id].url


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)
