"""What the pages say and keep when something comes between: the network, a dialog, a reload."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import expect

from tests.browser.conftest import OpenPage
from tests.browser.manager import Manager, address_of
from tests.browser.watch import Watch
from tests.support.client import GatewayClient


def test_a_folder_that_cannot_be_read_shows_nothing_of_another_and_comes_with_the_network(
    open_page: OpenPage, client: GatewayClient, watch: Watch
) -> None:
    client.stored("cut off/inner/below.txt", b"x")
    client.stored("cut off/above.txt", b"x")
    page = open_page(address_of("cut off/"))
    manager = Manager(page)
    manager.expect_names("inner", "above.txt")
    with watch.while_broken():
        page.context.set_offline(True)
        manager.row("inner").get_by_role("link").click()
        expect(page.get_by_role("alert")).to_contain_text("does not answer")
        expect(manager.list).to_be_hidden()
        expect(page.get_by_text("No files here yet")).to_be_hidden()
        page.context.set_offline(False)
    manager.expect_names("below.txt")
    expect(page.get_by_role("alert")).to_have_count(0)


def test_notes_can_be_seen_and_dismissed_over_a_dialog_and_stay_when_it_closes(
    open_page: OpenPage, client: GatewayClient
) -> None:
    for content in (b"one", b"two"):
        client.stored("notes/changed.txt", content)
    page = open_page(address_of("notes/"))
    panel = Manager(page).details("changed.txt")
    panel.get_by_role("button", name="Restore version 1").click()
    expect(panel.get_by_text("Version 1 is current again")).to_be_visible()
    panel.get_by_role("button", name="Copy checksum").click()
    panel.get_by_role("button", name="Dismiss").first.click()
    panel.get_by_role("button", name="Close").click()
    expect(page.locator("body > #toasts .toast")).to_have_count(1)


def test_files_whose_upload_had_not_begun_are_known_after_a_reload(
    open_page: OpenPage, client: GatewayClient, tmp_path: Path
) -> None:
    files = [tmp_path / f"{number}.txt" for number in range(9)]
    for file in files:
        file.write_text(file.name)
    page = open_page(address_of("waited/"))
    # What was sent is not answered: six are under way, and the others wait.
    page.route("**/uploads", lambda route: None)
    page.locator("#input-files").set_input_files(files)
    expect(page.get_by_text("0 of 9 files stored")).to_be_visible()
    page.on("dialog", lambda dialog: dialog.accept())
    page.reload()
    expect(page.get_by_role("heading", name="9 uploads were interrupted")).to_be_visible()
    page.unroute("**/uploads")
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Choose the files").click()
    chooser.value.set_files(files)
    expect(page.get_by_text("9 of 9 files stored")).to_be_visible()
    assert len(client.paths("waited/")) == len(files)
    page.reload()
    expect(page.locator("#interrupted")).to_be_hidden()


def test_a_file_that_was_on_its_way_to_two_places_goes_on_to_both(
    open_page: OpenPage, client: GatewayClient, tmp_path: Path
) -> None:
    file = tmp_path / "one.txt"
    file.write_text("one")
    page = open_page(address_of("places/"))
    page.route("**/uploads", lambda route: None)
    page.locator("#input-files").set_input_files(file)
    expect(page.get_by_text("0 of 1 file stored")).to_be_visible()
    page.evaluate("document.body.dataset.prefix = 'places/second/'")
    page.locator("#input-files").set_input_files(file)
    expect(page.get_by_text("0 of 2 files stored")).to_be_visible()
    page.on("dialog", lambda dialog: dialog.accept())
    page.reload()
    expect(page.get_by_role("heading", name="2 uploads were interrupted")).to_be_visible()
    page.unroute("**/uploads")
    page.locator("#input-interrupted").set_input_files(file)
    expect(page.get_by_text("2 of 2 files stored")).to_be_visible()
    assert client.paths("places/") == ["places/one.txt", "places/second/one.txt"]
