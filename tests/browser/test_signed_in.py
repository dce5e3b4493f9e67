"""Where keys are needed, the pages ask for one, and lead to where one wanted to go."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.axe import assert_accessible, violations
from tests.browser.conftest import OpenPage, wait_for_script
from tests.browser.manager import Manager, address_of
from tests.browser.watch import Watch
from tests.support.client import GatewayClient
from tests.support.cluster import TestCluster

KEY = "the key of the one who runs this cluster"


@pytest.fixture(scope="module")
def locked(shared_cluster: TestCluster) -> Iterator[GatewayClient]:
    """While the gateway knows a key, so that it takes nobody without one."""
    shared_cluster.kill("gateway")
    shared_cluster.restart("gateway", variables={"DFS_GATEWAY_API_KEY": KEY})
    yield GatewayClient(shared_cluster.base_url, {"Authorization": f"Bearer {KEY}"})
    shared_cluster.kill("gateway")
    shared_cluster.restart("gateway")


@pytest.fixture
def reader(locked: GatewayClient) -> Iterator[str]:
    """A key that may only read, and only below `shared/`."""
    made = locked.call("POST", "/keys", json={"name": "reader", "rights": ["read"], "prefix": "shared/"}).json()
    yield made["key"]
    locked.call("DELETE", f"/keys/{made['key_id']}")


def test_who_may_only_read_is_offered_nothing_else(open_page: OpenPage, locked: GatewayClient, reader: str) -> None:
    locked.stored("shared/plan.txt", b"x")
    locked.stored("shared/gone.txt", b"x")
    locked.call("DELETE", "/fs/shared/gone.txt")
    page = open_page("/")
    sign_in(page, reader)
    manager = Manager(page)
    manager.expect_names("plan.txt")
    expect(page.get_by_role("link", name="Cluster")).to_have_count(0)
    expect(page.get_by_role("button", name=re.compile("Upload|New folder"))).to_have_count(0)
    manager.select("plan.txt")
    bar = page.get_by_role("toolbar", name="What to do with the selected entries")
    expect(bar.get_by_role("button")).to_have_text(["Download", "Details", "Clear"])
    for key in ("F2", "Delete"):
        page.keyboard.press(key)
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert_accessible(page)
    bar.get_by_role("button", name="Details").click()
    expect(page.get_by_role("dialog").get_by_role("button", name=re.compile("Rename|Move|Delete"))).to_have_count(0)
    page.keyboard.press("Escape")
    page.get_by_role("link", name="Trash").click()
    wait_for_script(page)
    manager.expect_names("shared/gone.txt")
    expect(page.get_by_role("button", name=re.compile("Restore|Empty"))).to_have_count(0)
    assert violations(page) == []
    assert locked.paths("shared/") == ["shared/plan.txt"]


def test_a_key_opens_the_pages_until_one_signs_out(open_page: OpenPage, locked: GatewayClient, watch: Watch) -> None:
    locked.stored("secret/plan.txt", b"x")
    page = open_page(address_of("secret/"))
    expect(page).to_have_url(re.compile("/sign-in"))
    with watch.while_broken():
        page.get_by_label("API key").fill("a guess")
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("alert")).to_be_visible()
    sign_in(page, KEY)
    manager = Manager(page)
    manager.expect_names("plan.txt")
    manager.select("plan.txt")
    manager.act("Rename")
    manager.answer("changed.txt", "Rename")
    manager.expect_names("changed.txt")
    page.get_by_role("button", name="Sign out").click()
    expect(page).to_have_url(re.compile("/sign-in"))
    with watch.while_broken():
        page.go_back()
        expect(page).to_have_url(re.compile("/sign-in"))


def test_an_upload_after_the_session_ended_says_so_and_goes_on_with_the_next(
    open_page: OpenPage, locked: GatewayClient, watch: Watch, tmp_path: Path
) -> None:
    file = tmp_path / "late.txt"
    file.write_text("late")
    page = open_page("/")
    sign_in(page, KEY)
    other = page.context.new_page()
    other.goto("/")
    other.get_by_role("button", name="Sign out").click()
    with watch.while_broken():
        page.locator("#input-files").set_input_files(file)
        expect(page.get_by_text("You are signed out. Sign in in another tab, then retry.")).to_be_visible()
    sign_in(other, KEY)
    page.get_by_role("button", name="Retry late.txt").click()
    expect(page.get_by_text("1 of 1 file stored")).to_be_visible()
    assert locked.get("late.txt").content == b"late"
    page.context.clear_cookies()
    with watch.while_broken():
        page.get_by_role("button", name="Size").click()
        expect(page).to_have_url(re.compile("/sign-in"))


def sign_in(page: Page, key: str) -> None:
    page.get_by_label("API key").fill(key)
    page.get_by_role("button", name="Sign in").click()
    wait_for_script(page)
