"""Which names a file may have; an allowed one is kept to the byte."""

from __future__ import annotations

import unicodedata

import pytest

from common.errors import InvalidPath
from common.paths import check_path, decode_path, file_name, is_folder

ALLOWED = [
    "a",
    " ",
    " leading and trailing ",
    "...",
    ".hidden",
    "..a",
    "a..",
    "a/.../b",
    "a/b/c.txt",
    "folder/",
    "a/b/",
    "über/größe.txt",
    "пример/файл.txt",
    "例え/ファイル.txt",
    "文件.txt",
    "파일",
    "ملف/نص.txt",
    "קובץ",
    "αρχείο",
    "फ़ाइल",
    "ไฟล์",
    "🗂️/👨‍👩‍👧‍👦.png",
    "a#b?c%d\\e+f&g=h;i:j,k@l!m$n*o(p)q[r]s{t}u|v^w~x`y",
    "%2e%2e",
    "%2F",
    "quote'\"quote",
    "line\nbreak",
    "tab\tand\rreturn",
    "\x01\x1f\x7f",
    "\ufeffmark",
    "right\u202eleft",
    "back\\slash\\..\\up",
    "C:/Windows",
    "-rf",
    "con",
]

REFUSED = {
    "": "empty",
    "/": "start with",
    "/a": "start with",
    "//": "//",
    "a//b": "//",
    "a//": "//",
    ".": '"."',
    "..": '".."',
    "./": '"."',
    "../": '".."',
    "./a": '"."',
    "../a": '".."',
    "a/.": '"."',
    "a/..": '".."',
    "a/./b": '"."',
    "a/../b": '".."',
    "a/../": '".."',
    "\0": "NUL",
    "a\0b": "NUL",
    "a/b\0": "NUL",
    "\ud800": "UTF-8",
    "a\udcffb": "UTF-8",
    "\udc80/x": "UTF-8",
}


@pytest.mark.parametrize("path", ALLOWED)
def test_an_allowed_name_is_kept_exactly_as_given(path: str) -> None:
    assert check_path(path) == path
    assert decode_path(path.encode("utf-8")) == path


@pytest.mark.parametrize("path", REFUSED)
def test_a_refused_name_is_refused_with_its_rule(path: str) -> None:
    with pytest.raises(InvalidPath) as caught:
        check_path(path)
    assert REFUSED[path] in caught.value.detail


@pytest.mark.parametrize("value", [None, 5, b"a", ["a"], {"path": "a"}, True])
def test_what_is_not_text_is_refused(value: object) -> None:
    with pytest.raises(InvalidPath):
        check_path(value)


@pytest.mark.parametrize("name", ["é", "Å", "한글", "ế", "ガ"])
def test_composed_and_decomposed_names_stay_two_names(name: str) -> None:
    composed, decomposed = unicodedata.normalize("NFC", name), unicodedata.normalize("NFD", name)
    assert composed != decomposed
    assert check_path(composed) == composed
    assert check_path(decomposed) == decomposed


@pytest.mark.parametrize("letter", ["a", "é", "語", "🗂"])
def test_a_segment_has_at_most_255_bytes_not_letters(letter: str) -> None:
    width = len(letter.encode())
    longest = letter * (255 // width) + "x" * (255 % width)
    assert len(longest.encode()) == 255
    for path in (longest, f"{longest}/", f"a/{longest}", f"{longest}/{longest}"):
        assert check_path(path) == path
    for path in (longest + "x", f"{longest}x/", f"a/{longest}x/b"):
        with pytest.raises(InvalidPath, match="segment"):
            check_path(path)


def test_a_path_has_at_most_1024_bytes() -> None:
    longest = "/".join(["s" * 255, "s" * 255, "s" * 255, "é" * 127 + "x", ""])
    assert len(longest.encode()) == 1024
    assert check_path(longest) == longest
    for longer in (longest + "y", "a/" * 512 + "b", "é/" * 341 + "xy"):
        assert len(longer.encode()) == 1025
        with pytest.raises(InvalidPath, match="1024"):
            check_path(longer)


@pytest.mark.parametrize("raw", [b"\xff", b"a\xc3", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf5\x80\x80\x80"])
def test_bytes_of_a_url_that_are_not_utf8_are_refused(raw: bytes) -> None:
    """Also the overlong slash and the encoded surrogate, which lenient decoders let through."""
    with pytest.raises(InvalidPath):
        decode_path(raw)


@pytest.mark.parametrize(
    ("path", "name", "is_a_folder"),
    [("a", "a", False), ("a/b.txt", "b.txt", False), ("a/", "a", True), ("a/b/", "b", True), ("x/é", "é", False)],
)
def test_the_name_of_a_file_is_its_last_segment(path: str, name: str, is_a_folder: bool) -> None:
    assert file_name(path) == name
    assert is_folder(path) is is_a_folder
