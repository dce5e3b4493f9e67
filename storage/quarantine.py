"""Chunk files put aside, never read again: damaged ones, and those that no record names.

A file is freed when it has been here for its time, and by nothing else: also a full disk does not shorten it, because
what lies here is doubtful and an operator may still need it. The time is that of the file system's clock.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import threading
from pathlib import Path

from common.clock import age_seconds
from common.durable import move, sync_directory


class Quarantine:
    """One folder of files put aside. Safe for several threads."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._count = 0
        self._used_bytes = 0

    @property
    def count(self) -> int:
        return self._count

    @property
    def used_bytes(self) -> int:
        return self._used_bytes

    def recover(self) -> None:
        """Make the folder and count what is in it."""
        self._folder.mkdir(parents=True, exist_ok=True)
        sizes = [path.stat().st_size for path in self._folder.iterdir()]
        with self._lock:
            self._count, self._used_bytes = len(sizes), sum(sizes)

    def put(self, path: str, chunk_id: str) -> None:
        """Move the file at `path` here; `settle` makes that last. Raises FileNotFoundError and other OSErrors."""
        size = os.stat(path).st_size
        # First, so that a file never lies here with the time of its writing.
        os.utime(path)
        move(Path(path), self._folder / f"{chunk_id}.{secrets.token_hex(4)}")
        self._add(1, size)

    def settle(self) -> None:
        """Make what was put here survive a power cut."""
        sync_directory(self._folder)

    def free_expired(self, seconds: float) -> int:
        """Free what has been here for longer than `seconds`; returns how many files that was."""
        freed = 0
        with os.scandir(self._folder) as entries:
            for entry in entries:
                with contextlib.suppress(FileNotFoundError):
                    status = entry.stat()
                    if age_seconds(status.st_mtime) > seconds:
                        os.unlink(entry.path)
                        self._add(-1, -status.st_size)
                        freed += 1
        return freed

    def _add(self, count: int, size_bytes: int) -> None:
        with self._lock:
            self._count += count
            self._used_bytes += size_bytes
