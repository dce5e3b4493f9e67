"""The pages of files and of the trash, as the gateway writes them: what they show, and where their links lead."""

from __future__ import annotations

import html
import re

import pytest
from flask.testing import FlaskClient

from api_gateway.routes.page import PAGE_LIMIT
from api_gateway.routes.shown import crumbs, folder_rows, kind_of, show_bytes


def put(browser: FlaskClient, *paths: str) -> None:
    for path in paths:
        assert browser.put(f"/fs/{path}", data=b"" if path.endswith("/") else b"x").status_code == 201


def names(page: str) -> list[str]:
    """Of the rows, as they are shown."""
    rows = page.partition('<tbody id="rows">')[2].partition("</tbody>")[0]
    return [html.unescape(name) for name in re.findall(r'<a id="n\d+" href="[^"]+">(.*?)</a>', rows)]


def test_folders_come_before_files(browser: FlaskClient) -> None:
    put(browser, "order/a", "order/b/x", "order/c", "order/d/")
    assert names(browser.get("/?prefix=order/").text) == ["b", "d", "a", "c"]


def test_a_folders_own_entry_is_no_row_in_it(browser: FlaskClient) -> None:
    put(browser, "own/")
    page = browser.get("/?prefix=own/").text
    assert names(page) == []
    assert re.search(r'<div id="empty" class="empty">', page)
    assert re.search(r'<table id="list"[^>]* hidden>', page)


def test_a_folder_with_files_says_nothing_of_being_empty(browser: FlaskClient) -> None:
    put(browser, "filled/x")
    assert '<div id="empty" class="empty" hidden>' in browser.get("/?prefix=filled/").text


def test_a_search_shows_what_begins_so_here_and_everywhere_below(browser: FlaskClient) -> None:
    put(browser, "search/ab", "search/abc/d", "search/b")
    assert names(browser.get("/?prefix=search/&search=ab").text) == ["abc", "ab"]
    assert names(browser.get("/?prefix=search/&search=ab&everywhere=1").text) == ["ab", "abc/d"]
    nothing = browser.get("/?prefix=search/&search=zz").text
    assert "Nothing begins with this" in nothing
    assert 'value="zz"' in nothing


def test_a_search_that_finds_nothing_offers_the_same_in_another_case(browser: FlaskClient) -> None:
    put(browser, "cases/report.txt", "cases/Summary", "cases/URLs/x", "cases/étude")
    for search, offered in {
        "REP": "rep",
        "Rep": "rep",
        "summary": "Summary",
        "url": "URL",
        "éTUDE": "étude",
        "report 2": "",
        "sUm": "Sum",
        "x": "",
    }.items():
        page = browser.get("/", query_string={"prefix": "cases/", "search": search}).text
        assert names(page) == []
        link = re.search(r'<a id="other-case" href="([^"]+)">(.*?)</a>', page)
        assert (link[2] if link else "") == offered
        assert not link or names(browser.get(html.unescape(link[1])).text)


def test_the_search_says_that_letters_count_as_they_are(browser: FlaskClient) -> None:
    assert 'placeholder="Begins with (exact case) ..."' in browser.get("/").text


def test_without_script_the_next_page_goes_on_where_this_one_ends(browser: FlaskClient) -> None:
    count = PAGE_LIMIT + 3
    put(browser, *(f"long/{number:03}" for number in range(count)))
    first = browser.get("/?prefix=long/&search=").text
    link = re.search(r'<p class="no-script next"><a href="([^"]+)">Next page</a>', first)
    assert link is not None
    second = browser.get(html.unescape(link[1])).text
    assert names(first) + names(second) == [f"{number:03}" for number in range(count)]
    assert "Next page" not in second


def test_a_search_goes_on_over_pages(browser: FlaskClient) -> None:
    put(browser, *(f"far/a/{number:03}" for number in range(PAGE_LIMIT + 1)), "far/b")
    first = browser.get("/?prefix=far/&search=a&everywhere=1").text
    link = re.search(r'href="([^"]+)">Next page', first)
    assert link is not None
    assert names(browser.get(html.unescape(link[1])).text) == [f"a/{PAGE_LIMIT:03}"]


def test_the_trash_lists_whole_paths_with_the_ways_out(browser: FlaskClient) -> None:
    file = browser.put("/fs/gone/deep.txt", data=b"x").json
    browser.delete(f"/files/{file['file_id']}")
    page = browser.get("/trash").text
    assert "gone/deep.txt" in names(page)
    assert f'formaction="/files/{file["file_id"]}/restore"' in page
    assert f'formaction="/files/{file["file_id"]}/delete?permanent=true"' in page
    restored = browser.post(f"/files/{file['file_id']}/restore", headers={"Accept": "text/html"})
    assert restored.status_code == 303
    assert "gone/deep.txt" not in names(browser.get("/trash").text)


@pytest.mark.parametrize(("target", "view"), [("/", "/"), ("/trash", "/trash"), ("/docs", "/docs")])
def test_each_view_says_which_one_it_is(browser: FlaskClient, target: str, view: str) -> None:
    page = browser.get(target).text
    assert re.findall(r'<a href="([^"]+)" aria-current="page">\w', page)[0] == view


def test_a_hostile_name_is_text_wherever_it_stands(browser: FlaskClient) -> None:
    put(browser, "%3Cscript%3Ealert(1)%3C%2Fscript%3E/%22%3E%3Cimg%20src=x%20onerror=alert(1)%3E")
    for target in ("/", "/?prefix=%3Cscript%3Ealert(1)%3C%2Fscript%3E/", "/?search=%3Cscript%3E"):
        page = browser.get(target).text
        assert "<script>" not in page
        assert "<img" not in page


def test_pages_of_a_long_listing_keep_the_order_of_the_paths() -> None:
    file = {"file_id": "f" * 32, "content_type": "", "size": 1, "modified_at": "2026-03-01T12:00:00.000Z"}
    listing = {
        "files": [{"path": "p/a", **file}, {"path": "p/z", **file}],
        "prefixes": ["p/m/"],
        "next_cursor": "more",
    }
    assert [row.name for row in folder_rows(listing, "p/")] == ["a", "m", "z"]
    assert [row.name for row in folder_rows({**listing, "next_cursor": None}, "p/")] == ["m", "a", "z"]


@pytest.mark.parametrize(
    ("count", "shown"),
    [
        (0, "0 bytes"),
        (1, "1 byte"),
        (999, "999 bytes"),
        (1000, "1.0 kB"),
        (9949, "9.9 kB"),
        (9950, "10 kB"),
        (999_499, "999 kB"),
        (999_500, "1.0 MB"),
        (2**50, "1.1 PB"),
        (10**19, "10000 PB"),
    ],
)
def test_a_size_in_few_letters(count: int, shown: str) -> None:
    assert show_bytes(count) == shown


@pytest.mark.parametrize(
    ("path", "content_type", "kind"),
    [
        ("a/b.PNG", "application/octet-stream", "image"),
        ("notes", "text/plain; charset=utf-8", "text"),
        ("film.mp4", "", "video"),
        ("x.pdf", "text/html", "pdf"),
        ("a.d/plain", "", "file"),
        ("x.unknown", "image/x-raw", "image"),
        ("x", "application/zip", "file"),
    ],
)
def test_what_a_file_is(path: str, content_type: str, kind: str) -> None:
    assert kind_of(path, content_type) == kind


def test_the_way_to_a_folder_has_a_link_for_each_step() -> None:
    assert crumbs("a b/c&d/") == [("a b", "/?prefix=a+b%2F"), ("c&d", "/?prefix=a+b%2Fc%26d%2F")]
    assert crumbs("") == []
