"""The home of a cluster that a measurement starts: a scratch folder, free ports, no setting of the operator's own."""

from __future__ import annotations

import contextlib
import json
import random
import secrets
import socket
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from common.config import Config, load_config
from common.environment import PROJECT_ROOT, environment_without_settings

MASTERS = ("master_1", "master_2", "master_3")
WORKERS = ("worker_1", "worker_2", "worker_3", "worker_4", "worker_5")
LOCAL = "127.0.0.1"


class Ports:
    """Gives out ports that nobody uses now, each once, below those that the system gives to outgoing connections."""

    def __init__(self) -> None:
        self._given: set[int] = set()

    def take(self) -> int:
        while True:
            port = random.randrange(12000, 32000)
            with contextlib.suppress(OSError), socket.socket() as probe:
                probe.bind((LOCAL, port))
                if port not in self._given:
                    self._given.add(port)
                    return port


@contextlib.contextmanager
def scratch_folder(parent: Path | None = None) -> Iterator[Path]:
    """An empty folder, removed at the end: below `parent`, else on the disk that holds the project."""
    if parent is None:
        system = Path(tempfile.gettempdir())
        # Where the system's folder is in memory nothing would be durable.
        parent = system if system.stat().st_dev == PROJECT_ROOT.stat().st_dev else PROJECT_ROOT.parent
    with tempfile.TemporaryDirectory(prefix="dfs_benchmark_", dir=parent) as folder:
        yield Path(folder)


def make_home(
    home: Path,
    ports: Ports,
    *,
    masters: Mapping[str, int] | None = None,
    workers: tuple[str, ...] = WORKERS,
    settings: Mapping[str, Mapping[str, Any]] | None = None,
    variables: Mapping[str, str] | None = None,
) -> Config:
    """Write config.json and `.env` into `home` and load them; whatever is not given is as users have it.

    masters: names and ports; default: three on free ports. settings: sections of config.json. variables: for `.env`.
    """
    masters = masters or {name: ports.take() for name in MASTERS}
    tree: dict[str, Any] = {
        "masters": {name: {"ip": LOCAL, "port": port} for name, port in masters.items()},
        "workers": {name: {"ip": LOCAL, "port": ports.take()} for name in workers},
        **(settings or {}),
    }
    tree["cluster"] = {"listen_address": LOCAL, **tree.get("cluster", {})}
    tree["gateway"] = {"port": ports.take(), **tree.get("gateway", {})}
    home.mkdir(parents=True, exist_ok=True)
    (home / "config.json").write_text(json.dumps(tree, indent=1), encoding="utf-8")
    lines = {"DFS_CLUSTER_SECRET": secrets.token_hex(32), **(variables or {})}
    env_file = home / ".env"
    env_file.touch(mode=0o600)
    env_file.write_text("".join(f"{name}={value}\n" for name, value in lines.items()), encoding="utf-8")
    return load_config(home, environment_without_settings())


def resident_bytes(group: int) -> int:
    """The memory that the processes of a process group have resident now, added up. Linux only."""
    return sum(_resident(pid) for pid in _members(group))


def _members(group: int) -> Iterator[int]:
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            # proc(5): pid (comm) state ppid pgrp ...; comm may hold blanks and brackets.
            if int(path.read_text().rpartition(")")[2].split()[2]) == group:
                yield int(path.parent.name)


def _resident(pid: int) -> int:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return 1024 * int(line.split()[1])
    return 0
