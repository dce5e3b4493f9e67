"""Damage on the disk, wherever it is, is noticed, put aside and never handed out; a new copy makes it good."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
import xxhash

from common.checksums import verify_blocks
from common.errors import ChunkCorrupt, ChunkMissing, DFSError
from storage.chunk_file import file_size
from storage.chunk_store import ChunkStore
from tests.support.chunks import (
    BLOCK,
    Chunk,
    chunk_files,
    make_chunk,
    open_store,
    put,
    quarantined_files,
    read_data,
    read_open,
)

SIZE = 2 * BLOCK + 100
FOOTER = 40
DIGESTS = 3 * 16
FILE_SIZE = file_size(SIZE)
# The digests stand right before the footer, the padding between them and the data.
DIGESTS_AT = FILE_SIZE - FOOTER - DIGESTS


@pytest.fixture
def chunk(store: ChunkStore) -> Chunk:
    """A chunk that is in the store."""
    chunk = make_chunk(SIZE)
    put(store, chunk)
    return chunk


def flip(root: Path, position: int, bit: int = 1) -> None:
    (file,) = chunk_files(root)
    assert file.stat().st_size == FILE_SIZE
    with open(file, "r+b") as opened:
        opened.seek(position % FILE_SIZE)
        byte = opened.read(1)[0]
        opened.seek(position % FILE_SIZE)
        opened.write(bytes([byte ^ bit]))


def assert_in_quarantine(store: ChunkStore, root: Path, chunk: Chunk) -> None:
    assert chunk_files(root) == []
    (kept,) = quarantined_files(root)
    assert chunk.chunk_id in kept.name
    for usage in (store.usage(), open_store(root).usage()):
        # What lies in quarantine takes room until it is freed.
        assert (usage.chunk_count, usage.used_bytes, usage.quarantined_count) == (0, kept.stat().st_size, 1)
    with pytest.raises(ChunkMissing):
        read_data(store, chunk)


def test_a_flipped_bit_in_the_data_is_found_by_verifying(store: ChunkStore, chunk: Chunk, root: Path) -> None:
    for number, position in enumerate((0, 1, BLOCK - 1, BLOCK, SIZE - 1), start=1):
        put(store, chunk)
        flip(root, position)
        assert store.verify(chunk.chunk_id) is False
        assert chunk_files(root) == []
        assert store.usage().quarantined_count == number == len(quarantined_files(root))


def test_a_flipped_bit_in_the_data_does_not_match_the_digests_that_are_sent_along(
    store: ChunkStore, chunk: Chunk, root: Path
) -> None:
    for position in (0, SIZE - 1):
        put(store, chunk)
        flip(root, position)
        file, header = store.open(chunk.chunk_id)
        with file:
            content = read_open(file, header)
        assert header.checksum == chunk.checksum
        with pytest.raises(ChunkCorrupt):
            verify_blocks(content, header.digests, 0)


@pytest.mark.parametrize("how", ["open", "verify"])
def test_a_flipped_bit_in_digests_or_footer_is_found_by_opening(
    how: str, store: ChunkStore, chunk: Chunk, root: Path
) -> None:
    # First and last byte of the digests and of each part of the footer: magic, size, checksum, its own digest.
    positions = [DIGESTS_AT, DIGESTS_AT + 17, DIGESTS_AT + DIGESTS - 1, -40, -33, -32, -25, -24, -9, -8, -1]
    for number, position in enumerate(positions, start=1):
        put(store, chunk)
        flip(root, position, bit=128)
        if how == "verify":
            assert store.verify(chunk.chunk_id) is False
        else:
            with pytest.raises(ChunkCorrupt):
                read_data(store, chunk)
        assert chunk_files(root) == []
        assert store.usage().quarantined_count == number == len(quarantined_files(root))


def test_a_file_that_was_cut_is_found(store: ChunkStore, chunk: Chunk, root: Path) -> None:
    """As a disk leaves it that lied about having written."""
    (file,) = chunk_files(root)
    content = file.read_bytes()
    lengths = (
        0,
        1,
        FOOTER - 1,
        FOOTER,
        FOOTER + 1,
        FILE_SIZE // 2,
        SIZE,
        DIGESTS_AT,
        DIGESTS_AT + DIGESTS,
        FILE_SIZE - 1,
    )
    for number, kept in enumerate(lengths, start=1):
        file.write_bytes(content[:kept])
        restarted = open_store(root)
        used_bytes = sum(lengths[:number])
        assert (restarted.usage().chunk_count, restarted.usage().used_bytes) == (1, used_bytes)
        with pytest.raises(ChunkCorrupt):
            read_data(restarted, chunk)
        usage = restarted.usage()
        assert (usage.chunk_count, usage.used_bytes, usage.quarantined_count) == (0, used_bytes, number)
        assert chunk_files(root) == []


def test_a_file_that_has_grown_is_found(store: ChunkStore, chunk: Chunk, root: Path) -> None:
    (file,) = chunk_files(root)
    content = file.read_bytes()
    for grown in (b"x" + content, content + b"x", content + content):
        file.write_bytes(grown)
        assert open_store(root).verify(chunk.chunk_id) is False
    assert open_store(root).usage().quarantined_count == 3


def test_zeros_instead_of_the_file_are_found(store: ChunkStore, chunk: Chunk, root: Path) -> None:
    chunk_files(root)[0].write_bytes(bytes(FILE_SIZE))
    assert store.verify(chunk.chunk_id) is False
    assert_in_quarantine(store, root, chunk)


def test_a_damaged_copy_is_made_good_by_writing_the_chunk_again(store: ChunkStore, chunk: Chunk, root: Path) -> None:
    """Whether or not the damage has been noticed before."""
    for position in (0, -1):
        flip(root, position)
        put(store, chunk)
        assert store.verify(chunk.chunk_id)
        assert read_data(store, chunk) == chunk.content
    usage = store.usage()
    in_quarantine = sum(path.stat().st_size for path in quarantined_files(root))
    assert (usage.chunk_count, usage.used_bytes) == (1, FILE_SIZE + in_quarantine)


def test_the_same_chunk_can_be_damaged_and_put_aside_more_than_once(
    store: ChunkStore, chunk: Chunk, root: Path
) -> None:
    for number in (1, 2, 3):
        flip(root, 5)
        assert store.verify(chunk.chunk_id) is False
        assert store.usage().quarantined_count == number == len(quarantined_files(root))
        put(store, chunk)


def test_a_chunk_in_quarantine_is_kept_as_it_is(store: ChunkStore, chunk: Chunk, root: Path) -> None:
    """What is doubtful is never deleted: an operator may still need it."""
    flip(root, 5)
    content = chunk_files(root)[0].read_bytes()
    store.verify(chunk.chunk_id)
    open_store(root)
    assert quarantined_files(root)[0].read_bytes() == content


def test_a_reader_of_the_old_file_does_not_put_the_new_one_aside(store: ChunkStore, chunk: Chunk, root: Path) -> None:
    """The damaged file is replaced between the moment it is opened and the moment its damage is found."""
    flip(root, 5)
    file, _ = store.open(chunk.chunk_id)
    with file:
        put(store, chunk)
        store._put_in_quarantine(chunk.chunk_id, file.identity)
    assert store.verify(chunk.chunk_id)
    assert quarantined_files(root) == []


def test_a_disk_that_does_not_let_the_damaged_file_be_moved_is_an_error_of_ours(tmp_path: Path) -> None:
    """The quarantine folder is gone; a read-only disk gives the same."""
    store, chunk = open_store(tmp_path), make_chunk(SIZE)
    put(store, chunk)
    flip(tmp_path, -1)
    (tmp_path / "quarantine").rmdir()
    (tmp_path / "quarantine").write_bytes(b"")
    with pytest.raises(DFSError):
        read_data(store, chunk)
    with pytest.raises(DFSError):
        store.verify(chunk.chunk_id)
    assert len(chunk_files(tmp_path)) == 1
    assert store.usage().chunk_count == 1


def test_a_file_of_the_first_format_which_had_no_padding_is_read(store: ChunkStore, chunk: Chunk, root: Path) -> None:
    (file,) = chunk_files(root)
    body = b"DFSCHNK1" + struct.pack("<Q", SIZE) + bytes.fromhex(chunk.checksum)
    file.write_bytes(chunk.content + chunk.digests + body + xxhash.xxh3_64_digest(body))
    assert read_data(store, chunk) == chunk.content
    assert store.verify(chunk.chunk_id)


@pytest.mark.parametrize(("magic", "padding"), [(b"DFSCHNK1", 4096), (b"DFSCHNK2", 0)])
def test_a_file_whose_format_and_length_contradict_each_other_is_found(
    magic: bytes, padding: int, store: ChunkStore, chunk: Chunk, root: Path
) -> None:
    (file,) = chunk_files(root)
    body = magic + struct.pack("<Q", SIZE) + bytes.fromhex(chunk.checksum)
    file.write_bytes(chunk.content + bytes(padding) + chunk.digests + body + xxhash.xxh3_64_digest(body))
    assert store.verify(chunk.chunk_id) is False
