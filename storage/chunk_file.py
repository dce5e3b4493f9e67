"""The format of a chunk on disk: the data at offset 0, at the end the block digests and a footer of fixed size.

    data            size bytes
    padding         zeros, so that the file's size is a multiple of 4096
    block digests   16 bytes for every 64 KiB of data
    note            what the gateway says of the file (common/chunk_notes.py), in DFSCHNK3 only
    note's end      its length 4, digest 8 (XXH3-64 of the note and the footer's first 32 bytes), in DFSCHNK3 only
    footer          magic 8, size 8, checksum 16, footer digest 8 (XXH3-64 of the 32 bytes before it)

The data comes first so that any range of it can be read or sent without arithmetic; all is in one file so that one
rename makes all of it appear. A file cut anywhere has no valid footer, or one whose numbers do not add up. The padding
lets the whole file be written by direct I/O and costs nothing: disks give space in such blocks anyway. A chunk that
comes without a note is written as DFSCHNK2, which has no place for one. Files of the first format, DFSCHNK1, are the
same without padding; they are read, and no longer written.
"""

from __future__ import annotations

import contextlib
import errno
import io
import mmap
import os
import struct
from dataclasses import dataclass

import xxhash

from common.checksums import checksum_of, digest_list_size
from common.chunk_notes import MAX_NOTE_BYTES
from common.durable import leave_direct_io
from common.errors import ChunkCorrupt

ALIGNMENT = 4096
_NOTED_MAGIC = b"DFSCHNK3"
_MAGIC = b"DFSCHNK2"
_UNPADDED_MAGIC = b"DFSCHNK1"
_BODY = struct.Struct("<8sQ16s")
_FOOTER_SIZE = _BODY.size + 8
_NOTE_END = struct.Struct("<I8s")
# Files up to this size are read in one piece.
_WHOLE_BYTES = 64 * 1024 + ALIGNMENT
# Of larger ones this much holds the footer and, up to 15 MiB, the digests.
_END_BYTES = 4096


@dataclass(frozen=True)
class ChunkHeader:
    """What a chunk file says of its data."""

    size_bytes: int
    checksum: str
    digests: bytes
    note: bytes = b""


class ChunkFile:
    """An open chunk file; a small one is read whole at once. Not for several threads at the same time."""

    def __init__(self, path: str, *, is_direct: bool = False) -> None:
        """Open the file; raises FileNotFoundError and other OSErrors. Nothing is read or checked yet.

        is_direct: read past the page cache, where the file system allows it; what is read into must then be aligned in
        memory, in length and in its place in the file to 4096 bytes.
        """
        self._file, self._is_direct = _open(path, is_direct)
        status = os.fstat(self._file.fileno())
        self.identity = (status.st_dev, status.st_ino)
        self._total = status.st_size
        self._end_start = self._total
        self._end = b""

    def read_header(self) -> ChunkHeader:
        """Read and check the end of the file; raises ChunkCorrupt when anything in it is off."""
        self._read_end(self._total if self._total <= _WHOLE_BYTES else _END_BYTES)
        footer = self._end[-_FOOTER_SIZE:]
        body = footer[: _BODY.size]
        if len(footer) != _FOOTER_SIZE or xxhash.xxh3_64_digest(body) != footer[_BODY.size :]:
            raise ChunkCorrupt("the chunk file is too short, or its footer is damaged")
        magic, size_bytes, checksum = _BODY.unpack(body)
        note = self._read_note(body) if magic == _NOTED_MAGIC else b""
        expected = _expected_size(magic, size_bytes, len(note))
        if expected != self._total:
            raise ChunkCorrupt("the chunk file's size does not match its footer")
        after = _FOOTER_SIZE + _noted_size(len(note))
        digests = self._last(after + digest_list_size(size_bytes), after)
        if checksum_of(digests) != checksum.hex():
            raise ChunkCorrupt("the chunk file's block digests are damaged")
        return ChunkHeader(size_bytes, checksum.hex(), digests, note)

    def read_into(self, start: int, view: memoryview) -> int:
        """Fill `view` with what stands at `start`; returns how much that was, less only where the file ends.

        Raises OSError as the disk does.
        """
        if start >= self._end_start:
            piece = self._end[start - self._end_start : start - self._end_start + len(view)]
            view[: len(piece)] = piece
            return len(piece)
        filled = 0
        self._file.seek(start)
        while filled < len(view) and (count := self._read(view[filled:])):
            filled += count
            if self._is_direct and count % ALIGNMENT:
                # The end of the file; a direct read cannot go on at such a place.
                break
        return filled

    def _read(self, view: memoryview) -> int:
        try:
            return self._file.readinto(view)
        except OSError as error:
            if not self._is_direct or error.errno != errno.EINVAL:
                raise
            # The file system takes the flag and then refuses.
            leave_direct_io(self._file.fileno())
            self._is_direct = False
            return self._file.readinto(view)

    def read_ahead(self, start: int, length: int) -> None:
        """Have the disk fetch this much while its beginning is still being sent."""
        if start < self._end_start and hasattr(os, "posix_fadvise"):
            with contextlib.suppress(OSError):
                os.posix_fadvise(self._file.fileno(), start, length, os.POSIX_FADV_WILLNEED)

    def forget_cached(self) -> None:
        """Give up what the page cache holds of the file, so that the next read is from the disk."""
        if hasattr(os, "posix_fadvise"):
            with contextlib.suppress(OSError):
                os.posix_fadvise(self._file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> ChunkFile:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _read_note(self, body: bytes) -> bytes:
        after = _FOOTER_SIZE + _NOTE_END.size
        length, digest = _NOTE_END.unpack(self._last(after, _FOOTER_SIZE))
        if not 0 < length <= MAX_NOTE_BYTES:
            raise ChunkCorrupt("the length of the chunk file's note is damaged")
        note = self._last(after + length, after)
        if xxhash.xxh3_64_digest(note + body) != digest:
            raise ChunkCorrupt("the chunk file's note is damaged")
        return note

    def _last(self, start: int, stop: int) -> bytes:
        """What stands from `start` to `stop` bytes before the end of the file."""
        if start > self._total:
            raise ChunkCorrupt("the chunk file is shorter than its footer says")
        if start > len(self._end):
            self._read_end(start)
        return self._end[len(self._end) - start : len(self._end) - stop]

    def _read_end(self, length: int) -> None:
        self._end_start = self._total
        if self._is_direct:
            self._end = self._read_aligned(self._total - length)
        else:
            end = bytearray(length)
            self._end = bytes(end[: self.read_into(self._total - length, memoryview(end))])
        if len(self._end) != length:
            raise ChunkCorrupt("the chunk file ended early")
        self._end_start = self._total - length

    def _read_aligned(self, start: int) -> bytes:
        """What stands from `start` to the end of the file, by a read that begins and ends at disk blocks."""
        skipped = start % ALIGNMENT
        room = self._total - start + skipped
        with mmap.mmap(-1, max(ALIGNMENT, -(-room // ALIGNMENT) * ALIGNMENT)) as pages, memoryview(pages) as view:
            return bytes(view[skipped : self.read_into(start - skipped, view)])


def _open(path: str, is_direct: bool) -> tuple[io.FileIO, bool]:
    """The file to read, and whether reads of it go past the page cache."""
    if is_direct and hasattr(os, "O_DIRECT"):
        try:
            return io.FileIO(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECT)), True
        except OSError as error:
            # Some file systems, such as tmpfs, know no direct I/O.
            if error.errno != errno.EINVAL:
                raise
    return io.FileIO(path), False


def encode_tail(size_bytes: int, digests: bytes, note: bytes = b"") -> bytes:
    """What follows the data."""
    body = _BODY.pack(_NOTED_MAGIC if note else _MAGIC, size_bytes, bytes.fromhex(checksum_of(digests)))
    noted = note + _NOTE_END.pack(len(note), xxhash.xxh3_64_digest(note + body)) if note else b""
    padding = file_size(size_bytes, len(note)) - _unpadded_size(size_bytes) - len(noted)
    return bytes(padding) + digests + noted + body + xxhash.xxh3_64_digest(body)


def file_size(size_bytes: int, note_bytes: int = 0) -> int:
    """How large the file of a chunk of `size_bytes` with a note of `note_bytes` is."""
    return -(-(_unpadded_size(size_bytes) + _noted_size(note_bytes)) // ALIGNMENT) * ALIGNMENT


def _noted_size(note_bytes: int) -> int:
    return note_bytes + _NOTE_END.size if note_bytes else 0


def _expected_size(magic: bytes, size_bytes: int, note_bytes: int) -> int | None:
    """How large a whole file of this format is; None where there is no such format."""
    if magic in (_MAGIC, _NOTED_MAGIC):
        return file_size(size_bytes, note_bytes)
    return _unpadded_size(size_bytes) if magic == _UNPADDED_MAGIC else None


def _unpadded_size(size_bytes: int) -> int:
    return size_bytes + digest_list_size(size_bytes) + _FOOTER_SIZE
