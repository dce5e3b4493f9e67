"""What the figures were measured on."""

from __future__ import annotations

import os
import platform
import subprocess
import time
from pathlib import Path

from benchmarks.cost import parse_kib

READ_SECONDS = 1.0


def describe(folder: Path, curl_version: str) -> dict[str, str]:
    """Processor, memory, kernel, Python, the disk below `folder`, the code measured."""
    return {
        "processor": f"{cores()} x {_processor()}",
        "memory": f"{parse_kib(_read('/proc/meminfo'), 'MemTotal') / (1 << 30):.1f} GiB",
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "disk": _disk(folder),
        "busy before the start": f"{busy_share(READ_SECONDS):.0%}",
        "curl": curl_version.partition("(")[0].strip(),
        "commit": _commit(),
    }


def cores() -> int:
    """The processors that this process may use."""
    return len(os.sched_getaffinity(0))


def busy_share(seconds: float) -> float:
    """How much of all processors anybody uses just now: figures of a busy machine are worth little."""
    first = _read("/proc/stat")
    time.sleep(seconds)
    return busy_between(first, _read("/proc/stat"))


def busy_between(first: str, second: str) -> float:
    """From two texts of /proc/stat; proc(5): cpu user nice system idle iowait irq softirq steal ..."""
    before, after = ([int(value) for value in text.split("\n")[0].split()[1:9]] for text in (first, second))
    spent = [end - start for start, end in zip(before, after, strict=True)]
    return 1 - (spent[3] + spent[4]) / sum(spent) if sum(spent) else 0.0


def _processor() -> str:
    lines = [line for line in _read("/proc/cpuinfo").splitlines() if line.startswith("model name")]
    return lines[0].partition(":")[2].strip() if lines else platform.machine()


def _disk(folder: Path) -> str:
    """Device and file system of the longest mount point above the folder."""
    resolved = str(folder.resolve())
    mounts = [line.split() for line in _read("/proc/self/mounts").splitlines()]
    above = [m for m in mounts if resolved == m[1] or resolved.startswith(m[1].rstrip("/") + "/")]
    device, _, kind = max(above, key=lambda mount: len(mount[1]))[:3] if above else ("?", "", "?")
    return f"{device}, {kind}"


def _commit() -> str:
    root = Path(__file__).resolve().parent.parent
    try:
        command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--exclude=*"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""
