"""Lists that are longer than what is read of them: their far end, what is between, and what came with the page."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qs, urlsplit

from playwright.sync_api import Page, Request, expect

from tests.browser.conftest import WIDE_COUNT, WIDE_FOLDER, OpenPage
from tests.browser.manager import Manager, address_of
from tests.support.client import GatewayClient

LAST = f"file-{WIDE_COUNT - 1:06d}.txt"
# The numbers in the names of the rows in view, from top to bottom; -1 where one is still to come.
IN_VIEW = """() => [...document.querySelectorAll("#rows tr:not(.spacer)")]
  .filter((row) => row.getBoundingClientRect().bottom > 60 && row.getBoundingClientRect().top < innerHeight)
  .map((row) => Number(/-([0-9]{6})/.exec(row.textContent)?.[1] ?? -1))"""
# Looks here and there in a list of which the beginning is known, until all of it was read; then once more at all of it.
# What it looked at stays where it is told that it moved to.
WALK = """async (query) => {
  const { Pages } = await import("/static/js/files/pages.js");
  let state = 2;
  const random = () => (state = (state * 1103515245 + 12345) % 2147483648) / 2147483648;
  const pages = new Pages(query);
  await pages.want(0, 0);
  let mark = { index: 7, path: pages.at(7).path };
  const lost = [];
  pages.onmove = (from, by) => { if (mark.index >= from) mark.index += by; };
  for (let turn = 0; !pages.isComplete && turn < 200; turn += 1) {
    const side = random();
    const first = side < .3 ? pages.length - 1 : side < .4 ? 0 : Math.floor(random() * pages.length);
    await pages.want(first, Math.min(first + 20, pages.length - 1));
    const seen = pages.at(mark.index);
    if (seen !== null && seen.path !== mark.path) lost.push([turn, mark, seen.path]);
    const index = Math.min(first, pages.length - 1);
    if (pages.at(index) !== null) mark = { index, path: pages.at(index).path };
  }
  const found = [];
  for (let index = 0; index < pages.length; index += 1) {
    while (pages.at(index) === null && (await pages.want(index, index)));
    found.push(pages.at(index).path);
  }
  window.pages = pages;
  return { found, lost, total: pages.total, isComplete: pages.isComplete };
}"""
# Looks again at these rows, and says what is in memory near them.
AGAIN = """async (rows) => {
  const near = [];
  pages.refresh();
  for (const row of rows) {
    while (await pages.want(row, row));
    near.push([0, 1, 2, 3, 4].map((step) => pages.at(row + step).path));
  }
  return { near, total: pages.total };
}"""


def listings_of(page: Page) -> list[dict[str, list[str]]]:
    """The parameters of each listing that the page asks for from now on."""
    asked: list[dict[str, list[str]]] = []

    def note(request: Request) -> None:
        if urlsplit(request.url).path == "/files":
            asked.append(parse_qs(urlsplit(request.url).query))

    page.on("request", note)
    return asked


def test_the_end_key_shows_the_end_of_a_hundred_thousand_entries_at_once(open_page: OpenPage) -> None:
    page = open_page(address_of(WIDE_FOLDER))
    manager = Manager(page)
    manager.row("file-000003.txt").focus()
    asked = listings_of(page)
    page.keyboard.press("End")
    expect(manager.row(LAST)).to_be_focused()
    expect(manager.row(LAST)).to_be_in_viewport()
    assert len(asked) <= 2
    for _ in range(3):
        page.keyboard.press("PageUp")
    page.keyboard.press("ArrowUp")
    focused = manager.list.locator("tr:focus")
    before = int(re.findall(r"-(\d{6})", focused.inner_text())[0])
    page.keyboard.press("ArrowUp")
    expect(manager.row(f"file-{before - 1:06d}.txt")).to_be_focused()
    page.keyboard.press("Home")
    expect(manager.row("file-000000.txt")).to_be_focused()
    assert len(asked) <= 3


def test_who_scrolls_up_from_the_end_meets_every_entry_where_it_was(open_page: OpenPage) -> None:
    page = open_page(address_of(WIDE_FOLDER))
    expect(page.locator("#list-status")).to_contain_text("More than")
    asked = listings_of(page)
    page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
    expect(Manager(page).row(LAST)).to_be_in_viewport()
    assert len(asked) <= 2
    top = WIDE_COUNT
    for _ in range(8):
        page.mouse.move(400, 400)
        page.mouse.wheel(0, -6000)
        expect(page.locator("#rows .waiting")).to_have_count(0)
        page.wait_for_timeout(50)
        seen = page.evaluate(IN_VIEW)
        assert seen == list(range(seen[0], seen[0] + len(seen)))
        assert top - 400 < seen[0] < top
        top = seen[0]
    assert {*range(1, len(asked))} <= {number for number, one in enumerate(asked) if one.get("order") == ["desc"]}


def test_a_list_that_is_read_here_and_there_is_whole_in_the_end(open_page: OpenPage, client: GatewayClient) -> None:
    page = open_page("/sign-in")
    names = [f"{WIDE_FOLDER}file-{number:06d}.txt" for number in range(40_000, 50_000)]
    walked: dict[str, Any] = page.evaluate(WALK, {"prefix": WIDE_FOLDER, "search": "file-04"})
    assert walked["found"] == names
    assert (walked["lost"], walked["total"], walked["isComplete"]) == ([], len(names), True)
    # The first of them are more than their page has room for.
    added = [f"{WIDE_FOLDER}file-04{number}{letter}.txt" for number in ("0002", "4999") for letter in "abc"]
    made = [client.stored(path, b"")["file_id"] for path in added]
    try:
        again = page.evaluate(AGAIN, [2, 5002])
        everything = sorted([*names, *added])
        assert again == {"near": [everything[2:7], everything[5002:5007]], "total": len(everything)}
    finally:
        for file_id in made:
            client.delete(file_id, permanent=True)


def test_rows_that_came_with_the_page_are_live_before_any_listing(open_page: OpenPage) -> None:
    page = open_page("/sign-in")
    page.route("**/files?*", lambda _: None)
    page.goto(address_of(WIDE_FOLDER))
    manager = Manager(page)
    manager.details("file-000004.txt")
    page.keyboard.press("Escape")
    manager.select("file-000002.txt", "file-000005.txt")
    expect(page.get_by_text("2 entries selected")).to_be_visible()
    page.unroute_all(behavior="ignoreErrors")


def test_a_box_that_is_checked_before_the_script_is_there_counts(open_page: OpenPage, client: GatewayClient) -> None:
    for name in ("a", "b", "inner/c"):
        client.stored(f"early/{name}", b"x")
    page = open_page("/sign-in")
    held: list[Any] = []
    page.route("**/files/main.js", lambda route: held.append(route))
    page.goto(address_of("early/"), wait_until="commit")
    page.get_by_role("checkbox", name="b", exact=True).check()
    while not held:
        page.wait_for_timeout(10)
    held[0].continue_()
    expect(page.get_by_text("1 entry selected")).to_be_visible()
    expect(Manager(page).row("b")).to_have_attribute("aria-selected", "true")
