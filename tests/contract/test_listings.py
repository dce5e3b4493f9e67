"""Listings from either end, on every store: the same entries, in exactly the reverse order; and what is between."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from master_node.listing import ListingQuery, Page, list_page
from master_node.model import ACTIVE, DELETED
from master_node.store.base import MetadataStore
from tests.support.metadata import AWKWARD, make_file


def fill(store: MetadataStore, rng: random.Random) -> list[str]:
    """Active files in folders of any depth, and several in the trash that had one path; returns the paths."""
    pieces = rng.sample([piece for piece in AWKWARD if "/" not in piece], 6)
    paths = {"/".join(rng.choice(pieces) for _ in range(rng.randint(1, 4))) for _ in range(25)}
    paths |= {path + "/" for path in rng.sample(sorted(paths), 3)}
    for path in sorted(paths):
        store.insert_file(make_file(path))
        for number in range(rng.choice((0, 0, 3))):
            store.insert_file(make_file(path, seed=(path, number), status=DELETED, expires_at=1.0))
    return sorted(paths)


def entries_of(page: Page, query: ListingQuery) -> list[tuple[str, str]]:
    """A page's files and folders as one list, in the order that was asked for."""
    files = [(file.path, file.file_id) for file in page.files]
    folders = [(prefix, "") for prefix in page.prefixes]
    assert files == sorted(files, reverse=query.is_reverse)
    assert folders == sorted(folders, reverse=query.is_reverse)
    return sorted([*files, *folders], reverse=query.is_reverse)


def walk(store: MetadataStore, query: ListingQuery, rng: random.Random) -> list[tuple[str, str]]:
    """All pages, each of another size."""
    found = []
    while True:
        query = replace(query, limit=rng.randint(1, 12))
        page = list_page(store.scan_files, query)
        found += entries_of(page, query)
        if page.next_cursor is None:
            return found
        assert len(page.files) + len(page.prefixes) == query.limit
        query = replace(query, cursor=page.next_cursor)


@pytest.mark.parametrize("seed", range(5))
def test_the_pages_from_the_end_are_those_from_the_beginning_reversed(store: MetadataStore, seed: int) -> None:
    rng = random.Random(seed)
    paths = fill(store, rng)
    for prefix in ("", "no such", *(path[: rng.randint(1, len(path))] for path in rng.sample(paths, 4))):
        for delimiter in ("", "/"):
            for status in (ACTIVE, DELETED):
                query = ListingQuery(prefix, delimiter, status=status)
                forward = walk(store, query, rng)
                assert walk(store, replace(query, is_reverse=True), rng) == forward[::-1], query
                assert prefix == "no such" or status == DELETED or forward


@pytest.mark.parametrize("seed", range(5))
def test_readers_from_both_ends_meet_without_a_gap_or_an_overlap(store: MetadataStore, seed: int) -> None:
    rng = random.Random(seed)
    fill(store, rng)
    for delimiter in ("", "/"):
        for status in (ACTIVE, DELETED):
            query = ListingQuery(delimiter=delimiter, status=status)
            whole = walk(store, query, rng)
            head, tail, ends = [], [], {False: "", True: ""}
            while True:
                side = rng.random() < 0.5
                part = replace(query, limit=rng.randint(1, 5), is_reverse=side, cursor=ends[side], until=ends[not side])
                page = list_page(store.scan_files, part)
                (tail if side else head).extend(entries_of(page, part))
                if page.next_cursor is None:
                    break
                ends[side] = page.next_cursor
            assert head + tail[::-1] == whole


def test_a_place_can_be_read_from_in_both_orders(store: MetadataStore) -> None:
    for path in ("a", "b/1", "b/2", "b0", "c"):
        store.insert_file(make_file(path))
    query = ListingQuery(delimiter="/", limit=2)
    first = list_page(store.scan_files, query)
    assert first.next_cursor is not None
    assert entries_of(first, query) == [("a", make_file("a").file_id), ("b/", "")]
    back = replace(query, cursor=first.next_cursor, is_reverse=True)
    assert entries_of(list_page(store.scan_files, back), back) == entries_of(first, query)[::-1]
