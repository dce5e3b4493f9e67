"""Names and contents that somebody stored to do harm: shown and given back as they are, and never run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage
from tests.support.client import GatewayClient

NAMES = [
    "<img src=x onerror=window.harmed=1>.txt",
    "\"><svg onload='window.harmed=1'>.txt",
    "'-alert(1)-'.txt",
    "javascript:window.harmed=1",
    "{{7*7}}${7*7}.txt",
    "photo\u202egpj.exe",
    "line\nbreak\ttab.txt",
    "% # ? & + ;=.txt",
    "  blanks at both ends  ",
    "👩‍👩‍👧‍👦" * 10 + "12345",
    "\u00e9 and e\u0301 名前.txt",
]
HARM = "window.harmed = 1; try { parent.harmed = 1; opener.harmed = 1; top.harmed = 1 } catch { }"
HTML = f"<!doctype html><title>bad</title><script>{HARM}</script><img src=x onerror='{HARM}'><h1>harm</h1>"
SVG = f"<svg xmlns='http://www.w3.org/2000/svg' onload='{HARM}'><script>{HARM}</script></svg>"

FILES = {
    "page.html": ("text/html", HTML),
    "page.xhtml": (
        "application/xhtml+xml",
        f"<html xmlns='http://www.w3.org/1999/xhtml'><script>{HARM}</script></html>",
    ),
    "drawing.svg": ("image/svg+xml", SVG),
    "said-to-be.png": ("image/png", HTML),
    "said-to-be.txt": ("text/plain", HTML),
    "code.js": ("text/javascript", HARM),
    "feed.xml": ("text/xml", f"<x:script xmlns:x='http://www.w3.org/1999/xhtml'>{HARM}</x:script>"),
}


def is_harmed(page: Page) -> bool:
    """Whether any script of a stored file ran in any frame of the page."""
    return any(frame.evaluate("'harmed' in window") for frame in page.frames)


@pytest.mark.parametrize("has_script", [True, False], ids=["with script", "without"])
def test_every_name_is_shown_as_it_is(open_page: OpenPage, client: GatewayClient, has_script: bool) -> None:
    for name in NAMES:
        client.stored(f"hostile names/{name}", name.encode())
    page = open_page("/?prefix=hostile+names%2F", java_script_enabled=has_script)
    shown = page.locator("main").text_content() or ""
    assert [name for name in NAMES if name not in shown] == []
    if has_script:
        assert not is_harmed(page)


def test_the_address_of_a_hostile_file_runs_nothing(open_page: OpenPage, client: GatewayClient) -> None:
    page = open_page("/?prefix=hostile%2F")
    for name, (content_type, text) in FILES.items():
        file = client.stored(f"hostile/{name}", text.encode(), headers={"Content-Type": content_type})
        for address in (f"/files/{file['file_id']}/download", f"/fs/hostile/{name}"):
            with page.expect_download() as download:
                page.evaluate("address => { location.href = address }", address)
            assert Path(download.value.path()).read_bytes() == text.encode()
        expect(page).to_have_url(re.compile("prefix=hostile"))
        assert not is_harmed(page), name


@pytest.mark.parametrize("has_script", [True, False], ids=["with script", "without"])
def test_a_name_that_turns_its_direction_does_not_hide_its_ending(
    open_page: OpenPage, client: GatewayClient, has_script: bool
) -> None:
    client.stored("turned/photo\u202egpj.exe", b"x")
    page = open_page("/?prefix=turned%2F", java_script_enabled=has_script)
    mark = page.locator("#rows .control")
    expect(mark).to_be_visible()
    # What turns the direction does so within the mark alone.
    assert mark.text_content() == "\u202e"
    assert mark.evaluate("(mark) => getComputedStyle(mark).display") == "inline-block"
