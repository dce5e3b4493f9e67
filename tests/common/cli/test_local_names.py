"""What a server names becomes a local name only where it harms nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from common.cli.failures import Failure
from common.cli.local_names import LocalFolder, check_names, relative_path


def test_a_file_goes_below_the_folder(tmp_path: Path) -> None:
    folder = LocalFolder(tmp_path / "new" / "root")
    assert folder.place("a/b/c") == tmp_path / "new" / "root" / "a" / "b" / "c"
    assert (tmp_path / "new" / "root" / "a" / "b").is_dir()
    assert folder.place("empty/").is_dir()


@pytest.mark.parametrize("path", ["../a", "a/../../b", "/etc/passwd", "a//b", ".", "a/./b", "a\0b"])
def test_a_path_that_leads_elsewhere_is_refused(tmp_path: Path, path: str) -> None:
    with pytest.raises(Failure, match="not allowed"):
        LocalFolder(tmp_path / "root").place(path)
    assert [path.name for path in tmp_path.rglob("*")] == ["root"]


def test_nothing_goes_through_a_symbolic_link(tmp_path: Path) -> None:
    root = tmp_path / "root"
    folder = LocalFolder(root)
    (tmp_path / "outside").mkdir()
    (root / "link").symlink_to(tmp_path / "outside")
    (root / "dangling").symlink_to(tmp_path / "nowhere")
    for path in ("link/a", "link/", "dangling/a"):
        with pytest.raises(Failure, match="symbolic link"):
            folder.place(path)
    assert not (tmp_path / "nowhere").exists()


def test_a_file_and_a_folder_of_one_name_are_refused(tmp_path: Path) -> None:
    folder = LocalFolder(tmp_path)
    folder.place("folder/a")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(Failure, match="is a file"):
        folder.place("file/a")
    with pytest.raises(Failure, match="a folder stands"):
        folder.place("folder")


@pytest.mark.parametrize(
    ("first", "second"), [("A.txt", "a.txt"), ("a/x", "A/y"), ("straße", "STRASSE"), ("e\u0301", "\u00e9")]
)
def test_names_that_a_file_system_takes_for_one_are_refused(tmp_path: Path, first: str, second: str) -> None:
    folder = LocalFolder(tmp_path, is_folding=True)
    folder.place(first)
    with pytest.raises(Failure, match="there already"):
        folder.place(second)
    folder.place(first)


def test_a_name_that_an_earlier_run_has_left_counts_too(tmp_path: Path) -> None:
    (tmp_path / "A.txt").write_bytes(b"earlier")
    with pytest.raises(Failure, match=r"A\.txt"):
        LocalFolder(tmp_path, is_folding=True).place("a.txt")


def test_where_case_counts_both_names_are_had(tmp_path: Path) -> None:
    folder = LocalFolder(tmp_path, is_folding=False)
    assert folder.place("A.txt") != folder.place("a.txt")


@pytest.mark.parametrize(
    "name", ["a:b", "a\\b", "..\\b", "C:x", "con", "NUL.txt", "LPT1", "a.", "a ", "a\tb", 'a"b', "a?"]
)
def test_what_windows_cannot_name_is_refused_there(name: str) -> None:
    with pytest.raises(Failure, match="Windows"):
        check_names(f"folder/{name}", is_windows=True)
    assert check_names(f"folder/{name}", is_windows=False) == ["folder", name]


@pytest.mark.parametrize("name", ["x.dfs-part", "x.dfs-state"])
def test_the_names_of_unfinished_files_are_not_given_to_others(name: str) -> None:
    with pytest.raises(Failure, match="unfinished"):
        check_names(name)


@pytest.mark.parametrize("parts", [("b\udce4d",), ("x" * 256,), ("a" * 250,) * 5])
def test_a_local_name_that_cannot_be_a_path_is_refused(parts: tuple[str, ...]) -> None:
    with pytest.raises(Failure, match="cannot be a path"):
        relative_path(parts)
