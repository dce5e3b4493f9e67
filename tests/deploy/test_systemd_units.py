"""The units that every way of deploying installs: they are valid, hardened, and agree with the code and the layout."""

from __future__ import annotations

import configparser
import shutil
import subprocess
from pathlib import Path

import pytest

from common.config import load_config
from common.settings import ClusterSettings, GatewaySettings, all_settings
from tests.support.environment import SECRET, clear_settings

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "deploy" / "systemd"
UNITS = sorted(FOLDER.glob("*.service"))
COMMANDS = {
    "dfs-gateway.service": "api_gateway.gateway",
    "dfs-gateway-handover.service": "api_gateway.gateway",
    "dfs-master@.service": "master_node.master %i",
    "dfs-worker@.service": "storage.worker %i",
}
# What keeps a service that was taken over from the rest of the host.
HARDENED = {
    "User": "dfs",
    "Group": "dfs",
    "NoNewPrivileges": "true",
    "CapabilityBoundingSet": "",
    "ProtectSystem": "strict",
    "ProtectHome": "true",
    "PrivateTmp": "true",
    "PrivateDevices": "true",
    "ProtectKernelTunables": "true",
    "ProtectKernelModules": "true",
    "ProtectControlGroups": "true",
    "RestrictAddressFamilies": "AF_INET AF_INET6 AF_UNIX",
    "RestrictNamespaces": "true",
    "RestrictSUIDSGID": "true",
    "LockPersonality": "true",
    "MemoryDenyWriteExecute": "true",
    "SystemCallFilter": "@system-service",
    "UMask": "0027",
}
# What keeps it running.
KEPT_ALIVE = {"Restart": "always", "RestartPreventExitStatus": "2", "LimitNOFILE": "65536", "StandardOutput": "journal"}


def read_unit(path: Path) -> configparser.ConfigParser:
    unit = configparser.ConfigParser(interpolation=None, strict=True)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(path, encoding="utf-8")
    return unit


def test_a_second_gateway_process_runs_as_the_first_does_and_on_its_socket() -> None:
    first, second = (read_unit(FOLDER / f"{name}.service") for name in ("dfs-gateway", "dfs-gateway-handover"))
    own = {"Sockets": "dfs-gateway.socket", "SyslogIdentifier": "dfs-gateway-handover"}
    assert dict(second["Service"]) == {**first["Service"], **own}
    assert "dfs-gateway.socket" in first["Unit"]["Wants"].split()
    assert "Install" not in second, "it runs only while the other one is exchanged"


def test_the_gateway_s_socket_has_the_default_port() -> None:
    unit = read_unit(FOLDER / "dfs-gateway.socket")
    assert unit["Socket"]["ListenStream"] == f"{ClusterSettings().listen_address}:{GatewaySettings().port}"


def test_a_gateway_is_not_killed_while_it_lets_transfers_finish() -> None:
    (drain,) = (entry for entry in all_settings() if entry.key == "gateway.drain_seconds")
    assert read_unit(FOLDER / "dfs-gateway.service")["Service"]["TimeoutStopSec"] == "1h"
    assert drain.rule.maximum is not None
    assert drain.rule.maximum + 60 < 3600


def test_there_is_one_unit_for_each_kind_of_service() -> None:
    assert {path.name for path in UNITS} == set(COMMANDS)


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_a_unit_is_hardened_and_is_started_again(path: Path) -> None:
    service = dict(read_unit(path)["Service"])
    wanted = {**HARDENED, **KEPT_ALIVE}
    assert {name: service.get(name) for name in wanted} == wanted


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_a_unit_runs_the_entry_point_of_the_current_version(path: Path) -> None:
    service = read_unit(path)["Service"]
    assert service["ExecStart"] == f"/opt/dfs/current/dfs_env/bin/python -m {COMMANDS[path.name]}"
    assert service["WorkingDirectory"] == "/opt/dfs/current"
    assert "DFS_HOME=/etc/dfs" in service["Environment"].split()


def test_only_masters_and_workers_write_data_and_a_worker_waits_for_its_volume() -> None:
    writable = {path.name: read_unit(path)["Service"]["ReadWritePaths"].split() for path in UNITS}
    assert writable == {
        "dfs-gateway.service": ["/var/log/dfs"],
        "dfs-gateway-handover.service": ["/var/log/dfs"],
        "dfs-master@.service": ["/var/log/dfs", "/var/lib/dfs"],
        "dfs-worker@.service": ["/var/log/dfs", "/var/lib/dfs"],
    }
    assert read_unit(FOLDER / "dfs-worker@.service")["Unit"]["RequiresMountsFor"] == "/var/lib/dfs"


def test_the_paths_of_a_host_lie_where_the_units_may_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clear_settings(monkeypatch)
    text = (FOLDER / "paths.env").read_text(encoding="utf-8")
    (tmp_path / ".env").write_text(f"{text}DFS_CLUSTER_SECRET={SECRET}\n", encoding="utf-8")
    config = load_config(tmp_path)
    assert config.log_dir("worker_1") == Path("/var/log/dfs/worker_1")
    assert config.data_dir("worker_1") == Path("/var/lib/dfs/workers/worker_1")
    assert config.sqlite_path() == Path("/var/lib/dfs/databases/metadata.sqlite3")


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not on this machine")
def test_systemd_understands_every_unit(tmp_path: Path) -> None:
    """Checked on copies whose program is there, as it is on a host where the version is installed."""
    names = []
    for path in (*UNITS, *FOLDER.glob("*.socket")):
        text = path.read_text(encoding="utf-8").replace("/opt/dfs/current/dfs_env/bin/python", "/bin/true")
        name = path.name.replace("@", "@node_1")
        (tmp_path / name).write_text(text.replace("User=dfs\nGroup=dfs\n", ""), encoding="utf-8")
        names.append(str(tmp_path / name))
    done = subprocess.run(["systemd-analyze", "verify", *names], capture_output=True, text=True, timeout=60)
    ours = [line for line in done.stderr.splitlines() if "dfs-" in line or str(tmp_path) in line]
    assert (done.returncode, ours) == (0, []), done.stderr
