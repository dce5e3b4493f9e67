"""`/static`: what lies in its folder, with the right types, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
from flask.testing import FlaskClient

from api_gateway.routes.static_files import FOLDER, TYPES, read_static


def test_every_file_of_the_folder_is_served_as_what_it_is(browser: FlaskClient) -> None:
    names = [path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*") if path.is_file()]
    assert names
    for name in names:
        answer = browser.get(f"/static/{name}")
        assert (answer.status_code, answer.data) == (200, (FOLDER / name).read_bytes())
        assert answer.headers["Content-Type"] == TYPES[Path(name).suffix]
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_a_second_visit_costs_no_content(browser: FlaskClient) -> None:
    first = browser.get("/static/css/base.css")
    assert first.headers["Cache-Control"] == "no-cache"
    tag = first.headers["ETag"]
    for known in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        again = browser.get("/static/css/base.css", headers={"If-None-Match": known})
        assert (again.status_code, again.data, again.headers["ETag"]) == (304, b"", tag)
    assert browser.get("/static/css/base.css", headers={"If-None-Match": '"other"'}).data == first.data


@pytest.mark.parametrize(
    "name",
    [
        "",
        "css",
        "css/",
        "../app.py",
        "%2e%2e/app.py",
        "..%2fapp.py",
        "css/../../app.py",
        "/etc/passwd",
        "css%00",
        "CSS/base.css",
    ],
)
def test_nothing_else_is(browser: FlaskClient, name: str) -> None:
    assert browser.get(f"/static/{name}").status_code == 404


def test_files_of_other_types_are_not_taken_in(tmp_path: Path) -> None:
    for name in ("a.css", "sub/b.js", "page.html", ".hidden", "c.css~", "d.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    assert set(read_static(tmp_path)) == {"a.css", "sub/b.js"}
