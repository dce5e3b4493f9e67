"""Where keys are needed, the pages ask for one, and lead to where one wanted to go."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import OpenPage, wait_for_script
from tests.browser.manager import Manager, address_of
from tests.browser.watch import Watch
from tests.support.client import GatewayClient
from tests.support.cluster import TestCluster

KEY = "the key of the one who runs this cluster"


@pytest.fixture
def locked(cluster: TestCluster) -> Iterator[GatewayClient]:
    """While the gateway knows a key, so that it takes nobody without one."""
    cluster.kill("gateway")
    cluster.restart("gateway", variables={"DFS_GATEWAY_API_KEY": KEY})
    yield GatewayClient(cluster.base_url, {"Authorization": f"Bearer {KEY}"})
    cluster.kill("gateway")
    cluster.restart("gateway")


def test_a_key_opens_the_pages_until_one_signs_out(open_page: OpenPage, locked: GatewayClient, watch: Watch) -> None:
    locked.stored("secret/plan.txt", b"x")
    page = open_page(address_of("secret/"))
    expect(page).to_have_url(re.compile("/sign-in"))
    with watch.while_broken():
        page.get_by_label("API key").fill("a guess")
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("alert")).to_be_visible()
    page.get_by_label("API key").fill(KEY)
    page.get_by_role("button", name="Sign in").click()
    wait_for_script(page)
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
