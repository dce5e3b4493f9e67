"""The format of a chunk on disk: the data at offset 0, then the block digests, then a footer of fixed size.

    data            size bytes
    block digests   16 bytes for every 64 KiB of data
    footer          magic 8, size 8, checksum 16, footer digest 8 (XXH3-64 of the 32 bytes before it)

The data comes first so that any range of it can be read or sent without arithmetic; all is in one file so that one
rename makes all of it appear. A file cut anywhere has no valid footer, or one whose numbers do not add up.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from typing import BinaryIO

import xxhash

from common.checksums import checksum_of, digest_list_size
from common.errors import ChunkCorrupt

_MAGIC = b"DFSCHNK1"
_BODY = struct.Struct("<8sQ16s")
_FOOTER_SIZE = _BODY.size + 8


@dataclass(frozen=True)
class ChunkHeader:
    """What a chunk file says of its data."""

    size_bytes: int
    checksum: str
    digests: bytes


def encode_tail(size_bytes: int, digests: bytes) -> bytes:
    """What follows the data."""
    body = _BODY.pack(_MAGIC, size_bytes, bytes.fromhex(checksum_of(digests)))
    return digests + body + xxhash.xxh3_64_digest(body)


def file_size(size_bytes: int) -> int:
    """How large the file of a chunk of `size_bytes` is."""
    return size_bytes + digest_list_size(size_bytes) + _FOOTER_SIZE


def read_header(file: BinaryIO) -> ChunkHeader:
    """Read and check the tail of an open chunk file; raises ChunkCorrupt when anything in it is off."""
    total = os.fstat(file.fileno()).st_size
    if total < _FOOTER_SIZE:
        raise ChunkCorrupt(f"the chunk file has only {total} bytes")
    file.seek(total - _FOOTER_SIZE)
    footer = file.read(_FOOTER_SIZE)
    body = footer[: _BODY.size]
    if len(footer) != _FOOTER_SIZE or xxhash.xxh3_64_digest(body) != footer[_BODY.size :]:
        raise ChunkCorrupt("the chunk file's footer is damaged")
    magic, size_bytes, raw_checksum = _BODY.unpack(body)
    if magic != _MAGIC or file_size(size_bytes) != total:
        raise ChunkCorrupt("the chunk file's size does not match its footer")
    file.seek(size_bytes)
    digests = file.read(digest_list_size(size_bytes))
    if checksum_of(digests) != raw_checksum.hex():
        raise ChunkCorrupt("the chunk file's block digests are damaged")
    file.seek(0)
    return ChunkHeader(size_bytes, raw_checksum.hex(), digests)
