"""The server loop as a worker class of gunicorn, which keeps the process alive, binds its port and stops it."""

from __future__ import annotations

import os
from typing import Any

from gunicorn.workers.base import Worker

from common.server.acceptor import Acceptor


class ConnectionWorker(Worker):  # type: ignore[misc]
    """One process; a thread for each connection, at most `worker_connections`."""

    def run(self) -> None:
        acceptor = Acceptor(
            self.wsgi,
            max_connections=self.cfg.worker_connections,
            silence_seconds=self.app.options.silence_seconds,
            head_seconds=self.app.options.head_seconds,
            least_bytes_per_second=self.app.options.least_bytes_per_second,
            tls=self.app.tls,
            report=lambda what: self.log.exception("unexpected error: %s", what),
        )
        acceptor.run([listener.sock for listener in self.sockets], [self.PIPE[0]], self._is_wanted)
        if not self.alive:
            # A stop was asked for; the arbiter's death, the other reason to end, is none that we wanted.
            self.app.leave()
        for listener in self.sockets:
            listener.close()
        acceptor.stop(self.app.graceful_seconds, idle_seconds=self.app.idle_seconds)

    def _is_wanted(self) -> bool:
        """Tell the arbiter that we live; whether it lives, and wants us to."""
        self.notify()
        _drain(self.PIPE[0])
        return bool(self.alive) and self.ppid == os.getppid()


def _drain(pipe: Any) -> None:
    """Signals are written into the pipe so that they end the wait for connections."""
    try:
        while os.read(pipe, 512):
            pass
    except BlockingIOError:
        return
