"""How fast the cluster notices, takes over and heals: `python -m benchmarks.healing`.

A worker's disk with about 1,000 chunk files (2 GiB) is emptied; the time until every chunk has its replicas again is
compared with a plain copy of the very same chunk files in the same run: read, sent over loopback, written, fsynced,
one file after the other, by one stream and by two. Then single writes are timed with every worker well, and with one
stopped by SIGSTOP, in turns. At last workers and leaders are killed, and the time is taken until the gateway's
`/cluster` says so. The cluster has its default settings, but for rebalancing, which is off.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import signal
import socket
import statistics
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import requests

from benchmarks.homes import LOCAL, Ports, make_home, scratch_folder
from common.config import Config
from common.environment import environment_without_settings
from common.launcher import Cluster, RunningNode, kill_node

# Three of five workers have a replica of each: so many that every worker holds about a thousand.
FILES, FILE_BYTES = 1_700, 2 * 1024 * 1024
PAUSED = "worker_3"
WRITERS = 4
DEADLINE_SECONDS = 300.0
WRITES = {"4 KiB": 4096, "4 MiB": 4 * 1024 * 1024, "12 MiB": 12 * 1024 * 1024}
TURNS = 40
_PIECE = 1024 * 1024


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3, help="how often a disk is emptied, a node is killed")
    rounds = parser.parse_args().rounds
    with scratch_folder() as home:
        # Rebalancing would move files away while they are copied for comparison.
        config = make_home(home, Ports(), settings={"master": {"rebalance_bytes_per_second": 0}})
        cluster = Cluster(config, environment_without_settings())
        try:
            cluster.start()
            cluster.wait_until_ready(60.0)
            _fill(config)
            for number in range(rounds):
                print(f"round {number + 1}: {_emptied_disk(config, cluster, home / 'plain')}", flush=True)
            for name, size_bytes in WRITES.items():
                print(f"write of {name}: {_slow_third(config, cluster, size_bytes)}", flush=True)
            print(f"a killed worker counts as dead after {_seconds(rounds, lambda: _detection(config, cluster))}")
            print(f"a killed leader is replaced after {_seconds(rounds, lambda: _take_over(config, cluster))}")
        finally:
            cluster.stop()


def _fill(config: Config) -> None:
    body = os.urandom(FILE_BYTES - 8)

    def put(number: int) -> None:
        content = number.to_bytes(8, "big") + body
        requests.put(f"{_url(config)}/fs/healing/{number}", data=content, timeout=60).raise_for_status()

    with ThreadPoolExecutor(WRITERS) as executor:
        list(executor.map(put, range(FILES)))
    _wait_until_whole(config)


def _emptied_disk(config: Config, cluster: Cluster, scratch: Path) -> str:
    victim, files = _fullest(config)
    total = sum(path.stat().st_size for path in files)
    plain = {streams: total / _plain_copy(files, scratch, streams) / 1e6 for streams in (1, 2)}
    _kill(cluster, victim)
    shutil.rmtree(config.data_dir(victim))
    started = time.monotonic()
    cluster.start_node(victim)
    _wait_until(lambda: _replication(config)["owed_replicas"] > 0)
    noticed = time.monotonic() - started
    _wait_until_whole(config)
    took = time.monotonic() - started
    healed = total / (took - noticed) / 1e6
    copies = ", ".join(f"{rate:.0f} MB/s by {streams}" for streams, rate in plain.items())
    return (
        f"{len(files)} chunk files, {total / 1e6:.0f} MB; noticed after {noticed:.1f} s, whole after {took:.1f} s:"
        f" {healed:.0f} MB/s; plain copy {copies}; ratio to the faster {healed / max(plain.values()):.2f}"
    )


def _fullest(config: Config) -> tuple[str, list[Path]]:
    """The worker with the most chunk files, so that every round has much to lose; and the files."""
    found = {worker_id: list((config.data_dir(worker_id) / "chunks").glob("??/*")) for worker_id in config.workers}
    victim = max(found, key=lambda worker_id: len(found[worker_id]))
    return victim, found[victim]


def _plain_copy(files: Sequence[Path], scratch: Path, streams: int) -> float:
    """Seconds that a copy of the files over loopback takes, each fsynced before the next is sent."""
    scratch.mkdir()
    try:
        with socket.create_server((LOCAL, 0)) as listening:
            takers = [
                threading.Thread(target=_take, args=(listening, scratch / str(number))) for number in range(streams)
            ]
            givers = [
                threading.Thread(target=_give, args=(listening.getsockname(), files[number::streams]))
                for number in range(streams)
            ]
            started = time.monotonic()
            for thread in (*takers, *givers):
                thread.start()
            for thread in (*takers, *givers):
                thread.join()
            return time.monotonic() - started
    finally:
        shutil.rmtree(scratch)


def _give(address: tuple[str, int], files: Sequence[Path]) -> None:
    with socket.create_connection(address) as connection:
        for path in files:
            with open(path, "rb") as file:
                connection.sendall(path.stat().st_size.to_bytes(8, "big"))
                connection.sendfile(file)
            connection.recv(1)


def _take(listening: socket.socket, folder: Path) -> None:
    folder.mkdir()
    window = memoryview(bytearray(_PIECE))
    connection, _ = listening.accept()
    with connection:
        number = 0
        while head := connection.recv(8, socket.MSG_WAITALL):
            left = int.from_bytes(head, "big")
            number += 1
            with open(folder / str(number), "wb", buffering=0) as file:
                while left:
                    count = connection.recv_into(window, min(left, _PIECE))
                    file.write(window[:count])
                    left -= count
                os.fsync(file.fileno())
            connection.sendall(b"+")


def _slow_third(config: Config, cluster: Cluster, size_bytes: int) -> str:
    """Medians of single writes in milliseconds, in blocks that alternate."""
    content = os.urandom(size_bytes)
    healthy: list[float] = []
    paused: list[float] = []
    node = _node(cluster, PAUSED)
    with requests.Session() as session:
        for _ in range(3):
            healthy += [_write(session, config, number, content) for number in range(TURNS)]
            os.killpg(node.process.pid, signal.SIGSTOP)
            try:
                paused += [_write(session, config, number, content) for number in range(TURNS)]
            finally:
                os.killpg(node.process.pid, signal.SIGCONT)
            _wait_until_whole(config)
    usual, slow = statistics.median(healthy), statistics.median(paused)
    return f"healthy {usual:.1f} ms, one worker paused {slow:.1f} ms, ratio {slow / usual:.2f}"


def _write(session: requests.Session, config: Config, number: int, content: bytes) -> float:
    """Milliseconds. number: of the path; one that is overwritten faster than old versions are freed is refused."""
    started = time.perf_counter()
    answer = session.put(f"{_url(config)}/fs/healing/write/{number}", data=content, timeout=60)
    if not answer.ok:
        raise SystemExit(f"a write was answered {answer.status_code}: {answer.text}")
    return 1000 * (time.perf_counter() - started)


def _detection(config: Config, cluster: Cluster) -> float:
    """Seconds from the end of a worker until it counts as dead."""

    def is_dead() -> bool:
        states = {worker["worker_id"]: worker["state"] for worker in _cluster(config)["workers"]}
        return bool(states.get(PAUSED) == "dead")

    _kill(cluster, PAUSED)
    started = time.monotonic()
    _wait_until(is_dead)
    took = time.monotonic() - started
    cluster.start_node(PAUSED)
    _wait_until_whole(config)
    return took


def _take_over(config: Config, cluster: Cluster) -> float:
    """Seconds from the end of the leader until another leads."""
    leader = _cluster(config)["leader"]
    _kill(cluster, leader)
    started = time.monotonic()
    _wait_until(lambda: _cluster(config)["leader"] not in (None, leader))
    took = time.monotonic() - started
    cluster.start_node(leader)
    _wait_until_whole(config)
    return took


def _seconds(rounds: int, measure: Callable[[], float]) -> str:
    found = [measure() for _ in range(rounds)]
    return f"{statistics.median(found):.1f} s ({min(found):.1f} - {max(found):.1f})"


def _kill(cluster: Cluster, node_id: str) -> None:
    node = _node(cluster, node_id)
    kill_node(node)
    node.process.wait(10)


def _wait_until_whole(config: Config) -> None:
    def is_whole() -> bool:
        state = _cluster(config)
        workers = state["workers"]
        return (
            not state["replication"]["owed_replicas"]
            and len(workers) == len(config.workers)
            and all(worker["state"] == "alive" and worker["is_reconciled"] for worker in workers)
            and all(master["state"] == "alive" for master in state["masters"])
        )

    _wait_until(is_whole)


def _wait_until(is_so: Callable[[], bool]) -> None:
    give_up_at = time.monotonic() + DEADLINE_SECONDS
    while time.monotonic() < give_up_at:
        with contextlib.suppress(requests.RequestException):
            if is_so():
                return
        time.sleep(0.1)
    raise SystemExit(f"the cluster was not whole within {DEADLINE_SECONDS:g} s")


def _replication(config: Config) -> dict[str, Any]:
    replication: dict[str, Any] = _cluster(config)["replication"]
    return replication


def _cluster(config: Config) -> dict[str, Any]:
    state: dict[str, Any] = requests.get(f"{_url(config)}/cluster", timeout=30).json()
    return state


def _url(config: Config) -> str:
    return f"http://{LOCAL}:{config.gateway.port}"


def _node(cluster: Cluster, node_id: str) -> RunningNode:
    return next(node for node in cluster.nodes if node.node_id == node_id)


if __name__ == "__main__":
    main()
