"""Chunks on one disk: write so that it survives a power cut, read, verify, put aside, delete.

The store does not know files, other workers or HTTP. Where the files lie stands in `folders.py`, their format in
`chunk_file.py`.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from common.checksums import BLOCK_SIZE_BYTES, Buffer, verify_blocks
from common.durable import StagedFile, sync_directory
from common.errors import ChunkConflict, ChunkCorrupt, ChunkMissing, DiskFull
from common.ranges import ByteRange
from common.worker_client import DescribedChunk, HeldChunk
from storage.chunk_counts import ChunkCounts
from storage.chunk_file import ALIGNMENT, ChunkFile, ChunkHeader, file_size
from storage.disk_errors import disk_errors, unreadable_is_corrupt
from storage.folders import ChunkFolders, is_unfinished
from storage.quarantine import Quarantine
from storage.receiving import LONGEST_TAIL_BYTES, WINDOW_BYTES, ChunkSource, copy_hashing
from storage.windows import WindowPool

Step = Callable[[], contextlib.AbstractContextManager[None]]
WINDOW_WAIT_SECONDS = 5.0
READ_WINDOW_BYTES = 256 * 1024
# Up to this length a span is read in one piece, without a window.
SMALL_READ_BYTES = 64 * 1024
# Smaller ones stay in the page cache: they are cheap to write and likely to be read soon.
DIRECT_MIN_BYTES = 512 * 1024
_VERIFICATIONS = 4
_VERIFY_WINDOW_BYTES = 1024 * 1024


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
        on_damage: Callable[[str], None] = lambda _chunk_id: None,
    ) -> None:
        """reserve_bytes: free space that is never used. capacity_bytes: most to keep; 0: what the disk has.

        is_direct: large chunks are written past the page cache where the file system allows it. window_count: chunks
        written at once, each through a buffer of WINDOW_BYTES. on_damage: told of each chunk found damaged, by then in
        quarantine.
        """
        self.counts = ChunkCounts()
        self._folders = ChunkFolders(root)
        self._quarantine = Quarantine(root / "quarantine")
        self._reserve_bytes = reserve_bytes
        self._capacity_bytes = capacity_bytes
        self._is_synced = is_synced
        self._is_direct = is_direct
        self._windows = WindowPool(window_count, WINDOW_BYTES + LONGEST_TAIL_BYTES, WINDOW_WAIT_SECONDS)
        self._read_windows = WindowPool(2 * window_count, READ_WINDOW_BYTES, WINDOW_WAIT_SECONDS)
        self._verify_windows = WindowPool(_VERIFICATIONS, _VERIFY_WINDOW_BYTES, WINDOW_WAIT_SECONDS)
        self._on_damage = on_damage
        self._lock = threading.Lock()
        self._used_bytes = 0
        self._chunk_count = 0
        self._incoming_bytes = 0

    def recover(self) -> int:
        """Make the folders, remove what unfinished writes left, count what is there; returns how much was removed.

        Must run before anything else, and again when the disk was emptied. It reads names and sizes only: damage
        inside a file is found when it is read or verified.
        """
        with disk_errors(), self._lock:
            self._quarantine.recover()
            self._folders.prepare()
            self._used_bytes = self._chunk_count = removed = 0
            for entry in self._folders.files():
                if is_unfinished(entry.name):
                    os.unlink(entry.path)
                    removed += 1
                else:
                    self._count(entry.stat().st_size, 1)
        return removed

    def path(self, chunk_id: str) -> str:
        """Where the file of this chunk lies, or would."""
        return self._folders.path(chunk_id)

    def is_emptied(self) -> bool:
        """Whether somebody has emptied the disk, so that `recover` must run again; raises DiskFailed."""
        with disk_errors():
            return self._folders.are_emptied()

    def write(
        self,
        chunk_id: str,
        source: ChunkSource,
        size_bytes: int,
        checksum: str,
        note: Callable[[], bytes] = bytes,
    ) -> None:
        """Store one chunk so that it survives a power cut. note: see chunk_file.py; asked for once all bytes have come.

        Raises ChunkCorrupt when the bytes do not match `checksum` and IncompleteBody when there are fewer (nothing is
        kept), DiskFull at the reserve, WorkerBusy when no window is free, DiskFailed when the disk refuses,
        ChunkConflict when the id exists with another checksum. Repeating the call with the same id and bytes is safe:
        the bytes are written again, so even a damaged copy is made good.
        """
        with disk_errors():
            self._refuse_conflict(chunk_id, checksum)
        is_direct = self._is_direct and size_bytes >= DIRECT_MIN_BYTES
        with (
            self._room_for(file_size(size_bytes)),
            self._windows.window() as window,
            disk_errors(),
            StagedFile(self._folders.path(chunk_id), is_synced=self._is_synced, is_direct=is_direct) as staged,
        ):
            received, file_bytes = copy_hashing(source, staged, window, size_bytes, note)
            if received != checksum:
                raise ChunkCorrupt("the bytes received do not match the checksum sent with them", expected=checksum)
            staged.sync()
            with self._lock:
                replaced = _size_or_none(staged.path)
                if replaced is not None:
                    self._refuse_conflict(chunk_id, checksum)
                # What lies below the place of a disk that was unmounted would be hidden once it is back.
                self._folders.require_present()
                staged.publish()
                self._count(file_bytes, 1)
                if replaced is not None:
                    self._count(-replaced, -1)
            staged.settle()
        self.counts.written.add()

    def open(self, chunk_id: str, *, is_direct: bool = False) -> tuple[ChunkFile, ChunkHeader]:
        """The open file, which the caller closes, and what it says of itself.

        Raises ChunkMissing; ChunkCorrupt after putting a file that cannot be trusted into quarantine. The data itself
        is not verified here: whoever gets it compares it with the digests.
        """
        with disk_errors():
            try:
                file = ChunkFile(self._folders.path(chunk_id), is_direct=is_direct)
            except FileNotFoundError:
                self._folders.require_present()
                raise ChunkMissing(f"no replica of chunk {chunk_id} here", chunk_id=chunk_id) from None
        try:
            with disk_errors(), unreadable_is_corrupt():
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
        self.counts.read.add()
        if span.length <= SMALL_READ_BYTES:
            yield from self._read_pieces(chunk_id, file, span, memoryview(bytearray(span.length)))
            return
        file.read_ahead(span.start, span.length)
        with self._read_windows.window() as window:
            yield from self._read_pieces(chunk_id, file, span, memoryview(window))

    def _read_pieces(self, chunk_id: str, file: ChunkFile, span: ByteRange, view: memoryview) -> Iterator[Buffer]:
        if not span.length:
            return
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

    def verify(self, chunk_id: str, *, is_suspect: bool = True) -> bool:
        """Re-read a chunk from the disk itself; a damaged one goes into quarantine. Raises ChunkMissing, WorkerBusy.

        is_suspect: what the page cache holds of it is given up first, because it may be that what is wrong.
        """
        with self._verify_windows.window() as window:
            try:
                file, header = self.open(chunk_id, is_direct=True)
            except ChunkCorrupt:
                return False
            with file:
                try:
                    with disk_errors(), unreadable_is_corrupt():
                        if is_suspect:
                            file.forget_cached()
                        _verify_data(file, header, memoryview(window))
                except ChunkCorrupt:
                    self._put_in_quarantine(chunk_id, file.identity)
                    return False
        return True

    def confirm(self, chunk_id: str, checksum: str) -> bool:
        """Whether the chunk with this checksum is here and intact; a damaged file goes into quarantine."""
        try:
            file, header = self.open(chunk_id)
            file.close()
            return header.checksum == checksum and self.verify(chunk_id)
        except (ChunkMissing, ChunkCorrupt):
            return False

    def find_held(self, chunk_ids: Iterable[str]) -> list[str]:
        """Those of these chunks that there is a file of. Raises DiskFailed where the absence of one proves nothing."""
        with disk_errors():
            held = [chunk_id for chunk_id in chunk_ids if _size_or_none(self._folders.path(chunk_id)) is not None]
            # Asked last, so that it was there all the time.
            self._folders.require_present()
        return held

    def describe(self, chunk_ids: Iterable[str]) -> list[DescribedChunk]:
        """What the files of these chunks say of themselves; those that are not here, or damaged, are left out."""
        found = []
        for chunk_id in chunk_ids:
            with contextlib.suppress(ChunkMissing, ChunkCorrupt):
                file, header = self.open(chunk_id)
                file.close()
                found.append(DescribedChunk(chunk_id, header.size_bytes, header.checksum, header.note))
        return found

    def list_folder(self, number: int, after: str, limit: int) -> list[HeldChunk]:
        """The first `limit` chunks above `after` in one of the folders, in the order of their ids."""
        with disk_errors():
            return self._folders.page(number, after, limit)

    def put_aside(self, chunk_ids: Iterable[str]) -> int:
        """Put chunks that no record names into quarantine; those that are not here are fine. Returns how many were."""
        paths = {chunk_id: self._folders.path(chunk_id) for chunk_id in chunk_ids}
        with disk_errors():
            moved = [path for chunk_id, path in paths.items() if self._set_aside(chunk_id, path)]
            if moved:
                self._quarantine.settle()
            for folder in {os.path.dirname(path) for path in moved}:
                sync_directory(folder)
        return len(moved)

    def free_quarantined(self, seconds: float) -> int:
        """Free what has been in quarantine for longer than this; returns how many files that was."""
        with disk_errors():
            return self._quarantine.free_expired(seconds)

    def delete(self, chunk_ids: Iterable[str], step: Step = contextlib.nullcontext) -> int:
        """Free these chunks; those that are not here are fine. Returns how many were.

        step: entered around the removal of each; what it raises ends the order there.
        """
        deleted, folders = 0, set()
        for chunk_id in chunk_ids:
            path = self._folders.path(chunk_id)
            with step(), disk_errors(), self._lock:
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

    @property
    def quarantined_bytes(self) -> int:
        return self._quarantine.used_bytes

    def is_writable(self) -> bool:
        """Whether a chunk could be written now: the disk is there, takes writes and has room above the reserve."""
        with disk_errors():
            self._folders.require_present()
            return os.access(self._folders.parent, os.W_OK) and self.usage().free_bytes > 0

    def usage(self) -> Usage:
        """How full the store is now."""
        free_on_disk = shutil.disk_usage(self._folders.parent).free
        with self._lock:
            return self._usage(free_on_disk)

    def _usage(self, free_on_disk: int) -> Usage:
        # Never below zero: files that were put here by hand were not counted, and are when they go.
        used = max(0, self._used_bytes) + self._quarantine.used_bytes
        capacity = used + max(0, free_on_disk - self._reserve_bytes)
        if self._capacity_bytes:
            capacity = min(capacity, self._capacity_bytes)
        free = max(0, capacity - used - self._incoming_bytes)
        return Usage(capacity, used, free, max(0, self._chunk_count), self._quarantine.count)

    @contextlib.contextmanager
    def _room_for(self, needed: int) -> Iterator[None]:
        """Set space aside while a chunk is written; raises DiskFull before a byte is. Notes are left to the reserve."""
        with disk_errors():
            free_on_disk = shutil.disk_usage(self._folders.parent).free
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
        path = self._folders.path(chunk_id)
        if _size_or_none(path) is None:
            return
        try:
            with unreadable_is_corrupt(), ChunkFile(path) as file:
                present = file.read_header().checksum
        except (FileNotFoundError, ChunkCorrupt):
            return
        if present != checksum:
            raise ChunkConflict(f"chunk {chunk_id} is here with checksum {present}")

    def _put_in_quarantine(self, chunk_id: str, bad: tuple[int, int]) -> None:
        """Move a damaged file (device and inode) aside, unless the name meanwhile holds another, written anew."""
        path = self._folders.path(chunk_id)
        with disk_errors():
            if not self._set_aside(chunk_id, path, bad):
                return
            self._quarantine.settle()
            sync_directory(os.path.dirname(path))
        self.counts.corrupt.add()
        self._on_damage(chunk_id)

    def _set_aside(self, chunk_id: str, path: str, expected: tuple[int, int] | None = None) -> bool:
        """Move the file into quarantine, only the expected one if given; whether it was there."""
        with self._lock:
            try:
                present = os.stat(path)
            except FileNotFoundError:
                return False
            if expected is not None and (present.st_dev, present.st_ino) != expected:
                return False
            self._quarantine.put(path, chunk_id)
            self._count(-present.st_size, -1)
            return True

    def _count(self, size: int, chunks: int) -> None:
        self._used_bytes += size
        self._chunk_count += chunks


def _verify_data(file: ChunkFile, header: ChunkHeader, window: memoryview) -> None:
    for start in range(0, header.size_bytes, len(window)):
        wanted = min(len(window), header.size_bytes - start)
        # Whole disk blocks, as direct reads must be: what follows the data is the padding.
        if file.read_into(start, window[: -(-wanted // ALIGNMENT) * ALIGNMENT]) < wanted:
            raise ChunkCorrupt("the chunk file ended early")
        verify_blocks(window[:wanted], header.digests, start // BLOCK_SIZE_BYTES)


def _size_or_none(path: str) -> int | None:
    try:
        return os.stat(path).st_size
    except FileNotFoundError:
        return None
