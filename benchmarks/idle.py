"""Connections that are open and do nothing while others work; that they are served is proven before and after."""

from __future__ import annotations

import socket

from benchmarks.answers import Answer
from benchmarks.lanes import Job, head


class IdleClients:
    """As many connections as the job says; each asks for one path when it is opened and again at the end."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._sockets: list[socket.socket] = []

    def open(self) -> int:
        """Connect them all; returns how many were answered with 2xx."""
        for _ in range(self._job.idle_clients):
            self._sockets.append(socket.create_connection((self._job.host, self._job.port), timeout=30))
        return sum(self._is_served(connection) for connection in self._sockets)

    def close(self) -> int:
        """Returns how many connections the server had kept and still answers."""
        kept = sum(self._is_served(connection) for connection in self._sockets)
        for connection in self._sockets:
            connection.close()
        return kept

    def _is_served(self, connection: socket.socket) -> bool:
        answer = Answer()
        try:
            connection.sendall(head(self._job, "GET", self._job.idle_path))
            while piece := connection.recv(65536):
                if answer.feed(piece):
                    return 200 <= answer.status < 300
        except OSError:
            return False
        return False
