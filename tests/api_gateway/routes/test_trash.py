"""`POST /trash/empty`: what is in the trash goes for good, a part at a time, and nothing else."""

from __future__ import annotations

from flask.testing import FlaskClient


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
