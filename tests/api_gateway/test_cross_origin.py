"""Pages of other origins: off by default, for configured origins only, only with a key that the page itself shows."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from werkzeug.test import TestResponse

from api_gateway.cross_origin import CrossOrigin
from common.errors import CannotStart
from tests.support.ring import OPERATOR_KEY, SmallRing, small_ring
from tests.support.tus import MEDIA_TYPE, VERSION, encode_metadata

OURS, OTHER = "https://app.example", "https://evil.example"
KEY = {"Authorization": f"Bearer {OPERATOR_KEY}"}
CREATION = {**VERSION, "Upload-Length": "3", "Upload-Metadata": encode_metadata(path="from a page")}
PREFLIGHT = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "tus-resumable"}


@pytest.fixture(scope="module")
def ring(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallRing]:
    home = tmp_path_factory.mktemp("cors")
    with small_ring(home, cors_origins=f"{OURS}, http://localhost:8080") as running:
        yield running


def ask(ring: SmallRing, method: str, target: str, origin: str, headers: dict[str, str]) -> TestResponse:
    site = {"Origin": origin, "Sec-Fetch-Site": "cross-site"}
    return ring.client.open(target, method=method, headers={**site, **headers})


def allowed(answer: TestResponse) -> str | None:
    assert "Access-Control-Allow-Credentials" not in answer.headers
    return answer.headers.get("Access-Control-Allow-Origin")


def test_a_preflight_of_a_known_origin_is_answered_without_a_key(ring: SmallRing) -> None:
    answer = ask(ring, "OPTIONS", "/uploads", OURS, PREFLIGHT)
    assert (answer.status_code, allowed(answer), answer.headers["Vary"]) == (200, OURS, "Origin")
    assert "PATCH" in answer.headers["Access-Control-Allow-Methods"]
    for name in ("Upload-Offset", "Tus-Resumable", "Authorization"):
        assert name in answer.headers["Access-Control-Allow-Headers"]


@pytest.mark.parametrize(
    ("target", "origin"),
    [("/uploads", OTHER), ("/files", OURS), ("/", OURS), ("/uploadsx", OURS), ("/uploads", "null")],
)
def test_other_preflights_get_no_leave(ring: SmallRing, target: str, origin: str) -> None:
    assert allowed(ask(ring, "OPTIONS", target, origin, {**PREFLIGHT, **KEY})) is None


def test_a_page_of_a_known_origin_uploads_with_its_key(ring: SmallRing) -> None:
    created = ask(ring, "POST", "/uploads", OURS, {**KEY, **CREATION})
    assert (created.status_code, allowed(created)) == (201, OURS)
    for name in ("Location", "Upload-Offset", "Tus-Resumable"):
        assert name in created.headers["Access-Control-Expose-Headers"]
    url = created.headers["Location"]
    seen = ask(ring, "HEAD", url, OURS, {**KEY, **VERSION})
    assert (seen.status_code, allowed(seen)) == (200, OURS)
    bytes_of = {**VERSION, "Upload-Offset": "0", "Content-Type": MEDIA_TYPE}
    site = {"Origin": OURS, "Sec-Fetch-Site": "cross-site", **KEY}
    done = ring.client.patch(url, headers={**site, **bytes_of}, data=b"abc")
    assert (done.status_code, allowed(done)) == (204, OURS)
    conflict = ring.client.patch(url, headers={**site, **bytes_of}, data=b"abc")
    assert (conflict.status_code, allowed(conflict)) == (409, OURS)


def test_a_page_learns_that_its_key_is_no_good(ring: SmallRing) -> None:
    for headers in ({}, {"Authorization": "Bearer x"}):
        answer = ask(ring, "POST", "/uploads", OURS, {**headers, **CREATION})
        assert (answer.status_code, allowed(answer)) == (401, OURS)


@pytest.mark.parametrize("origin", [OTHER, "null", "https://app.example.evil.example", "http://app.example"])
def test_a_page_of_another_origin_changes_nothing_even_with_a_key(ring: SmallRing, origin: str) -> None:
    answer = ask(ring, "POST", "/uploads", origin, {**KEY, **CREATION})
    assert (answer.status_code, answer.json["code"], allowed(answer)) == (403, "cross_site_request", None)


def test_a_known_origin_reaches_nothing_but_uploads(ring: SmallRing) -> None:
    answer = ask(ring, "PUT", "/fs/x", OURS, KEY)
    assert (answer.status_code, allowed(answer)) == (403, None)
    assert allowed(ask(ring, "GET", "/files", OURS, KEY)) is None


def test_what_a_browser_sends_by_itself_opens_nothing_to_another_origin(ring: SmallRing) -> None:
    signed_in = ring.client.post("/sign-in", data={"key": OPERATOR_KEY})
    cookie = signed_in.headers["Set-Cookie"].partition(";")[0]
    basic = {"Authorization": "Basic eDp0aGUta2V5LW9mLXRoZS1vcGVyYXRvcg=="}
    for shown in ({"Cookie": cookie}, basic, {"Cookie": cookie, "Authorization": "Bearer x"}):
        answer = ask(ring, "POST", "/uploads", OURS, {**shown, **CREATION})
        assert answer.status_code in (401, 403), shown
        if answer.status_code == 403:
            assert answer.json["code"] == "cross_site_request"
        unseen = ask(ring, "GET", "/uploads/" + "0" * 32, OURS, shown)
        assert allowed(unseen) in (None, OURS if unseen.status_code == 401 else None)


def test_any_origin_means_nothing_while_there_is_no_key(tmp_path_factory: pytest.TempPathFactory) -> None:
    home = tmp_path_factory.mktemp("any")
    with small_ring(home, has_operator=False, cors_origins="*") as ring:
        local = {"REMOTE_ADDR": "127.0.0.1"}
        for headers in ({}, {"Authorization": "Bearer x"}):
            site = {"Origin": OTHER, **headers}
            made = ring.client.post("/uploads", headers={**site, **CREATION}, environ_overrides=local)
            assert made.json["code"] == "cross_site_request"
            seen = ring.client.get("/uploads/" + "0" * 32, headers=site, environ_overrides=local)
            assert (seen.status_code, allowed(seen)) == (404, None)


def test_without_the_setting_no_origin_is_known() -> None:
    def app(_environ: object, _start: object) -> tuple[bytes, ...]:
        return ()

    assert CrossOrigin.of(" , ").around(app) is app


@pytest.mark.parametrize(
    "text", ["app.example", "https://", "https://a/", "ftp://a", "https://a b", "https://*.a", "null"]
)
def test_what_is_no_origin_is_refused_at_the_start(text: str) -> None:
    with pytest.raises(CannotStart, match="cors_origins"):
        CrossOrigin.of(f"{OURS},{text}")
