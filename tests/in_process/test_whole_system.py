"""Upload, read, overwrite, list, delete and lose a worker, with the gateway, masters and workers in one process.

The nodes are wired by the entry points' own functions; only the processes are missing, so a debugger and a coverage
tool see everything.
"""

from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from api_gateway.wiring import build_gateway
from common.config import Config, load_config
from common.serving import Service
from master_node.wiring import build_master
from storage.wiring import build_worker
from tests.support.checked import CheckedApp
from tests.support.cluster import write_home
from tests.support.environment import clear_settings
from tests.support.own_server import OwnServer
from tests.support.waiting import wait_until

CHUNK = 65536
SIZES = [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 7 * CHUNK + 3]


class Ring:
    """Every node of one configuration on threads of this process."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self._servers: dict[str, OwnServer] = {}
        self._services: list[Service] = []
        self._apps: list[CheckedApp] = []
        for name, master in config.masters.items():
            self._serve(build_master(config, name), master.port)
        for name, worker in config.workers.items():
            self._serve(build_worker(config, name), worker.port)
        gateway = build_gateway(config, "gateway")
        gateway.start()
        self._services.append(gateway)
        self.client: FlaskClient = gateway.app.test_client()

    def is_complete(self) -> bool:
        state = self.client.get("/cluster").json
        parts = state["masters"] + state["workers"]
        return bool(state["leader"]) and all(part["state"] == "alive" for part in parts)

    def client_of(self, name: str) -> FlaskClient:
        """A client of one node, on this machine."""
        return next(service for service in self._services if service.node_id == name).app.test_client()

    def take_away(self, name: str) -> None:
        """From here on nobody answers at the node's address."""
        self._servers.pop(name).close()

    def chunk_files(self) -> list[Path]:
        folders = (self.config.data_dir(name) for name in self.config.workers)
        return [path for folder in folders for path in (folder / "chunks").glob("*/*")]

    def close(self) -> None:
        for service in reversed(self._services):
            service.stop()
        for name in list(self._servers):
            self.take_away(name)
        for service in self._services:
            # The log files' handlers belong to this process, which goes on.
            for handler in logging.getLogger(f"dfs.{service.node_id}").handlers:
                handler.close()
        assert [fault for app in self._apps for fault in app.faults] == []

    def _serve(self, service: Service, port: int) -> None:
        self._apps.append(CheckedApp(service.app))
        self._servers[service.node_id] = OwnServer(self._apps[-1], max_connections=64, port=port)
        service.start()
        self._services.append(service)


@pytest.fixture
def ring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ring]:
    clear_settings(monkeypatch)
    write_home(tmp_path)
    with contextlib.ExitStack() as stack:
        ring = Ring(load_config(tmp_path))
        stack.callback(ring.close)
        wait_until(ring.is_complete, "every node is there", seconds=20)
        yield ring


def _bytes(size: int) -> bytes:
    return bytes(number * 31 % 251 for number in range(size))


def test_files_of_every_size_come_back_and_go(ring: Ring) -> None:
    for size in SIZES:
        content = _bytes(size)
        stored = ring.client.put(f"/fs/sizes/{size}", data=content)
        assert (stored.status_code, stored.json["size"]) == (201, size)
        assert ring.client.get(f"/fs/sizes/{size}").data == content
        if size:
            last = ring.client.get(f"/fs/sizes/{size}", headers={"Range": "bytes=-1"})
            assert (last.status_code, last.data) == (206, content[-1:])
    listed = ring.client.get("/files?prefix=sizes/").json["files"]
    assert {file["size"] for file in listed} == set(SIZES)
    for file in listed:
        assert ring.client.delete(f"/files/{file['file_id']}?permanent=true").status_code == 200
    wait_until(lambda: not ring.chunk_files(), "no chunk is left on any disk", seconds=100)


def test_an_overwritten_file_is_the_same_file_with_another_content(ring: Ring) -> None:
    first = ring.client.put("/fs/name", data=b"one").json
    second = ring.client.put("/fs/name", data=b"two")
    assert (second.status_code, second.json["file_id"]) == (200, first["file_id"])
    assert ring.client.get("/fs/name").data == b"two"
    restored = ring.client.post(f"/files/{first['file_id']}/restore", json={"version": 1})
    assert restored.json["version"] == 3
    assert ring.client.get("/fs/name").data == b"one"


def test_a_lost_worker_and_a_lost_master_are_not_noticed(ring: Ring) -> None:
    content = _bytes(5 * CHUNK + 1)
    assert ring.client.put("/fs/before", data=content).status_code == 201
    ring.take_away("worker_1")
    ring.take_away("master_1")
    assert ring.client.get("/fs/before").data == content
    assert ring.client.put("/fs/after", data=content).status_code == 201
    assert ring.client.get("/fs/after").data == content


def test_a_quota_is_set_refuses_and_goes(ring: Ring) -> None:
    assert ring.client.put("/quotas?prefix=small/", json={"max_bytes": 10}).json["max_bytes"] == 10
    refused = wait_for(
        lambda: ring.client.put("/fs/small/file", data=b"x" * 11), lambda answer: answer.status_code == 413
    )
    assert refused.json["code"] == "larger_than_quota"
    assert (refused.json["prefix"], refused.json["limit_bytes"]) == ("small/", 10)
    assert ring.client.put("/fs/small/file", data=b"x" * 10).status_code in (200, 201)
    counted = wait_for(lambda: ring.client.get("/quotas").json["quotas"][0], lambda quota: quota["is_counted"])
    assert (counted["used_bytes"], counted["used_files"]) == (10, 1)
    form = {"path": "small/other", "file": (io.BytesIO(b"y"), "other")}
    refused = ring.client.post("/files", data=form, content_type="multipart/form-data")
    assert (refused.status_code, refused.json["code"]) == (507, "quota_exceeded")
    assert ring.client.delete("/quotas?prefix=small/").status_code == 200
    wait_for(lambda: ring.client.put("/fs/small/other", data=b"y"), lambda answer: answer.status_code == 201)


def wait_for(ask: Callable[[], Any], is_right: Callable[[Any], bool]) -> Any:
    """What `ask` gives, once it is right."""
    answers: list[Any] = []

    def look() -> bool:
        answers.append(ask())
        return is_right(answers[-1])

    wait_until(look, "the answer is right", seconds=30)
    return answers[-1]
