"""Hold many slow and broken clients at the gateway, and see how others are served and what memory it takes.

    python3 -m benchmarks.slow_clients [--count 1000] [--seconds 30]

The clients of each kind stay for the whole time: `heads` send a byte of a request's head now and then, `bodies` a byte
of a file's, `broken` half a body and then nothing, `silent` nothing at all, and `takers` take a large file a little at
a time. The last are few: each may hold a chunk buffer (docs/architecture.md, known holes).
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import os
import socket
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from benchmarks.cost import Cost
from benchmarks.nodes import DfsSystem
from benchmarks.systems import HOST
from benchmarks.wire import Wire

MIB = 1024 * 1024
TAKERS = 8
_LARGE_BYTES = 64 * MIB
_DRIP_SECONDS = 2.0
_TIMED_BYTES = (4096, 8 * MIB)
_BODY = b"PUT /fs/slow/%d HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n"
_BEGINNINGS = {
    "heads": b"GET / HTTP/1.1\r\nX: ",
    "bodies": _BODY,
    "broken": _BODY + b"x" * 2000,
    "silent": b"",
}


class SlowClients:
    """Connections that stay, with one thread that lets those drip which drip."""

    def __init__(self, port: int, count: int) -> None:
        self._port = port
        self.kinds: dict[str, list[socket.socket]] = {kind: [] for kind in (*_BEGINNINGS, "takers")}
        kinds = itertools.cycle(_BEGINNINGS)
        for number in range(count - TAKERS):
            kind = next(kinds)
            beginning = _BEGINNINGS[kind]
            self._connect(kind, beginning % number if b"%d" in beginning else beginning)
        for _ in range(TAKERS):
            self._connect("takers", b"GET /fs/large HTTP/1.1\r\nHost: localhost\r\n\r\n")
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._drip, daemon=True)
        self._thread.start()

    def states(self) -> dict[str, Counter[str]]:
        """Of each kind, how many are still held, and what the others were answered."""
        return {kind: Counter(map(_state, sockets)) for kind, sockets in self.kinds.items()}

    def close(self) -> None:
        self._is_over.set()
        self._thread.join()
        for sock in itertools.chain.from_iterable(self.kinds.values()):
            sock.close()

    def _connect(self, kind: str, beginning: bytes) -> None:
        sock = socket.create_connection((HOST, self._port), timeout=30)
        sock.sendall(beginning)
        sock.setblocking(False)
        self.kinds[kind].append(sock)

    def _drip(self) -> None:
        while not self._is_over.wait(_DRIP_SECONDS):
            for sock in (*self.kinds["heads"], *self.kinds["bodies"]):
                with contextlib.suppress(OSError):
                    sock.send(b"x")
            for sock in self.kinds["takers"]:
                with contextlib.suppress(OSError):
                    sock.recv(16 * 1024)


def main(arguments: Sequence[str]) -> int:
    """Returns 0 when all others were served and the memory stayed below what the gateway promised."""
    parser = argparse.ArgumentParser(prog="python3 -m benchmarks.slow_clients")
    parser.add_argument("--count", type=int, default=1000, help="slow clients at once")
    parser.add_argument("--seconds", type=float, default=30.0, help="how long others are served beside them")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        system = DfsSystem(Path(folder))
        system.start()
        try:
            return _measure(system, options.count, options.seconds)
        finally:
            system.stop()


def _measure(system: DfsSystem, count: int, seconds: float) -> int:
    wire = Wire(system.port)
    wire.ask("PUT", "/fs/large", os.urandom(_LARGE_BYTES), "application/octet-stream")
    alone = _serve(wire, seconds / 3)
    clients = SlowClients(system.port, count)
    try:
        beside = _serve(wire, seconds)
        states = clients.states()
    finally:
        clients.close()
    bound = system.memory_bound_bytes() or 0
    peak = Cost(system.services()).memory_bytes("VmHWM")[system.front]
    print(f"slow clients: {count}; after {seconds:g} s:")
    for kind, found in states.items():
        print(f"  {kind}: " + ", ".join(f"{number} {state}" for state, number in found.items()))
    for size, before, after in zip(_TIMED_BYTES, alone, beside, strict=True):
        print(f"put and get of {size} bytes: median {before:.1f} ms alone, {after:.1f} ms beside them")
    print(f"memory of the gateway: {peak / MIB:.0f} MiB at most, bound {bound / MIB:.0f} MiB")
    return 0 if peak <= bound else 1


def _serve(wire: Wire, seconds: float) -> list[float]:
    """Put and get for so long; the median of each size in milliseconds. Raises UnexpectedAnswer for a refusal."""
    taken: dict[int, list[float]] = {size: [] for size in _TIMED_BYTES}
    give_up_at = time.monotonic() + seconds
    while time.monotonic() < give_up_at:
        for size, times in taken.items():
            body = os.urandom(size)
            put = wire.ask("PUT", f"/fs/fast/{size}", body, "application/octet-stream")
            got = wire.ask("GET", f"/fs/fast/{size}")
            if got.body != body:
                raise AssertionError("other bytes came back")
            times.append(1000 * (put.seconds + got.seconds))
    return [sorted(times)[len(times) // 2] for times in taken.values()]


def _state(sock: socket.socket) -> str:
    """Held, or the status line with which the gateway ended the connection."""
    received = b""
    try:
        while piece := sock.recv(65536):
            received = received or piece
    except BlockingIOError:
        return "held"
    except OSError:
        received = received or b"reset"
    return received.partition(b"\r\n")[0].decode("latin-1") or "closed"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
