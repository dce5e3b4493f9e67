"""Run a Flask app under a WSGI server: gunicorn, or cheroot where gunicorn does not run (Windows).

Both stream request bodies to the app as they come; servers that spool bodies to disk first (waitress) cannot be used
here. One process per service: the app's background threads are started in the process that serves.
"""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import signal
import socket
import struct
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flask import Flask

from common.errors import CannotStart, DFSError
from common.logs import EventLog

KEEP_ALIVE_SECONDS = 75
GRACEFUL_SECONDS = 10
HEAD_SILENCE_SECONDS = 30
# gunicorn's Arbiter.WORKER_BOOT_ERROR: any other status makes it start the process again, for ever.
CANNOT_START_STATUS = 3


@dataclass(frozen=True)
class Service:
    """A wired service: its app, and what to start and stop around serving it."""

    node_id: str
    app: Flask
    log: EventLog
    start: Callable[[], None]
    stop: Callable[[], None]


@contextlib.contextmanager
def explained_start(node_id: str) -> Iterator[None]:
    """Turn what prevents a start into one line and the exit status by which gunicorn knows not to try again."""
    try:
        yield
    except (CannotStart, DFSError, OSError) as error:
        print(f"{node_id}: cannot start: {error}", file=sys.stderr, flush=True)
        raise SystemExit(CANNOT_START_STATUS) from None


def serve(
    node_id: str, build: Callable[[], Service], *, server: str, address: str, port: int, threads: int, scratch_dir: Path
) -> None:
    """Build the service in the serving process and serve it until SIGTERM or SIGINT.

    server: auto, gunicorn or cheroot. scratch_dir: where gunicorn keeps its liveness file, which would else be in /tmp.
    """
    scratch_dir.mkdir(parents=True, exist_ok=True)
    if server == "auto":
        server = "cheroot" if sys.platform == "win32" else "gunicorn"
    if importlib.util.find_spec(server) is None:
        raise SystemExit(f"the WSGI server {server} is not installed: pip install {server}")
    if server == "cheroot":
        _serve_with_cheroot(node_id, build, address, port, threads)
    else:
        _serve_with_gunicorn(node_id, build, address, port, threads, scratch_dir)


def _serve_with_gunicorn(
    node_id: str, build: Callable[[], Service], address: str, port: int, threads: int, scratch_dir: Path
) -> None:
    from gunicorn.app.base import BaseApplication

    host = f"[{address}]" if ":" in address else address
    options: dict[str, Any] = {
        "bind": f"{host}:{port}",
        "workers": 1,
        "worker_class": "gthread",
        "threads": threads,
        "worker_connections": 2000,
        "keepalive": KEEP_ALIVE_SECONDS,
        "graceful_timeout": GRACEFUL_SECONDS,
        "timeout": 120,
        "limit_request_line": 8190,
        "worker_tmp_dir": str(scratch_dir),
        "control_socket_disable": True,
        "loglevel": "warning",
        "when_ready": lambda arbiter: _limit_silence(arbiter.LISTENERS),
        "worker_exit": lambda _arbiter, worker: worker.app.stop(),
    }

    class Application(BaseApplication):  # type: ignore[misc]
        service: Service | None = None

        def load_config(self) -> None:
            for name, value in options.items():
                if name in self.cfg.settings:
                    self.cfg.set(name, value)

        def load(self) -> Flask:
            with explained_start(node_id):
                self.service = build()
                self.service.start()
            return self.service.app

        def stop(self) -> None:
            if self.service is not None:
                self.service.stop()

    Application().run()


def _limit_silence(listeners: Sequence[Any]) -> None:
    """A client that goes silent within the head of a request holds a thread; accepted sockets inherit this limit."""
    limit = struct.pack("ll", HEAD_SILENCE_SECONDS, 0)
    for listener in listeners:
        listener.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)


def _serve_with_cheroot(node_id: str, build: Callable[[], Service], address: str, port: int, threads: int) -> None:
    from cheroot.wsgi import Server

    with explained_start(node_id):
        service = build()
    logging.getLogger("cheroot").setLevel(logging.WARNING)
    server = Server(
        (address, port), service.app, numthreads=threads, timeout=KEEP_ALIVE_SECONDS, shutdown_timeout=GRACEFUL_SECONDS
    )
    server.peercreds_enabled = False
    with explained_start(node_id):
        server.prepare()
        service.start()
    signal.signal(signal.SIGTERM, lambda _number, _frame: _interrupt())
    try:
        server.serve()
    except KeyboardInterrupt:
        pass
    finally:
        server.stop()
        service.stop()


def _interrupt() -> None:
    raise KeyboardInterrupt
