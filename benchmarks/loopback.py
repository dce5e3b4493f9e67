"""What TCP on this machine can do: bytes from sendall to recv_into, and small requests with answers, one connection."""

from __future__ import annotations

import socket
from collections.abc import Callable

from benchmarks.together import Outcome, Task, run_together

PIECE_BYTES = 1024 * 1024
QUESTION_BYTES = 200
ANSWER_BYTES = 4096


def stream(total_bytes: int) -> Outcome:
    """Send `total_bytes`; the first process sends, the second receives, both amounts are in bytes."""
    with _listener() as listener:
        return run_together([_sender(listener, total_bytes), _receiver(listener, total_bytes)])


def exchange(count: int) -> Outcome:
    """Send 200 bytes, get 4 KiB back, `count` times; both amounts in exchanges."""
    with _listener() as listener:
        return run_together([_asker(listener, count), _answerer(listener, count)])


def _listener() -> socket.socket:
    return socket.create_server(("127.0.0.1", 0), backlog=1)


def _connect(listener: socket.socket) -> socket.socket:
    connection = socket.create_connection(listener.getsockname())
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def _accept(listener: socket.socket) -> socket.socket:
    connection, _ = listener.accept()
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def _sender(listener: socket.socket, total_bytes: int) -> Task:
    def task(start: Callable[[], None]) -> int:
        piece = bytes(PIECE_BYTES)
        with _connect(listener) as connection:
            start()
            for _ in range(total_bytes // PIECE_BYTES):
                connection.sendall(piece)
        return total_bytes

    return task


def _receiver(listener: socket.socket, total_bytes: int) -> Task:
    def task(start: Callable[[], None]) -> int:
        buffer = bytearray(PIECE_BYTES)
        received = 0
        with _accept(listener) as connection:
            start()
            while count := connection.recv_into(buffer):
                received += count
        if received != total_bytes:
            raise RuntimeError(f"{received} of {total_bytes} bytes came through")
        return received

    return task


def _asker(listener: socket.socket, count: int) -> Task:
    def task(start: Callable[[], None]) -> int:
        buffer = memoryview(bytearray(ANSWER_BYTES))
        question = bytes(QUESTION_BYTES)
        with _connect(listener) as connection:
            start()
            for _ in range(count):
                connection.sendall(question)
                _receive_all(connection, buffer)
        return count

    return task


def _answerer(listener: socket.socket, count: int) -> Task:
    def task(start: Callable[[], None]) -> int:
        buffer = memoryview(bytearray(QUESTION_BYTES))
        answer = bytes(ANSWER_BYTES)
        with _accept(listener) as connection:
            start()
            for _ in range(count):
                _receive_all(connection, buffer)
                connection.sendall(answer)
        return count

    return task


def _receive_all(connection: socket.socket, view: memoryview) -> None:
    while view:
        count = connection.recv_into(view)
        if not count:
            raise RuntimeError("the other side closed the connection")
        view = view[count:]
