"""The file manager and the trash, used with a mouse."""

from __future__ import annotations

import io
import re
import zipfile
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import WIDE_FOLDER, OpenPage, wait_for_script
from tests.browser.manager import Manager, address_of
from tests.support.client import GatewayClient, sha256, some_bytes
from tests.support.cluster import KIB, TestCluster
from tests.support.ring import another_gateway


def test_a_file_is_renamed_and_the_renaming_undone(open_page: OpenPage, client: GatewayClient) -> None:
    client.stored("renamed/old.txt", b"x")
    manager = Manager(open_page(address_of("renamed/")))
    manager.select("old.txt")
    manager.act("Rename")
    manager.answer("new.txt", "Rename")
    manager.expect_names("new.txt")
    assert client.paths("renamed/") == ["renamed/new.txt"]
    manager.undo()
    manager.expect_names("old.txt")
    assert client.paths("renamed/") == ["renamed/old.txt"]


def test_a_name_that_cannot_be_is_explained_and_one_that_is_taken_asked_about(
    open_page: OpenPage, client: GatewayClient
) -> None:
    client.stored("taken/a.txt", b"a")
    client.stored("taken/b.txt", b"b")
    manager = Manager(open_page(address_of("taken/")))
    manager.select("a.txt")
    manager.act("Rename")
    manager.answer("a/b", "Rename")
    expect(manager.dialog.get_by_role("alert")).to_have_text("A name cannot contain a slash.")
    manager.answer("b.txt", "Rename")
    expect(manager.dialog).to_contain_text("already a file")
    manager.press("Keep both")
    manager.expect_names("b (1).txt", "b.txt")
    assert (client.get("taken/b.txt").content, client.get("taken/b (1).txt").content) == (b"b", b"a")


def test_beside_a_name_of_the_greatest_length_both_are_kept(open_page: OpenPage, client: GatewayClient) -> None:
    name, kept = "x" * 251 + ".txt", "x" * 247 + " (1).txt"
    client.stored(f"long/{name}", b"old")
    client.stored(f"long/below/{name}", b"new")
    manager = Manager(open_page(address_of("long/below/")))
    manager.select(name)
    manager.act("Move")
    manager.press("Up")
    manager.press("Move here")
    manager.press("Keep both")
    manager.expect_note("1 file moved")
    assert [client.get(f"long/{each}").content for each in (name, kept)] == [b"old", b"new"]


def test_a_folder_that_gets_the_name_of_another_is_merged_with_it_only_where_that_is_meant(
    open_page: OpenPage, client: GatewayClient
) -> None:
    for path in ("one/a", "one/b", "other/a"):
        client.stored(f"merged/{path}", path.encode())
    before = ["merged/one/a", "merged/one/b", "merged/other/a"]
    manager = Manager(open_page(address_of("merged/")))
    manager.select("one")
    manager.act("Rename")
    manager.answer("other", "Rename")
    expect(manager.dialog).to_contain_text("Merge with the folder “other”?")
    manager.press("Cancel")
    assert client.paths("merged/") == before
    manager.act("Rename")
    manager.answer("other", "Rename")
    manager.press("Merge")
    manager.press("Skip")
    manager.expect_note("1 file moved to “other”.")
    assert client.paths("merged/") == ["merged/one/a", "merged/other/a", "merged/other/b"]
    manager.undo()
    manager.expect_note("moved back")
    assert client.paths("merged/") == before


def test_a_folder_is_made_and_files_are_moved_into_it(open_page: OpenPage, client: GatewayClient) -> None:
    for name in ("one", "two", "three"):
        client.stored(f"moved/{name}", name.encode())
    page = open_page(address_of("moved/"))
    manager = Manager(page)
    page.get_by_role("button", name="New folder").click()
    manager.answer("inner", "Make folder")
    manager.expect_names("inner", "one", "three", "two")
    manager.select("one", "two")
    manager.act("Move")
    manager.press("inner")
    manager.press("Move here")
    manager.expect_names("inner", "three")
    assert client.paths("moved/") == ["moved/inner/", "moved/inner/one", "moved/inner/two", "moved/three"]
    manager.undo()
    manager.expect_names("inner", "one", "three", "two")


def test_what_is_deleted_comes_back_by_undo_and_from_the_trash(open_page: OpenPage, client: GatewayClient) -> None:
    for name in ("kept", "undone", "restored", "freed"):
        client.stored(f"bin/{name}.txt", name.encode())
    page = open_page(address_of("bin/"))
    manager = Manager(page)
    manager.select("undone.txt")
    manager.act("Delete")
    manager.expect_names("freed.txt", "kept.txt", "restored.txt")
    manager.undo()
    manager.expect_names("freed.txt", "kept.txt", "restored.txt", "undone.txt")
    manager.select("freed.txt", "restored.txt")
    manager.act("Delete")
    manager.expect_names("kept.txt", "undone.txt")

    page.get_by_role("navigation", name="Views").get_by_role("link", name="Trash").click()
    expect(page).to_have_url(re.compile("/trash$"))
    wait_for_script(page)
    manager.trashed("restored.txt").get_by_role("button", name=re.compile("Restore")).click()
    expect(manager.trashed("restored.txt")).to_have_count(0)
    assert client.get("bin/restored.txt").content == b"restored"
    page.get_by_role("button", name="Empty the trash").click()
    manager.press("Empty the trash")
    expect(page.get_by_role("heading", name="The trash is empty")).to_be_visible()
    assert client.call("GET", "/files?status=deleted").json()["files"] == []
    assert client.paths("bin/") == ["bin/kept.txt", "bin/restored.txt", "bin/undone.txt"]


def test_several_entries_come_as_one_zip(open_page: OpenPage, client: GatewayClient) -> None:
    files = {"zipped/a.txt": b"a" * 300_000, "zipped/folder/ünï 名.bin": bytes(range(256)) * 999, "zipped/c": b""}
    for path, content in files.items():
        client.stored(path, content)
    client.stored("zipped/not-this", b"x")
    page = open_page(address_of("zipped/"))
    manager = Manager(page)
    manager.select("a.txt", "folder", "c")
    with page.expect_download() as download:
        manager.act("Download")
    archive = zipfile.ZipFile(io.BytesIO(Path(download.value.path()).read_bytes()))
    assert archive.testzip() is None
    contents = {f"zipped/{name}": archive.read(name) for name in archive.namelist() if not name.endswith("/")}
    assert contents == files


def test_details_tell_checksum_versions_and_where_the_chunks_are(open_page: OpenPage, client: GatewayClient) -> None:
    client.stored("told/file.txt", b"the first")
    file = client.stored("told/file.txt", b"the second")
    manager = Manager(open_page(address_of("told/")))
    panel = manager.details("file.txt")
    expect(panel.get_by_text(file["checksum"]["value"], exact=True)).to_be_visible()
    panel.get_by_role("button", name=re.compile("where its chunks are")).click()
    expect(panel.get_by_label("Chunks").get_by_text(re.compile(r"^worker_\d$"))).to_have_count(3)
    panel.get_by_role("button", name="Restore version 1").click()
    manager.expect_note("Version 1 is current again")
    assert client.get("told/file.txt").content == b"the first"


def test_a_checksum_that_nobody_made_is_made_at_a_click(
    open_page: OpenPage, client: GatewayClient, cluster: TestCluster
) -> None:
    content = some_bytes(3 * 256 * KIB, "unsummed")
    with another_gateway(cluster.config, "gateway_2", file_checksum="none") as unsumming:
        stored = unsumming.client.put("/fs/unsummed/file.bin", data=content)
        assert (stored.status_code, stored.json["checksum"]) == (201, None)
    manager = Manager(open_page(address_of("unsummed/")))
    panel = manager.details("file.bin")
    expect(panel.get_by_label("Checksum", exact=True)).to_contain_text("None was made")
    panel.get_by_role("button", name="Compute").click()
    expect(panel.get_by_text(sha256(content), exact=True)).to_be_visible()
    expect(panel.get_by_role("button", name="Copy checksum")).to_be_focused()
    assert client.info(stored.json["file_id"])["checksum"]["value"] == sha256(content)


def test_among_a_hundred_thousand_entries_one_scrolls_and_searches_at_once(open_page: OpenPage) -> None:
    page = open_page(address_of(WIDE_FOLDER))
    manager = Manager(page)
    expect(manager.row("file-000000.txt")).to_be_visible()
    page.mouse.wheel(0, 20_000)
    expect(manager.row("file-000450.txt")).to_be_attached()
    assert page.locator("#rows tr").count() < 200
    page.get_by_role("searchbox").fill("file-09876")
    expect(manager.row("file-098765.txt")).to_be_visible()
    expect(page.locator("#list-status")).to_have_text("10 entries")
    manager.row("file-098760.txt").focus()
    page.keyboard.press("End")
    expect(manager.row("file-098769.txt")).to_be_focused()
    page.get_by_role("searchbox").fill("")
    expect(manager.row("file-000000.txt")).to_be_visible()


@pytest.mark.parametrize("width", [360, 800])
def test_on_a_narrow_screen_the_rows_of_a_long_list_are_as_wide_as_the_list(open_page: OpenPage, width: int) -> None:
    page = open_page(address_of(WIDE_FOLDER), viewport={"width": width, "height": 600})
    expect(page.locator("#rows tr").last).to_have_class("spacer")
    end = "(element) => element.getBoundingClientRect().right"
    end_of_row = page.locator("#rows tr").first.locator("td").last.evaluate(end)
    assert end_of_row == pytest.approx(page.locator("#list").evaluate(end), abs=1)


def test_the_list_is_sorted_by_its_headings(open_page: OpenPage, client: GatewayClient) -> None:
    for name, size in (("a", 30), ("b", 10), ("c", 20)):
        client.stored(f"sorted/{name}", b"x" * size)
    page = open_page(address_of("sorted/"))
    manager = Manager(page)
    page.get_by_role("button", name="Size").click()
    manager.expect_names("b", "c", "a")
    expect(page.get_by_role("columnheader", name="Size")).to_have_attribute("aria-sort", "ascending")
    page.get_by_role("button", name="Size").click()
    manager.expect_names("a", "c", "b")
    page.go_back()
    manager.expect_names("b", "c", "a")
