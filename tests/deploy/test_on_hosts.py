"""The deployment command on three hosts of namespaces: install, start, update under load, roll back, remove."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from common.environment import PROJECT_ROOT
from tests.support.client import GatewayClient, some_bytes
from tests.support.cluster import GATEWAY, write_home
from tests.support.hosts.machines import Machines, machines, no_machines
from tests.support.steady_load import SteadyLoad

pytestmark = [
    pytest.mark.alone,
    pytest.mark.skipif(bool(no_machines()), reason=f"no hosts can be made here: {no_machines()}"),
]

HOSTS = ("first", "second", "third")
# One database file, so one host for the masters.
PLACES = {
    "master_1": "first",
    "master_2": "first",
    "worker_1": "first",
    "worker_2": "second",
    "worker_3": "third",
    GATEWAY: "third",
}
MASTERS = ("master_1", "master_2")
WORKERS = ("worker_1", "worker_2", "worker_3")
KEY = "a-key-for-the-tests-of-deployment"


@dataclass(frozen=True)
class Deployed:
    """The operator's folder, and the command in it."""

    folder: Path
    hosts: Machines

    def run(self, *arguments: str, status: int = 0) -> str:
        """`python3 -m deploy.hosts` with these arguments; what it printed."""
        files = ("--config", "config.json", "--inventory", "inventory.json", "--secrets", ".env")
        done = subprocess.run(
            [sys.executable, "-m", "deploy.hosts", *files, "--wait-seconds", "120", *arguments],
            cwd=self.folder,
            env={"PYTHONPATH": str(PROJECT_ROOT), "PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"},
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout + done.stderr

    @property
    def url(self) -> str:
        gateway = json.loads((self.folder / "config.json").read_text())["gateway"]
        return f"http://{gateway['ip']}:{gateway['port']}"

    def versions(self) -> set[str]:
        """Those that run, by what `status` says of each node."""
        lines = [line.split() for line in self.run("status").splitlines()]
        found = {line[0]: line[2:] for line in lines if line[0] in PLACES}
        assert set(found) == set(PLACES)
        assert {one[0] for one in found.values()} == {"active"}
        return {one[1] for one in found.values()}

    def left(self) -> list[str]:
        """What is on any host of what `install` puts there."""
        folders = ("/opt/dfs", "/etc/dfs", "/var/lib/dfs", "/var/log/dfs")
        paths = [self.hosts.own(host, path) for host in HOSTS for path in folders]
        units = [path for host in HOSTS for path in self.hosts.own(host, "/etc/systemd/system").rglob("dfs-*")]
        users = [host for host in HOSTS if "\ndfs:" in self.hosts.own(host, "/etc/passwd").read_text()]
        return [str(path) for path in (*paths, *units) if path.exists() or path.is_symlink()] + users


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    folder = tmp_path_factory.mktemp("deployment")
    with machines(folder, HOSTS) as hosts:
        write_home(
            folder,
            # Two replicas on three workers, so that there is room for both while one is away.
            settings={
                "cluster": {"listen_address": "0.0.0.0", "replication_factor": 2},
                "worker": {"reserve_bytes": 0},
            },
            variables={"DFS_GATEWAY_API_KEY": KEY, "DFS_LOG_LEVEL": "DEBUG"},
            masters=MASTERS,
            workers=WORKERS,
            addresses={node: hosts.addresses[host] for node, host in PLACES.items()},
        )
        inventory = {
            "user": "root",
            "identity": str(folder / "key"),
            "options": list(hosts.ssh_options),
            "python": sys.executable,
            "environment": sys.prefix,
        }
        (folder / "inventory.json").write_text(json.dumps(inventory))
        yield Deployed(folder, hosts)


def test_an_update_under_load_fails_no_request_and_copies_nothing(deployed: Deployed) -> None:
    assert deployed.run("check").count("fit for") == len(HOSTS)
    assert "would send the code" in deployed.run("--dry-run", "install")
    assert deployed.left() == [], "a dry run changes nothing"

    deployed.run("install", "--version", "one")
    holders = [host for host in HOSTS if KEY in deployed.hosts.own(host, "/etc/dfs/.env").read_text()]
    assert holders == [PLACES[GATEWAY]], "who knows the operator's key"
    deployed.run("start")
    headers = {"Authorization": f"Bearer {KEY}"}
    client = GatewayClient(deployed.url, headers)
    body = some_bytes(300_000)
    client.stored("kept", body)
    assert deployed.versions() == {"one"}

    with SteadyLoad(deployed.url, headers, each=1) as load:
        said = deployed.run("update", "--version", "two")
        load.wait_for_more()
    assert load.failures == [], said
    assert deployed.versions() == {"two"}
    assert _copies(deployed) == []
    assert client.get("kept").content == body

    deployed.run("rollback")
    assert deployed.versions() == {"one"}
    assert client.get("kept").content == body

    deployed.run("remove", "--data")
    assert deployed.left() == []


def _copies(deployed: Deployed) -> list[str]:
    """The orders to copy a chunk that workers were given."""
    lines = []
    for worker in WORKERS:
        for path in deployed.hosts.own(PLACES[worker], f"/var/log/dfs/{worker}").glob("*.log*"):
            lines += [line for line in path.read_text().splitlines() if '"POST"' in line and '/copy"' in line]
    return lines
