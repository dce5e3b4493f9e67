"""The page at / works as a browser uses it, without scripts: form, list, download, delete; other sites are refused."""

from __future__ import annotations

import html
import re

import pytest
import requests

from tests.support.client import GatewayClient, assert_problem, file_part, path_part

BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}


def test_a_browser_uploads_sees_downloads_and_deletes(client: GatewayClient) -> None:
    name = 'page <b> & "quotes" & ünï.txt'
    own = {**BROWSER, "Origin": client.base_url, "Sec-Fetch-Site": "same-origin"}
    posted = client.post_form([path_part("page/"), file_part(name, b"from the page")], headers=own)
    assert posted.status_code == 303
    assert posted.headers["Location"] == "/?prefix=page%2F"
    page = client.call("GET", posted.headers["Location"], headers=BROWSER)
    assert page.status_code == 200
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert page.headers["X-Content-Type-Options"] == "nosniff"
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    row = next(row for row in page.text.split("<tr ") if "page &lt;b&gt;" in row)
    assert "<b>" not in row
    link, shown = re.search(r'<a id="n1" href="([^"]+)">(.*?)</a>', row).groups()  # type: ignore[union-attr]
    assert html.unescape(shown) == name
    assert client.call("GET", link).content == b"from the page"
    assert '<form id="act" method="post"' in page.text
    action = re.search(r'<button form="act" formaction="([^"]+/delete)"', row)
    assert action is not None
    deleted = client.call("POST", action[1], headers=own)
    assert (deleted.status_code, deleted.headers["Location"]) == (303, "/?prefix=page%2F")
    assert "page &lt;b&gt;" not in client.call("GET", "/?prefix=page%2F", headers=BROWSER).text
    assert_problem(client.get(f"page/{name}"), 404, "file_not_found")


def test_the_page_shows_folders_and_the_way_back(client: GatewayClient) -> None:
    client.stored("pages/a b/c&d/file", b"x")
    page = client.call("GET", "/?prefix=pages%2F", headers=BROWSER).text
    link = re.search(r'<a id="n1" href="(/\?prefix=[^"]+)">a b</a>', page)
    assert link is not None
    inner = client.call("GET", html.unescape(link[1]), headers=BROWSER).text
    assert ">c&amp;d</a>" in inner
    assert '<a href="/?prefix=pages%2F">pages</a>' in inner
    assert '<input type="hidden" name="path" value="pages/a b/">' in inner


def test_a_form_of_a_script_is_answered_with_json(client: GatewayClient) -> None:
    for accept in ("*/*", "application/json", None):
        headers = {"Accept": accept} if accept else {}
        assert client.post_form([file_part("page-script", b"x")], headers=headers).json()["path"] == "page-script"


def test_a_browser_gets_errors_as_a_page(client: GatewayClient) -> None:
    answer = client.post_form([path_part("page/only")], headers=BROWSER)
    assert answer.status_code == 400
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "invalid_form" in answer.text
    missing = client.call("GET", "/fs/<script>", headers=BROWSER)
    assert missing.status_code == 404
    assert "<script>" not in missing.text


def test_the_page_loads_nothing_from_elsewhere(client: GatewayClient) -> None:
    page = client.call("GET", "/", headers=BROWSER).text
    for address in re.findall(r'(?:src|href|action)="([^"]+)"', page):
        assert address.startswith(("/", "#")), address
        assert not address.startswith("//")
    style = client.call("GET", "/static/css/base.css")
    assert (style.status_code, style.headers["Content-Type"].partition(";")[0]) == (200, "text/css")


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_a_page_of_another_site_may_not_change_anything(client: GatewayClient, headers: dict[str, str]) -> None:
    file = client.stored("cross/site", b"stays")
    address = f"/files/{file['file_id']}"
    attempts = [
        client.post_form([path_part("cross/new"), file_part("x", b"x")], headers=headers),
        client.call("POST", f"{address}/delete", headers=headers),
        client.call("POST", f"{address}/restore", headers=headers),
        client.call("PATCH", address, json={"path": "cross/renamed"}, headers=headers),
        client.call("DELETE", address, headers=headers),
        client.call("DELETE", "/fs/cross/site", headers=headers),
        client.put("cross/site", b"changed", headers=headers),
    ]
    for answer in attempts:
        assert_problem(answer, 403, "cross_site_request")
    assert client.paths("cross/") == ["cross/site"]
    assert client.get("cross/site").content == b"stays"


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Forwarded-For": "192.0.2.7"},
        {"Forwarded": "for=192.0.2.7"},
        {"X-Real-IP": "192.0.2.7"},
        {"Host": "files.example.com"},
        {"Host": "evil.example:5000"},
        {"Host": "localhost.evil.example"},
    ],
)
def test_without_a_key_only_direct_clients_of_this_machine_are_served(
    client: GatewayClient, headers: dict[str, str]
) -> None:
    client.stored("keyless", b"x")
    for method, target in (("GET", "/"), ("GET", "/files"), ("GET", "/fs/keyless"), ("PUT", "/fs/keyless-new")):
        answer = client.raw(method, target, headers, b"x" if method == "PUT" else None)
        problem = assert_problem(answer, 401, "unauthorized")
        assert "DFS_GATEWAY_API_KEY" in problem["detail"]
        assert answer.headers["WWW-Authenticate"].startswith("Basic")
    assert client.raw("GET", "/health", headers).status == 200
    assert client.paths("keyless") == ["keyless"]


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "LOCALHOST", "files.localhost", "[::1]"])
def test_without_a_key_this_machines_own_names_are_served(client: GatewayClient, name: str) -> None:
    port = client.netloc.rpartition(":")[2]
    assert client.raw("GET", "/files", {"Host": f"{name}:{port}"}).status == 200


def test_requests_own_multipart_encoder_is_understood(client: GatewayClient) -> None:
    answer = requests.post(
        f"{client.base_url}/files", files={"file": ("naïve 名.txt", b"x")}, data={"path": "enc/"}, timeout=30
    )
    assert answer.status_code == 201
    assert answer.json()["path"] == "enc/naïve 名.txt"
