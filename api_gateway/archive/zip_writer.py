"""The bytes of a ZIP archive whose files come as streams (APPNOTE 6.3.9). Knows no files, no network.

Files are stored, not compressed. Their CRC-32 follows behind them in a data descriptor, so that nothing is read twice.
Memory: the central directory, at most as long as the caller allows.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from common.checksums import Buffer
from common.errors import InternalError, TooLarge

_LOCAL, _DESCRIPTOR, _CENTRAL = b"PK\x03\x04", b"PK\x07\x08", b"PK\x01\x02"
_END, _END_64, _END_64_LOCATOR = b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07"
# What fits no field of 32 or 16 bits stands in one of 64, and this in its place.
_MAX_32, _MAX_16 = 0xFFFFFFFF, 0xFFFF
_PLAIN, _ZIP64 = 20, 45
_MADE_ON_UNIX = 3 << 8
# Bit 3: sizes and CRC follow behind the data. Bit 11: the name is UTF-8.
_FLAGS = 1 << 3 | 1 << 11
_STORED = 0
_FILE_MODE, _FOLDER_MODE = 0o100644 << 16, 0o040755 << 16 | 0x10
_CENTRAL_BYTES = 46
# The modification time, and size, stored size and offset in 64 bits.
_MOST_EXTRA_BYTES = 9 + 28


@dataclass(frozen=True)
class Entry:
    """One file, or a folder where the name ends in "/". name: at most 65,535 bytes. size_bytes: known before."""

    name: bytes
    modified: datetime
    size_bytes: int = 0


def directory_bytes(name: bytes) -> int:
    """An upper bound on what an entry of this name takes in the central directory."""
    return _CENTRAL_BYTES + len(name) + _MOST_EXTRA_BYTES


class ZipWriter:
    """One archive. What its methods give is the archive, in this order: each entry's pieces, then the end's."""

    def __init__(self, max_directory_bytes: int) -> None:
        self._max_directory_bytes = max_directory_bytes
        self._directory = bytearray()
        self._count = 0
        self._position = 0

    def write(self, entry: Entry, content: Iterable[Buffer] = ()) -> Iterator[Buffer]:
        """The entry and its content; a piece is valid until the next one is asked for.

        Raises TooLarge where the directory gets too long, InternalError where the content has another size.
        """
        if len(self._directory) + directory_bytes(entry.name) > self._max_directory_bytes:
            raise TooLarge("the archive has too many files")
        start = self._position
        yield self._count_piece(_local_header(entry))
        crc = size = 0
        for piece in content:
            crc, size = zlib.crc32(piece, crc), size + len(piece)
            yield self._count_piece(piece)
        if size != entry.size_bytes:
            raise InternalError(f"a file of {entry.size_bytes} bytes gave {size}")
        form = "<4sLQQ" if _is_large(size) else "<4sLLL"
        yield self._count_piece(struct.pack(form, _DESCRIPTOR, crc, size, size))
        self._directory += _central_header(entry, crc, start)
        self._count += 1

    def finish(self) -> Iterator[Buffer]:
        """The central directory and the end of the archive."""
        start, size, count = self._position, len(self._directory), self._count
        yield self._directory
        if _is_large(start) or count >= _MAX_16:
            end = (_END_64, 44, _MADE_ON_UNIX | _ZIP64, _ZIP64, 0, 0, count, count, size, start)
            yield struct.pack("<4sQHHLLQQQQ", *end)
            yield struct.pack("<4sLQL", _END_64_LOCATOR, 0, start + size, 1)
        few, offset = min(count, _MAX_16), min(start, _MAX_32)
        yield struct.pack("<4sHHHHLLH", _END, 0, 0, few, few, size, offset, 0)

    def _count_piece(self, piece: Buffer) -> Buffer:
        self._position += len(piece)
        return piece


def _local_header(entry: Entry) -> bytes:
    is_large = _is_large(entry.size_bytes)
    # Zero, and with bit 3 right: the descriptor has them. The field of 64 bits says how wide that is.
    size = _MAX_32 if is_large else 0
    extra = _time_field(entry.modified) + (struct.pack("<HHQQ", 1, 16, 0, 0) if is_large else b"")
    version = _ZIP64 if is_large else _PLAIN
    fields = (version, _FLAGS, _STORED, *_dos_time(entry.modified), 0, size, size, len(entry.name), len(extra))
    return struct.pack("<4sHHHHHLLLHH", _LOCAL, *fields) + entry.name + extra


def _central_header(entry: Entry, crc: int, offset: int) -> bytes:
    size = entry.size_bytes
    wide = ([size, size] if _is_large(size) else []) + ([offset] if _is_large(offset) else [])
    extra = _time_field(entry.modified) + (struct.pack(f"<HH{len(wide)}Q", 1, 8 * len(wide), *wide) if wide else b"")
    version = _ZIP64 if wide else _PLAIN
    narrow = _MAX_32 if _is_large(size) else size
    mode = _FOLDER_MODE if entry.name.endswith(b"/") else _FILE_MODE
    what = (_MADE_ON_UNIX | version, version, _FLAGS, _STORED, *_dos_time(entry.modified), crc, narrow, narrow)
    where = (len(entry.name), len(extra), 0, 0, 0, mode, min(offset, _MAX_32))
    return struct.pack("<4sHHHHHHLLLHHHHHLL", _CENTRAL, *what, *where) + entry.name + extra


def _is_large(number: int) -> bool:
    """Whether it needs 64 bits; the highest number of 32 bits says so and is none itself."""
    return number >= _MAX_32


def _time_field(modified: datetime) -> bytes:
    """The moment in seconds since 1970, UTC; the other fields know no time zone. Info-ZIP's "extended timestamp"."""
    seconds = min(max(int(modified.timestamp()), 0), 0x7FFFFFFF)
    return struct.pack("<HHBl", 0x5455, 5, 1, seconds)


def _dos_time(modified: datetime) -> tuple[int, int]:
    """Time and date as MS-DOS has them, from 1980 to 2107, in steps of two seconds."""
    year = min(max(modified.year, 1980), 2107)
    time = modified.hour << 11 | modified.minute << 5 | modified.second // 2
    return time, year - 1980 << 9 | modified.month << 5 | modified.day
