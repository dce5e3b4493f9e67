"""`/files/<id>/preview`: bytes to be shown, as a type of ours, in answers that can do nothing else."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

# A file that is a picture, a page and a script at once.
POLYGLOT = b"GIF89a/*<svg onload=alert(1)><script>alert(1)</script>*/=1;alert(1)"


def stored(browser: FlaskClient, content_type: str, name: str = "x", content: bytes = POLYGLOT) -> dict[str, Any]:
    answer = browser.put(f"/fs/preview/{name}", data=content, headers={"Content-Type": content_type})
    assert answer.status_code in (200, 201), answer.json
    file: dict[str, Any] = answer.json
    return file


def policy(text: str) -> dict[str, list[str]]:
    return {part.split()[0]: part.split()[1:] for part in text.split(";")}


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("image/png", "image/png"),
        ("IMAGE/PNG; charset=x", "image/png"),
        ("image/jpg", "image/jpeg"),
        ("image/svg+xml", "image/svg+xml"),
        ("image/svg+xml;charset=utf-8", "image/svg+xml"),
        ("audio/x-wav", "audio/wav"),
        ("video/mp4; codecs=avc1", "video/mp4"),
        ("application/pdf", "application/pdf"),
        ("text/plain", "text/plain; charset=utf-8"),
        ("text/plain; charset=ISO-8859-1", "text/plain; charset=iso-8859-1"),
        ('text/plain; charset="utf-7"', "text/plain; charset=utf-8"),
        ("text/html", "text/plain; charset=utf-8"),
        ("text/html;charset=utf-7", "text/plain; charset=utf-8"),
        ("application/xhtml+xml", "text/plain; charset=utf-8"),
        ("text/xml", "text/plain; charset=utf-8"),
        ("text/javascript", "text/plain; charset=utf-8"),
        ("application/json", "text/plain; charset=utf-8"),
    ],
)
def test_the_type_is_one_of_ours_and_the_answer_cannot_act(browser: FlaskClient, given: str, shown: str) -> None:
    answer = browser.get(f"/files/{stored(browser, given)['file_id']}/preview")
    assert (answer.status_code, answer.data) == (200, POLYGLOT)
    assert answer.headers["Content-Type"] == shown
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert answer.headers["X-Frame-Options"] == "SAMEORIGIN"
    assert answer.headers["Content-Disposition"].startswith("inline;")
    rules = policy(answer.headers["Content-Security-Policy"])
    assert rules["default-src"] == ["'none'"]
    assert rules["frame-ancestors"] == ["'self'"]
    # An empty sandbox takes scripts, forms and the origin itself away; PDF viewers refuse to work in one.
    assert rules.get("sandbox") == (None if shown == "application/pdf" else [])
    assert "script-src" not in rules


@pytest.mark.parametrize(
    "given",
    [
        "application/octet-stream",
        "application/x-shockwave-flash",
        "multipart/x-mixed-replace",
        "message/rfc822",
        "image/tiff",
        "image/png text/html",
        "image/png,text/html",
        "application/zip",
        "not a type",
    ],
)
def test_what_is_not_in_the_table_is_not_shown(browser: FlaskClient, given: str) -> None:
    answer = browser.get(f"/files/{stored(browser, given)['file_id']}/preview")
    assert (answer.status_code, answer.json["code"]) == (415, "no_preview")
    assert POLYGLOT not in answer.data


def test_text_is_known_by_its_name_where_it_has_no_type(browser: FlaskClient) -> None:
    for name, status in (("a.yaml", 200), ("README", 200), (".gitignore", 200), ("a.yaml.bin", 415), ("yaml", 200)):
        file = stored(browser, "application/octet-stream", name)
        assert browser.get(f"/files/{file['file_id']}/preview").status_code == status, name


@pytest.mark.parametrize("given", ["application/octet-stream", "application/x-www-form-urlencoded"])
@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("a.png", "image/png"),
        ("a.mp4", "video/mp4"),
        ("a.pdf", "application/pdf"),
        ("a.svg", "image/svg+xml"),
        ("a.html", "text/plain; charset=utf-8"),
    ],
)
def test_a_file_without_a_type_is_shown_as_its_name_says(
    browser: FlaskClient, given: str, name: str, shown: str
) -> None:
    answer = browser.get(f"/files/{stored(browser, given, name)['file_id']}/preview")
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, shown)


def test_a_hostile_name_stays_within_its_header(browser: FlaskClient) -> None:
    for name in ('"; filename=x.html', "a%0D%0AX-Evil: 1", "<script>.png", "x%22%3Balert(1)"):
        file = stored(browser, "image/png", name)
        answer = browser.get(f"/files/{file['file_id']}/preview")
        assert answer.status_code == 200
        header = answer.headers["Content-Disposition"]
        assert header.partition("*=")[0].count('"') == 2
        assert "X-Evil" not in answer.headers


def test_a_preview_has_ranges_and_conditions(browser: FlaskClient) -> None:
    file = stored(browser, "video/mp4")
    address = f"/files/{file['file_id']}/preview"
    part = browser.get(address, headers={"Range": "bytes=-4"})
    assert (part.status_code, part.data) == (206, POLYGLOT[-4:])
    assert "sandbox" in part.headers["Content-Security-Policy"]
    assert browser.get(address, headers={"If-None-Match": file["etag"]}).status_code == 304
    head = browser.head(address)
    assert (head.headers["Content-Type"], head.headers["Content-Length"]) == ("video/mp4", str(len(POLYGLOT)))


def test_an_old_version_is_shown_and_downloaded_until_it_is_freed(browser: FlaskClient) -> None:
    file = stored(browser, "text/plain", "versions", b"one")
    assert stored(browser, "image/png", "versions", b"number two")["version"] == 2
    for way in ("preview", "download"):
        address = f"/files/{file['file_id']}/{way}"
        first = browser.get(f"{address}?version=1")
        assert (first.data, first.headers["X-DFS-Version"], first.headers["ETag"]) == (b"one", "1", file["etag"])
        assert first.headers["Content-Type"].startswith("text/plain")
        assert browser.get(f"{address}?version=1", headers={"Range": "bytes=1-"}).data == b"ne"
        assert browser.get(f"{address}?version=2").data == browser.get(address).data == b"number two"
        for version, status, code in (("3", 404, "version_not_found"), ("0", 400, "invalid_request")):
            answer = browser.get(f"{address}?version={version}")
            assert (answer.status_code, answer.json["code"]) == (status, code)
    browser.delete(f"/files/{file['file_id']}")
    assert browser.get(f"/files/{file['file_id']}/download?version=1").json["code"] == "file_deleted"
    browser.delete(f"/files/{file['file_id']}?permanent=true")
    assert browser.get(f"/files/{file['file_id']}/download?version=1").json["code"] == "file_not_found"
