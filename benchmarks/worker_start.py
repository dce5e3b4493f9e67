"""How long a worker with many chunks takes to start: until it answers, and until a master hears of it.

The chunks are small and lie in the system's caches: what is measured is the work, not a cold disk.
"""

from __future__ import annotations

import contextlib
import http.client
import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from benchmarks.homes import LOCAL, Ports, make_home, resident_bytes
from benchmarks.tree import file_id_of
from common.auth import SESSION_HEADER, SESSION_PATH, ClusterSecret
from common.bodies import BodyReader
from common.checksums import block_digests, checksum_of
from common.config import Config
from common.environment import PROJECT_ROOT, child_environment, environment_without_settings
from common.records import chunk_id
from storage.chunk_store import ChunkStore

CHUNK_BYTES = 64
WORKER = "worker_1"
START_SECONDS = 120.0
_STOP_SECONDS = 20.0


@dataclass(frozen=True)
class Start:
    """Seconds from the start of the process, and its memory once it is heard."""

    health_seconds: float
    heartbeat_seconds: float
    resident_bytes: int


class HeartbeatEar:
    """Stands where the worker expects a master, and notes when the first heartbeat comes."""

    def __init__(self) -> None:
        ear = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                if self.path == SESSION_PATH and ear._secret is not None:
                    proof, _ = ear._secret.accept(self.headers.get(SESSION_HEADER, ""))
                    self.send_response(200)
                    self.send_header(SESSION_HEADER, proof)
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                if self.path == f"/heartbeat/{WORKER}" and not ear._is_heard.is_set():
                    ear._heard_at = time.monotonic()
                    ear._is_heard.set()
                answer = json.dumps({"worker_id": WORKER, "epoch": 1}).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: object) -> None:
                """Nothing: the terminal is for the results."""

        self._is_heard = threading.Event()
        self._heard_at = 0.0
        self._secret: ClusterSecret | None = None
        self._server = ThreadingHTTPServer((LOCAL, 0), Handler)
        self._server.daemon_threads = True
        self.port = int(self._server.server_address[1])
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def expect(self, secret: ClusterSecret) -> None:
        """From now on the first heartbeat of a worker that has this secret is waited for."""
        self._secret = secret
        self._is_heard.clear()

    def heard_at(self) -> float:
        """When the first heartbeat came, on the monotonic clock; raises TimeoutError when none comes."""
        if not self._is_heard.wait(START_SECONDS):
            raise TimeoutError(f"no heartbeat within {START_SECONDS:g} s")
        return self._heard_at

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class WorkerHome:
    """A worker that holds `chunks` small chunks, to be started any number of times."""

    def __init__(self, home: Path, ports: Ports, chunks: int, ear: HeartbeatEar) -> None:
        self._ear = ear
        self._config: Config = make_home(
            home,
            ports,
            masters={"master_1": ear.port},
            workers=(WORKER,),
            settings={"cluster": {"replication_factor": 1, "write_quorum": 1}, "worker": {"reserve_bytes": 0}},
        )
        fill_chunks(self._config.data_dir(WORKER), chunks)

    def start_once(self) -> Start:
        """Start the worker, see how it comes up, end it."""
        self._ear.expect(ClusterSecret.of(self._config.cluster))
        started = time.monotonic()
        with self._running() as process:
            health = self._wait_until_healthy(process) - started
            heartbeat = self._ear.heard_at() - started
            return Start(health, heartbeat, resident_bytes(process.pid))

    @contextlib.contextmanager
    def _running(self) -> Iterator[subprocess.Popen[bytes]]:
        console = self._config.home / "console.log"
        with open(console, "wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "storage.worker", WORKER],
                cwd=PROJECT_ROOT,
                env=child_environment({"DFS_HOME": str(self._config.home)}, environment_without_settings()),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def _wait_until_healthy(self, process: subprocess.Popen[bytes]) -> float:
        give_up_at = time.monotonic() + START_SECONDS
        port = self._config.workers[WORKER].port
        while time.monotonic() < give_up_at:
            if process.poll() is not None:
                raise RuntimeError(f"the worker ended with status {process.returncode}: see {self._config.home}")
            with contextlib.suppress(OSError, http.client.HTTPException):
                connection = http.client.HTTPConnection(LOCAL, port, timeout=START_SECONDS)
                with contextlib.closing(connection):
                    connection.request("GET", "/health")
                    if connection.getresponse().status == 200:
                        return time.monotonic()
            time.sleep(0.005)
        raise TimeoutError(f"the worker does not answer within {START_SECONDS:g} s")


def fill_chunks(folder: Path, chunks: int) -> None:
    """Let a store write that many chunks of different contents, without waiting for the disk."""
    store = ChunkStore(folder, reserve_bytes=0, is_synced=False)
    store.recover()
    for number in range(chunks):
        body = number.to_bytes(CHUNK_BYTES, "big")
        checksum = checksum_of(block_digests(body))
        source = BodyReader({"wsgi.input": io.BytesIO(body), "CONTENT_LENGTH": str(len(body))})
        store.write(chunk_id(file_id_of(number), 0), source, CHUNK_BYTES, checksum)
