"""axe-core finds nothing on any view, light or dark, wide or as narrow as a phone."""

from __future__ import annotations

import pytest

from tests.browser.axe import PHONE, assert_accessible, violations
from tests.browser.conftest import OpenPage
from tests.browser.watch import Watch
from tests.support.client import GatewayClient

VIEWS = [
    "/",
    "/?prefix=views%2F",
    "/?prefix=views%2F&search=Report",
    "/?prefix=nothing-here%2F",
    "/trash",
    "/sign-in",
]
# A table that is squeezed does not scroll: its words are broken.
_NARROW_CELLS = """() => [...document.querySelectorAll("td")].filter((one) => one.checkVisibility())
  .filter((one) => one.clientWidth < 250 || one.scrollWidth > one.clientWidth)
  .map((one) => one.outerHTML.slice(0, 100))"""


@pytest.fixture
def some_files(client: GatewayClient) -> None:
    if not client.call("GET", "/files?status=deleted&prefix=views/").json()["files"]:
        client.stored("views/gone.txt", b"content")
        client.call("DELETE", "/fs/views/gone.txt")
    for name in ("views/report.pdf", "views/a folder/photo.jpg", "views/" + "long-name-" * 20 + ".txt"):
        client.stored(name, b"content")


@pytest.mark.usefixtures("some_files")
@pytest.mark.parametrize("view", VIEWS)
def test_axe_finds_nothing_on_any_view(open_page: OpenPage, view: str) -> None:
    assert_accessible(open_page(view))


def test_axe_finds_nothing_on_the_description_of_the_rest(open_page: OpenPage) -> None:
    page = open_page("/docs", viewport=PHONE)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], "it scrolls sideways"
    assert page.evaluate(_NARROW_CELLS) == [], "cells too narrow to be read"
    # It is long and repeats itself: its beginning stands for the rest.
    page.evaluate(
        "() => document.querySelectorAll('section:nth-of-type(n+4), li:nth-child(n+4)').forEach(e => e.remove())"
    )
    assert violations(page) == []


def test_axe_finds_nothing_on_an_error(open_page: OpenPage, watch: Watch) -> None:
    with watch.while_broken():
        assert violations(open_page("/?cursor=none", viewport=PHONE)) == []
