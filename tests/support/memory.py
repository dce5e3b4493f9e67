"""Folders in memory, for databases that are synced many thousand times in a test."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

_MEMORY = Path("/dev/shm")


@contextlib.contextmanager
def memory_folder() -> Iterator[Path]:
    """An empty folder, removed at the end; in memory where the system offers that, else on the disk."""
    with tempfile.TemporaryDirectory(prefix="dfs_test_", dir=_MEMORY if _MEMORY.is_dir() else None) as folder:
        yield Path(folder)
