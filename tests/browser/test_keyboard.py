"""The main tasks without a mouse; and what a keyboard opens is accessible, too."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

from playwright.sync_api import FileChooser, Page, expect
from playwright.sync_api import TimeoutError as PlaywrightTimeout

from tests.browser.axe import assert_accessible
from tests.browser.conftest import OpenPage
from tests.browser.manager import Manager, address_of
from tests.support.client import GatewayClient


def test_every_task_is_done_by_keys_alone(open_page: OpenPage, client: GatewayClient, tmp_path: Path) -> None:
    for name in ("a.txt", "b.txt", "inner/c.txt"):
        client.stored(f"by keys/{name}", b"x")
    chosen = tmp_path / "new.txt"
    chosen.write_bytes(b"by keys")
    page = open_page(address_of("by keys/"))
    manager = Manager(page)
    press = page.keyboard.press

    press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    press("Enter")
    tab_to(page, "#rows tr")
    expect(manager.row("inner")).to_be_focused()
    press("Enter")
    expect(manager.row("c.txt")).to_be_focused()
    page.go_back()
    expect(manager.row("inner")).to_be_focused()

    press("ArrowDown")
    press("F2")
    expect(manager.dialog).to_be_visible()
    assert_accessible(page)
    page.keyboard.type("renamed")
    press("Enter")
    manager.expect_names("inner", "b.txt", "renamed.txt")
    expect(manager.row("renamed.txt")).to_be_focused()

    press("Delete")
    manager.expect_names("inner", "b.txt")
    tab_to(page, "#toasts .toast:last-child button")
    expect(page.locator("*:focus")).to_have_text("Undo")
    assert_accessible(page)
    press("Enter")
    manager.expect_names("inner", "b.txt", "renamed.txt")

    open_chooser(page).set_files(chosen)
    manager.expect_names("inner", "b.txt", "new.txt", "renamed.txt")
    assert client.get("by keys/new.txt").content == b"by keys"


def test_entries_are_selected_and_moved_by_keys(open_page: OpenPage, client: GatewayClient) -> None:
    for name in ("a", "b", "c", "inner/"):
        client.stored(f"selected/{name}", b"")
    page = open_page(address_of("selected/"))
    manager = Manager(page)
    tab_to(page, "#rows tr")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Space")
    page.keyboard.press("Shift+ArrowDown")
    expect(page.get_by_text("2 entries selected")).to_be_visible()
    tab_to(page, "#act-move", backwards=True)
    page.keyboard.press("Enter")
    expect(manager.dialog.get_by_role("button", name="inner")).to_be_visible()
    assert_accessible(page)
    page.keyboard.press("Escape")
    expect(page.locator("#act-move")).to_be_focused()


def open_chooser(page: Page) -> FileChooser:
    """Go to the upload button and press it.

    The note with Undo has taken the focus with it, so the list takes it, at some moment after it has looked again. Who
    is on the way elsewhere then begins anew.
    """
    for _ in range(3):
        page.keyboard.press("Escape")
        page.keyboard.press("Control+Home")
        tab_to(page, "#choose-files")
        with contextlib.suppress(PlaywrightTimeout), page.expect_file_chooser(timeout=5000) as chooser:
            page.keyboard.press("Enter")
            return chooser.value
    raise AssertionError("the upload button opens no file chooser")


def tab_to(page: Page, selector: str, *, backwards: bool = False) -> None:
    """Press Tab until an element that fits has the focus, which is then to be seen."""
    for _ in range(40):
        page.keyboard.press("Shift+Tab" if backwards else "Tab")
        if page.evaluate("selector => document.activeElement.matches(selector)", selector):
            break
    focused = page.locator("*:focus")
    assert page.evaluate("selector => document.activeElement.matches(selector)", selector), focused.first
    expect(focused).to_be_in_viewport()
    expect(focused).to_have_css("outline-style", re.compile("solid|auto"))
