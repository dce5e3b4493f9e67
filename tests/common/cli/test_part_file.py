"""An unfinished file goes on only with bytes that are there and of the right version."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest
import xxhash

from common.cli.failures import Failure
from common.cli.part_file import MAX_PIECES, Hash, PartFile, part_names
from common.cli.remote import RemoteFile

CONTENT = b"0123456789"
FILE = RemoteFile("a", len(CONTENT), '"v1"', "sha256", hashlib.sha256(CONTENT).hexdigest())


def fill(part: PartFile, count: int) -> None:
    """Write the first pieces."""
    for piece in list(part.pieces())[:count]:
        with part.open_part() as output:
            output.seek(piece.start)
            output.write(CONTENT[piece.start : piece.stop])
        part.finish(piece, xxhash.xxh3_128_hexdigest(CONTENT[piece.start : piece.stop]))


def finished(part: PartFile) -> list[int]:
    return [piece.number for piece in part.pieces() if part.is_finished(piece)]


def test_a_finished_file_appears_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    with PartFile(tmp_path / "a", FILE, 4) as part:
        fill(part, 3)
        whole = Hash("sha256")
        assert all(part.take_intact(piece, whole) for piece in part.pieces())
        assert whole.fits(FILE.checksum)
        part.publish()
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_bytes() == CONTENT


def test_the_next_run_finds_the_pieces_in_the_size_they_were_fetched(tmp_path: Path) -> None:
    with PartFile(tmp_path / "a", FILE, 4) as part:
        fill(part, 2)
    with PartFile(tmp_path / "a", FILE, 8) as part:
        assert (part.piece_bytes, finished(part)) == (4, [0, 1])


def test_a_last_line_that_was_cut_off_is_no_finished_piece(tmp_path: Path) -> None:
    with PartFile(tmp_path / "a", FILE, 4) as part:
        fill(part, 2)
    _, state = part_names(tmp_path / "a")
    state.write_text(state.read_text()[:-9])
    with PartFile(tmp_path / "a", FILE, 4) as part:
        assert finished(part) == [0]
        fill(part, 3)
    with PartFile(tmp_path / "a", FILE, 4) as part:
        assert finished(part) == [0, 1, 2]


@pytest.mark.parametrize(
    "other",
    [replace(FILE, etag='"v2"'), replace(FILE, path="b"), replace(FILE, size=9), replace(FILE, checksum="0")],
)
def test_another_version_begins_anew(tmp_path: Path, other: RemoteFile) -> None:
    with PartFile(tmp_path / "a", FILE, 4) as part:
        fill(part, 2)
    with PartFile(tmp_path / "a", other, 4) as part:
        assert finished(part) == []
        assert part.path.stat().st_size == 0


@pytest.mark.parametrize("text", ["", "[]\n", "nonsense", '{"format": 1}\n', "\0" * 20])
def test_a_state_that_cannot_be_read_begins_anew(tmp_path: Path, text: str) -> None:
    part_path, state_path = part_names(tmp_path / "a")
    part_path.write_bytes(CONTENT)
    state_path.write_text(text)
    with PartFile(tmp_path / "a", FILE, 4) as part:
        assert finished(part) == []


def test_bytes_that_are_not_what_was_noted_do_not_count(tmp_path: Path) -> None:
    with PartFile(tmp_path / "a", FILE, 4) as part:
        fill(part, 3)
        part.path.write_bytes(b"0123X567")
        whole = Hash("sha256")
        taken = [part.take_intact(piece, whole) for piece in part.pieces()]
        assert taken == [True, False, False]
        assert whole.fits(hashlib.sha256(b"0123").hexdigest())
        assert finished(part) == [0]


def test_a_symbolic_link_in_the_way_is_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "victim").write_bytes(b"old")
    part_path, state_path = part_names(tmp_path / "a")
    part_path.symlink_to(tmp_path / "victim")
    with PartFile(tmp_path / "a", FILE, 4) as part:
        fill(part, 3)
    assert (tmp_path / "victim").read_bytes() == b"old"
    state_path.unlink()
    state_path.symlink_to(tmp_path / "victim")
    with pytest.raises(Failure):
        PartFile(tmp_path / "a", FILE, 4)
    assert (tmp_path / "victim").read_bytes() == b"old"


def test_the_number_of_pieces_is_bounded_and_long_names_have_room(tmp_path: Path) -> None:
    huge = replace(FILE, size=10**13)
    with PartFile(tmp_path / ("x" * 255), huge, 1024) as part:
        assert sum(1 for _ in part.pieces()) <= MAX_PIECES
        part.discard()
    assert list(tmp_path.iterdir()) == []


def test_an_algorithm_that_is_not_known_is_said_to_be_so() -> None:
    with pytest.raises(Failure, match="crc7"):
        Hash("crc7")
