"""axe-core on a page that is open: the rules of WCAG 2.2, levels A and AA, and axe's own best practices."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

from playwright.sync_api import Page, ViewportSize

_SCRIPT = files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8")
# Without axe's frames: a preview's frame is sandboxed, and nothing may run in it.
_RUN = "() => axe.run(document, {iframes: false, resultTypes: ['violations', 'incomplete']})"

PHONE: ViewportSize = {"width": 360, "height": 740}

# What makes a page wider than the window; nothing where it is not.
_SIDEWAYS = """() => document.documentElement.scrollWidth <= innerWidth ? [] :
  [...document.querySelectorAll("body *")].filter((one) => one.getBoundingClientRect().right > innerWidth)
    .map((one) => one.outerHTML.slice(0, 100))"""


def assert_accessible(page: Page) -> None:
    """As it stands now, in both schemes and both widths; left light and wide."""
    wide = page.viewport_size
    assert wide is not None
    for scheme in ("dark", "light"):
        page.emulate_media(color_scheme=scheme)
        assert violations(page) == [], scheme
    page.set_viewport_size(PHONE)
    assert violations(page) == [], "narrow"
    sticking_out = page.evaluate(_SIDEWAYS)
    assert sticking_out == [], f"it scrolls sideways: {sticking_out}"
    page.set_viewport_size(wide)


def violations(page: Page) -> list[str]:
    """What axe-core finds wrong, a line for each element."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(_SCRIPT)
    answer: dict[str, Any] = page.evaluate(_RUN)
    return [
        f"{rule['id']}: {node['html'][:200]} {node['failureSummary']}"
        for rule in answer["violations"]
        for node in rule["nodes"]
    ]
