"""The server loop around an app of a test's own, on a free port; and clients that see every byte."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from common.server.acceptor import Acceptor
from common.server.connection import WSGIApp

CLIENT_SECONDS = 20.0


@dataclass(frozen=True)
class Reply:
    """An answer as it came. fields: by their names in small letters."""

    status: int
    fields: dict[str, str]
    body: bytes


class Caller:
    """One connection to a server."""

    def __init__(self, address: tuple[Any, ...], receive_buffer_bytes: int = 0) -> None:
        self.sock = socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET)
        if receive_buffer_bytes:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
        self.sock.settimeout(CLIENT_SECONDS)
        self.sock.connect(address)
        self._file = self.sock.makefile("rb")

    def send(self, sent: bytes) -> None:
        self.sock.sendall(sent)

    def end_sending(self) -> None:
        self.sock.shutdown(socket.SHUT_WR)

    def reply(self, method: str = "GET") -> Reply:
        """The next answer; raises EOFError when the server has ended the connection."""
        line = self._file.readline()
        if not line:
            raise EOFError
        status = int(line.split()[1])
        fields: dict[str, str] = {}
        while (line := self._file.readline()) not in (b"\r\n", b""):
            name, _, value = line.decode("latin-1").partition(":")
            fields[name.lower()] = value.strip()
        has_body = method != "HEAD" and status not in (100, 204, 304)
        return Reply(status, fields, self._body(fields) if has_body else b"")

    def ask(self, sent: bytes, method: str = "GET") -> Reply:
        self.send(sent)
        return self.reply(method)

    def is_ended(self) -> bool:
        """Wait for the server's end of the connection; False when it sends something instead."""
        with contextlib.suppress(ConnectionError):
            return self._file.read(1) == b""
        return True

    def close(self) -> None:
        self._file.close()
        self.sock.close()

    def _body(self, fields: dict[str, str]) -> bytes:
        if "content-length" in fields:
            return self._file.read(int(fields["content-length"]))
        if fields.get("transfer-encoding") != "chunked":
            return self._file.read()
        body = b""
        while size := int(self._file.readline(), 16):
            body += self._file.read(size)
            assert self._file.readline() == b"\r\n"
        assert self._file.readline() == b"\r\n"
        return body


class OwnServer:
    """An app served on loopback. reports: what the loop said of errors that no one caught."""

    def __init__(
        self,
        app: WSGIApp,
        *,
        max_connections: int = 16,
        silence_seconds: float = 20.0,
        host: str = "127.0.0.1",
        port: int = 0,
        **options: Any,
    ) -> None:
        """options: further ones of the Acceptor."""
        self.reports: list[str] = []
        self.acceptor = Acceptor(
            app, max_connections=max_connections, silence_seconds=silence_seconds, report=self.reports.append, **options
        )
        self._listener = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
        self.address: tuple[Any, ...] = self._listener.getsockname()
        self._callers: list[Caller] = []
        self._is_wanted = True
        self._woken, self._waker = os.pipe()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def caller(self, receive_buffer_bytes: int = 0) -> Caller:
        """A new connection, closed with the server."""
        caller = Caller(self.address, receive_buffer_bytes)
        self._callers.append(caller)
        return caller

    def ask(self, sent: bytes, method: str = "GET") -> Reply:
        """One request on a connection of its own."""
        return self.caller().ask(sent, method)

    def stop_taking(self) -> None:
        """Take no more connections."""
        if self._thread.is_alive():
            self._is_wanted = False
            os.write(self._waker, b"x")
            self._thread.join(CLIENT_SECONDS)
            assert not self._thread.is_alive()
        self._listener.close()

    def close(self) -> None:
        """End everything; fails where a thread of the loop outlives its connection."""
        self.stop_taking()
        for caller in self._callers:
            caller.close()
        self.acceptor.stop(CLIENT_SECONDS)
        os.close(self._woken)
        os.close(self._waker)

    def _run(self) -> None:
        self.acceptor.run([self._listener], [self._woken], lambda: self._is_wanted)


@contextlib.contextmanager
def own_server(app: WSGIApp, **options: Any) -> Iterator[OwnServer]:
    """Serve an app until the block is left."""
    server = OwnServer(app, **options)
    try:
        yield server
    finally:
        server.close()


def connection_threads() -> int:
    """How many connections are being served in this process."""
    return sum(thread.name == "connection" for thread in threading.enumerate())
