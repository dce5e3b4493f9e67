"""How fast these files are copied over the loopback with fsync: the measure for repair."""

from __future__ import annotations

import os
import shutil
import socket
import struct
import threading
import time
from collections.abc import Sequence
from pathlib import Path

_SIZE = struct.Struct("<Q")
_PIECE_BYTES = 1024 * 1024


def plain_copy_rate(files: Sequence[Path], target: Path) -> float:
    """Bytes per second of one stream: read, send, receive, write, fsync, rename, one file after the other."""
    target.mkdir()
    total = sum(path.stat().st_size for path in files)
    with socket.create_server(("127.0.0.1", 0)) as server:
        sender = threading.Thread(target=_send, args=(server, files))
        begin = time.monotonic()
        sender.start()
        with socket.create_connection(server.getsockname()) as connection:
            for number in range(len(files)):
                _receive(connection, target, str(number))
        seconds = time.monotonic() - begin
        sender.join()
    shutil.rmtree(target)
    return total / seconds


def _send(server: socket.socket, files: Sequence[Path]) -> None:
    connection, _ = server.accept()
    with connection:
        for path in files:
            with open(path, "rb") as file:
                connection.sendall(_SIZE.pack(path.stat().st_size))
                connection.sendfile(file)


def _receive(connection: socket.socket, target: Path, name: str) -> None:
    missing = _SIZE.unpack(connection.recv(_SIZE.size, socket.MSG_WAITALL))[0]
    partial = target / f"{name}.part"
    with open(partial, "wb", buffering=0) as file:
        while missing:
            piece = connection.recv(min(missing, _PIECE_BYTES))
            assert piece, "the sender ended early"
            file.write(piece)
            missing -= len(piece)
        os.fsync(file.fileno())
    partial.rename(target / name)
