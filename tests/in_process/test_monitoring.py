"""What every service shows to those who watch it, with all of them in one process.

The rules and the dashboard in deploy/ are held against what is really exported.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from common.config import load_config
from tests.in_process.test_whole_system import Ring
from tests.support.cluster import write_home
from tests.support.environment import clear_settings
from tests.support.metrics import names_of, samples_of
from tests.support.own_server import own_server
from tests.support.waiting import wait_until

ROOT = Path(__file__).resolve().parents[2]
NODES = ("gateway", "master_1", "worker_1")
ALERTS = ROOT / "deploy" / "prometheus" / "alerts.yml"
DASHBOARD = ROOT / "deploy" / "grafana" / "dashboard.json"
PROMTOOL = os.environ.get("DFS_TEST_PROMTOOL", "")
needs_promtool = pytest.mark.skipif(not PROMTOOL, reason="DFS_TEST_PROMTOOL names no promtool")
ALWAYS = {
    "cache-control",
    "content-security-policy",
    "cross-origin-resource-policy",
    "referrer-policy",
    "x-content-type-options",
    "x-frame-options",
}


@pytest.fixture(scope="module")
def ring(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ring]:
    """One node of each kind."""
    home = tmp_path_factory.mktemp("monitoring")
    with pytest.MonkeyPatch.context() as patch, contextlib.ExitStack() as stack:
        clear_settings(patch)
        settings = {"cluster": {"replication_factor": 1, "write_quorum": 1}}
        write_home(home, settings=settings, masters=("master_1",), workers=("worker_1",))
        ring = Ring(load_config(home))
        stack.callback(ring.close)
        wait_until(ring.is_complete, "every node is there", seconds=20)
        yield ring


def _metrics(client: FlaskClient) -> bytes:
    answer = client.get("/metrics")
    assert answer.status_code == 200
    return answer.data


def _samples_of_a_leader(ring: Ring) -> dict[str, float]:
    """The master's samples; none while it does not lead."""
    samples = samples_of(_metrics(ring.client_of("master_1")))
    return samples if samples["dfs_election_is_leader"] else {}


def _paths(client: FlaskClient) -> Iterator[tuple[str, str]]:
    """A request for every route, and some for none."""
    for rule in client.application.url_map.iter_rules():
        for method in sorted(rule.methods or ()):
            yield method, re.sub(r"<[^>]+>", "x", rule.rule)
    yield from (("GET", "/nothing/here"), ("BREW", "/health"), ("POST", "/ready"), ("GET", "/fs/a%2F%2Fb"))


@pytest.mark.parametrize("node", NODES)
def test_every_answer_of_every_route_has_the_security_headers(ring: Ring, node: str) -> None:
    client = ring.client_of(node)
    with own_server(client.application) as server:
        for method, path in _paths(client):
            head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            reply = server.ask(head.encode(), method)
            assert reply.fields.keys() >= ALWAYS, (method, path, reply.status)
            assert reply.fields["x-content-type-options"] == "nosniff", (method, path)
            assert reply.fields["content-security-policy"].startswith(("default-src 'none'", "sandbox")), (method, path)
            assert "server" not in reply.fields, (method, path)
            if "json" in reply.fields.get("content-type", ""):
                assert reply.fields["cache-control"] == "no-store", (method, path)
        refused = server.ask(b"GET / HTTP/1.1\r\n\r\n")
        assert (refused.status, refused.fields.keys() >= ALWAYS) == (400, True)


def test_a_page_and_a_stored_file_have_rules_of_their_own(ring: Ring) -> None:
    assert ring.client.put("/fs/own.html", data=b"<script>1</script>").status_code == 201
    with own_server(ring.client.application) as server:
        page = server.ask(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        stored = server.ask(b"GET /fs/own.html HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    assert "style-src 'self'" in page.fields["content-security-policy"]
    assert page.fields.keys() >= {"cross-origin-opener-policy", "permissions-policy"}
    assert stored.fields["content-security-policy"] == "sandbox; default-src 'none'"
    assert stored.fields["cache-control"] == "no-cache"
    assert stored.fields["content-disposition"].startswith("attachment")


@pytest.mark.parametrize(
    ("node", "checks"),
    [("gateway", {"master"}), ("master_1", {"database", "leader"}), ("worker_1", {"disk", "master"})],
)
def test_a_node_of_a_whole_cluster_is_ready(ring: Ring, node: str, checks: set[str]) -> None:
    answer = ring.client_of(node).get("/ready")
    assert (answer.status_code, set(answer.json["checks"])) == (200, checks)


def test_what_a_client_did_is_counted_once_at_every_service(ring: Ring) -> None:
    before = {node: samples_of(_metrics(ring.client_of(node))) for node in NODES}
    content = b"x" * 70000
    ring.client.put("/fs/counted", data=content)
    assert ring.client.get("/fs/counted", buffered=True).data == content
    # An escaped path goes the long way, and is counted all the same.
    first = ring.client.get("/fs/c%6funted?%61", headers={"Range": "bytes=0-9"}, buffered=True)
    assert first.data == content[:10]
    assert ring.client.get("/fs/a\u00fc", buffered=True).status_code == 404
    after = {node: samples_of(_metrics(ring.client_of(node))) for node in NODES}

    def grown(node: str, name: str) -> float:
        return after[node].get(name, 0) - before[node].get(name, 0)

    get, put = 'method="GET",route="/fs/<anypath:path>"', 'method="PUT",route="/fs/<anypath:path>"'
    assert grown("gateway", f'dfs_http_requests_total{{{put},status="201"}}') == 1
    assert grown("gateway", f'dfs_http_requests_total{{{get},status="200"}}') == 1
    assert grown("gateway", f'dfs_http_requests_total{{{get},status="206"}}') == 1
    assert grown("gateway", f'dfs_http_requests_total{{{get},status="404"}}') == 1
    assert grown("gateway", f"dfs_http_request_duration_seconds_count{{{get}}}") == 3
    assert grown("gateway", f"dfs_http_request_bytes_total{{{put}}}") == len(content)
    sent = grown("gateway", f"dfs_http_response_bytes_total{{{get}}}")
    assert len(content) + 10 < sent < len(content) + 10 + 1000
    chunks = -(-len(content) // ring.config.cluster.chunk_size_bytes)
    assert grown("worker_1", "dfs_chunks_written_total") == chunks
    assert grown("worker_1", "dfs_chunks_read_total") >= chunks
    assert grown("master_1", 'dfs_database_operation_duration_seconds_count{operation="insert_file"}') == 1
    assert after["gateway"]["dfs_gateway_uploads_open"] == 0
    assert after["gateway"]["dfs_gateway_buffers_in_use"] == 0


def test_the_master_tells_of_workers_leadership_and_jobs(ring: Ring) -> None:
    # On a machine that is busy the leadership may have been lost for a moment.
    samples = wait_until(lambda: _samples_of_a_leader(ring), "the master leads")
    assert samples["dfs_database_up"] == 1
    assert samples['dfs_worker_state{state="alive",worker="worker_1"}'] == 1
    assert samples['dfs_worker_state{state="dead",worker="worker_1"}'] == 0
    assert samples['dfs_worker_heartbeat_age_seconds{worker="worker_1"}'] < 10
    assert samples['dfs_replication_owed_chunks{copies="0"}'] == 0
    assert sum(value for name, value in samples.items() if name.startswith('dfs_job_state{name="repair"')) == 1


def test_no_series_names_a_path(ring: Ring) -> None:
    ring.client.put("/fs/a-path-that-is-nobodys-business", data=b"x")
    ring.client.get("/nobodys/business/either")
    assert b"business" not in _metrics(ring.client)


def test_every_metric_that_the_rules_and_the_dashboard_use_is_exported(ring: Ring) -> None:
    wait_until(lambda: _samples_of_a_leader(ring), "the master leads")
    exported = set().union(*(names_of(_metrics(ring.client_of(node))) for node in NODES))
    used = {name for expression in _expressions() for name in re.findall(r"\b(?:dfs|process)_\w+", expression)}
    assert len(used) > 40
    assert used - exported == set()


def test_every_alert_has_its_place_in_the_operators_document() -> None:
    text = ALERTS.read_text(encoding="utf-8")
    alerts = re.findall(r"- alert: (\w+)", text)
    document = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    assert re.findall(r"runbook: docs/operations\.md#(\w+)", text) == [name.lower() for name in alerts]
    assert re.findall(r"^### (Dfs\w+)$", document, re.MULTILINE) == alerts
    tested = (ROOT / "tests" / "deploy" / "alerts_test.yml").read_text(encoding="utf-8")
    assert re.findall(r'alertname="(\w+)"', tested) == alerts


@needs_promtool
@pytest.mark.parametrize("node", NODES)
def test_promtool_finds_nothing_wrong_with_the_metrics(ring: Ring, node: str) -> None:
    _promtool("check", "metrics", text=_metrics(ring.client_of(node)))


@needs_promtool
def test_promtool_finds_nothing_wrong_with_the_rules_and_the_configuration() -> None:
    _promtool("check", "rules", str(ALERTS))
    _promtool("check", "config", "--syntax-only", str(ALERTS.parent / "prometheus.yml"))
    _promtool("test", "rules", str(ROOT / "tests" / "deploy" / "alerts_test.yml"))


def _promtool(*arguments: str, text: bytes = b"") -> None:
    done = subprocess.run([PROMTOOL, *arguments], input=text, capture_output=True, timeout=60)
    assert (done.returncode, done.stderr.decode()) == (0, ""), done.stdout.decode()


def _expressions() -> Iterator[str]:
    """Every query of the rules and of the dashboard, without the text of its labels."""
    found = re.findall(r"expr: >-\n\s+(.+)", ALERTS.read_text(encoding="utf-8"))
    panels = json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]
    found += [target["expr"] for panel in panels for target in panel.get("targets", ())]
    return (re.sub(r'"[^"]*"', '""', expression) for expression in found)
