"""One worker's process, with a master that the test answers for: its start, its disk, its end."""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from common.environment import PROJECT_ROOT
from tests.support.cluster import clean_environment, free_ports, processes_of_home
from tests.support.environment import SECRET
from tests.support.tiny_server import TinyServer, never_answering, serving
from tests.support.waiting import wait_until

SERVERS = ["standalone"] if sys.platform == "win32" else ["gunicorn", "standalone"]


@dataclass
class Started:
    """A worker that no other node of its configuration need know."""

    process: subprocess.Popen[bytes]
    url: str
    home: Path

    @property
    def data(self) -> Path:
        return self.home / "storage" / "worker_6" / "data"

    def is_up(self) -> bool:
        with contextlib.suppress(requests.RequestException):
            return requests.get(f"{self.url}/health", timeout=5).status_code == 200
        return False


@contextlib.contextmanager
def started(home: Path, master_url: str, server: str = "auto") -> Iterator[Started]:
    home.mkdir(exist_ok=True)
    (port,) = free_ports(1)
    master_port = int(master_url.rpartition(":")[2])
    tree = {
        "masters": {"master_1": {"ip": "127.0.0.1", "port": master_port}},
        "workers": {"worker_6": {"ip": "127.0.0.1", "port": port}},
        "cluster": {"replication_factor": 1, "write_quorum": 1, "listen_address": "127.0.0.1", "server": server},
        "worker": {"reserve_bytes": 0, "heartbeat_seconds": 0.1},
    }
    (home / "config.json").write_text(json.dumps(tree))
    environment = clean_environment(DFS_HOME=str(home), DFS_CLUSTER_SECRET=SECRET)
    process = subprocess.Popen([sys.executable, "-m", "storage.worker", "worker_6"], cwd=PROJECT_ROOT, env=environment)
    worker = Started(process, f"http://127.0.0.1:{port}", home)
    try:
        wait_until(worker.is_up, "the worker answers")
        yield worker
    finally:
        process.kill()
        process.wait()
        wait_until(lambda: not processes_of_home(home), "no process of the worker is left")


@pytest.fixture
def master() -> Iterator[TinyServer]:
    with serving(lambda exchange: exchange.send_json({})) as server:
        yield server


def targets(master: TinyServer) -> list[str]:
    return [seen.target for seen in master.requests]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM to catch")
@pytest.mark.parametrize("server", SERVERS)
def test_a_worker_that_is_stopped_says_goodbye_last(tmp_path: Path, master: TinyServer, server: str) -> None:
    with started(tmp_path / "home", master.url, server) as worker:
        wait_until(lambda: len(master.requests) >= 3, "heartbeats")
        worker.process.send_signal(signal.SIGTERM)
        assert worker.process.wait(20) == 0
    assert targets(master)[-1] == "/workers/worker_6/goodbye"
    assert targets(master).count("/workers/worker_6/goodbye") == 1


@pytest.mark.parametrize("server", SERVERS)
def test_a_worker_that_is_killed_says_nothing(tmp_path: Path, master: TinyServer, server: str) -> None:
    """Of gunicorn's two processes the one is killed that watches over the other, which then ends by itself."""
    with started(tmp_path / "home", master.url, server) as worker:
        wait_until(lambda: len(master.requests) >= 3, "heartbeats")
        worker.process.kill()
        wait_until(lambda: not processes_of_home(worker.home), "the worker has ended")
    assert "/workers/worker_6/goodbye" not in targets(master)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM to catch")
def test_a_worker_stops_soon_although_no_master_answers(tmp_path: Path) -> None:
    with never_answering() as url, started(tmp_path / "home", url) as worker:
        worker.process.send_signal(signal.SIGTERM)
        # gunicorn kills what takes longer than its time, and then says so by its status.
        assert worker.process.wait(20) == 0
    assert "stopped" in (tmp_path / "home" / "logs" / "worker_6" / "worker.log").read_text()


def test_a_disk_that_is_emptied_under_a_running_worker_is_used_again(tmp_path: Path, master: TinyServer) -> None:
    with started(tmp_path / "home", master.url) as worker:
        wait_until(lambda: master.requests, "the first heartbeat")
        first = master.requests[0].json()["incarnation"]
        # At once: the worker makes its folders again as soon as one is missing.
        shutil.rmtree(worker.data.rename(tmp_path / "emptied"))
        wait_until(lambda: master.requests[-1].json()["incarnation"] != first, "another incarnation")
        assert (worker.data / "worker_id").read_text() == "worker_6"
        assert len([folder for folder in (worker.data / "chunks").iterdir() if folder.is_dir()]) == 256


def test_a_worker_starts_on_an_emptied_disk(tmp_path: Path, master: TinyServer) -> None:
    for _ in range(2):
        with started(tmp_path / "home", master.url) as worker:
            wait_until(lambda: master.requests, "the first heartbeat")
        shutil.rmtree(worker.data)
    assert len({seen.json()["incarnation"] for seen in master.requests if "heartbeat" in seen.target}) == 2
