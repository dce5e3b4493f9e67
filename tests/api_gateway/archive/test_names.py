"""Names inside an archive: none leads out of the folder into which it is extracted, no two are the same."""

from __future__ import annotations

import itertools
import random
from pathlib import PureWindowsPath

import pytest

from api_gateway.archive.names import ArchiveNames
from api_gateway.archive.selection import MAX_PATHS, choose
from common.errors import InvalidPath, InvalidRequest


def names(paths: list[str], folder: str = "") -> list[str]:
    chosen = ArchiveNames(folder)
    return [chosen.name(path) for path in paths]


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        (["a/b c", "a/ü%20", "z/"], ["a/b c", "a/ü%20", "z/"]),
        (["..\\..\\x", "a\\b", "a%5Cb"], ["..%5C..%5Cx", "a%5Cb", "a%255Cb"]),
        (["C:", "C:\\x", "C:x/y", "C%3A", "CC:x", "x/C:y"], ["C%3A", "C%3A%5Cx", "C%3Ax/y", "C%253A", "CC:x", "x/C:y"]),
        (["https%3A%2F%2Fa.example%2Fb"], ["https%3A%2F%2Fa.example%2Fb"]),
        (["a", "a-", "a/", "a/b", "a/b/c", "ab"], ["a", "a-", "a%2F/", "a%2F/b", "a%2F/b%2F/c", "ab"]),
        (["a", "a%2F", "a%2F/x", "a/x"], ["a", "a%252F", "a%252F%2F/x", "a%2F/x"]),
    ],
)
def test_what_could_break_out_or_collide_is_escaped(paths: list[str], expected: list[str]) -> None:
    assert names(paths) == expected


def test_names_begin_below_the_common_folder() -> None:
    assert names(["x/a/b", "x/a/b/c"], "x/a/") == ["b", "b%2F/c"]
    assert names(["x/C:/b"], "x/") == ["C%3A/b"]


def test_no_two_paths_get_one_name_and_no_file_the_name_of_a_folder() -> None:
    rng = random.Random(5)
    pieces = ["a", "C", "%", "25", "5C", "3A", "2F", "\\", ":", "/", ".."]
    for _ in range(300):
        made = {"".join(rng.choices(pieces, k=rng.randint(1, 7))) for _ in range(60)}
        paths = sorted(path for path in made if all(part not in ("", ".", "..") for part in path.strip("/").split("/")))
        paths = [path for path in paths if not path.startswith("/") and "//" not in path]
        given = names(paths)
        assert len(set(given)) == len(paths)
        files = {name for name in given if not name.endswith("/")}
        folders = {"/".join(name.split("/")[:count]) for name in given for count in range(1, name.count("/") + 1)}
        assert not files & folders
        for name in given:
            assert not PureWindowsPath(name).drive
            assert not {"..", "\\"} & set(itertools.chain(name.split("/"), name))


# --- selections ---


@pytest.mark.parametrize(
    ("paths", "chosen", "folder", "archive_name"),
    [
        (["a/b"], ("a/b",), "a/", "b.zip"),
        (["a/b/"], ("a/b/",), "a/", "b.zip"),
        (["top/"], ("top/",), "", "top.zip"),
        (["x/2", "x/1", "x/2"], ("x/1", "x/2"), "x/", "x.zip"),
        (["x/a/1", "x/ab/1"], ("x/a/1", "x/ab/1"), "x/", "x.zip"),
        (["x/a/", "x/a/b/", "x/a/c", "x/ab"], ("x/a/", "x/ab"), "x/", "x.zip"),
        (["a", "b/c"], ("a", "b/c"), "", "files.zip"),
        (["a", "a/"], ("a", "a/"), "", "files.zip"),
    ],
)
def test_a_selection_is_in_order_and_names_nothing_twice(
    paths: list[str], chosen: tuple[str, ...], folder: str, archive_name: str
) -> None:
    selection = choose(paths)
    assert (selection.paths, selection.folder, selection.archive_name) == (chosen, folder, archive_name)


def test_a_selection_has_a_path_and_not_too_many() -> None:
    assert len(choose(map(str, range(MAX_PATHS))).paths) == MAX_PATHS
    for paths in ([], map(str, range(MAX_PATHS + 1))):
        with pytest.raises(InvalidRequest):
            choose(paths)
    for path in ("", "/", "../a", "a//b", "\ud800"):
        with pytest.raises(InvalidPath):
            choose(["fine", path])
