"""The format of a chunk on disk: the data at offset 0, at the end the block digests and a footer of fixed size.

    data            size bytes
    padding         zeros, so that the file's size is a multiple of 4096
    block digests   16 bytes for every 64 KiB of data
    footer          magic 8, size 8, checksum 16, footer digest 8 (XXH3-64 of the 32 bytes before it)

The data comes first so that any range of it can be read or sent without arithmetic; all is in one file so that one
rename makes all of it appear. A file cut anywhere has no valid footer, or one whose numbers do not add up. The padding
lets the whole file be written by direct I/O and costs nothing: disks give space in such blocks anyway. Files of the
first format, DFSCHNK1, are the same without padding; they are read, and no longer written.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from typing import BinaryIO

import xxhash

from common.checksums import DIGEST_SIZE_BYTES, checksum_of, digest_list_size
from common.errors import ChunkCorrupt

ALIGNMENT = 4096
_MAGIC = b"DFSCHNK2"
_UNPADDED_MAGIC = b"DFSCHNK1"
_BODY = struct.Struct("<8sQ16s")
_FOOTER_SIZE = _BODY.size + 8
# One read of this much gets the footer and the digests of a chunk of up to 15 MiB.
_END_BYTES = 4096


@dataclass(frozen=True)
class ChunkHeader:
    """What a chunk file says of its data."""

    size_bytes: int
    checksum: str
    digests: bytes


def encode_tail(size_bytes: int, digests: bytes) -> bytes:
    """What follows the data."""
    body = _BODY.pack(_MAGIC, size_bytes, bytes.fromhex(checksum_of(digests)))
    padding = file_size(size_bytes) - _unpadded_size(size_bytes)
    return bytes(padding) + digests + body + xxhash.xxh3_64_digest(body)


def tail_size(size_bytes: int) -> int:
    """How many bytes follow the data of a chunk of `size_bytes`."""
    return file_size(size_bytes) - size_bytes


def file_size(size_bytes: int) -> int:
    """How large the file of a chunk of `size_bytes` is."""
    return -(-_unpadded_size(size_bytes) // ALIGNMENT) * ALIGNMENT


def read_header(file: BinaryIO) -> ChunkHeader:
    """Read and check the end of an open chunk file; raises ChunkCorrupt when anything in it is off."""
    total = os.fstat(file.fileno()).st_size
    if total < _FOOTER_SIZE:
        raise ChunkCorrupt(f"the chunk file has only {total} bytes")
    end = _read_end(file, total, min(total, _END_BYTES))
    footer = end[-_FOOTER_SIZE:]
    body = footer[: _BODY.size]
    if xxhash.xxh3_64_digest(body) != footer[_BODY.size :]:
        raise ChunkCorrupt("the chunk file's footer is damaged")
    magic, size_bytes, raw_checksum = _BODY.unpack(body)
    if (magic, total) not in ((_MAGIC, file_size(size_bytes)), (_UNPADDED_MAGIC, _unpadded_size(size_bytes))):
        raise ChunkCorrupt("the chunk file's size does not match its footer")
    needed = _FOOTER_SIZE + digest_list_size(size_bytes)
    if needed > len(end):
        end = _read_end(file, total, needed)
    digests = end[len(end) - needed : len(end) - _FOOTER_SIZE]
    if len(digests) % DIGEST_SIZE_BYTES or checksum_of(digests) != raw_checksum.hex():
        raise ChunkCorrupt("the chunk file's block digests are damaged")
    return ChunkHeader(size_bytes, raw_checksum.hex(), digests)


def _read_end(file: BinaryIO, total: int, length: int) -> bytes:
    file.seek(total - length)
    end = file.read(length)
    if len(end) != length:
        raise ChunkCorrupt("the chunk file ended early")
    return end


def _unpadded_size(size_bytes: int) -> int:
    return size_bytes + digest_list_size(size_bytes) + _FOOTER_SIZE
