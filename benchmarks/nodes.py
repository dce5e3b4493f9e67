"""Our own cluster under test: nine nodes with the settings that a user has, on free ports, in a folder of its own."""

from __future__ import annotations

import contextlib
import copy
import json
import secrets
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from benchmarks.systems import HOST, SystemFailed, free_ports
from common.config import Config, ConfigError, load_config
from common.environment import environment_without_settings
from common.launcher import Cluster, LaunchError

MASTERS = tuple(f"master_{number}" for number in (1, 2, 3))
WORKERS = tuple(f"worker_{number}" for number in (1, 2, 3, 4, 5))


class DfsSystem:
    """Three masters over SQLite, five workers, the gateway: see System."""

    name = "dfs"
    prefix = "/fs/bench/"
    delete_suffix = "?permanent=true"
    form_path = "/files"
    front = "gateway"
    notes: tuple[str, ...] = (
        "settings: the defaults; fsync, quorum and verification are on; SQLite",
        "a delete is one that frees the space (?permanent=true), as the peer's does",
    )

    def __init__(self, home: Path) -> None:
        self._home = home
        _write_home(home)
        self._config: Config = _load(home)
        self._cluster = self._front = Cluster(self._config, environment_without_settings())
        self.port = self._config.gateway.port
        self.replicas = self._config.cluster.replication_factor

    def start(self) -> None:
        try:
            self._cluster.start()
            self._cluster.wait_until_ready()
        except LaunchError as error:
            self.stop()
            raise SystemFailed(f"the cluster cannot be started: {error}") from error
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        self._cluster.stop()

    def services(self) -> Mapping[str, int]:
        return {node.node_id: node.process.pid for node in (*self._cluster.nodes, *self._front.nodes)}

    def stored_files(self) -> Iterable[Path]:
        for worker_id in self._config.workers:
            yield from (self._config.data_dir(worker_id) / "chunks").glob("*/*")

    def memory_bound_bytes(self) -> int | None:
        """What the gateway said when it started."""
        log = self._config.log_dir("gateway") / "gateway.log"
        for line in log.read_text(encoding="utf-8").splitlines():
            entry = json.loads(line)
            if entry["event"] == "started":
                return int(entry["memory_bound_bytes"])
        return None

    @contextlib.contextmanager
    def without_checksums(self) -> Iterator[DfsSystem]:
        """The same cluster through a gateway of its own, which is started for this, with the other setting.

        What both share is warm already; so is the new gateway once it has taken a file.
        """
        own = {
            "DFS_GATEWAY_PORT": str(free_ports(1)[0]),
            "DFS_GATEWAY_FILE_CHECKSUM": "none",
            "DFS_LOG_DIR": str(self._home / "logs" / "without_checksums"),
        }
        system = copy.copy(self)
        system._config = _load(self._home, own)
        system._front = Cluster(system._config, {**environment_without_settings(), **own})
        system.port = system._config.gateway.port
        try:
            system._front.start_node("gateway")
            system._front.wait_until_ready()
            yield system
        except LaunchError as error:
            raise SystemFailed(f"the other gateway cannot be started: {error}") from error
        finally:
            system._front.stop()


def _write_home(home: Path) -> None:
    ports = iter(free_ports(len(MASTERS) + len(WORKERS) + 1))
    tree = {
        "masters": {name: {"ip": HOST, "port": next(ports)} for name in MASTERS},
        "workers": {name: {"ip": HOST, "port": next(ports)} for name in WORKERS},
        "gateway": {"port": next(ports)},
        "cluster": {"listen_address": HOST},
    }
    for folder in ("databases", "logs"):
        (home / folder).mkdir(parents=True)
    (home / "config.json").write_text(json.dumps(tree, indent=1), encoding="utf-8")
    env_file = home / ".env"
    env_file.touch(mode=0o600)
    env_file.write_text(f"DFS_CLUSTER_SECRET={secrets.token_hex(32)}\n", encoding="utf-8")


def _load(home: Path, variables: Mapping[str, str] | None = None) -> Config:
    try:
        return load_config(home, {**environment_without_settings(), **(variables or {})})
    except ConfigError as error:
        raise SystemFailed(f"the cluster's configuration is wrong: {error}") from error
