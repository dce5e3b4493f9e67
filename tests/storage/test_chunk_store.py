"""The chunk store keeps what it acknowledged, refuses what does not match, and always knows how much it holds."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from common.errors import ChunkConflict, ChunkCorrupt, ChunkMissing, IncompleteBody, StaleEpoch
from common.ranges import ByteRange
from storage.chunk_file import file_size
from storage.chunk_store import ChunkStore
from tests.support.chunks import (
    BLOCK,
    Chunk,
    Source,
    chunk_files,
    make_chunk,
    open_store,
    pieces,
    put,
    quarantined_files,
    read_data,
    read_open,
)


def counts(store: ChunkStore) -> tuple[int, int]:
    usage = store.usage()
    return usage.chunk_count, usage.used_bytes


def assert_counts_are_true(store: ChunkStore, root: Path) -> None:
    """What the store says is what lies on the disk, now and for a store that starts anew."""
    files = chunk_files(root)
    true = (len(files), sum(path.stat().st_size for path in files))
    assert counts(store) == true
    assert counts(open_store(root)) == true


@pytest.mark.parametrize("is_synced", [True, False])
def test_a_written_chunk_is_read_back(is_synced: bool, root: Path) -> None:
    store = open_store(root, is_synced=is_synced)
    sizes = [1, BLOCK - 1, BLOCK, BLOCK + 1, 4 * 1024 * 1024 - 1, 4 * 1024 * 1024, 4 * 1024 * 1024 + 1]
    for number, size in enumerate(sizes):
        chunk = make_chunk(size, number)
        put(store, chunk)
        file, header = store.open(chunk.chunk_id)
        with file:
            assert (header.size_bytes, header.checksum, header.digests) == (size, chunk.checksum, chunk.digests)
            assert read_open(file, header) == chunk.content
            for start, stop in ((0, size), (0, 1), (size - 1, size), (size // 2, size)):
                span = b"".join(map(bytes, store.read_span(chunk.chunk_id, file, ByteRange(start, stop))))
                assert span == chunk.content[start:stop]
        assert store.verify(chunk.chunk_id)
    assert counts(store) == (len(sizes), sum(file_size(size) for size in sizes))
    assert_counts_are_true(store, root)


def test_a_chunk_is_there_after_a_restart(store: ChunkStore, root: Path) -> None:
    chunks = [make_chunk(size, number) for number, size in enumerate((1, BLOCK, BLOCK + 1))]
    for chunk in chunks:
        put(store, chunk)
    restarted = open_store(root)
    assert [read_data(restarted, chunk) for chunk in chunks] == [chunk.content for chunk in chunks]
    assert counts(restarted) == counts(store) == (3, sum(file_size(len(chunk.content)) for chunk in chunks))


def test_writing_the_same_chunk_again_changes_nothing(store: ChunkStore, root: Path) -> None:
    chunk = make_chunk()
    for _ in range(3):
        put(store, chunk)
    assert read_data(store, chunk) == chunk.content
    assert counts(store)[0] == 1
    assert_counts_are_true(store, root)


def test_other_bytes_under_the_same_id_are_refused(store: ChunkStore, root: Path) -> None:
    chunk = make_chunk()
    put(store, chunk)
    for other in (make_chunk(seed=1), Chunk(chunk.chunk_id, chunk.content[:-1]), Chunk(chunk.chunk_id, b"x")):
        with pytest.raises(ChunkConflict):
            put(store, other)
    assert read_data(store, chunk) == chunk.content
    assert_counts_are_true(store, root)


def test_of_two_writes_of_other_bytes_at_the_same_time_the_acknowledged_one_stays(
    store: ChunkStore, root: Path
) -> None:
    """The second write begins and ends while the first is still being received."""
    first, second = make_chunk(), make_chunk(seed=1)
    read_first = pieces(first.content)
    is_second_put = False

    def read(limit: int) -> bytes:
        nonlocal is_second_put
        if not is_second_put:
            is_second_put = True
            put(store, second)
        return read_first.read(limit)

    with pytest.raises(ChunkConflict):
        store.write(first.chunk_id, Source(read), len(first.content), first.checksum)
    assert read_data(store, second) == second.content
    assert_counts_are_true(store, root)


def test_a_chunk_whose_bytes_do_not_match_is_not_kept(store: ChunkStore, root: Path) -> None:
    chunk = make_chunk()
    for checksum in (make_chunk(seed=1).checksum, "", "zz", chunk.checksum.upper(), "0" * 32):
        with pytest.raises(ChunkCorrupt):
            store.write(chunk.chunk_id, pieces(chunk.content), len(chunk.content), checksum)
    assert chunk_files(root) == []
    assert counts(store) == (0, 0)
    put(store, chunk)


def test_a_chunk_that_ends_early_is_not_kept(store: ChunkStore, root: Path) -> None:
    chunk = make_chunk(BLOCK + 100)
    for missing in (1, 100, BLOCK, BLOCK + 99, BLOCK + 100):
        with pytest.raises(IncompleteBody):
            store.write(chunk.chunk_id, pieces(chunk.content[:-missing]), len(chunk.content), chunk.checksum)
        assert chunk_files(root) == []
        assert counts(store) == (0, 0)
    with pytest.raises(ChunkMissing):
        store.verify(chunk.chunk_id)


def test_a_failed_rewrite_leaves_the_chunk_as_it_was(store: ChunkStore, root: Path) -> None:
    chunk = make_chunk()
    put(store, chunk)
    with pytest.raises(IncompleteBody):
        store.write(chunk.chunk_id, pieces(chunk.content[:-1]), len(chunk.content), chunk.checksum)
    with pytest.raises(ChunkCorrupt):
        store.write(chunk.chunk_id, pieces(chunk.content[:-1] + b"?"), len(chunk.content), chunk.checksum)
    assert read_data(store, chunk) == chunk.content
    assert_counts_are_true(store, root)


def test_no_more_is_read_than_the_chunk_has(store: ChunkStore) -> None:
    chunk = make_chunk()
    read = pieces(chunk.content + b"NEXT", size=10**6)
    store.write(chunk.chunk_id, read, len(chunk.content), chunk.checksum)
    assert read.read(100) == b"NEXT"


def test_what_is_not_there_is_missing(store: ChunkStore) -> None:
    chunk = make_chunk()
    with pytest.raises(ChunkMissing):
        read_data(store, chunk)
    with pytest.raises(ChunkMissing):
        store.verify(chunk.chunk_id)


def test_deleting_frees_what_is_there_and_ignores_what_is_not(store: ChunkStore, root: Path) -> None:
    chunks = [make_chunk(100, number) for number in range(4)]
    for chunk in chunks[:3]:
        put(store, chunk)
    assert store.delete([chunk.chunk_id for chunk in chunks[1:]]) == 2
    assert store.delete([chunk.chunk_id for chunk in chunks[1:]]) == 0
    assert store.delete([]) == 0
    assert counts(store) == (1, file_size(100))
    assert read_data(store, chunks[0]) == chunks[0].content
    assert_counts_are_true(store, root)


def test_a_deleted_chunk_can_be_written_again_with_other_bytes(store: ChunkStore) -> None:
    put(store, make_chunk())
    store.delete([make_chunk().chunk_id])
    put(store, make_chunk(seed=1))
    assert read_data(store, make_chunk()) == make_chunk(seed=1).content


def test_a_chunk_that_is_deleted_while_it_is_read_is_read_to_its_end(store: ChunkStore) -> None:
    chunk = make_chunk()
    put(store, chunk)
    file, header = store.open(chunk.chunk_id)
    with file:
        store.delete([chunk.chunk_id])
        assert read_open(file, header) == chunk.content


def test_what_an_unfinished_write_left_is_removed_at_the_next_start(store: ChunkStore, root: Path) -> None:
    chunk = make_chunk()
    put(store, chunk)
    (file,) = chunk_files(root)
    for number in range(2):
        file.with_name(f"{file.name}.{number}.part").write_bytes(b"unfinished")
    restarted = ChunkStore(root, reserve_bytes=0)
    assert restarted.recover() == 2
    assert chunk_files(root) == [file]
    assert counts(restarted) == (1, file_size(len(chunk.content)))
    assert ChunkStore(root, reserve_bytes=0).recover() == 0


def test_a_store_starts_on_an_empty_disk_and_makes_its_folders(tmp_path: Path) -> None:
    store = ChunkStore(tmp_path / "not" / "there yet", reserve_bytes=0)
    assert store.recover() == 0
    assert counts(store) == (0, 0)
    put(store, make_chunk())


def test_many_writers_of_one_chunk_leave_exactly_one(store: ChunkStore, root: Path) -> None:
    chunk = make_chunk(3 * BLOCK)
    with ThreadPoolExecutor(8) as executor:
        list(executor.map(lambda _: put(store, chunk), range(40)))
    assert read_data(store, chunk) == chunk.content
    assert counts(store) == (1, file_size(3 * BLOCK))
    assert_counts_are_true(store, root)
    assert store.usage().free_bytes > 0


def test_writers_deleters_and_readers_at_once_keep_the_counts_exact(store: ChunkStore, root: Path) -> None:
    chunks = [make_chunk(1000 + number, number) for number in range(4)]

    def work(turn: int) -> None:
        chunk = chunks[turn % 4]
        if turn % 3 == 0:
            store.delete([chunk.chunk_id])
        elif turn % 3 == 1:
            put(store, chunk)
        else:
            try:
                assert store.verify(chunk.chunk_id)
            except ChunkMissing:
                return

    with ThreadPoolExecutor(8) as executor:
        list(executor.map(work, range(240)))
    assert_counts_are_true(store, root)
    assert quarantined_files(root) == []


def test_a_body_that_cannot_be_read_leaves_nothing(store: ChunkStore, root: Path) -> None:
    def read(_limit: int) -> bytes:
        raise IncompleteBody("the client broke off")

    with pytest.raises(IncompleteBody, match="broke off"):
        store.write(make_chunk().chunk_id, Source(read), 10, make_chunk().checksum)
    assert chunk_files(root) == []
    assert store.usage().free_bytes > 0


def test_an_order_to_delete_that_is_refused_in_the_middle_frees_nothing_more(store: ChunkStore) -> None:
    chunks = [make_chunk(number=number) for number in range(3)]
    for chunk in chunks:
        put(store, chunk)
    steps = iter([True, False])

    @contextlib.contextmanager
    def step() -> Iterator[None]:
        if not next(steps):
            raise StaleEpoch("a later leader has begun")
        yield

    with pytest.raises(StaleEpoch):
        store.delete([chunk.chunk_id for chunk in chunks], step)
    assert store.usage().chunk_count == 2
