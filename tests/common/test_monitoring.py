"""Who may read /metrics and /ready, and what they say."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from werkzeug.test import Client, TestResponse

from common.calls import Call
from common.edge import Edge
from common.errors import TooManySignIns, Unauthorized
from common.failed_sign_ins import FailedSignIns
from common.metrics import Metrics
from common.monitoring import Guard, Monitoring
from common.readiness import Readiness
from tests.support.clocks import StepClock
from tests.support.logs import recording_log

TOKEN = "a-token-of-the-tests-0123456789"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
HERE = {"REMOTE_ADDR": "127.0.0.1"}
THERE = {"REMOTE_ADDR": "10.0.0.9"}


def _refuse(call: Call) -> None:
    if call.path != "/health":
        raise Unauthorized("nobody comes in here")


def _client(monitoring: Monitoring, guard: Guard = _refuse) -> Client:
    app = Flask("tests")
    Edge(app, recording_log()[0], guard, monitoring=monitoring)
    return Client(app)


def _ask(path: str, client: Client, environ: dict[str, str], headers: dict[str, str] | None = None) -> TestResponse:
    return client.get(path, environ_base=environ, headers=headers or {})


@pytest.mark.parametrize(
    ("is_internal", "token", "environ", "headers", "status"),
    [
        (True, "", HERE, {}, 200),
        (True, "", {"REMOTE_ADDR": "::1"}, {"Host": "[::1]:5001"}, 200),
        (True, "", THERE, {}, 401),
        (True, "", THERE, BEARER, 401),
        (True, "", HERE, {"X-Forwarded-For": "10.0.0.9"}, 401),
        (True, "", HERE, {"Via": "1.1 proxy"}, 401),
        (True, "", HERE, {"Host": "attacker.example"}, 401),
        (True, TOKEN, THERE, BEARER, 200),
        (True, TOKEN, THERE, {}, 401),
        (True, TOKEN, THERE, {"Authorization": f"Bearer {TOKEN}x"}, 401),
        (True, TOKEN, THERE, {"Authorization": "Bearer \xfc"}, 401),
        (True, TOKEN, THERE, {"Authorization": f"Basic {TOKEN}"}, 401),
        (True, TOKEN, HERE, {}, 200),
        (True, TOKEN, HERE, {"Authorization": "Bearer another"}, 401),
        (False, "", HERE, {}, 401),
        (False, TOKEN, HERE, {}, 401),
        (False, TOKEN, THERE, BEARER, 200),
    ],
)
def test_metrics_are_for_who_shows_the_token_and_of_internal_services_for_their_own_machine(
    is_internal: bool, token: str, environ: dict[str, str], headers: dict[str, str], status: int
) -> None:
    client = _client(Monitoring(Metrics("worker"), token=token, is_internal=is_internal))
    answer = _ask("/metrics", client, environ, headers)
    assert answer.status_code == status
    assert (b"dfs_build_info" in answer.data) == (status == 200)


@pytest.mark.parametrize("is_internal", [True, False])
def test_who_guesses_the_token_has_to_wait_and_does_not_learn_which_guess_was_right(is_internal: bool) -> None:
    failures = FailedSignIns(StepClock(), per_minute=3)
    client = _client(Monitoring(Metrics("worker"), token=TOKEN, is_internal=is_internal, failures=failures))
    wrong = {"Authorization": "Bearer another"}
    assert [_ask("/metrics", client, THERE, wrong).status_code for _ in range(5)] == [401, 401, 401, 429, 429]
    assert _ask("/metrics", client, THERE, BEARER).status_code == 429
    assert _ask("/metrics", client, {"REMOTE_ADDR": "10.0.0.8"}, BEARER).status_code == 200


def test_a_key_that_the_gateway_knows_is_no_wrong_token_and_what_it_refuses_is_one() -> None:
    def guard(call: Call) -> None:
        if call.headers.get("Authorization") != "Bearer key":
            raise TooManySignIns("the gateway is limiting by itself")

    failures = FailedSignIns(StepClock(), per_minute=1)
    client = _client(Monitoring(Metrics("gateway"), token=TOKEN, failures=failures), guard)
    assert [_ask("/metrics", client, THERE, {"Authorization": "Bearer key"}).status_code for _ in range(5)] == [200] * 5
    assert _ask("/metrics", client, THERE, {"Authorization": "Bearer guess"}).status_code == 429
    assert _ask("/metrics", client, THERE, BEARER).status_code == 429


def test_the_token_opens_nothing_but_the_metrics() -> None:
    client = _client(Monitoring(Metrics("worker"), token=TOKEN, is_internal=True))
    for path in ("/", "/metrics/", "/metrics/x", "/chunks/0", "//metrics", "/ready/"):
        assert _ask(path, client, HERE, BEARER).status_code == 401, path


@pytest.mark.parametrize(("holds", "status", "word"), [(True, 200, "ready"), (False, 503, "not_ready")])
def test_anybody_may_ask_whether_the_service_is_ready(holds: bool, status: int, word: str) -> None:
    client = _client(Monitoring(Metrics("worker"), Readiness({"disk": lambda: holds})))
    answer = _ask("/ready", client, THERE)
    assert (answer.status_code, answer.json) == (status, {"status": word, "checks": {"disk": holds}})


def test_health_tells_of_life_only() -> None:
    client = _client(Monitoring(Metrics("worker"), Readiness({"disk": lambda: False})))
    answer = _ask("/health", client, THERE)
    assert (answer.status_code, answer.json) == (200, {"status": "ok"})


def test_the_token_shows_in_no_repr() -> None:
    monitoring: Any = Monitoring(Metrics("worker"), token=TOKEN)
    assert TOKEN not in repr(monitoring)
