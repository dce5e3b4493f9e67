"""Measure this machine: disk, loopback, memory, checksums. Every round measures it anew, between the systems' work."""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import xxhash

from benchmarks import disk, loopback
from benchmarks.options import Sizes

PROCESSES = 5
MB, GB = 1e6, 1e9
BLOCK_BYTES = 64 * 1024
PIECE_BYTES = 1024 * 1024

# key -> (what it is, unit); a higher value is better unless the unit is CPU time.
MEASURED: dict[str, tuple[str, str]] = {
    "disk_write_direct": ("write 4 MiB files, O_DIRECT + fsync, five processes", "MB/s"),
    "disk_write_direct_cpu": ("its CPU", "CPU s/GB"),
    "disk_write_cached": ("write 4 MiB files, page cache + fsync, five processes", "MB/s"),
    "disk_write_cached_cpu": ("its CPU", "CPU s/GB"),
    "disk_read_direct": ("read 4 MiB files, O_DIRECT, five processes", "MB/s"),
    "disk_read_cold": ("read 4 MiB files, page cache dropped before, five processes", "MB/s"),
    "durable_five": ("new 4 KiB file + fsync + rename + fsync of folder, five processes", "files/s"),
    "durable_each_of_three": ("the same, three processes, each of them", "files/s"),
    "append_synced": ("append 4 KiB + fdatasync, one process", "appends/s"),
    "loopback": ("loopback, sendall to recv_into, one connection", "MB/s"),
    "loopback_send_cpu": ("its CPU, sending", "CPU s/GB"),
    "loopback_receive_cpu": ("its CPU, receiving", "CPU s/GB"),
    "exchange": ("200 bytes out, 4 KiB back, one connection", "exchanges/s"),
    "exchange_cpu": ("its CPU, both sides", "CPU us/exchange"),
    "cached_read_cpu": ("CPU to read a file out of the page cache", "CPU s/GB"),
    "memcpy": ("memcpy, 1 MiB pieces", "MB/s"),
    "xxh3": ("XXH3-128 of 64 KiB blocks, one core", "MB/s"),
    "sha256": ("SHA-256, one core", "MB/s"),
}


def measure(folder: Path, sizes: Sizes) -> dict[str, float]:
    """One measurement of every limit, in the units of MEASURED; leaves nothing in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        return {
            **_measure_big_files(folder, sizes),
            **_measure_small_files(folder, sizes),
            **_measure_loopback(sizes),
            **_measure_memory(folder, sizes),
        }
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _measure_big_files(folder: Path, sizes: Sizes) -> dict[str, float]:
    """Without O_DIRECT, where the file system refuses it, the direct figures are those of the page cache."""
    direct = disk.DIRECT if disk.is_direct_possible(folder) else 0
    found: dict[str, float] = {}
    for name, flags in (("direct", direct), ("cached", 0)):
        files = folder / name
        written = disk.write_files(files, PROCESSES, sizes.disk_bytes_per_process, flags)
        found[f"disk_write_{name}"] = written.rate / MB
        found[f"disk_write_{name}_cpu"] = sum(written.cpu_seconds) / (sum(written.amounts) / GB)
        for path in files.glob("*/*"):
            disk.drop_from_cache(path)
        found["disk_read_direct" if flags else "disk_read_cold"] = disk.read_files(files, PROCESSES, flags).rate / MB
        shutil.rmtree(files)
    found.setdefault("disk_read_direct", found["disk_read_cold"])
    return found


def _measure_small_files(folder: Path, sizes: Sizes) -> dict[str, float]:
    found = {
        "durable_five": disk.write_small_files(folder / "five", PROCESSES, sizes.durable_files).rate,
        "durable_each_of_three": disk.write_small_files(folder / "three", 3, sizes.durable_files).rate / 3,
        "append_synced": disk.append_synced(folder, sizes.durable_files).rate,
    }
    for name in ("five", "three"):
        shutil.rmtree(folder / name)
    return found


def _measure_loopback(sizes: Sizes) -> dict[str, float]:
    streamed = loopback.stream(sizes.loopback_bytes)
    exchanged = loopback.exchange(sizes.exchanges)
    gigabytes = sizes.loopback_bytes / GB
    return {
        "loopback": sizes.loopback_bytes / streamed.seconds / MB,
        "loopback_send_cpu": streamed.cpu_seconds[0] / gigabytes,
        "loopback_receive_cpu": streamed.cpu_seconds[1] / gigabytes,
        "exchange": sizes.exchanges / exchanged.seconds,
        "exchange_cpu": sum(exchanged.cpu_seconds) / sizes.exchanges * 1e6,
    }


def _measure_memory(folder: Path, sizes: Sizes) -> dict[str, float]:
    # Larger than the processor's caches, as a file on its way through is.
    source = memoryview(os.urandom(sizes.memory_bytes))
    path = folder / "cached"
    path.write_bytes(source)
    target = memoryview(bytearray(sizes.memory_bytes))
    found = {
        "cached_read_cpu": _cpu_of_cached_read(path) / (sizes.memory_bytes / GB),
        "memcpy": _rate(source, PIECE_BYTES, lambda start, piece: _copy(target, start, piece)),
        "xxh3": _rate(source, BLOCK_BYTES, lambda _, piece: xxhash.xxh3_128_digest(piece)),
        "sha256": _rate(source, PIECE_BYTES, lambda _, piece: hashlib.sha256(piece).digest()),
    }
    path.unlink()
    return found


def _cpu_of_cached_read(path: Path) -> float:
    buffer = bytearray(PIECE_BYTES)
    with open(path, "rb", buffering=0) as file:
        while file.readinto(buffer):
            pass
        file.seek(0)
        start = time.process_time()
        while file.readinto(buffer):
            pass
        return time.process_time() - start


def _copy(target: memoryview, start: int, piece: memoryview) -> None:
    target[start : start + len(piece)] = piece


def _rate(source: memoryview, step: int, work: Callable[[int, memoryview], object]) -> float:
    """MB/s of the second of two passes: the first one touches the pages."""
    seconds = 0.0
    for _ in range(2):
        begin = time.perf_counter()
        for start in range(0, len(source), step):
            work(start, source[start : start + step])
        seconds = time.perf_counter() - begin
    return len(source) / seconds / MB
