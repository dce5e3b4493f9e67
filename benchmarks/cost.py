"""What processes cost: CPU seconds and memory of services, each with all its descendants, from /proc (Linux only)."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")


@dataclass(frozen=True)
class ProcessTimes:
    """One process: its parent, and CPU ticks of itself and of those children that ended and were waited for."""

    pid: int
    parent: int
    ticks: int


def parse_stat(text: str) -> ProcessTimes:
    """The text of /proc/<pid>/stat; see proc(5): pid (comm) state ppid ...; comm may hold blanks and brackets."""
    before, _, after = text.rpartition(")")
    fields = after.split()
    return ProcessTimes(int(before.partition(" ")[0]), int(fields[1]), sum(int(value) for value in fields[11:15]))


def parse_kib(text: str, field: str) -> int:
    """The bytes of one `Field:   123 kB` line of /proc/<pid>/status or smaps_rollup; 0 where it is not there."""
    for line in text.splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    return 0


def family(processes: Mapping[int, ProcessTimes], root: int) -> list[int]:
    """`root` and everything below it, of the processes given."""
    children: dict[int, list[int]] = {}
    for process in processes.values():
        children.setdefault(process.parent, []).append(process.pid)
    found = [root] if root in processes else []
    for pid in found:
        found.extend(children.get(pid, ()))
    return found


class Cost:
    """The services of one system: name -> the process that was started for it."""

    def __init__(self, services: Mapping[str, int], proc: Path = PROC) -> None:
        self._services = dict(services)
        self._proc = proc

    def cpu_seconds(self) -> dict[str, float]:
        """CPU seconds, user and system, that each service has used since it was started."""
        processes = self._processes()
        tick = os.sysconf("SC_CLK_TCK")
        return {
            service: sum(processes[pid].ticks for pid in family(processes, root)) / tick
            for service, root in self._services.items()
        }

    def memory_bytes(self, field: str) -> dict[str, int]:
        """Per service, its processes added up: VmRSS resident now, VmHWM the most ever, Pss without double counting."""
        processes = self._processes()
        file = "smaps_rollup" if field == "Pss" else "status"
        return {
            service: sum(parse_kib(self._read(pid, file), field) for pid in family(processes, root))
            for service, root in self._services.items()
        }

    def forget_peaks(self) -> None:
        """Let VmHWM start again from what is resident now (proc(5), clear_refs); where that is refused it stays."""
        processes = self._processes()
        for root in self._services.values():
            for pid in family(processes, root):
                with contextlib.suppress(OSError):
                    (self._proc / str(pid) / "clear_refs").write_text("5")

    def _processes(self) -> dict[int, ProcessTimes]:
        return {times.pid: times for times in self._all_stats()}

    def _all_stats(self) -> Iterator[ProcessTimes]:
        for path in self._proc.glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                yield parse_stat(path.read_text())

    def _read(self, pid: int, file: str) -> str:
        try:
            return (self._proc / str(pid) / file).read_text()
        except OSError:
            return ""
