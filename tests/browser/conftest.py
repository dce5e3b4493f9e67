"""One chromium and one cluster for all tests of the pages; a fresh context, with nothing remembered, for each test.

A page that logs an error, breaks its security policy, asks another origin or gets no answer fails its test.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from benchmarks.chromium import MISSING, VARIABLE, NoChromium, find_chromium, running_chromium
from benchmarks.wide_folder import fill_folder
from tests.browser.watch import Watch
from tests.support.client import GatewayClient
from tests.support.cluster import KIB, TestCluster

WIDE_FOLDER, WIDE_COUNT = "wide/", 100_000
TIMEOUT_MS = 20_000
ANY_NUMBER = re.compile("[0-9]")
OpenPage = Callable[..., Page]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """They kill what they share, and two browsers on two cores are slower than one: one after the other."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.alone)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    try:
        find_chromium()
    except NoChromium:
        if os.environ.get(VARIABLE):
            raise
        pytest.skip(MISSING)
    expect.set_options(timeout=TIMEOUT_MS)
    with running_chromium() as browser:
        yield browser


@pytest.fixture(scope="session")
def shared_cluster(chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestCluster]:
    """A whole cluster, one folder of which has very many files."""
    settings = {"cluster": {"chunk_size_bytes": 256 * KIB}, "master": {"repair_grace_seconds": 1}}
    cluster = TestCluster(tmp_path_factory.mktemp("browser"), settings=settings)
    fill_folder(cluster.config.sqlite_path(), WIDE_FOLDER, WIDE_COUNT)
    with cluster.running():
        yield cluster


@pytest.fixture
def cluster(shared_cluster: TestCluster) -> Iterator[TestCluster]:
    """The shared cluster, every node of which runs again after the test."""
    yield shared_cluster
    if not all(map(shared_cluster.is_running, [*shared_cluster.masters, *shared_cluster.workers, "gateway"])):
        shared_cluster.restart_ended()


@pytest.fixture
def client(cluster: TestCluster) -> GatewayClient:
    return GatewayClient(cluster.base_url)


@pytest.fixture
def watch(cluster: TestCluster) -> Iterator[Watch]:
    """What went wrong in the test's pages; at the end that must be nothing."""
    watch = Watch(cluster.base_url)
    yield watch
    assert watch.problems == []


@pytest.fixture
def open_page(chromium: Browser, cluster: TestCluster, watch: Watch) -> Iterator[OpenPage]:
    """Opens the page at an address of the gateway, in a context of its own; takes what `new_context` takes."""
    contexts = []

    def open_page(address: str = "/", **options: object) -> Page:
        # Without motion nothing is looked at halfway.
        options = {"reduced_motion": "reduce", "base_url": cluster.base_url, **options}
        context = chromium.new_context(**options)  # type: ignore[arg-type]
        contexts.append(context)
        context.set_default_timeout(TIMEOUT_MS)
        watch.attach(context)
        page = context.new_page()
        page.goto(address)
        if options.get("java_script_enabled", True):
            wait_for_script(page)
        return page

    yield open_page
    for context in contexts:
        watch.take_violations(context)
        context.close()


def wait_for_script(page: Page) -> None:
    """Until the rows that came with the page are the script's, where it is one with a list."""
    if page.locator("#list").count():
        expect(page.locator("#list")).to_have_attribute("aria-rowcount", ANY_NUMBER)
