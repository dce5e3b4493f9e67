"""Every view of the page, with all that it loads: light, from this gateway alone, and free of what could run as script.

What a view loads is found as a browser finds it: by the links of its HTML, the addresses in its CSS, the imports of its
modules.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urljoin

import pytest
from flask.testing import FlaskClient

from api_gateway.openapi.cluster import PAGE_OPERATIONS
from api_gateway.openapi.parts import HTML_PAGE
from api_gateway.routes.page import PAGE_LIMIT
from api_gateway.routes.static_files import FOLDER
from tests.support.ring import SmallRing

MAX_BYTES = 150_000
FOLDER_ON_SHOW = "on show/"
FILE_NAME = "holiday-photo-{:04}.jpg"
TEMPLATES = FOLDER.parent / "templates"
# The API's description is a document to be read, not a view.
VIEWS = sorted(
    {page.rule for page in PAGE_OPERATIONS if 200 in page.replies and HTML_PAGE in page.replies[200].media} - {"/docs"}
    | {"/sign-in"}
)
_HOST = "http://localhost"
_LOADING_RELATIONS = {"stylesheet", "icon", "modulepreload", "preload", "manifest"}
_CSS_ADDRESS = re.compile(r"""(?:url\(\s*["']?|@import\s+["'])([^"')]+)""")
_IMPORT = re.compile(r"""(?:\bfrom\s*|\bimport\s*\(?\s*)["']([^"'\n]+)["']""")
_COMMENT = re.compile(r"/\*.*?\*/|^\s*//.*?$", re.DOTALL | re.MULTILINE)
_FOREIGN = re.compile(r"""https?://(?!www\.w3\.org/|localhost)|["'(]//\w""")
_HTML_MADE_OF_TEXT = re.compile(
    r"innerHTML|outerHTML|insertAdjacentHTML|createContextualFragment|DOMParser|srcdoc|document\.write|javascript:"
    r"|\beval\s*\(|\bnew\s+Function\b|set(?:Timeout|Interval)\(\s*[\"'`]|setAttribute\(\s*[\"'`]on"
)


class Links(HTMLParser):
    """What a page loads and where it leads, and what in it a policy without inline parts would refuse."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.addresses: list[str] = []
        self.inline: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attributes}
        self.inline += [name for name in found if name.startswith("on") or name in ("style", "srcdoc")]
        self.inline += [tag] if tag == "style" or (tag == "script" and "src" not in found) else []
        self.addresses += [found[name] for name in ("href", "src", "action", "formaction", "poster") if name in found]
        loads = tag in ("script", "img", "iframe", "source") or found.get("rel") in _LOADING_RELATIONS
        self.loaded += [found.get("src") or found["href"]] if loads else []


@pytest.fixture(scope="module")
def browser(ring: SmallRing) -> FlaskClient:
    return ring.client


@pytest.fixture(scope="module")
def pages(browser: FlaskClient) -> dict[str, str]:
    """Every view, of a folder and of a trash with more in it than a page shows at first."""
    for number in range(2 * PAGE_LIMIT + 2):
        file = browser.put(f"/fs/{FOLDER_ON_SHOW}{FILE_NAME.format(number)}", data=bytes(2000)).json
        if number % 2:
            assert browser.delete(f"/files/{file['file_id']}").status_code == 200
    texts = {}
    for view in VIEWS:
        answer = browser.get(f"{view}?prefix={FOLDER_ON_SHOW}", headers={"Accept": "text/html"})
        assert (answer.status_code, answer.content_type) == (200, HTML_PAGE), view
        texts[view] = answer.text
    return texts


def loaded_by(browser: FlaskClient, address: str, text: str, content_type: str) -> dict[str, int]:
    """The size of everything that the text loads, and of what that loads, by its address."""
    sizes: dict[str, int] = {}
    waiting = list(addresses_in(text, content_type, address))
    while waiting:
        found = waiting.pop()
        if found in sizes or found.startswith("data:"):
            continue
        assert found.startswith(f"{_HOST}/static/"), f"{found}, loaded by {address}"
        answer = browser.get(found.removeprefix(_HOST))
        assert answer.status_code == 200, found
        sizes[found] = len(answer.data)
        waiting += addresses_in(answer.text, answer.content_type, found)
    return sizes


def addresses_in(text: str, content_type: str, base: str) -> Iterator[str]:
    if content_type.startswith("text/html"):
        found = Links(text).loaded
    elif content_type.startswith("text/css"):
        found = _CSS_ADDRESS.findall(_COMMENT.sub("", text))
    else:
        found = _IMPORT.findall(_COMMENT.sub("", text)) if "javascript" in content_type else []
    return (urljoin(base, one) for one in found)


@pytest.mark.parametrize("view", ["/", "/trash"])
def test_what_is_weighed_has_a_full_page_of_rows(pages: dict[str, str], view: str) -> None:
    assert len(re.findall(r"holiday-photo-\d{4}\.jpg</a>", pages[view])) == PAGE_LIMIT
    assert "Next page" in pages[view]


def test_the_views_are_those_that_the_frame_leads_to(pages: dict[str, str]) -> None:
    links = {address for address in Links(pages["/"]).addresses if address.startswith("/") and "?" not in address}
    assert set(VIEWS) - {"/sign-in"} <= links


@pytest.mark.parametrize("view", VIEWS)
def test_a_view_is_light_with_all_that_it_loads(browser: FlaskClient, pages: dict[str, str], view: str) -> None:
    text = pages[view]
    sizes = loaded_by(browser, f"{_HOST}{view}", text, HTML_PAGE)
    total = len(text.encode()) + sum(sizes.values())
    assert total < MAX_BYTES, (total, len(text), sorted(sizes.items(), key=lambda item: -item[1]))


@pytest.mark.parametrize("view", VIEWS)
def test_a_view_leads_nowhere_else_and_has_nothing_inline(pages: dict[str, str], view: str) -> None:
    links = Links(pages[view])
    assert links.inline == []
    for address in links.addresses:
        assert (
            address.startswith("#") or address == "data:," or urljoin(f"{_HOST}{view}", address).startswith(f"{_HOST}/")
        ), address


def test_every_module_and_sheet_is_loaded_by_some_view(browser: FlaskClient, pages: dict[str, str]) -> None:
    loaded: set[str] = set()
    for view, text in {**pages, "/docs": browser.get("/docs").text}.items():
        loaded |= loaded_by(browser, f"{_HOST}{view}", text, HTML_PAGE).keys()
    there = {f"{_HOST}/static/{path.relative_to(FOLDER).as_posix()}" for path in FOLDER.rglob("*.*")}
    assert there - loaded == set()


@pytest.mark.parametrize("path", sorted(FOLDER.rglob("*.*")), ids=lambda path: path.name)
def test_no_static_file_makes_html_of_text_or_names_another_host(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert _HTML_MADE_OF_TEXT.findall(text) == []
    assert _FOREIGN.findall(text) == []


@pytest.mark.parametrize("path", sorted(TEMPLATES.glob("*.html")), ids=lambda path: path.name)
def test_no_template_has_inline_script_or_passes_text_through_as_html(path: Path) -> None:
    text = re.sub(r"\{#.*?#\}|\{[%{].*?[%}]\}", " ", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert Links(text).inline == []
    assert _FOREIGN.findall(text) == []
    assert re.findall(r"\|\s*safe\b|autoescape", path.read_text(encoding="utf-8")) == []
