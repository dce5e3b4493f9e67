"""Everything that matters works in a browser that runs no script: plain links and forms."""

from __future__ import annotations

import re
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.browser.conftest import WIDE_FOLDER, OpenPage
from tests.support.client import GatewayClient


def test_a_file_is_uploaded_downloaded_and_deleted(open_page: OpenPage, client: GatewayClient, tmp_path: Path) -> None:
    page = open_page("/?prefix=plain%2F", java_script_enabled=False)
    chosen = tmp_path / "notes.txt"
    chosen.write_bytes(b"without a script")
    page.get_by_label(re.compile("^Upload files to")).set_input_files(chosen)
    page.get_by_role("button", name="Upload", exact=True).click()
    expect(page).to_have_url(re.compile(r"/\?prefix=plain%2F$"))
    row = page.get_by_role("row").filter(has_text="notes.txt")
    with page.expect_download() as download:
        row.get_by_role("link", name="notes.txt").click()
    assert Path(download.value.path()).read_bytes() == b"without a script"
    assert download.value.suggested_filename == "notes.txt"
    row.get_by_role("button", name=re.compile("Delete")).click()
    expect(page.get_by_text("notes.txt")).to_have_count(0)
    assert client.paths("plain/") == []


def test_folders_are_walked_down_and_up(open_page: OpenPage, client: GatewayClient) -> None:
    client.stored("walked/inner folder/deep.txt", b"x")
    page = open_page("/?prefix=walked%2F", java_script_enabled=False)
    page.get_by_role("link", name=re.compile("inner folder")).click()
    expect(page.get_by_role("link", name="deep.txt")).to_be_visible()
    page.get_by_role("link", name="walked", exact=True).click()
    expect(page.get_by_role("link", name=re.compile("inner folder"))).to_be_visible()


def test_a_long_list_is_read_page_by_page(open_page: OpenPage) -> None:
    page = open_page(f"/?prefix={WIDE_FOLDER}", java_script_enabled=False)
    first = _names(page)
    page.get_by_role("link", name="Next page").click()
    second = _names(page)
    assert first[0] == "file-000000.txt"
    assert second[0] == f"file-{len(first):06d}.txt"


def _names(page: Page) -> list[str]:
    return page.get_by_role("link", name=re.compile(r"^file-\d{6}\.txt$")).all_inner_texts()
