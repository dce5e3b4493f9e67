"""Scenarios of disks that take nothing more: fault 7. Real ones need mounts, so root."""

from __future__ import annotations

import abc
import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from tests.chaos.faults import Fault, RefuseSpace, some_workers
from tests.chaos.running import Lane, Run, Scenario, Settings
from tests.support.cluster import MIB, TestCluster
from tests.support.waiting import wait_until

DISK_BYTES = 256 * MIB
DISK_INODES = 6000
_LIVE_PATHS = 15


class OnDisks(abc.ABC):
    """A fault of some workers' disks at once, below one of the folders of each."""

    name = ""
    place = "ballast"

    def __init__(self, cluster: TestCluster, choose: Callable[[], Sequence[str]]) -> None:
        self._cluster = cluster
        self._choose = choose
        self._paths: list[Path] = []

    def strike(self) -> str:
        victims = self._choose()
        self._paths = [self._cluster.config.data_dir(victim) / self.place for victim in victims]
        for path in self._paths:
            self._harm(path)
        return f"{self.name} on {', '.join(victims)}"

    def heal(self) -> None:
        for path in self._paths:
            self._undo(path)

    @abc.abstractmethod
    def _harm(self, path: Path) -> None:
        """Do it to one disk."""

    @abc.abstractmethod
    def _undo(self, path: Path) -> None:
        """Undo it."""


class FillDisk(OnDisks):
    """No space is left: a large file takes it all."""

    name = "no space left"

    def _harm(self, path: Path) -> None:
        with open(path, "wb", buffering=0) as file, contextlib.suppress(OSError):
            while file.write(bytes(MIB)):
                """Until the disk refuses."""

    def _undo(self, path: Path) -> None:
        path.unlink()


class UseInodes(OnDisks):
    """No inode is left: many empty files take them all."""

    name = "no inodes left"

    def _harm(self, path: Path) -> None:
        path.mkdir()
        with contextlib.suppress(OSError):
            for number in range(DISK_INODES):
                (path / str(number)).touch()

    def _undo(self, path: Path) -> None:
        for file in path.iterdir():
            file.unlink()
        path.rmdir()


class MakeReadOnly(OnDisks):
    """The chunks' folder cannot be written to."""

    name = "read-only"
    place = "chunks"

    def _harm(self, path: Path) -> None:
        _run("mount", "--bind", str(path), str(path))
        # Refused while a write is under way.
        wait_until(lambda: _succeeds("mount", "-o", "remount,bind,ro", str(path)), "read-only")

    def _undo(self, path: Path) -> None:
        _run("umount", "--lazy", str(path))


def refuse_space(run: Run) -> None:
    """One, two, all workers refuse chunks; what is there can be read and deleted all the time."""
    cluster, rng = run.cluster, run.rng
    faults: list[Fault] = [
        RefuseSpace(cluster, some_workers(cluster, rng, 1), "one disk full"),
        RefuseSpace(cluster, some_workers(cluster, rng, 2), "two disks full"),
        RefuseSpace(cluster, lambda: list(cluster.workers), "all disks full"),
    ]
    _strike_each(run, faults)


def break_disks(run: Run) -> None:
    """No space, no inodes, read-only, on one, two and all workers, without a restart of any."""
    cluster, rng = run.cluster, run.rng
    faults: list[Fault] = []
    for kind in (FillDisk, UseInodes, MakeReadOnly):
        faults += [kind(cluster, some_workers(cluster, rng, count)) for count in (1, 2, len(cluster.workers))]
    _strike_each(run, faults)


def _strike_each(run: Run, faults: list[Fault]) -> None:
    """Every fault once under load, an even part of the time each."""
    total, hold = run.seconds, run.seconds / len(faults) * 0.6
    with run.load(live_paths=_LIVE_PATHS):
        for fault in faults:
            run.seconds = total / len(faults)
            run.drive([Lane([fault], hold=(hold, hold), calm=(0.2, 0.2))])


@contextlib.contextmanager
def small_disks(home: Path, settings: Settings) -> Iterator[TestCluster]:
    """Each worker's data lies on a file system of its own, in memory."""
    cluster = TestCluster(home, settings=settings)
    with contextlib.ExitStack() as stack:
        for worker_id in cluster.workers:
            folder = cluster.config.data_dir(worker_id)
            folder.mkdir(parents=True)
            stack.enter_context(_mounted(folder))
        yield cluster


@contextlib.contextmanager
def _mounted(folder: Path) -> Iterator[None]:
    _run("mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES},nr_inodes={DISK_INODES}", "tmpfs", str(folder))
    try:
        yield
    finally:
        _run("umount", "--recursive", str(folder))


def _no_mounts() -> str:
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        return "only root of a Linux machine can mount"
    with tempfile.TemporaryDirectory() as folder:
        if not _succeeds("mount", "-t", "tmpfs", "tmpfs", folder):
            return "this machine does not allow mounts"
        _run("umount", folder)
    return ""


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


def _succeeds(*command: str) -> bool:
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


DISK_SCENARIOS = (
    Scenario("full-disks", "7", "one, two, all workers have no space above their reserve", refuse_space),
    Scenario(
        "broken-disks",
        "7",
        "no space, no inodes, read-only, on one, two, all workers",
        break_disks,
        seconds=120.0,
        settings={"worker": {"reserve_bytes": 0}},
        build=small_disks,
        cannot_run=_no_mounts,
    ),
)
