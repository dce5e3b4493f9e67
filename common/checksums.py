"""Checksums of chunks: XXH3-128 over blocks of 64 KiB, and one more over the list of block digests.

The digest of the list is *the* checksum of a chunk: it travels with the chunk and stands in its record. Whoever holds
the list can verify it against the record, and then any block on its own; so a ranged read costs the blocks it
touches, not the chunk. XXH3 finds accidents (rot, torn and misdirected writes), not forgers: who may write at all is
decided by the cluster secret. See docs/decisions/002-checksums.md.
"""

from __future__ import annotations

import xxhash

from common.errors import ChunkCorrupt

ALGORITHM = "xxh3-128-64k"
BLOCK_SIZE_BYTES = 64 * 1024
DIGEST_SIZE_BYTES = 16
Buffer = bytes | bytearray | memoryview


def block_digests(chunk: Buffer) -> bytes:
    """The digests of all blocks of `chunk`, one after the other; the last block may be shorter."""
    view = memoryview(chunk)
    return b"".join(
        xxhash.xxh3_128_digest(view[start : start + BLOCK_SIZE_BYTES])
        for start in range(0, len(view), BLOCK_SIZE_BYTES)
    )


def checksum_of(digests: bytes) -> str:
    """The checksum of the chunk with these block digests: 32 hexadecimal digits."""
    return xxhash.xxh3_128_hexdigest(digests)


def digest_list_size(size_bytes: int) -> int:
    """How many bytes the digests of a chunk of `size_bytes` take."""
    return -(-size_bytes // BLOCK_SIZE_BYTES) * DIGEST_SIZE_BYTES


def verify_digests(digests: bytes, checksum: str, size_bytes: int) -> None:
    """Raise ChunkCorrupt unless `digests` is the list that `checksum` was made of."""
    if len(digests) != digest_list_size(size_bytes) or checksum_of(digests) != checksum:
        raise ChunkCorrupt("the block digests do not match the checksum of the chunk", expected=checksum)


def verify_blocks(blocks: Buffer, digests: bytes, first_block: int) -> None:
    """Raise ChunkCorrupt unless each block in `blocks` matches its digest.

    blocks: whole blocks in order (the chunk's last one may be short), the first being number `first_block`.
    """
    start = first_block * DIGEST_SIZE_BYTES
    expected = digests[start : start + digest_list_size(len(blocks))]
    if block_digests(blocks) != expected:
        raise ChunkCorrupt("the bytes of the chunk do not match their checksum")
