"""A file that is written durably holds all of the new bytes or none; nothing unfinished stays after a failure."""

from __future__ import annotations

import errno
import mmap
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from common.durable import TEMPORARY_SUFFIX, StagedFile, move, write_durably
from common.environment import PROJECT_ROOT


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("is_synced", [True, False])
def test_a_published_file_appears_with_all_its_bytes(is_synced: bool, tmp_path: Path) -> None:
    with StagedFile(tmp_path / "a", is_synced=is_synced) as staged:
        staged.write(b"content")
        assert names(tmp_path) != ["a"]
        staged.sync()
        assert not (tmp_path / "a").exists()
        staged.publish()
        staged.settle()
    assert names(tmp_path) == ["a"]
    assert (tmp_path / "a").read_bytes() == b"content"


def test_an_unfinished_file_can_be_told_by_its_name(tmp_path: Path) -> None:
    with StagedFile(tmp_path / "a"):
        (name,) = names(tmp_path)
        assert name.startswith("a.")
        assert name.endswith(TEMPORARY_SUFFIX)


@pytest.mark.parametrize("moment", ["opened", "written", "synced"])
def test_nothing_is_left_after_an_exception(moment: str, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"before")

    def fail_at(moment: str) -> None:
        with StagedFile(tmp_path / "a") as staged:
            if moment != "opened":
                staged.write(b"after")
            if moment == "synced":
                staged.sync()
            raise RuntimeError(moment)

    with pytest.raises(RuntimeError):
        fail_at(moment)
    assert names(tmp_path) == ["a"]
    assert (tmp_path / "a").read_bytes() == b"before"


def test_an_exception_after_publishing_keeps_the_published_file(tmp_path: Path) -> None:
    def publish_and_fail() -> None:
        with StagedFile(tmp_path / "a") as staged:
            staged.write(b"content")
            staged.sync()
            staged.publish()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        publish_and_fail()
    assert names(tmp_path) == ["a"]
    assert (tmp_path / "a").read_bytes() == b"content"


def test_a_file_that_is_left_unpublished_disappears(tmp_path: Path) -> None:
    with StagedFile(tmp_path / "a") as staged:
        staged.write(b"content")
    assert names(tmp_path) == []


def test_nothing_is_left_when_the_name_cannot_be_taken(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with pytest.raises(OSError, match=r"directory"):
        write_durably(tmp_path / "a", b"content")
    assert names(tmp_path) == ["a"]


@pytest.mark.parametrize("content", [b"", b"x", bytes(100_000)])
def test_a_small_file_is_replaced_whole(content: bytes, tmp_path: Path) -> None:
    for before in (b"old", b"a longer old content"):
        (tmp_path / "a").write_bytes(before)
        write_durably(tmp_path / "a", content)
        assert (tmp_path / "a").read_bytes() == content
    assert names(tmp_path) == ["a"]


def test_two_writers_of_one_name_do_not_meet(tmp_path: Path) -> None:
    with StagedFile(tmp_path / "a") as first, StagedFile(tmp_path / "a") as second:
        for staged, content in ((first, b"first"), (second, b"second")):
            staged.write(content)
            staged.sync()
        second.publish()
        first.publish()
    assert (tmp_path / "a").read_bytes() == b"first"
    assert names(tmp_path) == ["a"]


_WRITE_AT_A_LIMIT = """
import resource, signal, sys
from pathlib import Path
from common.durable import write_durably
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (3, 3))
try:
    write_durably(Path(sys.argv[1]), b"12345")
except OSError as error:
    sys.exit(error.errno)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit on the size of a process's files")
def test_a_disk_that_takes_only_part_of_the_bytes_leaves_the_old_content(tmp_path: Path) -> None:
    """A write to a disk that gets full may take a few bytes without an error; the rest must not be forgotten."""
    (tmp_path / "a").write_bytes(b"77")
    ended = subprocess.run(
        [sys.executable, "-c", _WRITE_AT_A_LIMIT, str(tmp_path / "a")], cwd=PROJECT_ROOT, check=False, timeout=30
    )
    assert ended.returncode == errno.EFBIG
    assert (tmp_path / "a").read_bytes() == b"77"
    assert names(tmp_path) == ["a"]


def test_a_moved_file_is_at_its_new_place_only(tmp_path: Path) -> None:
    (tmp_path / "from").mkdir()
    (tmp_path / "to").mkdir()
    (tmp_path / "from" / "a").write_bytes(b"content")
    move(tmp_path / "from" / "a", tmp_path / "to" / "b")
    assert names(tmp_path / "from") == []
    assert (tmp_path / "to" / "b").read_bytes() == b"content"


# --- past the page cache ---

BLOCK = 4096


def aligned(content: bytes) -> memoryview:
    """The content in memory that begins at a page."""
    pages = mmap.mmap(-1, max(BLOCK, len(content)))
    pages[: len(content)] = content
    return memoryview(pages)[: len(content)]


def write_directly(path: Path, *pieces: bytes) -> None:
    with StagedFile(path, is_direct=True) as staged:
        for piece in pieces:
            staged.write(aligned(piece))
        staged.sync()
        staged.publish()
        staged.settle()


@pytest.mark.parametrize("sizes", [[BLOCK], [256 * BLOCK] * 3, [BLOCK, 3 * BLOCK], []])
def test_direct_writes_appear_with_all_their_bytes(sizes: list[int], tmp_path: Path) -> None:
    pieces = [bytes([number + 1]) * size for number, size in enumerate(sizes)]
    write_directly(tmp_path / "a", *pieces)
    assert (tmp_path / "a").read_bytes() == b"".join(pieces)
    assert names(tmp_path) == ["a"]


@pytest.mark.parametrize("sizes", [[1], [BLOCK - 1, BLOCK], [BLOCK, 5, 2 * BLOCK, 7], [BLOCK + 512, BLOCK]])
def test_a_piece_that_direct_io_cannot_take_is_written_all_the_same(sizes: list[int], tmp_path: Path) -> None:
    """So it is after a short write, which leaves an odd rest."""
    pieces = [bytes([number + 1]) * size for number, size in enumerate(sizes)]
    write_directly(tmp_path / "a", *pieces)
    assert (tmp_path / "a").read_bytes() == b"".join(pieces)


def test_memory_that_is_not_aligned_is_written_all_the_same(tmp_path: Path) -> None:
    with StagedFile(tmp_path / "a", is_direct=True) as staged:
        staged.write(aligned(bytes(range(256)) * 32)[1 : BLOCK + 1])
        staged.sync()
        staged.publish()
    assert (tmp_path / "a").read_bytes() == (bytes(range(256)) * 32)[1 : BLOCK + 1]


def _memory_folder() -> Path | None:
    """A folder on a file system that knows no direct I/O, where this machine has one."""
    folder = Path("/dev/shm")
    return folder if folder.is_dir() and os.access(folder, os.W_OK) else None


@pytest.mark.skipif(_memory_folder() is None, reason="this machine has no file system in memory")
def test_a_file_system_without_direct_io_is_written_all_the_same() -> None:
    with tempfile.TemporaryDirectory(dir=_memory_folder()) as folder:
        write_directly(Path(folder) / "a", b"x" * BLOCK, b"y" * 10)
        assert (Path(folder) / "a").read_bytes() == b"x" * BLOCK + b"y" * 10
        assert names(Path(folder)) == ["a"]


_WRITE_DIRECTLY_AT_A_LIMIT = """
import mmap, resource, signal, sys
from pathlib import Path
from common.durable import StagedFile
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
limit = int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
try:
    with StagedFile(Path(sys.argv[1]), is_direct=True) as staged:
        staged.write(memoryview(mmap.mmap(-1, 16384)))
        staged.sync()
        staged.publish()
except OSError as error:
    sys.exit(error.errno)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit on the size of a process's files")
@pytest.mark.parametrize("limit", [4096, 8192, 8192 + 512, 8192 + 3, 16383])
def test_a_disk_that_takes_only_part_of_a_direct_write_leaves_nothing(limit: int, tmp_path: Path) -> None:
    command = [sys.executable, "-c", _WRITE_DIRECTLY_AT_A_LIMIT, str(tmp_path / "a"), str(limit)]
    ended = subprocess.run(command, cwd=PROJECT_ROOT, check=False, timeout=30)
    assert ended.returncode == errno.EFBIG
    assert names(tmp_path) == []


def test_nothing_is_left_of_a_direct_write_that_is_given_up(tmp_path: Path) -> None:
    with StagedFile(tmp_path / "a", is_direct=True) as staged:
        staged.write(aligned(bytes(BLOCK)))
    assert names(tmp_path) == []
