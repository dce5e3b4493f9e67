"""Real workers for the masters' orders: the whole app of each, served over HTTP on a free port of this machine."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from common.checksums import block_digests, checksum_of
from common.http import HttpPool
from common.records import chunk_id
from common.worker_client import WorkerClient
from tests.support.worker import InProcessWorker, make_worker


class _Quiet(WSGIRequestHandler):
    def log_request(self, *_: object) -> None:
        """Tests print nothing."""


class ServedWorkers:
    """Workers by their ids; each can be taken off the network and brought back."""

    def __init__(self, root: Path, worker_ids: tuple[str, ...], headers: dict[str, str]) -> None:
        self.pool = HttpPool(headers)
        self.client = WorkerClient(self.pool, timeout_seconds=10.0)
        self._workers: dict[str, InProcessWorker] = {
            name: make_worker(root / name, is_synced=False) for name in worker_ids
        }
        self._servers: dict[str, BaseWSGIServer] = {}
        self.urls: dict[str, str] = {}
        for name in worker_ids:
            self.bring_back(name)

    def bring_back(self, name: str) -> None:
        """Serve the worker, at a new address, as its next heartbeat says."""
        app = self._workers[name].client.application
        server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=_Quiet)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        self._servers[name] = server
        self.urls[name] = f"http://127.0.0.1:{server.server_port}"

    def take_away(self, name: str) -> None:
        """From here on nobody answers at the worker's address."""
        server = self._servers.pop(name)
        server.shutdown()
        server.server_close()

    def close(self) -> None:
        for name in list(self._servers):
            self.take_away(name)
        self.pool.close()

    def put(self, version_id: str, count: int, names: tuple[str, ...]) -> None:
        """Store the chunks 0 to `count - 1` of a version on these workers, as the gateway does."""
        for index in range(count):
            content = f"{version_id} {index}".encode()
            for name in names:
                one = chunk_id(version_id, index)
                self.client.put_chunk(self.urls[name], one, content, checksum_of(block_digests(content)))

    def held(self, name: str) -> set[str]:
        """The chunks on a worker's disk."""
        return {path.name for path in (self._workers[name].root / "chunks").glob("*/*")}

    def versions(self) -> set[str]:
        """The versions of which any worker has a chunk on its disk."""
        return {chunk.partition("-")[0] for name in self._workers for chunk in self.held(name)}


@contextlib.contextmanager
def served_workers(root: Path, worker_ids: tuple[str, ...], headers: dict[str, str]) -> Iterator[ServedWorkers]:
    """Serve workers with folders below `root` until the block is left."""
    workers = ServedWorkers(root, worker_ids, headers)
    try:
        yield workers
    finally:
        workers.close()
