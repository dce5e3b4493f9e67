"""Upload a file by tuspy through a gateway that is killed and started again on the way.

    python3 -m benchmarks.resumable [--mebibytes 1024] [--kills 5]

For each interruption: how many bytes the client had to send again, which may be one chunk at most. At the end: whether
the file is the same, by its SHA-256, and how fast it went, with and without the time that the gateway was away.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests
from tusclient.client import TusClient
from tusclient.exceptions import TusCommunicationError, TusUploadFailed

from benchmarks.homes import Ports, make_home, scratch_folder
from common.environment import environment_without_settings
from common.launcher import Cluster, LaunchError, RunningNode, kill_node

MIB = 1024 * 1024
GATEWAY = "gateway"
READY_SECONDS = 60.0
# A request with one chunk takes about so long: it is killed somewhere in it.
_SHORTEST_SECONDS, _LONGEST_SECONDS = 0.002, 0.06


@dataclass
class Outcome:
    """again: bytes sent twice, for each interruption. away_seconds: how long no gateway answered, in all."""

    again: list[int] = field(default_factory=list)
    away_seconds: float = 0.0
    seconds: float = 0.0


class Killer:
    """Kills the gateway in the middle of a request, and starts it again."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._thread: threading.Thread | None = None

    def arm(self, seconds: float) -> None:
        """Kill it in so many seconds from now."""
        node = next(node for node in self._cluster.nodes if node.node_id == GATEWAY)

        def kill() -> None:
            time.sleep(seconds)
            kill_node(node)
            node.process.wait()

        self._thread = threading.Thread(target=kill)
        self._thread.start()

    def restart(self) -> None:
        """Returns once the new one answers."""
        if self._thread is not None:
            self._thread.join()
        url = self._start().url
        give_up_at = time.monotonic() + READY_SECONDS
        while time.monotonic() < give_up_at:
            try:
                if requests.get(f"{url}/ready", timeout=2).status_code == 200:
                    return
            except requests.RequestException:
                time.sleep(0.02)
        raise SystemExit("the gateway does not come back")

    def _start(self) -> RunningNode:
        """The killed node's other processes may hold its port for a moment more."""
        give_up_at = time.monotonic() + READY_SECONDS
        while True:
            try:
                return self._cluster.start_node(GATEWAY)
            except LaunchError:
                if time.monotonic() >= give_up_at:
                    raise
                time.sleep(0.02)


def upload(uploader: Any, killer: Killer, size: int, kills: int) -> Outcome:
    """Send the file, with so many interruptions spread over it."""
    outcome = Outcome()
    due = [size * (number + 1) // (kills + 1) for number in range(kills)]
    started = time.monotonic()
    while uploader.offset < size:
        is_killed = bool(due) and uploader.offset >= due[0]
        if is_killed:
            due.pop(0)
            killer.arm(random.uniform(_SHORTEST_SECONDS, _LONGEST_SECONDS))
        sent_to = uploader.offset + int(uploader.get_request_length())
        try:
            uploader.upload_chunk()
        except (TusUploadFailed, TusCommunicationError):
            if not is_killed:
                raise
        if is_killed:
            away_since = time.monotonic()
            killer.restart()
            outcome.away_seconds += time.monotonic() - away_since
            uploader.offset = uploader.get_offset()
            outcome.again.append(max(0, sent_to - uploader.offset))
    outcome.seconds = time.monotonic() - started
    return outcome


def make_file(path: Path, size: int) -> str:
    """Write random bytes; returns their SHA-256."""
    source, digest, left = random.Random(size), hashlib.sha256(), size
    with open(path, "wb") as file:
        while left:
            piece = source.randbytes(min(MIB, left))
            file.write(piece)
            digest.update(piece)
            left -= len(piece)
    return digest.hexdigest()


def downloaded_sha256(url: str) -> str:
    digest = hashlib.sha256()
    with requests.get(url, stream=True, timeout=60) as answer:
        answer.raise_for_status()
        for piece in answer.iter_content(MIB):
            digest.update(piece)
    return digest.hexdigest()


def report(size: int, chunk_size: int, outcome: Outcome, sent: str, stored: str) -> bool:
    """Print it; returns whether all is as promised."""
    for number, again in enumerate(outcome.again, 1):
        print(f"interruption {number}: {again:,} bytes sent again")
    busy = outcome.seconds - outcome.away_seconds
    print(f"most sent again: {max(outcome.again, default=0):,} bytes; one chunk: {chunk_size:,}")
    print(f"sha256 sent:   {sent}\nsha256 stored: {stored}")
    print(f"{size / 1e6 / outcome.seconds:.1f} MB/s in all, {size / 1e6 / busy:.1f} MB/s while the gateway was there")
    return sent == stored and max(outcome.again, default=0) <= chunk_size


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python3 -m benchmarks.resumable", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--mebibytes", type=int, default=1024, help="size of the file")
    parser.add_argument("--kills", type=int, default=5, help="how often the gateway is killed")
    options = parser.parse_args(arguments)
    size = options.mebibytes * MIB
    with scratch_folder() as folder:
        config = make_home(folder / "home", Ports())
        cluster = Cluster(config, environment_without_settings())
        try:
            cluster.start()
            cluster.wait_until_ready()
            sent = make_file(folder / "file", size)
            chunk_size = config.cluster.chunk_size_bytes
            client = TusClient(f"{config.gateway_url()}/uploads")
            uploader = client.uploader(str(folder / "file"), chunk_size=chunk_size, metadata={"filename": "file"})
            uploader.set_url(uploader.create_url())
            outcome = upload(uploader, Killer(cluster), size, options.kills)
            stored = downloaded_sha256(f"{config.gateway_url()}/fs/file")
        finally:
            cluster.stop()
    return 0 if report(size, chunk_size, outcome, sent, stored) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
