"""The entry points' --check, and a start that cannot succeed: one clear line, nothing left running."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, Any

import pytest
import requests

from common.environment import PROJECT_ROOT
from tests.support.cluster import MASTERS, WORKERS, clean_environment, processes_of_home, write_home
from tests.support.waiting import wait_until

ENTRY_POINTS = {
    **{name: ["-m", "master_node.master", name] for name in MASTERS},
    **{name: [str(PROJECT_ROOT / f"storage/{name}/{name.replace('_', '')}.py")] for name in WORKERS},
    "gateway": ["-m", "api_gateway.gateway"],
}


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """A folder with a valid configuration; whatever a test has started there must have ended."""
    folder = tmp_path / "home"
    write_home(folder)
    yield folder
    wait_until(lambda: not processes_of_home(folder), "no process of the cluster is left")


def _run(home: Path, *arguments: str, cwd: Path = PROJECT_ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env=clean_environment(DFS_HOME=str(home)),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def _change(home: Path, change: dict[str, Any]) -> dict[str, Any]:
    tree: dict[str, Any] = json.loads((home / "config.json").read_text())
    for section, values in change.items():
        for name, value in values.items():
            tree[section][name] = {**tree[section][name], **value} if isinstance(value, dict) else value
    (home / "config.json").write_text(json.dumps(tree))
    return tree


def test_every_entry_point_can_be_checked_and_starts_nothing(home: Path, tmp_path: Path) -> None:
    def check(name: str) -> subprocess.CompletedProcess[str]:
        # Workers are launched by file and must work from any folder.
        return _run(home, *ENTRY_POINTS[name], "--check", cwd=tmp_path if name in WORKERS else PROJECT_ROOT)

    with ThreadPoolExecutor(2) as pool:
        for name, done in zip(ENTRY_POINTS, pool.map(check, ENTRY_POINTS), strict=True):
            assert done.returncode == 0, done.stderr
            assert name in done.stdout
            assert len(done.stdout.splitlines()) == 1, done.stdout


@pytest.mark.parametrize("name", ["master_1", "worker_1", "gateway"])
def test_a_check_of_a_wrong_configuration_names_every_problem(home: Path, name: str) -> None:
    _change(home, {"cluster": {"chunk_size_bytes": 65537, "write_quorums": 2}, "gateway": {"max_connections": "many"}})
    done = _run(home, *ENTRY_POINTS[name], "--check")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    for part in ("chunk_size_bytes", "65537", "write_quorum", "did you mean", "gateway.max_connections", "many"):
        assert part in done.stderr


@pytest.mark.parametrize("arguments", [["-m", "master_node.master", "master_9"], ["-m", "storage.worker", "worker_9"]])
def test_a_node_that_the_configuration_does_not_know_is_refused(home: Path, arguments: list[str]) -> None:
    done = _run(home, *arguments, "--check")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "master_1" in done.stderr


@pytest.mark.parametrize("name", ["master_2", "worker_4", "gateway"])
def test_a_port_in_use_is_one_clear_line_and_nothing_is_left_running(home: Path, name: str) -> None:
    tree = json.loads((home / "config.json").read_text())
    port = {**tree["masters"], **tree["workers"], "gateway": tree["gateway"]}[name]["port"]
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))
        other.listen()
        done = _run(home, "-m", "common.launcher")
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    assert len(lines) == 1, done.stderr
    assert f"port {port}" in lines[0]
    assert name in lines[0]


def test_a_node_that_crashes_at_its_start_is_one_clear_line_and_nothing_is_left_running(home: Path) -> None:
    (home / "in the way").write_text("a file where a folder is needed")
    _change(home, {"workers": {"worker_3": {"data_dir": "in the way/data"}}})
    done = _run(home, "-m", "common.launcher")
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    assert len(lines) == 1, done.stderr
    assert "worker_3" in lines[0]
    assert "in the way" in lines[0], "the line says what is wrong"


def test_a_missing_database_folder_that_cannot_be_made_is_one_clear_line(home: Path) -> None:
    _change(home, {"master": {"sqlite_path": "config.json/metadata.sqlite3"}})
    done = _run(home, "-m", "common.launcher")
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    assert len(lines) == 1, done.stderr
    assert "master_" in lines[0]
    assert "config.json" in lines[0], "the line says what is wrong"


@contextlib.contextmanager
def run_command(home: Path) -> Iterator[tuple[subprocess.Popen[str], IO[str]]]:
    """The run command on this folder, and what it prints; ended when the block is left."""
    run = subprocess.Popen(
        [sys.executable, "-m", "common.launcher"],
        cwd=PROJECT_ROOT,
        env=clean_environment(DFS_HOME=str(home), PYTHONUNBUFFERED="1"),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    assert run.stdout is not None
    try:
        yield run, run.stdout
    finally:
        if run.poll() is None:
            run.send_signal(signal.SIGTERM)
            run.wait(30)
        run.stdout.close()


def gateway_address(home: Path) -> str:
    return f"http://127.0.0.1:{json.loads((home / 'config.json').read_text())['gateway']['port']}"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_run_command_serves_until_it_is_told_to_stop(home: Path, number: signal.Signals) -> None:
    (home / ".env").unlink()
    address = gateway_address(home)
    with run_command(home) as (run, output):
        printed = []
        for line in output:
            printed.append(line)
            if "ready" in line:
                break
        assert any(address in line for line in printed), printed
        assert requests.put(f"{address}/fs/kept", data=b"x", timeout=10).status_code == 201
        assert (home / ".env").stat().st_mode & 0o077 == 0
        assert (home / "logs/gateway/gateway.log").exists()
        # The run command's own process and at least one of every node.
        assert len(processes_of_home(home)) >= 1 + len(ENTRY_POINTS)
        run.send_signal(number)
        rest = output.read()
        assert run.wait(30) == 0
        assert "stopped" in rest
        assert "Traceback" not in rest
    with pytest.raises(requests.ConnectionError):
        requests.get(f"{address}/health", timeout=5)


def test_a_node_killed_later_is_reported_and_the_others_go_on_until_none_is_left(home: Path) -> None:
    address = gateway_address(home)
    with run_command(home) as (run, output):
        pids = {}
        for line in output:
            words = line.split()
            if words[1:2] == ["pid"]:
                pids[words[0]] = words[2]
            if "ready" in line:
                break
        assert set(pids) == set(ENTRY_POINTS)
        subprocess.run(["kill", "-KILL", "--", f"-{pids.pop('worker_5')}"], check=True)
        reported = output.readline()
        assert "worker_5" in reported
        assert "ended" in reported
        assert requests.put(f"{address}/fs/kept", data=b"x", timeout=30).status_code == 201
        assert run.poll() is None
        subprocess.run(["kill", "-KILL", "--", *(f"-{pid}" for pid in pids.values())], check=True)
        rest = output.read()
        assert run.wait(30) == 1
        assert all(f"{name} ended" in rest for name in pids)
        assert "No node runs any more" in rest
        assert "cannot be started" not in rest
