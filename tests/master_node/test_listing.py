"""Listings page by page against a naive model, on random trees of awkward names; and what a page costs."""

from __future__ import annotations

import base64
import bisect
import functools
import random
from collections.abc import Callable
from dataclasses import replace

import pytest

from common.errors import InvalidRequest
from master_node.listing import ListingQuery, Page, after_prefix, list_page
from master_node.model import ACTIVE, DELETED, File
from tests.support.metadata import AWKWARD, make_file, make_old

HIGHEST = "\U0010ffff"
Entry = tuple[str, str]


class Scanned:
    """Files in the order of their keys, as a store's index has them; counts the rows and scans given out."""

    def __init__(self, files: list[File]) -> None:
        self._files = sorted(files, key=lambda file: file.key)
        self._keys = [file.key for file in self._files]
        self.rows = 0
        self.scans = 0

    def scan(
        self, after: str, before: str, limit: int, is_inclusive: bool = False, is_reverse: bool = False
    ) -> list[File]:
        first = bisect.bisect_left(self._keys, after) if is_inclusive else bisect.bisect_right(self._keys, after)
        last = max(first, bisect.bisect_left(self._keys, before))
        part = slice(max(first, last - limit), last) if is_reverse else slice(first, min(last, first + limit))
        found = self._files[part][::-1] if is_reverse else self._files[part]
        self.rows += len(found)
        self.scans += 1
        return found


def naive(files: list[File], query: ListingQuery) -> list[Entry]:
    """The whole listing in order: ("file", its id) and ("prefix", text), each prefix once."""
    entries: list[tuple[str, Entry]] = []
    for file in files:
        if file.status != query.status or not file.path.startswith(query.prefix):
            continue
        head, found, _ = file.path[len(query.prefix) :].partition(query.delimiter) if query.delimiter else ("", "", "")
        folded = query.prefix + head + query.delimiter
        entries.append((folded, ("prefix", folded)) if found else (file.path, ("file", file.file_id)))
    # A folder stands where its first file does; files at one path (in the trash) stand by id.
    return [entry for _, entry in sorted(set(entries))]


def entries_of(page: Page) -> list[Entry]:
    """A page's entries in the order of paths, the two lists merged."""
    assert [file.path for file in page.files] == sorted(file.path for file in page.files)
    assert page.prefixes == sorted(page.prefixes)
    merged = [(file.path, ("file", file.file_id)) for file in page.files]
    merged += [(prefix, ("prefix", prefix)) for prefix in page.prefixes]
    return [entry for _, entry in sorted(merged)]


def walk(files: list[File], query: ListingQuery) -> list[Entry]:
    """All pages one after the other; every page but the last is full."""
    found: list[Entry] = []
    scanned = Scanned(files)
    while True:
        page = list_page(scanned.scan, query)
        entries = entries_of(page)
        found += entries
        assert len(entries) <= query.limit
        if page.next_cursor is None:
            return found
        assert len(entries) == query.limit
        query = replace(query, cursor=page.next_cursor)


def random_tree(rng: random.Random, delimiters: tuple[str, ...]) -> list[File]:
    pieces = rng.sample([piece for piece in AWKWARD if "/" not in piece], 6)
    paths = set()
    for _ in range(rng.choice((0, 1, 5, 40))):
        depth = rng.randint(1, 4)
        path = "".join(rng.choice(pieces) + rng.choice(delimiters) for _ in range(depth))
        paths.add(path if rng.random() < 0.3 else path + rng.choice(pieces))
    files = [make_file(path, seed=(path, 1)) for path in paths if rng.random() < 0.8]
    for path in paths:
        for number in range(rng.choice((0, 1, 1, 3))):
            files.append(make_file(path, seed=(path, "deleted", number), status=DELETED, expires_at=1.0))  # noqa: PERF401
    return files


@pytest.mark.parametrize("seed", range(60))
def test_every_listing_of_a_random_tree_is_what_the_model_says(seed: int) -> None:
    rng = random.Random(seed)
    delimiters = rng.choice((("/",), ("/", ""), ("/", "::", "a"), ("\x01", "/")))
    files = random_tree(rng, delimiters)
    paths = [file.path for file in files] or ["nothing"]
    prefixes = {"", "no such", "/", HIGHEST, "\x01"}
    for path in rng.sample(paths, min(5, len(paths))):
        prefixes |= {path, path[: rng.randint(0, len(path))], path + "\x01", path + "/"}
    for status in (ACTIVE, DELETED):
        for delimiter in ("", "/", "::", "a", "\x01"):
            for prefix in prefixes:
                for limit in (1, 2, 3, 7, len(files) + 1):
                    query = ListingQuery(prefix, delimiter, limit, "", status)
                    assert walk(files, query) == naive(files, query), query


def test_an_empty_store_lists_nothing() -> None:
    assert list_page(Scanned([]).scan, ListingQuery()) == Page([], [], None)


@pytest.mark.parametrize("limit", [1, 2, 3, 10])
def test_a_file_right_behind_a_folder_is_not_passed_over_with_it(limit: int) -> None:
    """ "0" is the character that follows "/"."""
    files = [make_file(path) for path in ("x", "x/a", "x/b", "x0", "x0/a", "x00", "x1")]
    query = ListingQuery(delimiter="/", limit=limit)
    assert walk(files, query) == naive(files, query)
    assert len(walk(files, query)) == 6


@pytest.mark.parametrize("count", [99, 100, 101, 199, 200, 201])
def test_the_last_page_has_no_cursor(count: int) -> None:
    files = [make_file(f"f{number:04d}") for number in range(count)]
    query, pages = ListingQuery(limit=100), 1
    while cursor := list_page(Scanned(files).scan, query).next_cursor:
        query, pages = ListingQuery(limit=100, cursor=cursor), pages + 1
    assert pages == -(-count // 100)


def test_a_cursor_still_works_when_the_file_it_stands_at_is_gone() -> None:
    files = [make_file(name) for name in ("a", "b", "c")]
    cursor = list_page(Scanned(files).scan, ListingQuery(limit=2)).next_cursor
    assert cursor is not None
    page = list_page(Scanned([files[0], files[2], make_file("bb")]).scan, ListingQuery(limit=2, cursor=cursor))
    assert [file.path for file in page.files] == ["bb", "c"]


def encoded(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "cursor",
    [
        "x",
        "%",
        "é",
        "====",
        " ",
        "a b",
        "\n",
        "AAAA" * 100,
        encoded(">"),
        encoded("="),
        encoded(">a/other"),
        encoded("=d/folder/x"),
        encoded(">a/folder"),
        encoded(">a/folder0"),
        encoded("a/folder/x"),
        encoded("?a/folder/x"),
        base64.urlsafe_b64encode(b">a/folder/\xff").decode(),
        base64.urlsafe_b64encode(b">a/folder/\xed\xa0\x80").decode(),
    ],
)
def test_a_cursor_that_this_listing_did_not_give_out_is_refused(cursor: str) -> None:
    files = [make_file(f"folder/{number}") for number in range(5)]
    for query in (ListingQuery(prefix="folder/", cursor=cursor), ListingQuery(prefix="folder/", until=cursor)):
        for is_reverse in (False, True):
            with pytest.raises(InvalidRequest):
                list_page(Scanned(files).scan, replace(query, is_reverse=is_reverse))


def test_a_cursor_of_the_trash_is_refused_in_the_listing_of_files() -> None:
    files = [make_file(f"{number}", status=status) for number in range(3) for status in (DELETED,)]
    cursor = list_page(Scanned(files).scan, ListingQuery(limit=1, status=DELETED)).next_cursor
    assert cursor is not None
    with pytest.raises(InvalidRequest):
        list_page(Scanned(files).scan, ListingQuery(limit=1, cursor=cursor))


@pytest.mark.parametrize(
    ("prefix", "follower"),
    [
        ("a", "b"),
        ("a/", "a0"),
        ("\x7f", "\x80"),
        ("\ud7ff", "\ue000"),
        ("x\uffff", "x\U00010000"),
        ("a\U0010ffff", "b"),
        ("a\U0010ffff\U0010ffff", "b"),
        ("\U0010ffff", HIGHEST),
        ("", HIGHEST),
    ],
)
def test_after_prefix_gives_the_least_string_behind_all_that_start_with_it(prefix: str, follower: str) -> None:
    assert after_prefix(prefix) == follower
    follower.encode("utf-8")


@pytest.mark.parametrize("prefix", [piece for piece in AWKWARD if not piece.startswith(HIGHEST)], ids=ascii)
def test_after_prefix_separates_what_starts_with_the_prefix_from_what_follows(prefix: str) -> None:
    follower = after_prefix(prefix)
    assert prefix <= prefix + HIGHEST * 3 < follower
    for other in AWKWARD:
        if not other.startswith(prefix):
            assert other < prefix or other >= follower


def rows_of_a_page(scanned: Scanned, query: ListingQuery) -> tuple[int, int]:
    """Rows and scans that a page takes, and that the page behind it takes, the more of both."""
    costs = []
    for _ in range(2):
        scanned.rows = scanned.scans = 0
        cursor = list_page(scanned.scan, query).next_cursor
        costs.append((scanned.rows, scanned.scans))
        query = replace(query, cursor=cursor or "")
    return max(costs)


def flat(number: int) -> str:
    return f"f{number:06d}"


def one_big_folder(number: int) -> str:
    return f"big/{number}" if number >= 90 else f"{'a' if number < 40 else 'z'}{number}"


def many_folders(number: int) -> str:
    return f"{number // 10:05d}/{number % 10}"


@functools.cache
def tree(path_of: Callable[[int], str], count: int) -> Scanned:
    return Scanned([make_file(path_of(number)) for number in range(count)])


@pytest.mark.parametrize("path_of", [flat, one_big_folder, many_folders])
@pytest.mark.parametrize("delimiter", ["", "/"])
@pytest.mark.parametrize("limit", [1, 10, 45])
@pytest.mark.parametrize("is_reverse", [False, True])
def test_a_page_reads_no_more_rows_of_ten_thousand_files_than_of_a_hundred(
    path_of: Callable[[int], str], delimiter: str, limit: int, is_reverse: bool
) -> None:
    query = ListingQuery(delimiter=delimiter, limit=limit, is_reverse=is_reverse)
    few, many = (rows_of_a_page(tree(path_of, count), query) for count in (100, 10_000))
    # A folder that is passed over costs a small scan of its own; what was read behind its first file is in vain.
    assert many[0] <= 3 * limit + 5
    assert many[1] <= 2 * limit + 5
    if path_of is not many_folders:
        assert many == few


def test_a_listing_holds_no_old_versions() -> None:
    file = make_file("a", old_versions=(make_old("v1"),))
    assert list_page(Scanned([file]).scan, ListingQuery()).files == [replace(file, old_versions=())]


def test_a_cursor_of_the_release_before_is_understood() -> None:
    files = [make_file(f"folder/{number}") for number in range(5)]
    query = ListingQuery(prefix="folder/", cursor=encoded(">a/folder/2"))
    assert list_page(Scanned(files).scan, query).files == files[3:]
