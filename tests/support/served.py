"""Real workers for the masters' orders: the whole app of each, served over HTTP on a free port of this machine."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from common.auth import ClusterSecret
from common.checksums import block_digests, checksum_of
from common.http import HttpPool
from common.records import chunk_id
from common.worker_client import WorkerClient
from tests.support.environment import SECRET
from tests.support.own_server import OwnServer
from tests.support.worker import InProcessWorker, make_worker


class ServedWorkers:
    """Workers by their ids; each can be taken off the network and brought back."""

    def __init__(self, root: Path, worker_ids: tuple[str, ...]) -> None:
        self.pool = HttpPool(ClusterSecret(SECRET))
        self.client = WorkerClient(self.pool, timeout_seconds=10.0)
        self._workers: dict[str, InProcessWorker] = {
            name: make_worker(root / name, is_synced=False) for name in worker_ids
        }
        self._servers: dict[str, OwnServer] = {}
        self.urls: dict[str, str] = {}
        for name in worker_ids:
            self.bring_back(name)

    def bring_back(self, name: str) -> None:
        """Serve the worker, at a new address, as its next heartbeat says."""
        server = OwnServer(self._workers[name].client.application, max_connections=64)
        self._servers[name] = server
        self.urls[name] = f"http://127.0.0.1:{server.address[1]}"

    def take_away(self, name: str) -> None:
        """From here on nobody answers at the worker's address."""
        self._servers.pop(name).close()

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

    def put_one(self, one: str, content: bytes, names: tuple[str, ...]) -> str:
        """Store a chunk on these workers; returns its checksum."""
        checksum = checksum_of(block_digests(content))
        for name in names:
            self.client.put_chunk(self.urls[name], one, content, checksum)
        return checksum

    def held(self, name: str) -> set[str]:
        """The chunks on a worker's disk."""
        return {path.name for path in (self._workers[name].root / "chunks").glob("*/*")}

    def versions(self) -> set[str]:
        """The versions of which any worker has a chunk on its disk."""
        return {chunk.partition("-")[0] for name in self._workers for chunk in self.held(name)}


@contextlib.contextmanager
def served_workers(root: Path, worker_ids: tuple[str, ...]) -> Iterator[ServedWorkers]:
    """Serve workers with folders below `root` until the block is left."""
    workers = ServedWorkers(root, worker_ids)
    try:
        yield workers
    finally:
        workers.close()
