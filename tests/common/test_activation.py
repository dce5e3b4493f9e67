"""One process takes the place of another on a socket that stays open: nobody who connects, or has, sees a failure."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest
import requests

from common.activation import Activation
from common.environment import PROJECT_ROOT
from tests.support.cluster import clean_environment
from tests.support.waiting import wait_until

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="systemd, and what it gives, is Linux's")


class Processes:
    """Processes of the tiny service on one socket, each of which tells when it is up."""

    def __init__(self, server: str, folder: Path, stack: ExitStack) -> None:
        self._server = server
        self._folder = folder
        self._stack = stack
        self._listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=128))
        self._port = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self._port}/"

    def start(self) -> subprocess.Popen[bytes]:
        """One more; returns once it has told that it is up."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ready:
            path = self._folder / f"notify{len(list(self._folder.iterdir()))}"
            ready.bind(str(path))
            ready.settimeout(30)
            number = self._listener.fileno()
            command = [sys.executable, str(PROJECT_ROOT / "tests/support/activated.py"), str(number), sys.executable]
            process = subprocess.Popen(
                [*command, "-m", "tests.support.tiny_service", self._server, str(self._port), str(self._folder)],
                cwd=PROJECT_ROOT,
                env=clean_environment(NOTIFY_SOCKET=str(path)),
                pass_fds=[number],
            )
            self._stack.callback(process.wait)
            self._stack.callback(process.kill)
            assert ready.recv(100) == b"READY=1"
        return process


@pytest.fixture(params=["gunicorn", "standalone"])
def processes(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Processes]:
    with ExitStack() as stack:
        yield Processes(request.param, tmp_path, stack)


def test_a_process_is_exchanged_under_load_and_no_request_fails(processes: Processes) -> None:
    first = processes.start()
    is_over, counts = threading.Event(), [0, 0]
    uploaded, may_end = threading.Event(), threading.Event()

    def ask(number: int) -> None:
        with requests.Session() as session:
            while not is_over.is_set():
                caller = session if number else requests
                assert caller.get(processes.url, timeout=20).status_code == 200  # type: ignore[attr-defined]
                counts[number] += 1

    def slowly() -> Iterator[bytes]:
        yield b"half"
        uploaded.set()
        assert may_end.wait(60)
        yield b"half"

    with ThreadPoolExecutor(3) as pool:
        asking = [pool.submit(ask, number) for number in (0, 1)]
        upload = pool.submit(requests.post, processes.url, data=slowly(), timeout=60)
        try:
            assert uploaded.wait(20)
            second = processes.start()
            first.terminate()
            answered = list(counts)
            wait_until(lambda: all(now > then + 20 for now, then in zip(counts, answered, strict=True)), "all go on")
            assert first.poll() is None, "it ends with its last request"
        finally:
            may_end.set()
            is_over.set()
        assert upload.result(60).text == "8"
        for one in asking:
            one.result(60)
    assert first.wait(20) == 0
    second.terminate()
    assert second.wait(20) == 0


def test_who_connects_while_no_process_runs_waits_for_the_next_one(processes: Processes) -> None:
    first = processes.start()
    before = requests.get(processes.url, timeout=20).text
    first.terminate()
    assert first.wait(20) == 0
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(requests.get, processes.url, timeout=60)
        second = processes.start()
        answer = waiting.result(60)
    assert (answer.status_code, answer.text == before) == (200, False)
    second.terminate()
    assert second.wait(20) == 0


def test_without_systemd_nothing_is_inherited_and_nobody_told() -> None:
    activation = Activation(0, "")
    activation.tell_ready()
    assert (activation.listeners(), activation.idle_seconds) == ([], 0.0)


def test_an_address_of_the_abstract_kind_is_told_too() -> None:
    if not sys.platform.startswith("linux"):
        pytest.skip("abstract addresses are Linux's")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ready:
        ready.bind("\0dfs-test-of-readiness")
        ready.settimeout(20)
        Activation(0, "@dfs-test-of-readiness").tell_ready()
        assert ready.recv(100) == b"READY=1"
