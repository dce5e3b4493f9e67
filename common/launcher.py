"""Start every node of the configuration that lives on this host, watch them, stop exactly them.

The run scripts call this once the virtual environment stands: `python -m common.launcher`.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common.addresses import is_own_address
from common.clock import SystemClock
from common.config import Config, ConfigError, load_config
from common.environment import PROJECT_ROOT, child_environment, home_directory
from common.errors import CannotStart, DFSError, Forbidden, Unauthorized
from common.http import HttpPool
from common.master_client import MasterClient
from common.settings import render_env_example
from common.tls import TlsFiles, only_context

READY_SECONDS = 60.0
STOP_SECONDS = 15.0


class LaunchError(Exception):
    """The cluster cannot be started or is broken; the message is one line for the operator."""


class AllEnded(Exception):
    """No node of a cluster that was started is left; each was reported."""


@dataclass
class RunningNode:
    """A node that was started here."""

    node_id: str
    url: str
    process: subprocess.Popen[bytes]
    console: Path


@dataclass(frozen=True)
class _Plan:
    node_id: str
    ip: str
    port: int
    url: str
    command: tuple[str, ...]


class Cluster:
    """The nodes of one configuration on this host. environment: of every node's process, else this process's."""

    def __init__(self, config: Config, environment: Mapping[str, str] | None = None) -> None:
        self.config = config
        self.environment = environment
        self.nodes: list[RunningNode] = []

    @property
    def _plans(self) -> list[_Plan]:
        return [plan for plan in _plans(self.config) if _is_local(plan.ip)]

    def start(self) -> None:
        """Start every local node; raises LaunchError, with nothing left running, when a port is in use."""
        if not self._plans:
            raise LaunchError("no node of config.json has an address of this host")
        for plan in self._plans:
            _require_free_port(self.config.cluster.listen_address, plan)
        for plan in self._plans:
            self.nodes.append(self._start_node(plan))

    def start_node(self, node_id: str, variables: Mapping[str, str] | None = None) -> RunningNode:
        """Start a node again that has ended; variables: for its environment.

        Raises LaunchError when its port is in use, KeyError when the node is unknown.
        """
        plan = {plan.node_id: plan for plan in self._plans}[node_id]
        _require_free_port(self.config.cluster.listen_address, plan)
        node = self._start_node(plan, variables)
        self.nodes = [other for other in self.nodes if other.node_id != node_id] + [node]
        return node

    def wait_until_ready(self, seconds: float = READY_SECONDS) -> dict[str, Any]:
        """Wait until /cluster says that every master and worker is there; returns it. Raises LaunchError."""
        give_up_at = time.monotonic() + seconds
        missing = "the gateway does not answer"
        while time.monotonic() < give_up_at:
            self.require_all_running()
            with contextlib.suppress(DFSError):
                state = self._state()
                missing = _missing(state)
                if not missing:
                    return state
            time.sleep(0.2)
        raise LaunchError(f"the cluster is not complete after {seconds:g} s: {missing}; see {self.config.log_dir('')}")

    def require_all_running(self) -> None:
        """Raise LaunchError for the first node found to have ended, with the last line it printed."""
        for node in self.nodes:
            status = node.process.poll()
            if status is not None:
                raise LaunchError(
                    f"{node.node_id} ended with status {status}: {_reason(node.console)} (see {node.console.parent})"
                )

    def stop(self) -> None:
        """End the nodes that were started here, gateway first; those that do not end in time are killed."""
        for node in reversed(self.nodes):
            if node.process.poll() is None:
                node.process.terminate()
        give_up_at = time.monotonic() + STOP_SECONDS
        for node in reversed(self.nodes):
            try:
                node.process.wait(max(0.1, give_up_at - time.monotonic()))
            except subprocess.TimeoutExpired:
                kill_node(node)
                node.process.wait()

    def _start_node(self, plan: _Plan, variables: Mapping[str, str] | None = None) -> RunningNode:
        log_dir = self.config.log_dir(plan.node_id)
        log_dir.mkdir(parents=True, exist_ok=True)
        console = log_dir / "console.log"
        with open(console, "wb") as output:
            process = subprocess.Popen(
                [sys.executable, *plan.command],
                cwd=self.code_folder(plan.node_id),
                env=self.node_environment(variables),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                # Ctrl-C reaches this process only, which then ends the nodes in order.
                start_new_session=True,
            )
        return RunningNode(plan.node_id, plan.url, process, console)

    def code_folder(self, node_id: str) -> Path:  # noqa: ARG002
        """Where the node's program lies; to be replaced where nodes run different releases."""
        return PROJECT_ROOT

    def node_environment(self, variables: Mapping[str, str] | None = None) -> dict[str, str]:
        """What a node's process gets, with `variables` of its own."""
        fixed = {"DFS_HOME": str(self.config.home), "PYTHONUNBUFFERED": "1"}
        return child_environment({**fixed, **(variables or {})}, self.environment)

    def _state(self) -> dict[str, Any]:
        """What the gateway says of the cluster; where it wants a key that is not known here, what the masters say."""
        try:
            return self._ask("/cluster")
        except (Unauthorized, Forbidden):
            pool = HttpPool.of(self.config)
        try:
            urls = self.config.master_urls()
            masters = MasterClient(pool, list(urls.values()), SystemClock(), timeout_seconds=3.0, deadline_seconds=5.0)
            state = masters.cluster()
            is_alive = {name: masters.is_alive(url) for name, url in urls.items()}
        finally:
            pool.close()
        described = [{"master_id": name, "state": "alive" if here else "dead"} for name, here in is_alive.items()]
        return {**state, "masters": described}

    def _ask(self, path: str) -> dict[str, Any]:
        gateway = self.config.gateway
        headers = {"Authorization": f"Bearer {gateway.api_key}"} if gateway.api_key else {}
        # Its certificate may name another host than the address that is asked here.
        pool = HttpPool(tls=only_context(TlsFiles.of_gateway(self.config.home, gateway)))
        try:
            with pool.call("GET", self.config.gateway_url() + path, timeout_seconds=5.0, headers=headers) as answer:
                return answer.json()
        finally:
            pool.close()


def kill_node(node: RunningNode) -> None:
    """End a node at once, with all its processes, as a power cut would."""
    if hasattr(os, "killpg"):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(node.process.pid, signal.SIGKILL)
    else:
        node.process.kill()


def prepare_home(home: Path) -> None:
    """Make the folders, and a `.env` with a random secret where there is none."""
    for name in ("databases", "logs"):
        (home / name).mkdir(parents=True, exist_ok=True)
    env_file = home / ".env"
    if not env_file.exists():
        secret = f"DFS_CLUSTER_SECRET={secrets.token_hex(32)}"
        text = render_env_example().replace("# DFS_CLUSTER_SECRET=", secret)
        descriptor = os.open(env_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        print(f"Made {env_file} with a random cluster secret.")


def main(arguments: Sequence[str]) -> int:
    """Run the cluster until Ctrl-C or SIGTERM; returns the exit status."""
    if arguments:
        print("usage: no arguments; settings are in .env and config.json", file=sys.stderr)
        return 2
    # SIGINT too: a shell that starts this in the background has it ignored.
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), lambda _number, _frame: _interrupt())
    home = home_directory()
    try:
        prepare_home(home)
        cluster = Cluster(load_config(home))
    except (ConfigError, OSError) as error:
        print(f"The cluster cannot be started:\n{error}", file=sys.stderr)
        return 2
    try:
        cluster.start()
        print(f"Started {len(cluster.nodes)} nodes, waiting for the cluster ...", flush=True)
        state = cluster.wait_until_ready()
        _print_ready(cluster, state)
        while True:
            time.sleep(1.0)
            _report_ended(cluster)
    except KeyboardInterrupt:
        print("\nStopping ...", flush=True)
        return 0
    except (LaunchError, CannotStart) as error:
        print(f"The cluster cannot be started: {error}", file=sys.stderr)
        return 1
    except AllEnded:
        print(f"No node runs any more; see {cluster.config.log_dir('')}", file=sys.stderr)
        return 1
    finally:
        with _signals_ignored():
            cluster.stop()
        print("All nodes are stopped.", flush=True)


def _plans(config: Config) -> Iterator[_Plan]:
    for node in config.masters.values():
        yield _Plan(node.node_id, node.ip, node.port, node.url, ("-m", "master_node.master", node.node_id))
    for node in config.workers.values():
        yield _Plan(node.node_id, node.ip, node.port, node.url, ("-m", "storage.worker", node.node_id))
    gateway = config.gateway
    yield _Plan("gateway", gateway.ip, gateway.port, config.gateway_url(), ("-m", "api_gateway.gateway"))


def _is_local(host: str) -> bool:
    try:
        addresses = {str(info[4][0]) for info in socket.getaddrinfo(host, None)}
    except socket.gaierror:
        return False
    return any(is_own_address(address) for address in addresses)


def _require_free_port(listen_address: str, plan: _Plan) -> None:
    family = socket.AF_INET6 if ":" in listen_address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        # On Windows SO_REUSEADDR would let a port be bound that is in use.
        option = getattr(socket, "SO_EXCLUSIVEADDRUSE", socket.SO_REUSEADDR)
        probe.setsockopt(socket.SOL_SOCKET, option, 1)
        try:
            probe.bind((listen_address, plan.port))
            probe.listen()
        except OSError as error:
            raise LaunchError(
                f"port {plan.port} of {plan.node_id} cannot be used: {error.strerror};"
                " stop the program that uses it, or change the port in config.json"
            ) from error


def _missing(state: dict[str, Any]) -> str:
    """What a complete cluster still lacks, in words; empty when it is complete."""
    masters = [master["master_id"] for master in state["masters"] if master["state"] != "alive"]
    # A worker that is being emptied, or was, is heard of too.
    is_heard = {"alive", "draining"}
    workers = [worker["worker_id"] for worker in state["workers"] if worker["state"] not in is_heard]
    silent = ", ".join(masters + workers)
    if silent or not state["workers"]:
        return f"not heard of yet: {silent or 'any worker'}"
    return "" if state["leader"] else "no master leads yet"


def _print_ready(cluster: Cluster, state: dict[str, Any]) -> None:
    for node in cluster.nodes:
        print(f"  {node.node_id:<10} pid {node.process.pid:<8} {node.url}")
    print(f"Leader: {state['leader']}. Logs: {cluster.config.log_dir('')}")
    print(f"The cluster is ready: {cluster.config.gateway_url()}/  (Ctrl-C stops it)", flush=True)


def _report_ended(cluster: Cluster) -> None:
    """Say once of each node that it has ended; the others go on."""
    for node in list(cluster.nodes):
        status = node.process.poll()
        if status is not None:
            cluster.nodes.remove(node)
            print(f"{node.node_id} ended with status {status}: {_reason(node.console)}", file=sys.stderr, flush=True)
    if not cluster.nodes:
        raise AllEnded


def _reason(path: Path) -> str:
    """The line in which a node said why it does not start, else the last one that it printed."""
    lines = [line.strip() for line in path.read_text(errors="replace").splitlines() if line.strip()]
    reasons = [line for line in lines if "cannot start" in line]
    return (reasons or lines or ["it printed nothing"])[-1]


@contextlib.contextmanager
def _signals_ignored() -> Iterator[None]:
    """Finish stopping even when the operator is impatient."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, signal.SIG_IGN) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def _interrupt() -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
