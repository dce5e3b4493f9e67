"""Awkward names come back by path, by id and in the listing, with the same bytes; bad ones are refused."""

from __future__ import annotations

import html
import re
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote, unquote

import pytest

from tests.support.client import GatewayClient, assert_problem, file_part, fs, path_part
from tests.support.names import AWKWARD_NAMES

# RFC 6266, section 4.1, with the value of filename* as RFC 8187, section 3.2.1, has it.
_DISPOSITION = re.compile(
    r"""attachment; filename="([ !#-\[\]-~]*)"(?:; filename\*=UTF-8''((?:[A-Za-z0-9!#$&+.^_`|~-]|%[0-9A-F]{2})*))?"""
)


@pytest.fixture(scope="module")
def stored(client: GatewayClient) -> dict[str, str]:
    """Every awkward name, stored by path under names/; name -> file id. The content tells them apart."""

    def store(name: str) -> str:
        answer = client.put(f"names/{name}", _content(name))
        assert answer.status_code == 201, (name, answer.text)
        file = answer.json()
        assert file["path"] == f"names/{name}"
        file_id: str = file["file_id"]
        return file_id

    with ThreadPoolExecutor(4) as pool:
        return dict(zip(AWKWARD_NAMES, pool.map(store, AWKWARD_NAMES), strict=True))


def test_there_are_two_hundred_different_names() -> None:
    assert len(AWKWARD_NAMES) == len(set(AWKWARD_NAMES)) >= 200


def test_every_name_comes_back_by_path(client: GatewayClient, stored: dict[str, str]) -> None:
    def fetch(name: str) -> bytes:
        answer = client.get(f"names/{name}")
        assert answer.status_code == 200, (name, answer.text)
        assert _saved_as(answer.headers["Content-Disposition"]) == name
        return answer.content

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(fetch, stored)) == [_content(name) for name in stored]


def test_every_name_comes_back_by_id(client: GatewayClient, stored: dict[str, str]) -> None:
    def fetch(file_id: str) -> tuple[str, str, bytes]:
        file = client.info(file_id)
        return file["path"], file["file_name"], client.download(file_id).content

    with ThreadPoolExecutor(4) as pool:
        fetched = list(pool.map(fetch, stored.values()))
    assert fetched == [(f"names/{name}", name, _content(name)) for name in stored]


def test_the_listing_has_every_name_once_in_the_order_of_code_points(
    client: GatewayClient, stored: dict[str, str]
) -> None:
    assert client.paths("names/") == sorted(f"names/{name}" for name in stored)


def test_pages_of_seven_hold_the_same_names(client: GatewayClient, stored: dict[str, str]) -> None:
    found: list[str] = []
    cursor = ""
    while True:
        page = client.listing(prefix="names/", delimiter="/", limit=7, **({"cursor": cursor} if cursor else {}))
        found += [file["path"] for file in page["files"]]
        assert page["prefixes"] == []
        if not page["next_cursor"]:
            break
        assert len(page["files"]) == 7
        cursor = page["next_cursor"]
    assert found == sorted(f"names/{name}" for name in stored)


def test_every_name_can_be_listed_by_itself_as_prefix(client: GatewayClient, stored: dict[str, str]) -> None:
    for name in AWKWARD_NAMES[::5]:
        assert f"names/{name}" in client.paths(f"names/{name}")


def test_the_page_shows_every_name_escaped(client: GatewayClient, stored: dict[str, str]) -> None:
    text, link, pages = "", "/?prefix=names%2F", 0
    while link:
        page = client.call("GET", link, headers={"Accept": "text/html"}).text
        text += page
        following = re.search(r'<a href="([^"]*)"[^>]*>Next page</a>', page)
        link = html.unescape(following[1]) if following else ""
        pages += 1
    for file_id in stored.values():
        assert text.count(f'href="/files/{file_id}/download"') == 1
    # What the frame of the page itself brings, and no tag besides.
    empty = client.call("GET", "/?prefix=nothing%2Fhere%2F", headers={"Accept": "text/html"}).text
    for tag in ("<script", "<img", "<iframe", "<h2"):
        assert text.count(tag) == pages * empty.count(tag)


def test_names_of_files_in_forms_come_back(client: GatewayClient) -> None:
    # A browser sends a quote as %22 and leaves a percent sign alone, so %22, %0D and %0A cannot be told apart there.
    names = [
        name
        for name in AWKWARD_NAMES
        if not any(mark in name for mark in ("%22", "%0A", "%0D", "%0d", "%0a", '\\"')) and not name.endswith("\\")
    ]
    assert len(names) > 190
    for start in range(0, len(names), 50):
        batch = names[start : start + 50]
        answer = client.post_form([path_part("forms/"), *(file_part(name, _content("form " + name)) for name in batch)])
        assert answer.status_code == 201, answer.text
        assert [file["file_name"] for file in answer.json()["files"]] == batch
    for name in names[::20]:
        assert client.get(f"forms/{name}").content == _content("form " + name)
    assert client.paths("forms/") == sorted(f"forms/{name}" for name in names)


def test_awkward_names_can_be_renamed_to_and_from(client: GatewayClient) -> None:
    file = client.stored("rename-from/plain", b"content")
    for name in AWKWARD_NAMES[::8]:
        answer = client.call("PATCH", f"/files/{file['file_id']}", json={"path": f"rename-to/{name}"})
        assert answer.status_code == 200, answer.text
        assert client.paths("rename-to/") == [f"rename-to/{name}"]
        assert client.get(f"rename-to/{name}").content == b"content"


def test_an_escaped_slash_separates_segments_and_is_not_taken_for_its_literal(client: GatewayClient) -> None:
    assert client.raw("PUT", "/fs/esc%2Faped", {}, b"slash").status == 201
    assert client.raw("PUT", "/fs/esc%252Faped", {}, b"literal").status == 201
    assert client.paths("esc") == ["esc%2Faped", "esc/aped"]
    assert client.get("esc/aped").content == b"slash"
    assert client.get("esc%2Faped").content == b"literal"
    assert client.raw("GET", "/fs/esc%2Faped").body == b"slash"
    assert client.raw("GET", "/fs/esc%252Faped").body == b"literal"


def test_a_question_mark_that_is_not_escaped_begins_the_query(client: GatewayClient) -> None:
    assert client.raw("PUT", "/fs/query?x=1", {}, b"q").status == 201
    assert client.get("query").content == b"q"


REFUSED = {
    "an empty path": "/fs/",
    "a dot": "/fs/.",
    "two dots": "/fs/..",
    "a dot inside": "/fs/a/./b",
    "two dots inside": "/fs/a/../b",
    "two dots, escaped": "/fs/a/%2e%2e/b",
    "a leading slash": "/fs//a",
    "an empty segment": "/fs/a//b",
    "two slashes at the end": "/fs/a//",
    "a NUL": "/fs/a%00b",
    "bytes that are not UTF-8": "/fs/a%ff",
    "UTF-8 cut short": "/fs/a%e2%82",
    "an overlong slash": "/fs/a%c0%af",
    "a lone surrogate": "/fs/a%ed%a0%80",
    "a segment of 256 bytes": "/fs/" + "s" * 256,
    "a segment of 86 characters of three bytes": "/fs/" + quote("€" * 86),
    "a path of 1025 bytes": "/fs/" + "/".join(["p" * 204] * 5) + "/",
}


@pytest.mark.parametrize("target", REFUSED.values(), ids=REFUSED.keys())
def test_a_path_that_is_not_allowed_is_refused_with_the_reason(client: GatewayClient, target: str) -> None:
    before = client.listing(limit=1000)
    for method, body in (("PUT", b"x"), ("GET", None), ("DELETE", None)):
        assert_problem(client.raw(method, target, {}, body), 400, "invalid_path")
    assert client.listing(limit=1000) == before


@pytest.mark.parametrize("path", ["", "/a", "a//b", "..", "a/../b", "a\0b", "s" * 256, 7, None, "\ud800"])
def test_renaming_to_a_path_that_is_not_allowed_is_refused(client: GatewayClient, path: object) -> None:
    file = client.stored("stays", b"here")
    code = "invalid_path" if isinstance(path, str) else "invalid_request"
    assert_problem(client.call("PATCH", f"/files/{file['file_id']}", json={"path": path}), 400, code)
    assert client.info(file["file_id"])["path"] == "stays"


@pytest.mark.parametrize("name", ["..", ".", "a/../b", "/etc/passwd", "x" * 256, "folder/"])
def test_a_form_with_a_name_that_is_not_allowed_is_refused(client: GatewayClient, name: str) -> None:
    assert_problem(client.post_form([file_part(name, b"x")]), 400, "invalid_path")


def test_the_longest_path_allowed_comes_back(client: GatewayClient) -> None:
    path = "/".join(["l" * 204] * 5)
    assert len(path) == 1024
    file = client.stored(path, b"long")
    assert client.get(path).content == b"long"
    assert client.info(file["file_id"])["path"] == path
    assert fs(path) == "/fs/" + path


def test_composed_and_decomposed_forms_of_one_name_are_two_files(client: GatewayClient, stored: dict[str, str]) -> None:
    composed, decomposed = "Ångström é", unicodedata.normalize("NFD", "Ångström é")
    assert composed != decomposed
    assert stored[composed] != stored[decomposed]


def _content(name: str) -> bytes:
    return f"content of {name!r}".encode()


def _saved_as(disposition: str) -> str:
    """The name under which a client saves the file: filename* before filename (RFC 6266, section 4.3)."""
    match = _DISPOSITION.fullmatch(disposition)
    assert match is not None, disposition
    return match[1] if match[2] is None else unquote(match[2], errors="strict")
