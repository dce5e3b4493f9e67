"""Uploads by a person: chosen or dropped, stopped by them or by what breaks, and gone on with."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from benchmarks.chromium import Line
from tests.browser.axe import assert_accessible
from tests.browser.conftest import OpenPage, wait_for_script
from tests.browser.manager import Manager, address_of
from tests.browser.sources import choose, drop, sent_from
from tests.browser.watch import Watch
from tests.support.client import GatewayClient, assert_same_bytes, some_bytes
from tests.support.cluster import KIB, MIB, TestCluster

# Large enough to be gone on with after a reload, and slow enough to be met on its way.
LARGE = 6 * MIB + 7
SLOW = 1500 * KIB
PARTLY = re.compile(r"^([1-9]\d) %")


def upload_row(page: Page, name: str) -> Locator:
    return page.locator("#uploads-list li").filter(has_text=name)


def expect_stored(page: Page, count: int) -> None:
    expect(page.locator("#uploads-total")).to_contain_text(f"{count} of {count} file")


def make(folder: Path, contents: dict[str, bytes]) -> list[Path]:
    """Write files below a folder."""
    paths = [folder / name for name in contents]
    for path, content in zip(paths, contents.values(), strict=True):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return paths


def assert_holds(client: GatewayClient, prefix: str, contents: dict[str, bytes]) -> None:
    """Exactly these files are stored below a prefix."""
    assert client.paths(prefix) == sorted(prefix + name for name in contents)
    for name, content in contents.items():
        assert_same_bytes(client.get(prefix + name).content, content)


@pytest.fixture
def large(tmp_path: Path) -> Path:
    (path,) = make(tmp_path, {"large.bin": some_bytes(LARGE)})
    return path


def begin_slowly(page: Page, path: Path) -> Line:
    """An upload of which a part is on its way."""
    line = Line(page)
    line.limit(SLOW)
    choose(page, "Upload files", path)
    expect(upload_row(page, path.name).locator(".upload-status")).to_have_text(PARTLY)
    return line


def test_files_and_a_folder_are_uploaded_by_button(open_page: OpenPage, client: GatewayClient, tmp_path: Path) -> None:
    sizes = {"empty": 0, "one byte": 1, "ünï #?%.txt": 256 * KIB, "a chunk and one.bin": 256 * KIB + 1}
    files = {name: some_bytes(size, name) for name, size in sizes.items()}
    files["larger.bin"] = some_bytes(5 * MIB)
    folder = {f"tree/{name}": name.encode() for name in ("a", "inner/b", "inner/deeper/c 名")}
    page = open_page(address_of("by button/"))
    choose(page, "Upload files", *make(tmp_path, files))
    expect_stored(page, 5)
    make(tmp_path, folder)
    choose(page, "Upload a folder", tmp_path / "tree")
    expect_stored(page, 8)
    expect(Manager(page).row("tree")).to_be_visible()
    expect(Manager(page).row("ünï #?%.txt")).to_be_visible()
    assert_holds(client, "by button/", {**files, **folder})


def test_files_and_a_folder_are_dropped(open_page: OpenPage, client: GatewayClient, tmp_path: Path) -> None:
    contents = {"alone.txt": b"alone", "tree/a": b"a", "tree/inner/b": some_bytes(300 * KIB)}
    make(tmp_path, contents)
    (tmp_path / "tree" / "nothing").mkdir()
    page = open_page(address_of("dropped/"))
    drop(page, tmp_path / "alone.txt", tmp_path / "tree")
    Manager(page).expect_names("tree", "alone.txt")
    expect_stored(page, 4)
    expect(page.locator("#drop-here")).to_be_hidden()
    assert_holds(client, "dropped/", {**contents, "tree/nothing/": b""})


def test_an_upload_is_paused_and_goes_on_where_it_stopped(
    open_page: OpenPage, client: GatewayClient, large: Path
) -> None:
    page = open_page(address_of("paused/"))
    parts = sent_from(page)
    line = begin_slowly(page, large)
    row = upload_row(page, large.name)
    row.get_by_role("button", name="Pause large.bin").click()
    expect(row.locator(".upload-status")).to_contain_text("Paused")
    line.free()
    assert_accessible(page)
    assert client.paths("paused/") == []
    row.get_by_role("button", name="Resume large.bin").click()
    expect_stored(page, 1)
    assert parts[0] == 0
    assert parts[1] > 0
    assert_holds(client, "paused/", {large.name: large.read_bytes()})


def test_an_upload_outlives_the_death_of_the_gateway(
    open_page: OpenPage, client: GatewayClient, cluster: TestCluster, watch: Watch, large: Path
) -> None:
    page = open_page(address_of("outlived/"))
    parts = sent_from(page)
    line = begin_slowly(page, large)
    with watch.while_broken():
        cluster.kill("gateway")
        expect(upload_row(page, large.name)).to_contain_text("trying again")
        line.free()
        cluster.restart("gateway")
        expect_stored(page, 1)
    assert parts[-1] > 0
    Manager(page).expect_names(large.name)
    assert_holds(client, "outlived/", {large.name: large.read_bytes()})


def test_after_a_reload_the_same_file_goes_on_where_it_stopped(
    open_page: OpenPage, client: GatewayClient, large: Path
) -> None:
    page = open_page(address_of("reloaded/"))
    begin_slowly(page, large)
    asked = []
    page.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.accept()))
    page.reload()
    wait_for_script(page)
    assert asked == ["beforeunload"]
    expect(page.get_by_role("heading", name="1 upload was interrupted")).to_be_visible()
    assert_accessible(page)
    parts = sent_from(page)
    choose(page, "Choose the files", large)
    expect_stored(page, 1)
    assert parts[0] > 0
    expect(page.locator("#interrupted")).to_be_hidden()
    assert_holds(client, "reloaded/", {large.name: large.read_bytes()})


def test_a_cancelled_upload_leaves_nothing(open_page: OpenPage, client: GatewayClient, large: Path) -> None:
    page = open_page(address_of("cancelled/"))
    begin_slowly(page, large)
    with page.expect_response(lambda answer: answer.request.method == "DELETE") as answer:
        upload_row(page, large.name).get_by_role("button", name="Cancel large.bin").click()
    assert answer.value.status == 204
    expect(upload_row(page, large.name)).to_contain_text("Cancelled")
    page.reload()
    wait_for_script(page)
    expect(page.locator("#interrupted")).to_be_hidden()
    assert client.paths("cancelled/") == []


def test_a_name_that_is_taken_is_asked_about(open_page: OpenPage, client: GatewayClient, tmp_path: Path) -> None:
    names = ("kept.txt", "replaced.txt", "skipped.txt")
    for name in names:
        client.stored(f"asked/{name}", b"old")
    page = open_page(address_of("asked/"))
    manager = Manager(page)
    paths = make(tmp_path, dict.fromkeys(names, b"new"))
    for path, choice in zip(paths, ("Keep both", "Replace", "Skip"), strict=True):
        choose(page, "Upload files", path)
        expect(manager.dialog).to_contain_text(path.name)
        manager.press(choice)
        expect(manager.dialog).to_have_count(0)
    manager.expect_names("kept (1).txt", "kept.txt", "replaced.txt", "skipped.txt")
    contents = {"kept.txt": b"old", "kept (1).txt": b"new", "replaced.txt": b"new", "skipped.txt": b"old"}
    expect(upload_row(page, "replaced.txt")).to_contain_text("Stored")
    assert_holds(client, "asked/", contents)
    assert client.listing(prefix="asked/replaced.txt")["files"][0]["version"] == 2


def test_one_answer_counts_for_all_that_were_given_at_once(
    open_page: OpenPage, client: GatewayClient, tmp_path: Path
) -> None:
    contents = {f"{number}.txt": b"new" for number in range(8)}
    for name in contents:
        client.stored(f"all at once/{name}", b"old")
    page = open_page(address_of("all at once/"))
    manager = Manager(page)
    choose(page, "Upload files", *make(tmp_path, contents))
    expect(manager.dialog).to_contain_text("Replace the file?")
    assert_accessible(page)
    manager.dialog.get_by_role("checkbox").check()
    manager.press("Replace")
    expect_stored(page, 8)
    assert_holds(client, "all at once/", contents)
