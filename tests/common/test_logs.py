"""A node's log: one JSON object a line, in its folder, rotated by size, under the request's id, without secrets."""

from __future__ import annotations

import contextvars
import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from common.auth import ClusterSecret
from common.clock import SystemClock, parse_timestamp
from common.edge import Edge, internal_edge
from common.logs import EventLog, open_log
from common.request_ids import begin_request
from common.settings import ClusterSettings, all_settings
from tests.support.environment import SECRET
from tests.support.signing import signed_open

Open = Callable[..., EventLog]


@pytest.fixture
def open_here(tmp_path: Path) -> Iterator[Open]:
    def open_it(**settings: Any) -> EventLog:
        return open_log("node_t", tmp_path / "logs" / "node_t", "node.log", ClusterSettings(**settings), SystemClock())

    yield open_it
    logger = logging.getLogger("dfs.node_t")
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
        handler.close()


def entries(tmp_path: Path) -> list[dict[str, Any]]:
    text = (tmp_path / "logs" / "node_t" / "node.log").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def test_an_event_is_one_line_of_json(open_here: Open, tmp_path: Path) -> None:
    log = open_here()
    # Outside of any request, whatever this thread served before.
    contextvars.Context().run(
        lambda: log.info("chunk_stored", chunk_id="c", size_bytes=5, path="a\nb \u2028 é", folder=tmp_path)
    )
    (entry,) = entries(tmp_path)
    parse_timestamp(entry.pop("time"))
    assert entry == {
        "level": "INFO",
        "node": "node_t",
        "event": "chunk_stored",
        "chunk_id": "c",
        "size_bytes": 5,
        "path": "a\nb \u2028 é",
        "folder": str(tmp_path),
    }


def test_an_entry_names_the_request_it_belongs_to(open_here: Open, tmp_path: Path) -> None:
    log = open_here()

    def work() -> None:
        begin_request("request-7")
        log.info("during")

    contextvars.Context().run(work)
    contextvars.Context().run(log.info, "outside")
    during, outside = entries(tmp_path)
    assert during["request_id"] == "request-7"
    assert "request_id" not in outside


def test_an_exception_is_logged_with_its_traceback_in_the_same_line(open_here: Open, tmp_path: Path) -> None:
    log = open_here()
    try:
        raise LookupError("the reason")
    except LookupError:
        log.exception("broken", job="repair")
    (entry,) = entries(tmp_path)
    assert (entry["event"], entry["level"], entry["job"]) == ("broken", "ERROR", "repair")
    assert "LookupError: the reason" in entry["traceback"]


def test_only_the_level_that_is_set_and_above_is_logged(open_here: Open, tmp_path: Path) -> None:
    log = open_here(log_level="WARNING")
    log.debug("a")
    log.info("b")
    log.warning("c")
    log.error("d")
    assert [entry["event"] for entry in entries(tmp_path)] == ["c", "d"]


def test_errors_are_also_told_to_the_operator(open_here: Open, capsys: pytest.CaptureFixture[str]) -> None:
    log = open_here()
    log.info("quiet")
    log.error("disk_nearly_full", free_bytes=5)
    assert capsys.readouterr().err == "node_t: error: disk_nearly_full free_bytes=5\n"


def test_a_full_log_is_rotated_and_the_oldest_is_dropped(open_here: Open, tmp_path: Path) -> None:
    log = open_here(log_max_bytes=4096, log_backups=2)
    for number in range(200):
        log.info("event", number=number, filler="x" * 100)
    folder = tmp_path / "logs" / "node_t"
    assert sorted(path.name for path in folder.iterdir()) == ["node.log", "node.log.1", "node.log.2"]
    assert all(path.stat().st_size <= 4096 for path in folder.iterdir())
    assert entries(tmp_path)[-1]["number"] == 199


def test_the_log_stays_bounded_with_the_fewest_backups_that_may_be_set(open_here: Open, tmp_path: Path) -> None:
    (fewest,) = (int(entry.rule.minimum or 0) for entry in all_settings() if entry.key == "cluster.log_backups")
    log = open_here(log_max_bytes=4096, log_backups=fewest)
    for number in range(200):
        log.info("event", number=number, filler="x" * 100)
    total = sum(path.stat().st_size for path in (tmp_path / "logs" / "node_t").iterdir())
    assert total <= 4096 * (fewest + 1)
    assert entries(tmp_path)[-1]["number"] == 199


def test_a_restarted_node_goes_on_in_the_same_file(open_here: Open, tmp_path: Path) -> None:
    open_here().info("before")
    open_here().info("after")
    assert [entry["event"] for entry in entries(tmp_path)] == ["before", "after"]


def test_the_log_of_requests_shows_no_secret(open_here: Open, tmp_path: Path) -> None:
    """Neither the cluster's secret, right or wrong, nor what a client sends as authorization, nor a query."""
    app = Flask("node_t")
    log = open_here(log_level="DEBUG")
    internal_edge(app, log, ClusterSecret(SECRET))

    @app.get("/fails")
    def fails() -> str:
        raise RuntimeError("a defect")

    client = app.test_client()
    headers = {"Authorization": "Bearer key-of-a-client"}
    assert signed_open(client, "/health?token=query-token", headers=headers).status_code == 200
    assert signed_open(client, "/fails?token=query-token", headers=headers).status_code == 500
    assert signed_open(client, "/missing?token=query-token", headers=headers).status_code == 404
    assert client.get("/health", headers={"X-DFS-Session": "wrong-proof-sent"}).status_code == 200
    assert client.post("/session", headers={"X-DFS-Session": "wrong-proof-sent"}).status_code == 403
    text = json.dumps(entries(tmp_path))
    assert text.count('"request"') == 5
    for secret in (SECRET, "key-of-a-client", "query-token", "wrong-proof-sent"):
        assert secret not in text


def test_a_request_is_logged_under_the_id_that_it_is_answered_with(open_here: Open, tmp_path: Path) -> None:
    app = Flask("node_t")
    Edge(app, open_here(log_level="DEBUG"), lambda _call: None)
    client = app.test_client()
    assert client.get("/health", headers={"X-Request-ID": "from-the-client"}).headers["X-Request-ID"] == (
        "from-the-client"
    )
    made = client.get("/missing", headers={"X-Request-ID": "not well formed"})
    assert made.headers["X-Request-ID"] == made.get_json(force=True)["request_id"] != "not well formed"
    assert [entry["request_id"] for entry in entries(tmp_path)] == ["from-the-client", made.headers["X-Request-ID"]]
