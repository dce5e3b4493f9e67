"""What the disk can do under the scratch folder: files of 4 MiB direct and cached, small durable files, appends."""

from __future__ import annotations

import errno
import mmap
import os
import secrets
from collections.abc import Callable
from pathlib import Path

from benchmarks.together import Outcome, Task, run_together

FILE_BYTES = 4 * 1024 * 1024
SMALL_BYTES = 4096
DIRECT = getattr(os, "O_DIRECT", 0)


def write_files(folder: Path, processes: int, bytes_each: int, flags: int) -> Outcome:
    """Every process writes new files of 4 MiB, each with one write and one fsync; amounts in bytes."""
    return run_together([_writer(folder / f"process-{number}", bytes_each, flags) for number in range(processes)])


def read_files(folder: Path, processes: int, flags: int) -> Outcome:
    """Every process reads the files that it wrote; amounts in bytes."""
    return run_together([_reader(folder / f"process-{number}", flags) for number in range(processes)])


def write_small_files(folder: Path, processes: int, count: int) -> Outcome:
    """New file of 4 KiB, fsync, rename, fsync of the folder: what a durable small file costs; amounts in files."""
    return run_together([_small_writer(folder / f"small-{number}", count) for number in range(processes)])


def append_synced(folder: Path, count: int) -> Outcome:
    """One process appends 4 KiB and calls fdatasync, as a database commits; amounts in appends."""

    def task(start: Callable[[], None]) -> int:
        descriptor = os.open(folder / "journal", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        record = secrets.token_bytes(SMALL_BYTES)
        start()
        for _ in range(count):
            os.write(descriptor, record)
            os.fdatasync(descriptor)
        os.close(descriptor)
        return count

    return run_together([task])


def is_direct_possible(folder: Path) -> bool:
    """Whether files here can be written past the page cache; a tmpfs and some network file systems refuse."""
    if not DIRECT:
        return False
    path = folder / "direct-probe"
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | DIRECT, 0o600)
        try:
            os.write(descriptor, mmap.mmap(-1, SMALL_BYTES))
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno in (errno.EINVAL, errno.EOPNOTSUPP):
            return False
        raise
    finally:
        path.unlink(missing_ok=True)
    return True


def drop_from_cache(path: Path) -> None:
    """Forget the page cache of a file that is on the disk; needs no privilege (posix_fadvise(2))."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        # Pages that are not yet on the disk cannot be forgotten.
        os.fdatasync(descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(descriptor)


def _writer(folder: Path, bytes_each: int, flags: int) -> Task:
    def task(start: Callable[[], None]) -> int:
        folder.mkdir(parents=True, exist_ok=True)
        # Anonymous memory is page-aligned, as O_DIRECT demands.
        buffer = mmap.mmap(-1, FILE_BYTES)
        buffer.write(secrets.token_bytes(FILE_BYTES))
        start()
        for number in range(bytes_each // FILE_BYTES):
            descriptor = os.open(folder / str(number), os.O_WRONLY | os.O_CREAT | os.O_TRUNC | flags, 0o600)
            _write_all(descriptor, memoryview(buffer))
            os.fsync(descriptor)
            os.close(descriptor)
        return bytes_each // FILE_BYTES * FILE_BYTES

    return task


def _reader(folder: Path, flags: int) -> Task:
    def task(start: Callable[[], None]) -> int:
        buffer = mmap.mmap(-1, FILE_BYTES)
        paths = sorted(folder.iterdir())
        start()
        total = 0
        for path in paths:
            descriptor = os.open(path, os.O_RDONLY | flags)
            while count := os.readv(descriptor, [buffer]):
                total += count
            os.close(descriptor)
        return total

    return task


def _small_writer(folder: Path, count: int) -> Task:
    def task(start: Callable[[], None]) -> int:
        folder.mkdir(parents=True, exist_ok=True)
        content = secrets.token_bytes(SMALL_BYTES)
        parent = os.open(folder, os.O_RDONLY)
        start()
        for number in range(count):
            descriptor = os.open(folder / f"{number}.part", os.O_WRONLY | os.O_CREAT, 0o600)
            os.write(descriptor, content)
            os.fsync(descriptor)
            os.close(descriptor)
            os.replace(folder / f"{number}.part", folder / str(number))
            os.fsync(parent)
        os.close(parent)
        return count

    return task


def _write_all(descriptor: int, view: memoryview) -> None:
    while view:
        view = view[os.write(descriptor, view) :]
