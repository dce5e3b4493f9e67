"""A disk without room refuses the chunk before or while it is written, keeps nothing of it, and serves all the rest."""

from __future__ import annotations

import errno
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from common.environment import PROJECT_ROOT
from common.errors import DiskFailed, DiskFull
from storage.chunk_file import file_size
from storage.chunk_store import ChunkStore
from tests.support.chunks import BLOCK, Source, chunk_files, make_chunk, open_store, pieces, put, read_data

ROOM = file_size(BLOCK)


def test_what_fits_exactly_is_taken_and_one_disk_block_more_is_not(root: Path) -> None:
    store = open_store(root, capacity_bytes=ROOM)
    assert store.usage().free_bytes == store.usage().capacity_bytes == ROOM
    with pytest.raises(DiskFull):
        put(store, make_chunk(BLOCK + 4096))
    assert chunk_files(root) == []
    put(store, make_chunk(BLOCK))
    assert store.usage().free_bytes == 0
    with pytest.raises(DiskFull):
        put(store, make_chunk(1, 1))


def test_the_capacity_counts_what_was_there_before_the_start(root: Path) -> None:
    put(open_store(root), make_chunk(BLOCK))
    store = open_store(root, capacity_bytes=2 * ROOM)
    put(store, make_chunk(BLOCK, 1))
    with pytest.raises(DiskFull):
        put(store, make_chunk(1, 2))


def test_a_capacity_below_what_is_there_is_no_room_and_no_negative_number(root: Path) -> None:
    put(open_store(root), make_chunk(BLOCK))
    store = open_store(root, capacity_bytes=1)
    assert store.usage().free_bytes == 0
    assert read_data(store, make_chunk(BLOCK)) == make_chunk(BLOCK).content


def test_a_full_store_reads_verifies_and_deletes_and_then_takes_again(root: Path) -> None:
    store = open_store(root, capacity_bytes=ROOM)
    chunk = make_chunk(BLOCK)
    put(store, chunk)
    assert read_data(store, chunk) == chunk.content
    assert store.verify(chunk.chunk_id)
    assert store.delete([chunk.chunk_id]) == 1
    put(store, make_chunk(BLOCK, 1))


def test_the_reserve_of_the_disk_is_not_used(root: Path) -> None:
    """The reserve is all that is free now, and more: nothing fits, whatever the capacity says."""
    reserve = shutil.disk_usage(root).total
    for capacity in (0, 10 * ROOM):
        store = open_store(root, reserve_bytes=reserve, capacity_bytes=capacity)
        assert store.usage().free_bytes == 0
        with pytest.raises(DiskFull):
            put(store, make_chunk(1))
    assert chunk_files(root) == []


def test_room_is_set_aside_while_a_chunk_is_received(root: Path) -> None:
    """A second chunk that comes meanwhile is refused at once, not when the disk is full."""
    store = open_store(root, capacity_bytes=ROOM + 1)
    chunk = make_chunk(BLOCK)
    read_chunk = pieces(chunk.content)

    def read(limit: int) -> bytes:
        with pytest.raises(DiskFull):
            put(store, make_chunk(1, 1))
        return read_chunk.read(limit)

    store.write(chunk.chunk_id, Source(read), BLOCK, chunk.checksum)
    assert read_data(store, chunk) == chunk.content


def test_room_set_aside_for_a_failed_write_is_given_back(root: Path) -> None:
    store = open_store(root, capacity_bytes=ROOM)
    for _ in range(3):
        with pytest.raises(DiskFull):
            _write_failing(store, OSError(errno.ENOSPC, "No space left on device"))
    assert store.usage().free_bytes == ROOM
    put(store, make_chunk(BLOCK))


@pytest.mark.parametrize(
    ("number", "expected"),
    [(errno.ENOSPC, DiskFull), (errno.EDQUOT, DiskFull), (errno.EIO, DiskFailed), (errno.EROFS, DiskFailed)],
)
def test_what_the_disk_says_in_the_middle_of_a_write_is_told_and_nothing_is_kept(
    number: int, expected: type[Exception], root: Path
) -> None:
    store = open_store(root)
    with pytest.raises(expected):
        _write_failing(store, OSError(number, "as the disk says"))
    assert chunk_files(root) == []
    usage = store.usage()
    assert (usage.chunk_count, usage.used_bytes) == (0, 0)
    put(store, make_chunk(BLOCK))


def _write_failing(store: ChunkStore, error: OSError) -> None:
    """Write a chunk of which the disk takes one piece, then says `error`."""
    chunk = make_chunk(BLOCK)
    given = iter([chunk.content[:1000]])

    def read(_limit: int) -> bytes:
        for piece in given:
            return piece
        raise error

    store.write(chunk.chunk_id, Source(read), BLOCK, chunk.checksum)


_WRITE_AT_A_LIMIT = """
import resource, signal, sys
from pathlib import Path
from common.errors import DiskFailed
from tests.support.chunks import BLOCK, Source, chunk_files, make_chunk, open_store, put
root = Path(sys.argv[1])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
store = open_store(root)
try:
    put(store, make_chunk(BLOCK))
except DiskFailed:
    assert chunk_files(root) == []
    assert store.usage().chunk_count == store.usage().used_bytes == 0
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    put(store, make_chunk(BLOCK))
    assert store.verify(make_chunk(BLOCK).chunk_id)
    print("refused")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit on the size of a process's files")
@pytest.mark.parametrize("limit", [0, 1, BLOCK // 2, BLOCK, BLOCK + 16, ROOM - 1])
def test_a_disk_that_takes_only_part_of_a_chunk_keeps_nothing_of_it(limit: int, root: Path) -> None:
    """The operating system takes some bytes and refuses the rest, at any place of the file: a short write."""
    ended = subprocess.run(
        [sys.executable, "-c", _WRITE_AT_A_LIMIT, str(root), str(limit)],
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (ended.stdout, ended.stderr) == ("refused\n", "")
