"""Damage on the disk, wherever it is, is noticed, put aside and never handed out; a new copy makes it good."""

from __future__ import annotations

from pathlib import Path

import pytest

from common.checksums import verify_blocks
from common.errors import ChunkCorrupt, ChunkMissing, DFSError
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
)

SIZE = 2 * BLOCK + 100
FOOTER = 40
DIGESTS = 3 * 16
FILE_SIZE = SIZE + DIGESTS + FOOTER


@pytest.fixture
def store(tmp_path: Path) -> ChunkStore:
    return open_store(tmp_path)


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
        assert (usage.chunk_count, usage.used_bytes, usage.quarantined_count) == (0, 0, 1)
    with pytest.raises(ChunkMissing):
        read_data(store, chunk)


@pytest.mark.parametrize("position", [0, 1, BLOCK - 1, BLOCK, SIZE - 1])
def test_a_flipped_bit_in_the_data_is_found_by_verifying(
    position: int, store: ChunkStore, chunk: Chunk, tmp_path: Path
) -> None:
    flip(tmp_path, position)
    assert store.verify(chunk.chunk_id) is False
    assert_in_quarantine(store, tmp_path, chunk)


@pytest.mark.parametrize("position", [0, SIZE - 1])
def test_a_flipped_bit_in_the_data_does_not_match_the_digests_that_are_sent_along(
    position: int, store: ChunkStore, chunk: Chunk, tmp_path: Path
) -> None:
    flip(tmp_path, position)
    with store.open(chunk.chunk_id) as (file, header):
        content = file.read(header.size_bytes)
    assert header.checksum == chunk.checksum
    with pytest.raises(ChunkCorrupt):
        verify_blocks(content, header.digests, 0)


@pytest.mark.parametrize("position", [SIZE, SIZE + 17, SIZE + DIGESTS - 1, *range(-FOOTER, 0)])
@pytest.mark.parametrize("how", ["open", "verify"])
def test_a_flipped_bit_in_digests_or_footer_is_found_by_opening(
    position: int, how: str, store: ChunkStore, chunk: Chunk, tmp_path: Path
) -> None:
    flip(tmp_path, position, bit=128)
    if how == "verify":
        assert store.verify(chunk.chunk_id) is False
    else:
        with pytest.raises(ChunkCorrupt):
            read_data(store, chunk)
    assert_in_quarantine(store, tmp_path, chunk)


@pytest.mark.parametrize(
    "kept", [0, 1, FOOTER - 1, FOOTER, FOOTER + 1, FILE_SIZE // 2, SIZE, SIZE + DIGESTS, FILE_SIZE - 1]
)
def test_a_file_that_was_cut_is_found(kept: int, store: ChunkStore, chunk: Chunk, tmp_path: Path) -> None:
    """As a disk leaves it that lied about having written."""
    (file,) = chunk_files(tmp_path)
    content = file.read_bytes()
    file.write_bytes(content[:kept])
    restarted = open_store(tmp_path)
    assert (restarted.usage().chunk_count, restarted.usage().used_bytes) == (1, kept)
    with pytest.raises(ChunkCorrupt):
        read_data(restarted, chunk)
    assert_in_quarantine(restarted, tmp_path, chunk)


@pytest.mark.parametrize("front", [True, False])
def test_a_file_that_has_grown_is_found(front: bool, store: ChunkStore, chunk: Chunk, tmp_path: Path) -> None:
    (file,) = chunk_files(tmp_path)
    content = file.read_bytes()
    file.write_bytes(b"x" + content if front else content + b"x")
    assert store.verify(chunk.chunk_id) is False
    assert open_store(tmp_path).usage().quarantined_count == 1


def test_zeros_instead_of_the_file_are_found(store: ChunkStore, chunk: Chunk, tmp_path: Path) -> None:
    chunk_files(tmp_path)[0].write_bytes(bytes(FILE_SIZE))
    assert store.verify(chunk.chunk_id) is False
    assert_in_quarantine(store, tmp_path, chunk)


def test_a_damaged_copy_is_made_good_by_writing_the_chunk_again(
    store: ChunkStore, chunk: Chunk, tmp_path: Path
) -> None:
    """Whether or not the damage has been noticed before."""
    for position in (0, -1):
        flip(tmp_path, position)
        put(store, chunk)
        assert store.verify(chunk.chunk_id)
        assert read_data(store, chunk) == chunk.content
    usage = store.usage()
    assert (usage.chunk_count, usage.used_bytes) == (1, FILE_SIZE)


def test_the_same_chunk_can_be_damaged_and_put_aside_more_than_once(
    store: ChunkStore, chunk: Chunk, tmp_path: Path
) -> None:
    for number in (1, 2, 3):
        flip(tmp_path, 5)
        assert store.verify(chunk.chunk_id) is False
        assert store.usage().quarantined_count == number == len(quarantined_files(tmp_path))
        put(store, chunk)


def test_a_chunk_in_quarantine_is_kept_as_it_is(store: ChunkStore, chunk: Chunk, tmp_path: Path) -> None:
    """What is doubtful is never deleted: an operator may still need it."""
    flip(tmp_path, 5)
    content = chunk_files(tmp_path)[0].read_bytes()
    store.verify(chunk.chunk_id)
    open_store(tmp_path)
    assert quarantined_files(tmp_path)[0].read_bytes() == content


def test_a_reader_of_the_old_file_does_not_put_the_new_one_aside(
    store: ChunkStore, chunk: Chunk, tmp_path: Path
) -> None:
    """The damaged file is replaced between the moment it is opened and the moment its damage is found."""
    flip(tmp_path, -1)
    (file,) = chunk_files(tmp_path)
    damaged = file.stat()
    put(store, chunk)
    store._put_in_quarantine(chunk.chunk_id, damaged)
    assert store.verify(chunk.chunk_id)
    assert quarantined_files(tmp_path) == []


def test_a_disk_that_does_not_let_the_damaged_file_be_moved_is_an_error_of_ours(
    store: ChunkStore, chunk: Chunk, tmp_path: Path
) -> None:
    """The quarantine folder is gone; a read-only disk gives the same."""
    flip(tmp_path, -1)
    (tmp_path / "quarantine").rmdir()
    (tmp_path / "quarantine").write_bytes(b"")
    with pytest.raises(DFSError):
        read_data(store, chunk)
    with pytest.raises(DFSError):
        store.verify(chunk.chunk_id)
    assert len(chunk_files(tmp_path)) == 1
    assert store.usage().chunk_count == 1
