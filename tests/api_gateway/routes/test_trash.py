"""`POST /trash/empty`: what is in the trash goes for good, a part at a time, and nothing else."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient

from api_gateway.routes.shown import left_text
from common.settings import MasterSettings


def fill(browser: FlaskClient, *paths: str) -> None:
    for path in paths:
        file = browser.put(f"/fs/{path}", data=b"x").json
        assert browser.delete(f"/files/{file['file_id']}").status_code == 200


def trash(browser: FlaskClient, prefix: str = "") -> list[str]:
    return [file["path"] for file in browser.get(f"/files?status=deleted&prefix={prefix}").json["files"]]


def test_what_is_below_the_prefix_goes_and_the_rest_stays(browser: FlaskClient) -> None:
    fill(browser, "bin/a", "bin/a", "bin/b/c", "binary", "other")
    browser.put("/fs/bin/kept", data=b"y")
    answer = browser.post("/trash/empty", json={"prefix": "bin/"})
    assert (answer.status_code, answer.json) == (200, {"deleted": 3, "more": False})
    assert {"binary", "other"} <= set(trash(browser))
    assert trash(browser, "bin/") == []
    assert browser.get("/fs/bin/kept").data == b"y"
    assert browser.post("/trash/empty", json={"prefix": "bin/"}).json["deleted"] == 0


def test_without_a_prefix_and_for_a_form_all_of_it_goes(browser: FlaskClient) -> None:
    fill(browser, "one", "two/three")
    assert browser.post("/trash/empty").json["more"] is False
    assert trash(browser) == []
    fill(browser, "four")
    answer = browser.post("/trash/empty", headers={"Accept": "text/html"}, data={"x": "y"})
    assert (answer.status_code, answer.headers["Location"]) == (303, "/trash")
    assert trash(browser) == []


def test_the_listing_says_how_long_what_is_in_it_can_be_restored(browser: FlaskClient) -> None:
    fill(browser, "ends/a")
    listing = browser.get("/files?status=deleted&prefix=ends/").json
    assert listing["retention_seconds"] == MasterSettings().trash_retention_seconds
    (file,) = listing["files"]
    assert listing["retention_seconds"] - 60 < file["expires_in_seconds"] <= listing["retention_seconds"]
    browser.put("/fs/ends/b", data=b"x")
    active = browser.get("/files?prefix=ends/").json
    assert "retention_seconds" not in active
    assert "expires_in_seconds" not in active["files"][0]


def test_the_page_says_when_the_trash_is_emptied_and_when_each_file_goes(browser: FlaskClient) -> None:
    fill(browser, "goes/a")
    page = browser.get("/trash?prefix=goes/").text
    assert "can be restored for 24 hours" in page
    assert page.count("<td>in 24 hours<td>") == 1
    assert "goes in 24 hours" in page


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (None, ""),
        (0, "now"),
        (1, "in 1 minute"),
        (5400, "in 90 minutes"),
        (5401, "in 2 hours"),
        (86400, "in 24 hours"),
        (129_601, "in 2 days"),
        (604_800, "in 7 days"),
        (10**9, "in 11,575 days"),
    ],
)
def test_what_is_left_in_one_unit(seconds: float | None, shown: str) -> None:
    assert left_text(seconds) == shown
