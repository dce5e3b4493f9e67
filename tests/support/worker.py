"""One worker's app inside the process of the test: real store, real gate, real checks, no network."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from common.auth import ClusterSecret
from common.clock import SystemClock
from common.errors import error_codes
from common.http import HttpPool
from common.master_client import MasterClient
from common.worker_client import WorkerClient
from storage.app import create_app
from storage.chunk_store import ChunkStore
from storage.copying import ReplicaCopier
from storage.epoch import EpochGate
from storage.reports import BadReplicaReports
from tests.support.chunks import Chunk, open_store
from tests.support.environment import SECRET
from tests.support.logs import Events, recording_log
from tests.support.signing import signed_open


@dataclass
class InProcessWorker:
    """A worker with its folder, its store and what it logged; every request of `ask` is signed."""

    root: Path
    store: ChunkStore
    events: Events
    reports: BadReplicaReports
    client: FlaskClient

    def ask(self, method: str, path: str, headers: dict[str, str] | None = None, **arguments: Any) -> TestResponse:
        return signed_open(self.client, path, method=method, headers=headers, **arguments)

    def put(self, chunk: Chunk, **changes: Any) -> TestResponse:
        """Send the chunk as the gateway does, or with changes."""
        headers = {"X-DFS-Checksum": chunk.checksum}
        return self.ask("PUT", f"/chunks/{chunk.chunk_id}", **{"headers": headers, "data": chunk.content, **changes})


def make_worker(root: Path, master_url: str = "http://127.0.0.1:1", **settings: Any) -> InProcessWorker:
    """No thread is started; what waits for the masters goes to `master_url` when the test sends it."""
    store = open_store(root, **settings, on_damage=lambda chunk_id: reports.add(chunk_id))
    epochs = EpochGate(root / "epoch")
    epochs.recover()
    log, events = recording_log()
    pool = HttpPool(ClusterSecret(SECRET))
    masters = MasterClient(pool, [master_url], SystemClock(), timeout_seconds=1.0, deadline_seconds=1.0)
    reports = BadReplicaReports("worker_1", masters, store.find_held, log)
    copier = ReplicaCopier(store, WorkerClient(pool, timeout_seconds=5.0))
    app = create_app("worker_1", store, epochs, copier, reports, ClusterSecret(SECRET), log)
    return InProcessWorker(root, store, events, reports, app.test_client())


def assert_problem(response: TestResponse, status: int, code: str) -> dict[str, Any]:
    """Check that the answer is this error as RFC 9457 has it, and give its members."""
    assert response.status_code == status, response.get_data(as_text=True)
    assert response.content_type == "application/problem+json"
    problem: dict[str, Any] = response.get_json(force=True)
    assert problem["code"] == code
    assert problem["status"] == status == error_codes()[code].status
    assert problem["title"] == error_codes()[code].title
    assert problem["detail"]
    assert problem["request_id"] == response.headers["X-Request-ID"] != ""
    return problem
