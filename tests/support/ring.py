"""The smallest whole system, in this process: one master, one worker and the gateway, each served by our own loop."""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from api_gateway.wiring import build_gateway
from common.config import Config, load_config
from common.serving import Service
from master_node.wiring import build_master
from storage.wiring import build_worker
from tests.support.cluster import write_home
from tests.support.own_server import OwnServer
from tests.support.waiting import wait_until

MASTER, WORKER = "master_1", "worker_1"
OPERATOR_KEY = "the-key-of-the-operator"
REMOTE = "203.0.113.9"
ALONE = {"replication_factor": 1, "write_quorum": 1}


class SmallRing:
    """`client` asks the gateway without a socket. Nodes can be stopped and started."""

    def __init__(self, home: Path, settings: Mapping[str, Mapping[str, Any]], variables: Mapping[str, str]) -> None:
        write_home(home, settings=settings, variables=variables, masters=(MASTER,), workers=(WORKER,))
        self.config: Config = load_config(home, {})
        # Logs go by the node's name within a process, which may have several rings.
        self.gateway_id = f"gateway_{home.name}"
        self._running: dict[str, tuple[Service, OwnServer]] = {}
        for name in (MASTER, WORKER, self.gateway_id):
            self.start(name)

    @property
    def gateway(self) -> Service:
        return self._running[self.gateway_id][0]

    @property
    def client(self) -> FlaskClient:
        """A new one, without cookies."""
        return self.gateway.app.test_client()

    def start(self, name: str) -> None:
        if name == self.gateway_id:
            service, port = build_gateway(self.config, name), self.config.gateway.port
        elif name == MASTER:
            service, port = build_master(self.config, name), self.config.masters[name].port
        else:
            service, port = build_worker(self.config, name), self.config.workers[name].port
        server = OwnServer(service.app, port=port, max_connections=64)
        self._running[name] = service, server
        service.start()

    def stop(self, name: str) -> None:
        service, server = self._running.pop(name)
        service.stop()
        server.close()
        close_logs(name)

    def restart_gateway(self) -> None:
        """It forgets whatever it remembers."""
        self.stop(self.gateway_id)
        self.start(self.gateway_id)

    def is_complete(self) -> bool:
        answer = self.client.get("/cluster", headers={"Authorization": f"Bearer {OPERATOR_KEY}"})
        parts = answer.json.get("masters", []) + answer.json.get("workers", []) if answer.json else []
        return len(parts) == 2 and bool(answer.json["leader"]) and all(part["state"] == "alive" for part in parts)

    def audit(self) -> list[dict[str, Any]]:
        """The lines of the audit log."""
        text = (self.config.log_dir(self.gateway_id) / "audit.log").read_text(encoding="ascii")
        return [json.loads(line) for line in text.splitlines()]

    def logged(self) -> str:
        """All that the nodes have logged."""
        return "".join(path.read_text(encoding="ascii") for path in (self.config.home / "logs").glob("*/*.log"))

    def close(self) -> None:
        for name in list(self._running)[::-1]:
            self.stop(name)


def close_logs(name: str) -> None:
    """Of a node that was stopped: its log files' handlers belong to this process, which goes on."""
    for log in (f"dfs.{name}", f"dfs.{name}.audit"):
        for handler in logging.getLogger(log).handlers:
            handler.close()


@contextlib.contextmanager
def small_ring(
    home: Path,
    *,
    has_operator: bool = True,
    master: Mapping[str, Any] | None = None,
    cluster: Mapping[str, Any] | None = None,
    **gateway: Any,
) -> Iterator[SmallRing]:
    """Run it until the block is left. has_operator: whether OPERATOR_KEY is set; the others are settings."""
    variables = {"DFS_GATEWAY_API_KEY": OPERATOR_KEY} if has_operator else {}
    settings = {"cluster": {**ALONE, **(cluster or {})}, "gateway": gateway, "master": master or {}}
    ring = SmallRing(home, settings, variables)
    try:
        wait_until(ring.is_complete, "every node is there")
        yield ring
    finally:
        ring.close()


@dataclass(frozen=True)
class AnotherGateway:
    """One more gateway of a cluster, in this process."""

    service: Service

    @property
    def client(self) -> FlaskClient:
        """A new one, without cookies."""
        return self.service.app.test_client()


@contextlib.contextmanager
def another_gateway(config: Config, name: str, **settings: Any) -> Iterator[AnotherGateway]:
    """Run it until the block is left, without a socket. settings: what it has otherwise than the cluster's own."""
    service = build_gateway(replace(config, gateway=replace(config.gateway, **settings)), name)
    service.start()
    try:
        yield AnotherGateway(service)
    finally:
        service.stop()
        close_logs(name)


def ask(
    ring: SmallRing, method: str, target: str, key: str = "", *, client: str = REMOTE, **options: Any
) -> TestResponse:
    """What the gateway answers to a client at that address."""
    headers = {**({"Authorization": f"Bearer {key}"} if key else {}), **options.pop("headers", {})}
    return ring.client.open(
        target, method=method, headers=headers, environ_overrides={"REMOTE_ADDR": client}, **options
    )


def make_key(ring: SmallRing, rights: list[str], by: str = OPERATOR_KEY, **body: Any) -> dict[str, Any]:
    """A new key, its text with it."""
    made = ask(ring, "POST", "/keys", by, json={"name": "n", "rights": rights, **body})
    assert made.status_code == 201, made.json
    return made.json
