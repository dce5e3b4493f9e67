"""An upload is gone on with for the same file, place and options only, and by one process at a time."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from common.cli.unfinished import Subject, Unfinished, forget_oldest, uploads_folder

SUBJECT = Subject("http://gateway", "a/é", "/home/caf\udce9", 5, 7, {"filetype": "x/y"})


def begin(folder: Path, upload_id: str = "one") -> Path:
    """Leave an upload behind; returns its note."""
    with Unfinished(folder, SUBJECT) as unfinished:
        unfinished.begin(upload_id)
    [note] = folder.iterdir()
    return note


def test_the_next_run_goes_on_with_what_the_last_one_has_left(tmp_path: Path) -> None:
    begin(tmp_path / "new" / "folder")
    with Unfinished(tmp_path / "new" / "folder", SUBJECT) as unfinished:
        assert (unfinished.upload_id, unfinished.stale_id) == ("one", "")


def test_nothing_is_left_of_an_upload_that_is_finished_or_was_never_begun(tmp_path: Path) -> None:
    begin(tmp_path)
    with Unfinished(tmp_path, SUBJECT) as unfinished:
        unfinished.forget()
    assert list(tmp_path.iterdir()) == []
    with Unfinished(tmp_path, SUBJECT):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("other", [replace(SUBJECT, size=6), replace(SUBJECT, mtime_ns=8), replace(SUBJECT, asked={})])
def test_a_changed_file_or_option_leaves_an_upload_to_be_given_up(tmp_path: Path, other: Subject) -> None:
    begin(tmp_path)
    with Unfinished(tmp_path, other) as unfinished:
        assert (unfinished.upload_id, unfinished.stale_id) == ("", "one")


@pytest.mark.parametrize("other", [replace(SUBJECT, url="b"), replace(SUBJECT, path="b"), replace(SUBJECT, local="b")])
def test_another_place_is_another_upload(tmp_path: Path, other: Subject) -> None:
    begin(tmp_path)
    with Unfinished(tmp_path, other) as unfinished:
        assert (unfinished.upload_id, unfinished.stale_id) == ("", "")
        unfinished.begin("two")
    with Unfinished(tmp_path, SUBJECT) as unfinished:
        assert unfinished.upload_id == "one"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": 1}', '{"upload_id": 5}', "\0" * 9, "é"])
def test_a_note_that_cannot_be_read_is_none(tmp_path: Path, text: str) -> None:
    begin(tmp_path).write_text(text)
    with Unfinished(tmp_path, SUBJECT) as unfinished:
        assert (unfinished.upload_id, unfinished.stale_id) == ("", "")


def test_a_note_that_another_one_has_is_left_alone(tmp_path: Path) -> None:
    with Unfinished(tmp_path, SUBJECT) as first:
        first.begin("one")
        with Unfinished(tmp_path, SUBJECT) as second:
            assert second.upload_id == ""
            second.begin("two")
            second.forget()
    with Unfinished(tmp_path, SUBJECT) as unfinished:
        assert unfinished.upload_id == "one"


def test_a_symbolic_link_in_the_way_is_not_written_through(tmp_path: Path) -> None:
    note = begin(tmp_path / "notes")
    note.unlink()
    (tmp_path / "victim").write_bytes(b"old")
    note.symlink_to(tmp_path / "victim")
    with Unfinished(tmp_path / "notes", SUBJECT) as unfinished:
        unfinished.begin("one")
    assert (tmp_path / "victim").read_bytes() == b"old"


def test_what_nobody_comes_back_for_is_forgotten_in_the_end(tmp_path: Path) -> None:
    for number in range(5):
        (tmp_path / f"{number}.json").write_bytes(b"")
        os.utime(tmp_path / f"{number}.json", ns=(0, number))
    forget_oldest(tmp_path, kept=2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["3.json", "4.json"]
    forget_oldest(tmp_path / "missing")


def test_notes_lie_where_the_system_keeps_such_things() -> None:
    home = Path("/home/u")
    assert uploads_folder({"HOME": "/home/u"}) == home / ".local" / "state" / "dfs" / "uploads"
    assert uploads_folder({"HOME": "/home/u", "XDG_STATE_HOME": "/s"}) == Path("/s/dfs/uploads")
    assert uploads_folder({"LOCALAPPDATA": "/l"}) == Path("/l/dfs/uploads")
    assert uploads_folder({}) is None
