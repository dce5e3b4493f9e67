"""Checksums find every changed byte, wherever it is and however the chunk was cut into pieces."""

from __future__ import annotations

import random

import pytest

from common.checksums import (
    BLOCK_SIZE_BYTES,
    DIGEST_SIZE_BYTES,
    block_digests,
    checksum_of,
    digest_list_size,
    verify_blocks,
    verify_digests,
)
from common.errors import ChunkCorrupt

BLOCK = BLOCK_SIZE_BYTES
SIZES = [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK, 3 * BLOCK + 17]


def some_bytes(size: int) -> bytes:
    return random.Random(size).randbytes(size)


def flipped(content: bytes, position: int) -> bytes:
    changed = bytearray(content)
    changed[position] ^= 1
    return bytes(changed)


@pytest.mark.parametrize("size", SIZES)
def test_there_is_one_digest_for_each_block(size: int) -> None:
    blocks = (size + BLOCK - 1) // BLOCK
    assert len(block_digests(some_bytes(size))) == blocks * DIGEST_SIZE_BYTES == digest_list_size(size)


def test_the_checksum_is_the_one_that_released_chunks_carry() -> None:
    """Stored chunks are verified by later releases; these values must never change."""
    assert checksum_of(block_digests(b"")) == "99aa06d3014798d86001c324468d497f"
    assert block_digests(b"abc").hex() == "06b05ab6733a618578af5f94892f3950"
    assert checksum_of(block_digests(b"abc")) == "f758394eebabb2bb51ee911f78f31836"


def test_bytes_bytearrays_and_views_have_the_same_digests() -> None:
    content = some_bytes(BLOCK + 5)
    assert block_digests(bytearray(content)) == block_digests(memoryview(content)) == block_digests(content)


@pytest.mark.parametrize("size", SIZES)
def test_what_was_written_is_verified(size: int) -> None:
    content = some_bytes(size)
    digests = block_digests(content)
    verify_digests(digests, checksum_of(digests), size)
    verify_blocks(content, digests, 0)


@pytest.mark.parametrize("position", [0, 1, BLOCK - 1, BLOCK, 2 * BLOCK, -2, -1])
def test_one_flipped_bit_is_found(position: int) -> None:
    content = some_bytes(2 * BLOCK + 9)
    with pytest.raises(ChunkCorrupt):
        verify_blocks(flipped(content, position), block_digests(content), 0)


@pytest.mark.parametrize("first_block", [0, 1, 2])
def test_any_block_is_verified_on_its_own(first_block: int) -> None:
    content = some_bytes(2 * BLOCK + 9)
    block = content[first_block * BLOCK : (first_block + 1) * BLOCK]
    verify_blocks(block, block_digests(content), first_block)
    for other in {0, 1, 2} - {first_block}:
        with pytest.raises(ChunkCorrupt):
            verify_blocks(block, block_digests(content), other)
    for position in (0, -1):
        with pytest.raises(ChunkCorrupt):
            verify_blocks(flipped(block, position), block_digests(content), first_block)


def test_blocks_beyond_the_end_of_the_list_are_not_verified_as_good() -> None:
    content = some_bytes(BLOCK)
    with pytest.raises(ChunkCorrupt):
        verify_blocks(content, block_digests(content), 1)
    with pytest.raises(ChunkCorrupt):
        verify_blocks(content + b"x", block_digests(content), 0)


def test_a_shorter_last_block_is_not_verified_as_good() -> None:
    content = some_bytes(BLOCK + 9)
    with pytest.raises(ChunkCorrupt):
        verify_blocks(content[:-1], block_digests(content), 0)


@pytest.mark.parametrize("kept", [0, 1, 15, 16, 31, 33, 47])
def test_a_truncated_list_of_digests_is_refused(kept: int) -> None:
    digests = block_digests(some_bytes(2 * BLOCK + 9))
    assert len(digests) == 48
    with pytest.raises(ChunkCorrupt):
        verify_digests(digests[:kept], checksum_of(digests), 2 * BLOCK + 9)


@pytest.mark.parametrize("position", [0, 15, 16, -1])
def test_a_flipped_bit_in_the_list_of_digests_is_found(position: int) -> None:
    digests = block_digests(some_bytes(2 * BLOCK + 9))
    with pytest.raises(ChunkCorrupt):
        verify_digests(flipped(digests, position), checksum_of(digests), 2 * BLOCK + 9)


def test_a_list_that_matches_its_own_checksum_but_not_the_size_is_refused() -> None:
    """A replica that answers consistently for a chunk of another size is still the wrong chunk."""
    digests = block_digests(some_bytes(BLOCK))
    for size in (0, BLOCK + 1, 5 * BLOCK):
        with pytest.raises(ChunkCorrupt):
            verify_digests(digests, checksum_of(digests), size)


def test_two_blocks_that_change_places_are_found() -> None:
    content = some_bytes(2 * BLOCK)
    with pytest.raises(ChunkCorrupt):
        verify_blocks(content[BLOCK:] + content[:BLOCK], block_digests(content), 0)
