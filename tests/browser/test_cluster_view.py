"""The picture of the cluster, which follows what happens to it."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.axe import assert_accessible
from tests.browser.conftest import OpenPage
from tests.browser.watch import Watch
from tests.support.client import GatewayClient, some_bytes
from tests.support.cluster import MIB, TestCluster

# Chunks are copied with the rest of the machine's time.
HEALED_MS = 60_000


@pytest.fixture
def view(open_page: OpenPage, client: GatewayClient) -> Page:
    """Of a cluster that holds something."""
    client.stored("seen/some.bin", some_bytes(5 * MIB))
    page = open_page("/cluster-view")
    expect(page.locator("#freshness")).not_to_have_text("As of now")
    return page


def worker(page: Page, worker_id: str) -> Locator:
    return page.locator(f"#workers tr[data-key={worker_id}]")


def expect_state(page: Page, worker_id: str, word: str) -> None:
    expect(worker(page, worker_id).locator("[data-cell=state]")).to_have_text(word, timeout=HEALED_MS)


def test_it_shows_a_worker_die_its_chunks_made_again_and_its_return(
    view: Page, client: GatewayClient, cluster: TestCluster, watch: Watch
) -> None:
    owed = view.locator("#numbers [data-cell=owed]")
    copied = view.locator("[data-chart=owed] .lines svg")
    expect(owed).to_have_text("0 replicas")
    expect(view.locator("#summary")).to_have_class(re.compile("good"))
    with watch.while_broken():
        cluster.kill("worker_3")
        expect_state(view, "worker_3", "Lost")
        expect(view.locator("#summary")).not_to_have_class(re.compile("good"))
        assert_accessible(view)
        assert client.get("seen/some.bin").content == some_bytes(5 * MIB)
        expect(owed).to_have_text("0 replicas", timeout=HEALED_MS)
        expect(copied).to_be_visible()
        cluster.restart("worker_3")
        expect_state(view, "worker_3", "Alive")
    expect(view.locator("#summary")).to_have_class(re.compile("good"))


def test_a_worker_is_drained_and_taken_back_by_button(view: Page) -> None:
    row = worker(view, "worker_2")
    row.get_by_role("button", name="Drain worker_2").click()
    dialog = view.get_by_role("dialog", name="Drain worker_2?")
    assert_accessible(view)
    dialog.get_by_role("button", name="Drain worker_2").click()
    # Copies of what was stored a moment ago are freed after a minute: it is not empty at once.
    expect_state(view, "worker_2", "Draining")
    expect(row).to_contain_text(re.compile(r"\d+ chunks? left"))
    row.get_by_role("button", name="Take back worker_2").click()
    view.get_by_role("dialog").get_by_role("button", name="Take worker_2 back").click()
    expect_state(view, "worker_2", "Alive")


def test_the_charts_can_be_read_as_tables_and_the_updates_stopped(view: Page) -> None:
    view.locator("[data-chart=capacity] summary").click()
    expect(view.get_by_role("region", name="Used of each worker's capacity, as a table")).to_contain_text("worker_5")
    assert_accessible(view)
    view.get_by_role("button", name="Pause updates").click()
    expect(view.locator("#freshness")).to_contain_text("aused")
