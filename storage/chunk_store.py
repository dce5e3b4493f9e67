"""Chunks on one disk: write so that it survives a power cut, read, verify, quarantine, delete.

Layout under the data folder: `chunks/<00..ff>/<chunk_id>`, the folder taken from a hash of the id; `quarantine/` for
files that are damaged, which are kept, never read. The store does not know files, other workers or HTTP.
"""

from __future__ import annotations

import contextlib
import errno
import mmap
import os
import secrets
import shutil
import threading
import zlib
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from common.checksums import (
    BLOCK_SIZE_BYTES,
    Buffer,
    block_digests,
    checksum_of,
    digest_list_size,
    verify_blocks,
)
from common.durable import TEMPORARY_SUFFIX, StagedFile, move_durably, sync_directory
from common.errors import ChunkConflict, ChunkCorrupt, ChunkMissing, DFSError, DiskFailed, DiskFull, IncompleteBody
from common.ranges import ByteRange
from storage.chunk_file import ALIGNMENT, ChunkFile, ChunkHeader, encode_tail, file_size
from storage.windows import WindowPool

WINDOW_BYTES = 1024 * 1024
WINDOW_WAIT_SECONDS = 5.0
READ_WINDOW_BYTES = 256 * 1024
# Up to this length a span is read in one piece, without a window.
SMALL_READ_BYTES = 64 * 1024
MAX_CHUNK_BYTES = 64 * 1024 * 1024
# Smaller ones stay in the page cache: they are cheap to write and likely to be read soon.
DIRECT_MIN_BYTES = 512 * 1024
_LONGEST_TAIL = digest_list_size(MAX_CHUNK_BYTES) + 2 * ALIGNMENT
_PIECE_BYTES = 1024 * 1024
_FOLDERS = 256
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)


class ChunkSource(Protocol):
    """The bytes of a chunk, such as a request's body."""

    def fill(self, buffer: mmap.mmap, start: int, stop: int) -> int:
        """Put the next bytes at buffer[start:stop]; returns how many, 0 only at the end. Raises IncompleteBody."""


@dataclass(frozen=True)
class Usage:
    """How full the store is. Sizes in bytes; `free_bytes` is what may still be written, the reserve taken off."""

    capacity_bytes: int
    used_bytes: int
    free_bytes: int
    chunk_count: int
    quarantined_count: int


class ChunkStore:
    """The chunks of one worker. Safe for any number of threads of one process."""

    def __init__(
        self,
        root: Path,
        *,
        reserve_bytes: int,
        capacity_bytes: int = 0,
        is_synced: bool = True,
        is_direct: bool = True,
        window_count: int = 16,
    ) -> None:
        """reserve_bytes: free space that is never used. capacity_bytes: most to keep; 0: what the disk has.

        is_direct: large chunks are written past the page cache where the file system allows it. window_count: chunks
        written at once, each through a buffer of WINDOW_BYTES.
        """
        self._chunks = root / "chunks"
        self._quarantine = root / "quarantine"
        self._reserve_bytes = reserve_bytes
        self._capacity_bytes = capacity_bytes
        self._is_synced = is_synced
        self._is_direct = is_direct
        self._windows = WindowPool(window_count, WINDOW_BYTES + _LONGEST_TAIL, WINDOW_WAIT_SECONDS)
        self._read_windows = WindowPool(2 * window_count, READ_WINDOW_BYTES, WINDOW_WAIT_SECONDS)
        self._lock = threading.Lock()
        self._used_bytes = 0
        self._chunk_count = 0
        self._incoming_bytes = 0
        self._quarantined_count = 0

    def recover(self) -> int:
        """Make the folders, remove what unfinished writes left, count what is there; returns how much was removed.

        Must run once before anything else. It reads names and sizes only: damage inside a file is found when it is
        read or verified.
        """
        self._quarantine.mkdir(parents=True, exist_ok=True)
        for number in range(_FOLDERS):
            (self._chunks / f"{number:02x}").mkdir(parents=True, exist_ok=True)
        sync_directory(self._chunks)
        removed = 0
        for entry in self._entries():
            if entry.name.endswith(TEMPORARY_SUFFIX):
                os.unlink(entry.path)
                removed += 1
            else:
                self._chunk_count += 1
                self._used_bytes += entry.stat().st_size
        self._quarantined_count = sum(1 for _ in self._quarantine.iterdir())
        return removed

    def write(self, chunk_id: str, source: ChunkSource, size_bytes: int, checksum: str) -> None:
        """Store one chunk so that it survives a power cut.

        Raises ChunkCorrupt when the bytes do not match `checksum` and IncompleteBody when there are fewer (nothing is
        kept), DiskFull at the reserve, WorkerBusy when no window is free, DiskFailed when the disk refuses,
        ChunkConflict when the id exists with another checksum. Repeating the call with the same id and bytes is safe:
        the bytes are written again, so even a damaged copy is made good.
        """
        with _disk_errors():
            self._refuse_conflict(chunk_id, checksum)
        is_direct = self._is_direct and size_bytes >= DIRECT_MIN_BYTES
        with (
            self._room_for(size_bytes),
            self._windows.window() as window,
            _disk_errors(),
            StagedFile(self._path(chunk_id), is_synced=self._is_synced, is_direct=is_direct) as staged,
        ):
            if _copy_hashing(source, staged, window, size_bytes) != checksum:
                raise ChunkCorrupt("the bytes received do not match the checksum sent with them", expected=checksum)
            staged.sync()
            with self._lock:
                replaced = _size_or_none(staged.path)
                if replaced is not None:
                    self._refuse_conflict(chunk_id, checksum)
                staged.publish()
                self._count(file_size(size_bytes), 1)
                if replaced is not None:
                    self._count(-replaced, -1)
            staged.settle()

    def open(self, chunk_id: str) -> tuple[ChunkFile, ChunkHeader]:
        """The open file, which the caller closes, and what it says of itself.

        Raises ChunkMissing; ChunkCorrupt after putting a file that cannot be trusted into quarantine. The data itself
        is not verified here: whoever gets it compares it with the digests.
        """
        with _disk_errors():
            try:
                file = ChunkFile(self._path(chunk_id))
            except FileNotFoundError:
                raise ChunkMissing(f"no replica of chunk {chunk_id} here", chunk_id=chunk_id) from None
        try:
            with _disk_errors(), _unreadable_is_corrupt():
                return file, file.read_header()
        except ChunkCorrupt:
            file.close()
            self._put_in_quarantine(chunk_id, file.identity)
            raise
        except BaseException:
            file.close()
            raise

    def read_span(self, chunk_id: str, file: ChunkFile, span: ByteRange) -> Generator[Buffer, None, None]:
        """The bytes of a span of an open chunk file, each piece valid until the next is asked for.

        Ends early where the disk does, which the reader notices by the missing bytes; the chunk is then verified.
        """
        if span.length <= SMALL_READ_BYTES:
            yield from self._read_pieces(chunk_id, file, span, memoryview(bytearray(span.length)))
            return
        file.read_ahead(span.start, span.length)
        with self._read_windows.window() as window:
            yield from self._read_pieces(chunk_id, file, span, memoryview(window))

    def _read_pieces(self, chunk_id: str, file: ChunkFile, span: ByteRange, view: memoryview) -> Iterator[Buffer]:
        for start in range(span.start, span.stop, len(view)):
            wanted = view[: span.stop - start]
            try:
                count = file.read_into(start, wanted)
            except OSError:
                count = 0
            if count:
                yield wanted[:count]
            if count < len(wanted):
                self.verify(chunk_id)
                return

    def verify(self, chunk_id: str) -> bool:
        """Re-read a chunk from the disk; a damaged one goes into quarantine. Raises ChunkMissing."""
        try:
            file, header = self.open(chunk_id)
        except ChunkCorrupt:
            return False
        with file:
            try:
                with _disk_errors(), _unreadable_is_corrupt():
                    _verify_data(file, header)
            except ChunkCorrupt:
                self._put_in_quarantine(chunk_id, file.identity)
                return False
        return True

    def delete(self, chunk_ids: Iterable[str]) -> int:
        """Free these chunks; those that are not here are fine. Returns how many were."""
        deleted, folders = 0, set()
        for chunk_id in chunk_ids:
            path = self._path(chunk_id)
            with _disk_errors(), self._lock:
                size = _size_or_none(path)
                if size is not None:
                    os.unlink(path)
                    self._count(-size, -1)
                    deleted += 1
                    folders.add(os.path.dirname(path))
        if self._is_synced:
            # A chunk that came back with a power cut would be in no record.
            for folder in folders:
                sync_directory(Path(folder))
        return deleted

    def usage(self) -> Usage:
        """How full the store is now."""
        free_on_disk = shutil.disk_usage(self._chunks).free
        with self._lock:
            return self._usage(free_on_disk)

    def _usage(self, free_on_disk: int) -> Usage:
        capacity = self._used_bytes + max(0, free_on_disk - self._reserve_bytes)
        if self._capacity_bytes:
            capacity = min(capacity, self._capacity_bytes)
        free = max(0, capacity - self._used_bytes - self._incoming_bytes)
        return Usage(capacity, self._used_bytes, free, self._chunk_count, self._quarantined_count)

    @contextlib.contextmanager
    def _room_for(self, size_bytes: int) -> Iterator[None]:
        """Set space aside while a chunk is written; raises DiskFull before a byte is."""
        needed = file_size(size_bytes)
        with _disk_errors():
            free_on_disk = shutil.disk_usage(self._chunks).free
        with self._lock:
            free = self._usage(free_on_disk).free_bytes
            if needed > free:
                raise DiskFull(f"{needed} bytes are needed, {free} are free above the reserve")
            self._incoming_bytes += needed
        try:
            yield
        finally:
            with self._lock:
                self._incoming_bytes -= needed

    def _refuse_conflict(self, chunk_id: str, checksum: str) -> None:
        """Chunks never change; a damaged file is no chunk and may be replaced."""
        path = self._path(chunk_id)
        if _size_or_none(path) is None:
            return
        try:
            with _unreadable_is_corrupt(), ChunkFile(path) as file:
                present = file.read_header().checksum
        except (FileNotFoundError, ChunkCorrupt):
            return
        if present != checksum:
            raise ChunkConflict(f"chunk {chunk_id} is here with checksum {present}")

    def _put_in_quarantine(self, chunk_id: str, bad: tuple[int, int]) -> None:
        """Move a damaged file (device and inode) aside, unless the name meanwhile holds another, written anew."""
        path = self._path(chunk_id)
        with _disk_errors(), self._lock, contextlib.suppress(FileNotFoundError):
            present = os.stat(path)
            if (present.st_dev, present.st_ino) != bad:
                return
            move_durably(Path(path), self._quarantine / f"{chunk_id}.{secrets.token_hex(4)}")
            self._count(-present.st_size, -1)
            self._quarantined_count += 1

    def _count(self, size: int, chunks: int) -> None:
        self._used_bytes += size
        self._chunk_count += chunks

    def _path(self, chunk_id: str) -> str:
        # Text, not pathlib: on the way of every small read and write.
        return f"{self._chunks}/{zlib.crc32(chunk_id.encode()) % _FOLDERS:02x}/{chunk_id}"

    def _entries(self) -> Iterator[os.DirEntry[str]]:
        for number in range(_FOLDERS):
            with os.scandir(self._chunks / f"{number:02x}") as entries:
                yield from entries


def _copy_hashing(source: ChunkSource, staged: StagedFile, window: mmap.mmap, size_bytes: int) -> str:
    """Write exactly `size_bytes` from `source`, window by window, and the tail; returns the chunk's checksum."""
    view = memoryview(window)
    digests: list[bytes] = []
    missing = size_bytes
    while True:
        length = min(missing, WINDOW_BYTES)
        _fill(source, window, length, missing)
        digests.append(block_digests(view[:length]))
        missing -= length
        if not missing:
            break
        staged.write(view[:length])
    tail = encode_tail(size_bytes, b"".join(digests))
    window[length : length + len(tail)] = tail
    staged.write(view[: length + len(tail)])
    return checksum_of(b"".join(digests))


def _fill(source: ChunkSource, window: mmap.mmap, length: int, missing: int) -> None:
    filled = 0
    while filled < length:
        count = source.fill(window, filled, length)
        if not count:
            raise IncompleteBody(f"the chunk ended {missing - filled} bytes early")
        filled += count


def _verify_data(file: ChunkFile, header: ChunkHeader) -> None:
    view = memoryview(bytearray(min(_PIECE_BYTES, header.size_bytes)))
    for start in range(0, header.size_bytes, _PIECE_BYTES):
        piece = view[: header.size_bytes - start]
        if file.read_into(start, piece) != len(piece):
            raise ChunkCorrupt("the chunk file ended early")
        verify_blocks(piece, header.digests, start // BLOCK_SIZE_BYTES)


def _size_or_none(path: str) -> int | None:
    try:
        return os.stat(path).st_size
    except FileNotFoundError:
        return None


@contextlib.contextmanager
def _unreadable_is_corrupt() -> Iterator[None]:
    """A bad sector shows as EIO: the bytes are as lost as if they were wrong."""
    try:
        yield
    except OSError as error:
        if error.errno == errno.EIO:
            raise ChunkCorrupt(f"the disk cannot read the chunk: {error}") from error
        raise


@contextlib.contextmanager
def _disk_errors() -> Iterator[None]:
    """The table from what the disk says to what the caller is told."""
    try:
        yield
    except DFSError:
        raise
    except OSError as error:
        if error.errno in _NO_SPACE:
            raise DiskFull(f"the disk is full: {error}") from error
        raise DiskFailed(f"the disk refuses: {error}") from error
