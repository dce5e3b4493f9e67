"""One system in one round: runs work, meters the servers' CPU and memory, keeps the figures."""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from benchmarks.cost import Cost
from benchmarks.lanes import Job, Lane
from benchmarks.load import Result, run_job
from benchmarks.options import MIB, Sizes
from benchmarks.systems import HOST, System, stored_bytes, wait_until_freed

MB, GB = 1e6, 1e9
T = TypeVar("T")


@dataclass(frozen=True)
class Source:
    """A file to be uploaded, and the SHA-256 of its bytes."""

    path: Path
    size_bytes: int
    sha256: str


@dataclass(frozen=True)
class Sources:
    """What the big transfers send."""

    big: Source
    quarters: tuple[Source, ...]


def make_sources(folder: Path, big_bytes: int) -> Sources:
    """Random files, so that nothing on the way can make them smaller."""
    folder.mkdir(parents=True, exist_ok=True)
    quarters = tuple(_make_source(folder / f"quarter-{number}", big_bytes // 4) for number in range(4))
    return Sources(_make_source(folder / "big", big_bytes), quarters)


def _make_source(path: Path, size_bytes: int) -> Source:
    digest = hashlib.sha256()
    with open(path, "wb") as file:
        for _ in range(size_bytes // MIB):
            piece = os.urandom(MIB)
            digest.update(piece)
            file.write(piece)
        # Else writing it back would disturb the first measurement.
        os.fsync(file.fileno())
    return Source(path, size_bytes, digest.hexdigest())


@dataclass
class Bench:
    """figures: this round's, by key. service_cpu: the CPU seconds of each service behind a figure.

    client_cpu_us: what the load generator itself took for an operation, which the servers did not have.
    """

    system: System
    cost: Cost
    sizes: Sizes
    sources: Sources
    is_first: bool
    figures: dict[str, float] = field(default_factory=dict)
    service_cpu: dict[str, dict[str, float]] = field(default_factory=dict)
    client_cpu_us: dict[str, float] = field(default_factory=dict)
    peaks: dict[str, int] = field(default_factory=dict)

    def metered(self, key: str, work: Callable[[], T]) -> tuple[T, float]:
        """Run `work`; its result, and the CPU seconds that all servers used meanwhile."""
        before = self.cost.cpu_seconds()
        result = work()
        after = self.cost.cpu_seconds()
        self.service_cpu[key] = {service: round(after[service] - before[service], 3) for service in after}
        return result, sum(after.values()) - sum(before.values())

    def transfer(self, key: str, size_bytes: int, work: Callable[[], float]) -> None:
        """Run a transfer that returns its seconds; keeps MB/s, and CPU seconds per GB."""
        seconds, cpu = self.metered(key, work)
        self.figures[key] = size_bytes / MB / seconds
        self.figures[f"{key}_cpu"] = cpu / (size_bytes / GB)

    def load(self, *lanes: Lane, idle_clients: int = 0, idle_path: str = "", waits_when_busy: bool = False) -> Result:
        """Run the load generator. Raises LoadFailed at any wrong answer."""
        return run_job(Job(HOST, self.system.port, lanes, idle_clients, idle_path, waits_when_busy))

    def note_peaks(self) -> dict[str, int]:
        """The most memory that each service has had; also kept over several calls."""
        now = self.cost.memory_bytes("VmHWM")
        for service, peak in now.items():
            self.peaks[service] = max(peak, self.peaks.get(service, 0))
        return now

    def note_rest(self) -> None:
        """What the servers take while nobody asks: CPU, and memory after the work."""
        seconds = self.sizes.idle_seconds
        _, cpu = self.metered("idle.cpu", lambda: time.sleep(seconds))
        self.figures["idle.cpu"] = cpu / seconds * 100
        self.note_peaks()
        self.figures["memory.resident"] = sum(self.cost.memory_bytes("VmRSS").values()) / MB
        self.figures["memory.proportional"] = sum(self.cost.memory_bytes("Pss").values()) / MB

    @contextlib.contextmanager
    def without_checksums(self) -> Iterator[Bench | None]:
        """For the same figures, of the system making no checksums of whole files; None: it has no such choice."""
        with self.system.without_checksums() as system:
            yield None if system is None else replace(self, system=system, cost=Cost(system.services()))

    def stored_bytes(self) -> int:
        return stored_bytes(self.system)

    def wait_until_freed(self, at_most_bytes: int) -> None:
        """Wait until what was deleted has left the disk; nothing is measured on top of such work."""
        wait_until_freed(self.system, at_most_bytes)
