"""Archives that Python's zipfile and, where they are installed, other programs read, also beyond 32 bits."""

from __future__ import annotations

import io
import shutil
import subprocess
import zipfile
from collections.abc import Iterable, Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import IO

import pytest

from api_gateway.archive.zip_writer import Entry, ZipWriter, directory_bytes
from common.checksums import Buffer
from common.errors import InternalError, TooLarge

MODIFIED = datetime(2026, 5, 4, 3, 2, 1, 500_000, tzinfo=timezone.utc)
GIB = 1 << 30
ROOM = 1 << 24
Files = Iterable[tuple[str, int, Iterable[Buffer]]]


def pieces_of(files: Files, modified: datetime = MODIFIED) -> Iterator[Buffer]:
    writer = ZipWriter(ROOM)
    for name, size, content in files:
        yield from writer.write(Entry(name.encode(), modified, size), content)
    yield from writer.finish()


def zipped(files: Files, modified: datetime = MODIFIED) -> bytes:
    return b"".join(map(bytes, pieces_of(files, modified)))


def complaints(archive: Path) -> str:
    """What other programs say against the archive."""
    said = ""
    for command in (["unzip", "-tqq"], ["7z", "t"], ["bsdtar", "-tf"]):
        if shutil.which(command[0]) is not None:
            run = subprocess.run([*command, str(archive)], capture_output=True, text=True)
            said += run.stdout + run.stderr if run.returncode else ""
    return said


def test_files_and_folders_come_out_as_they_went_in(tmp_path: Path) -> None:
    contents = {"a/": b"", "a/empty": b"", "a/naïve 名.txt": b"one" * 1000, "\u202eb": b"two"}
    archive = tmp_path / "a.zip"
    archive.write_bytes(zipped((name, len(content), [content]) for name, content in contents.items()))
    with zipfile.ZipFile(archive) as read:
        assert {name: read.read(name) for name in read.namelist()} == contents
        assert read.namelist() == list(contents)
        assert all(item.compress_type == zipfile.ZIP_STORED for item in read.infolist())
        assert read.infolist()[0].is_dir()
    assert complaints(archive) == ""


def test_an_archive_of_nothing_is_one() -> None:
    assert zipfile.ZipFile(io.BytesIO(zipped([]))).namelist() == []


@pytest.mark.parametrize(
    ("modified", "shown"),
    [
        (MODIFIED, (2026, 5, 4, 3, 2, 0)),
        (datetime(1975, 5, 4, tzinfo=timezone.utc), (1980, 5, 4, 0, 0, 0)),
        (datetime(2200, 5, 4, tzinfo=timezone.utc), (2107, 5, 4, 0, 0, 0)),
    ],
)
def test_the_time_of_a_change_is_kept_as_far_as_the_format_goes(
    modified: datetime, shown: tuple[int, int, int, int, int, int]
) -> None:
    (item,) = zipfile.ZipFile(io.BytesIO(zipped([("a", 1, [b"a"])], modified))).infolist()
    assert item.date_time == shown
    # Info-ZIP's field of four bytes, which is in UTC and to the second.
    seconds = int.from_bytes(item.extra[5:9], "little")
    assert seconds == min(int(modified.timestamp()), 2**31 - 1)


def test_more_files_than_16_bits_count(tmp_path: Path) -> None:
    archive = tmp_path / "many.zip"
    with archive.open("wb") as file:
        file.writelines(pieces_of((str(number), 1, [b"x"]) for number in range(65_536)))
    with zipfile.ZipFile(archive) as read:
        assert len(read.namelist()) == 65_536
        assert read.read("65535") == b"x"
    assert complaints(archive) == ""


def test_sizes_and_positions_beyond_32_bits(tmp_path: Path) -> None:
    """The large file is a hole: it takes no room, and reading it no time to speak of."""
    archive = tmp_path / "large.zip"
    size = 4 * GIB - 1
    with archive.open("wb") as file:
        write_with_holes(file, [("large", size, repeated(bytes(1 << 22), size)), ("last", 5, [b"hello"])])
    with zipfile.ZipFile(archive) as read:
        assert {item.filename: item.file_size for item in read.infolist()} == {"large": size, "last": 5}
        assert read.read("last") == b"hello"
        assert read.open("large").read(10) == bytes(10)


def repeated(piece: bytes, size: int) -> Iterator[bytes]:
    for _ in range(size // len(piece)):
        yield piece
    yield piece[: size % len(piece)]


def write_with_holes(file: IO[bytes], files: Files) -> None:
    for piece in pieces_of(files):
        if len(piece) >= 1 << 21:
            file.seek(len(piece), io.SEEK_CUR)
        else:
            file.write(piece)


@pytest.mark.parametrize("content", [b"", b"ab", b"abcd"])
def test_a_file_of_another_size_than_announced_ends_the_archive(content: bytes) -> None:
    with pytest.raises(InternalError):
        zipped([("a", 3, [content])])


def test_the_central_directory_is_bounded() -> None:
    writer = ZipWriter(3 * directory_bytes(b"name"))
    for _ in range(3):
        list(writer.write(Entry(b"name", MODIFIED)))
    with pytest.raises(TooLarge):
        list(writer.write(Entry(b"name", MODIFIED)))
    assert sum(map(len, writer.finish())) <= 3 * directory_bytes(b"name") + 100
