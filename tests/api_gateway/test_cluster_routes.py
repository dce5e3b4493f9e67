"""What an operator asks of the gateway goes to a master, and comes back as the master said it."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from api_gateway.routes.cluster import add_cluster_routes
from common.edge import Edge
from common.errors import WorkerUnknown
from common.http import HttpPool
from common.master_client import MasterClient
from tests.support.clocks import StepClock
from tests.support.logs import recording_log
from tests.support.tiny_server import Exchange, TinyServer, serving

ANSWERS: dict[tuple[str, str], dict[str, Any]] = {
    ("POST", "/workers/worker_3/drain"): {"worker_id": "worker_3", "state": "draining"},
    ("POST", "/workers/worker_3/undrain"): {"worker_id": "worker_3", "state": "alive"},
    ("GET", "/jobs"): {"jobs": [{"name": "repair"}]},
    ("POST", "/fsck"): {"state": "wanted"},
    ("POST", "/fsck?verify=true"): {"state": "wanted", "is_verifying": True},
    ("GET", "/fsck"): {"state": "done"},
}


def _answer(exchange: Exchange) -> None:
    found = ANSWERS.get((exchange.request.method, exchange.request.target))
    if found is None:
        exchange.send_problem(WorkerUnknown("no such worker", worker_id="x").to_problem(), 404)
    else:
        exchange.send_json(found)


@pytest.fixture
def master() -> Iterator[TinyServer]:
    with serving(_answer) as server:
        yield server


@pytest.fixture
def client(master: TinyServer) -> Iterator[FlaskClient]:
    """The gateway's routes of the cluster, and nothing else of it."""
    with ExitStack() as stack:
        pool = HttpPool()
        stack.callback(pool.close)
        app = Flask("gateway")
        edge = Edge(app, recording_log()[0], lambda _: None)
        masters = MasterClient(pool, (master.url,), StepClock(), timeout_seconds=5.0, deadline_seconds=5.0)
        add_cluster_routes(edge, masters, {"master_1": master.url}, stack.enter_context(ThreadPoolExecutor(1)))
        yield app.test_client()


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/workers/worker_3/drain", 200),
        ("POST", "/workers/worker_3/undrain", 200),
        ("GET", "/jobs", 200),
        ("POST", "/fsck", 202),
        ("POST", "/fsck?verify=true", 202),
        ("GET", "/fsck", 200),
    ],
)
def test_an_operators_request_is_answered_by_a_master(client: FlaskClient, method: str, path: str, status: int) -> None:
    answer = client.open(f"/cluster{path}", method=method)
    assert (answer.status_code, answer.json) == (status, ANSWERS[method, path])


def test_a_worker_that_nobody_knows_is_404(client: FlaskClient) -> None:
    answer = client.post("/cluster/workers/worker_9/drain")
    assert (answer.status_code, answer.json["code"]) == (404, "worker_not_found")


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/workers/worker_3/drain"), ("DELETE", "/fsck"), ("POST", "/jobs")]
)
def test_another_method_changes_nothing(client: FlaskClient, master: TinyServer, method: str, path: str) -> None:
    assert client.open(f"/cluster{path}", method=method).status_code == 405
    assert master.requests == []
