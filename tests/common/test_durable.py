"""A file that is written durably holds all of the new bytes or none; nothing unfinished stays after a failure."""

from __future__ import annotations

import errno
import subprocess
import sys
from pathlib import Path

import pytest

from common.durable import TEMPORARY_SUFFIX, StagedFile, move_durably, write_durably
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
    move_durably(tmp_path / "from" / "a", tmp_path / "to" / "b")
    assert names(tmp_path / "from") == []
    assert (tmp_path / "to" / "b").read_bytes() == b"content"
