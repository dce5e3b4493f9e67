"""Whom and what a worker refuses: without the secret, without the leader's epoch, with an id that is none."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.chunks import chunk_files, make_chunk
from tests.support.worker import InProcessWorker, assert_problem, make_worker

CHUNK = make_chunk(100)
PATH = f"/chunks/{CHUNK.chunk_id}"
REQUESTS = [
    ("PUT", PATH),
    ("GET", PATH),
    ("HEAD", PATH),
    ("DELETE", PATH),
    ("OPTIONS", PATH),
    ("POST", f"{PATH}/verify"),
    ("POST", "/chunks/delete"),
    ("GET", "/"),
    ("GET", "/anything"),
    ("GET", "/health/"),
    ("GET", "//health"),
    ("GET", "/static/x"),
]


def worker_at(root: Path) -> InProcessWorker:
    """A worker that holds the one chunk."""
    worker = make_worker(root)
    assert worker.put(CHUNK).status_code == 201
    return worker


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> InProcessWorker:
    """One for all tests, because what is refused changes nothing."""
    return worker_at(tmp_path_factory.mktemp("worker"))


@pytest.fixture(autouse=True)
def _nothing_changes(worker: InProcessWorker) -> Iterator[None]:
    yield
    assert len(chunk_files(worker.root)) == 1
    assert worker.ask("GET", PATH).data == CHUNK.content


@pytest.mark.parametrize(("method", "path"), REQUESTS)
@pytest.mark.parametrize("signature", [None, "", "wrong", 32 * "0"])
def test_nothing_is_answered_without_a_signature(
    method: str, path: str, signature: str | None, worker: InProcessWorker
) -> None:
    headers = {"X-DFS-Epoch": "1", "X-DFS-Checksum": CHUNK.checksum}
    if signature is not None:
        headers["X-DFS-Signature"] = signature
    answer = worker.client.open(path, method=method, headers=headers, data=CHUNK.content)
    assert answer.status_code == 403
    assert CHUNK.content not in answer.data
    if method != "HEAD":
        assert_problem(answer, 403, "cluster_secret_rejected")


def test_health_is_answered_to_everybody_exactly_like_this(worker: InProcessWorker) -> None:
    answer = worker.client.get("/health")
    assert (answer.status_code, answer.get_json()) == (200, {"status": "ok"})
    assert answer.content_type == "application/json"


@pytest.mark.parametrize(
    "chunk_id",
    [
        "x",
        "0" * 32,
        "0" * 32 + "-0000000",
        "0" * 32 + "-000000000",
        "C" * 32 + "-00000000",
        "g" * 32 + "-00000000",
        "..",
        "%2e%2e",
        "..%5c..%5cepoch",
        CHUNK.chunk_id + "%0a",
        CHUNK.chunk_id + ".part",
        "%00",
        "%ff",
        "é",
    ],
)
def test_an_id_that_is_none_is_refused(chunk_id: str, worker: InProcessWorker) -> None:
    for method in ("PUT", "GET", "DELETE"):
        headers = {"X-DFS-Epoch": "1", "X-DFS-Checksum": CHUNK.checksum}
        answer = worker.ask(method, f"/chunks/{chunk_id}", headers, data=CHUNK.content)
        assert_problem(answer, 400, "invalid_request")
    assert_problem(worker.ask("POST", f"/chunks/{chunk_id}/verify"), 400, "invalid_request")


@pytest.mark.parametrize("chunk_id", ["../epoch", "..%2fepoch", "a/b", f"{CHUNK.chunk_id}/", ""])
def test_an_id_with_a_slash_leads_nowhere(chunk_id: str, worker: InProcessWorker) -> None:
    for method in ("PUT", "GET", "DELETE"):
        answer = worker.ask(method, f"/chunks/{chunk_id}", {"X-DFS-Epoch": "1"}, data=b"x")
        assert answer.status_code in (400, 404, 405)
        assert answer.content_type == "application/problem+json"


@pytest.mark.parametrize("epoch", [None, "", "-1", "+1", "1.0", "one", "0x1", " ", "1 1", "٣", "9" * 19])
@pytest.mark.parametrize("how", ["one", "many"])
def test_an_order_without_a_readable_epoch_is_refused(epoch: str | None, how: str, worker: InProcessWorker) -> None:
    assert_problem(_order(worker, epoch, how), 400, "invalid_request")


@pytest.mark.parametrize("how", ["one", "many"])
def test_an_order_of_a_replaced_leader_changes_nothing(how: str, tmp_path: Path) -> None:
    worker = worker_at(tmp_path)
    other = make_chunk(10, 1)
    assert worker.ask("DELETE", f"/chunks/{other.chunk_id}", {"X-DFS-Epoch": "7"}).status_code == 200
    assert assert_problem(_order(worker, "6", how), 409, "stale_epoch")["highest"] == 7
    assert len(chunk_files(worker.root)) == 1
    restarted = make_worker(worker.root)
    assert_problem(_order(restarted, "6", how), 409, "stale_epoch")
    assert _order(restarted, "7", how).get_json() == {"deleted": 1}
    assert chunk_files(worker.root) == []


def _order(worker: InProcessWorker, epoch: str | None, how: str) -> Any:
    headers = {} if epoch is None else {"X-DFS-Epoch": epoch}
    if how == "one":
        return worker.ask("DELETE", PATH, headers)
    return worker.ask("POST", "/chunks/delete", headers, json={"chunk_ids": [CHUNK.chunk_id]})


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff",
        b"[" * 100_000,
        b"{}",
        b'{"chunk_ids": 5}',
        b'{"chunk_ids": "text"}',
        b'{"chunk_ids": [5]}',
        b'{"chunk_ids": [null]}',
        b'{"chunk_ids": ["../epoch"]}',
        b'{"chunk_ids": ["' + CHUNK.chunk_id.encode() + b'", "x"]}',
    ],
)
def test_an_order_that_is_not_understood_whole_deletes_nothing(body: bytes, worker: InProcessWorker) -> None:
    assert_problem(worker.ask("POST", "/chunks/delete", {"X-DFS-Epoch": "1"}, data=body), 400, "invalid_request")


def test_an_order_that_is_too_large_is_refused(worker: InProcessWorker) -> None:
    answer = worker.ask("POST", "/chunks/delete", {"X-DFS-Epoch": "1"}, data=b" " * (1024 * 1024 + 1))
    assert_problem(answer, 413, "too_large")


def test_an_order_with_as_many_chunks_as_masters_send_fits(worker: InProcessWorker) -> None:
    body = {"chunk_ids": [make_chunk(1, number).chunk_id for number in range(1, 1001)]}
    assert worker.ask("POST", "/chunks/delete", {"X-DFS-Epoch": "1"}, json=body).status_code == 200


@pytest.mark.parametrize("path", ["/", "/chunks", "/chunks/", "/nothing", f"{PATH}/other", "/files", "//"])
def test_an_unknown_address_is_a_problem_too(path: str, worker: InProcessWorker) -> None:
    assert_problem(worker.ask("GET", path), 404, "not_found")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("POST", PATH, {"GET", "HEAD", "PUT", "DELETE", "OPTIONS"}),
        ("PATCH", PATH, {"GET", "HEAD", "PUT", "DELETE", "OPTIONS"}),
        ("GET", f"{PATH}/verify", {"POST", "OPTIONS"}),
        ("POST", "/health", {"GET", "HEAD", "OPTIONS"}),
    ],
)
def test_a_method_that_is_not_taken_is_a_problem_that_names_those_that_are(
    method: str, path: str, allowed: set[str], worker: InProcessWorker
) -> None:
    answer = worker.ask(method, path)
    assert_problem(answer, 405, "method_not_allowed")
    assert set(answer.headers["Allow"].replace(" ", "").split(",")) == allowed


def test_a_lost_disk_is_answered_without_the_details(tmp_path: Path) -> None:
    """The folders vanish under the worker; whatever comes, the client gets a problem and no traceback."""
    worker = worker_at(tmp_path)
    for folder in sorted(worker.root.rglob("*"), reverse=True):
        folder.rmdir() if folder.is_dir() else folder.unlink()
    answer = worker.put(make_chunk(10, 5))
    assert_problem(answer, 503, "disk_failed")
    assert b"Traceback" not in answer.data
    assert answer.headers["Retry-After"]


def test_the_request_id_that_came_is_the_one_that_is_answered(worker: InProcessWorker) -> None:
    answer = worker.ask("GET", "/nothing", {"X-Request-ID": "from-the-gateway"})
    assert assert_problem(answer, 404, "not_found")["request_id"] == "from-the-gateway"
