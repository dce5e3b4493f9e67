"""Where the chunk files lie: `chunks/<00..ff>/<chunk_id>`, the folder taken from a hash of the id.

It also knows whether they are still the folders that were there at the start. A chunk is said to be missing only while
they are: the masters forget a replica on its worker's word, and a disk that is not mounted has no word to give.
"""

from __future__ import annotations

import contextlib
import heapq
import os
import secrets
import zlib
from collections.abc import Iterator
from pathlib import Path

from common.clock import age_seconds
from common.durable import TEMPORARY_SUFFIX, sync_directory, write_durably
from common.errors import DiskFailed
from common.records import is_chunk_id
from common.worker_client import INVENTORY_FOLDERS, HeldChunk

_Identity = tuple[int, int]


class ChunkFolders:
    """The folders of one worker's chunks."""

    def __init__(self, root: Path) -> None:
        self.parent = root / "chunks"
        # Beside the folders, so that whoever empties the disk takes it along.
        self._mark = self.parent / "store_id"
        self._identity: _Identity | None = None
        self._device = 0

    def prepare(self) -> None:
        """Make what is missing, and make everything that an earlier run left visible last over a power cut."""
        for folder in self._folders():
            folder.mkdir(parents=True, exist_ok=True)
            sync_directory(folder)
        if not self._mark.exists():
            # A disk that is full, and was filled before there were marks, is served without one.
            with contextlib.suppress(OSError):
                write_durably(self._mark, secrets.token_hex(16).encode("ascii"))
        sync_directory(self.parent)
        self._identity = _identity(self._mark)
        self._device = self.parent.stat().st_dev

    def path(self, chunk_id: str) -> str:
        # Text, not pathlib: on the way of every small read and write.
        return f"{self.parent}/{zlib.crc32(chunk_id.encode()) % INVENTORY_FOLDERS:02x}/{chunk_id}"

    def files(self) -> Iterator[os.DirEntry[str]]:
        """Every file, finished or not."""
        for folder in self._folders():
            with os.scandir(folder) as entries:
                yield from entries

    def page(self, number: int, after: str, limit: int) -> list[HeldChunk]:
        """The first `limit` chunks above `after` in one folder, in the order of their ids; temporary files are none."""
        with os.scandir(self._folder(number)) as entries:
            names = (entry.name for entry in entries if entry.name > after and is_chunk_id(entry.name))
            chosen = heapq.nsmallest(limit, names)
        return [chunk for name in chosen if (chunk := _held(self.path(name), name)) is not None]

    def require_present(self) -> None:
        """Raise DiskFailed when these are not the folders of the start, so that what is not here proves nothing."""
        if _identity(self._mark) != self._identity:
            raise DiskFailed(f"the folder {self.parent} is not the one that was there at the start")

    def are_emptied(self) -> bool:
        """Whether somebody has emptied the disk since `prepare`, or one of its folders.

        Raises DiskFailed when the place now belongs to another device: a disk that was unmounted, or exchanged under a
        running worker, must not be taken for an empty one.
        """
        if _identity(self._mark) == self._identity and all(os.path.isdir(folder) for folder in self._folders()):
            return False
        there = next(folder for folder in (self.parent, *self.parent.parents) if folder.exists())
        if there.stat().st_dev != self._device:
            raise DiskFailed(f"{there} is on another device than at the start; is the disk mounted?")
        return True

    def _folders(self) -> Iterator[Path]:
        return map(self._folder, range(INVENTORY_FOLDERS))

    def _folder(self, number: int) -> Path:
        return self.parent / f"{number:02x}"


def is_unfinished(name: str) -> bool:
    """Whether a file of this name is what a write that was broken off has left."""
    return name.endswith(TEMPORARY_SUFFIX)


def _held(path: str, chunk_id: str) -> HeldChunk | None:
    """None for a chunk that was freed meanwhile."""
    try:
        return HeldChunk(chunk_id, age_seconds(os.stat(path).st_mtime))
    except FileNotFoundError:
        return None


def _identity(path: Path) -> _Identity | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino
