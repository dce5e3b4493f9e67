"""Run a Flask app under our server loop: in a process of gunicorn, or standing alone where gunicorn does not run.

One process per service: the app's background threads are started in the process that serves, and the buffers that
bound its memory are counted there. Both ways serve with the same loop (common/server/), so both behave alike, also on
sockets that systemd has opened (activation.py).
"""

from __future__ import annotations

import contextlib
import importlib.util
import math
import signal
import socket
import ssl
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common.activation import Activation, take_activation
from common.errors import CannotStart, DFSError
from common.logs import EventLog
from common.server.acceptor import Acceptor
from common.tls import TlsFiles, server_context

if TYPE_CHECKING:
    from flask import Flask

GRACEFUL_SECONDS = 10.0
_BACKLOG = 2048
# gunicorn's Arbiter.WORKER_BOOT_ERROR: any other status makes it start the process again, for ever.
CANNOT_START_STATUS = 3


@dataclass(frozen=True)
class Service:
    """A wired service: its app, and what to start and stop around serving it.

    leave: called when a stop is wanted, before requests under way are finished; it must return at once. Not called when
    the process ends for another reason.
    """

    node_id: str
    app: Flask
    log: EventLog
    start: Callable[[], None]
    stop: Callable[[], None]
    leave: Callable[[], None] = lambda: None


@dataclass(frozen=True)
class ServerOptions:
    """How to serve. server: auto, gunicorn or standalone. scratch_dir: where gunicorn keeps its liveness file, which
    would else be in /tmp. hand_over_seconds: how long requests under way may go on at a stop where another process can
    take the connections that come meanwhile; elsewhere it is GRACEFUL_SECONDS.
    """

    server: str
    address: str
    port: int
    max_connections: int
    silence_seconds: float
    head_seconds: float
    least_bytes_per_second: int
    scratch_dir: Path
    tls: TlsFiles
    hand_over_seconds: float = GRACEFUL_SECONDS

    def graceful_seconds(self, activation: Activation) -> float:
        """How long requests under way may go on at a stop."""
        return self.hand_over_seconds if activation.socket_count else GRACEFUL_SECONDS


@contextlib.contextmanager
def explained_start(node_id: str) -> Iterator[None]:
    """Turn what prevents a start into one line and the exit status by which gunicorn knows not to try again."""
    try:
        yield
    except (CannotStart, DFSError, OSError) as error:
        print(f"{node_id}: cannot start: {error}", file=sys.stderr, flush=True)
        raise SystemExit(CANNOT_START_STATUS) from None


def serve(node_id: str, build: Callable[[], Service], options: ServerOptions) -> None:
    """Build the service in the serving process and serve it until SIGTERM or SIGINT."""
    options.scratch_dir.mkdir(parents=True, exist_ok=True)
    server = options.server
    if server == "auto":
        server = "standalone" if sys.platform == "win32" else "gunicorn"
    if server == "gunicorn" and importlib.util.find_spec("gunicorn") is None:
        raise SystemExit("the WSGI server gunicorn is not installed: pip install gunicorn")
    _allow_many_files()
    activation = take_activation()
    if server == "standalone":
        _serve_alone(node_id, build, options, activation)
    else:
        _serve_with_gunicorn(node_id, build, options, activation)


def _serve_with_gunicorn(
    node_id: str, build: Callable[[], Service], options: ServerOptions, activation: Activation
) -> None:
    from gunicorn.app.base import BaseApplication

    host = f"[{options.address}]" if ":" in options.address else options.address
    graceful = options.graceful_seconds(activation)
    settings: dict[str, Any] = {
        "bind": f"{host}:{options.port}",
        "backlog": _BACKLOG,
        "workers": 1,
        "worker_class": "common.server.gunicorn_worker.ConnectionWorker",
        "worker_connections": options.max_connections,
        # After this the arbiter kills: the service is to be stopped by then too.
        "graceful_timeout": math.ceil(graceful) + 3,
        "timeout": 120,
        "worker_tmp_dir": str(options.scratch_dir),
        "control_socket_disable": True,
        "loglevel": "warning",
        "worker_exit": lambda _arbiter, worker: worker.app.stop(),
    }

    class Application(BaseApplication):  # type: ignore[misc]
        options: ServerOptions
        graceful_seconds = graceful
        idle_seconds = activation.idle_seconds
        service: Service | None = None
        tls: ssl.SSLContext | None = None

        def load_config(self) -> None:
            for name, value in settings.items():
                if name in self.cfg.settings:
                    self.cfg.set(name, value)

        def load(self) -> Flask:
            with explained_start(node_id):
                self.tls = server_context(options.tls)
                self.service = build()
                self.service.start()
                activation.tell_ready()
            return self.service.app

        def leave(self) -> None:
            if self.service is not None:
                self.service.leave()

        def stop(self) -> None:
            if self.service is not None:
                self.service.stop()

    Application.options = options
    Application().run()


def _serve_alone(node_id: str, build: Callable[[], Service], options: ServerOptions, activation: Activation) -> None:
    is_stopped = False

    def stop(_number: int, _frame: Any) -> None:
        nonlocal is_stopped
        is_stopped = True

    with explained_start(node_id):
        tls = server_context(options.tls)
        service = build()
        # gunicorn finds the sockets that it was given by itself.
        listeners = activation.listeners() or [_listen(options)]
        service.start()
        activation.tell_ready()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    acceptor = Acceptor(
        service.app,
        max_connections=options.max_connections,
        silence_seconds=options.silence_seconds,
        head_seconds=options.head_seconds,
        least_bytes_per_second=options.least_bytes_per_second,
        tls=tls,
        report=lambda what: service.log.exception("unexpected_error", what=what),
    )
    try:
        acceptor.run(listeners, [], lambda: not is_stopped)
        service.leave()
    finally:
        for listener in listeners:
            listener.close()
        acceptor.stop(options.graceful_seconds(activation), idle_seconds=activation.idle_seconds)
        service.stop()


def _listen(options: ServerOptions) -> socket.socket:
    is_ipv6 = ":" in options.address
    return socket.create_server(
        (options.address, options.port),
        family=socket.AF_INET6 if is_ipv6 else socket.AF_INET,
        backlog=_BACKLOG,
        # As gunicorn has it: "::" takes callers by IPv4 too.
        dualstack_ipv6=is_ipv6 and socket.has_dualstack_ipv6(),
    )


def _allow_many_files() -> None:
    """Every connection is a file descriptor; the usual limit of 1,024 is only the default of a higher one."""
    if sys.platform == "win32":
        return
    import resource

    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
