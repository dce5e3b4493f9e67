"""Who may use the gateway: by key, by being on this machine, and never on behalf of another site's page."""

from __future__ import annotations

import base64
import socket

import pytest

from api_gateway.access import Access
from common.errors import CrossSiteRequest, DFSError, Unauthorized

KEY = "s3cret key:with/colon"


def _check(
    access: Access,
    headers: dict[str, str] | None = None,
    *,
    method: str = "GET",
    client: str | None = "127.0.0.1",
    local: str | None = "127.0.0.1",
    host: str = "localhost:5000",
) -> type[DFSError] | None:
    """What the gateway says: the error's class, or None where the client is served."""
    try:
        access.check(method, headers or {}, client, local, host)
    except DFSError as error:
        return type(error)
    return None


def _basic(text: bytes) -> str:
    return "Basic " + base64.b64encode(text).decode()


@pytest.mark.parametrize(
    ("client", "local", "is_served"),
    [
        ("127.0.0.1", "127.0.0.1", True),
        ("127.9.9.9", "127.0.0.1", True),
        ("::1", "::1", True),
        ("::ffff:127.0.0.1", "::ffff:127.0.0.1", True),
        ("192.0.2.7", "192.0.2.7", True),
        ("192.0.2.8", "192.0.2.7", False),
        ("203.0.113.9", None, False),
        ("0.0.0.0", "192.0.2.7", False),
        ("::ffff:192.0.2.8", "::ffff:192.0.2.7", False),
        (None, None, False),
    ],
)
def test_without_a_key_a_client_is_served_when_it_is_on_this_machine(
    client: str | None, local: str | None, is_served: bool
) -> None:
    assert _check(Access(""), client=client, local=local) is (None if is_served else Unauthorized)


@pytest.mark.parametrize(
    ("host", "is_served"),
    [
        ("localhost", True),
        ("LocalHost:5000", True),
        ("127.0.0.1:5000", True),
        ("[::1]:5000", True),
        ("192.0.2.7", True),
        ("files.localhost", True),
        (f"{socket.gethostname()}:5000", True),
        ("evil.example", False),
        ("evil.example:5000", False),
        ("localhost.evil.example", False),
        ("notlocalhost", False),
        ("127.0.0.1.evil.example", False),
        ("user@evil.example", False),
        ("", False),
        ("[", False),
        ("[::1", False),
        ("[v1.x]", False),
    ],
)
def test_without_a_key_only_this_machines_names_are_served(host: str, is_served: bool) -> None:
    assert _check(Access(""), host=host) is (None if is_served else Unauthorized)
    assert _check(Access(KEY), {"Authorization": f"Bearer {KEY}"}, host=host) is None


@pytest.mark.parametrize(
    "header",
    ["Forwarded", "X-Forwarded-For", "x-forwarded-for", "X-Forwarded-Host", "X-Real-IP", "X-Real-Ip", "Via"],
)
def test_without_a_key_nobody_behind_a_proxy_is_served(header: str) -> None:
    assert _check(Access(""), {header: "192.0.2.1"}) is Unauthorized
    assert _check(Access(""), {header: ""}) is Unauthorized
    assert _check(Access(KEY), {header: "192.0.2.1", "Authorization": f"Bearer {KEY}"}) is None


@pytest.mark.parametrize(
    ("authorization", "is_served"),
    [
        (f"Bearer {KEY}", True),
        (f"bearer {KEY}", True),
        (f"BEARER   {KEY}  ", True),
        (_basic(f"any:{KEY}".encode()), True),
        (_basic(f":{KEY}".encode()), True),
        (_basic(f"ünï:{KEY}".encode()), True),
        ("", False),
        ("Bearer", False),
        ("Bearer ", False),
        (f"Bearer {KEY}x", False),
        (f"Bearer {KEY[:-1]}", False),
        (f"Token {KEY}", False),
        (KEY, False),
        (_basic(KEY.encode()), False),
        (_basic(b"any:\xff\xfe"), False),
        ("Basic %%%", False),
        ("Basic ", False),
        ("Basic \udcff", False),
        ("Bearer \udcff", False),
    ],
)
def test_with_a_key_whoever_shows_it_is_served_wherever_it_is(authorization: str, is_served: bool) -> None:
    headers = {"Authorization": authorization} if authorization else {}
    for client in ("127.0.0.1", "203.0.113.9", None):
        answer = _check(Access(KEY), headers, client=client, host="files.example.com")
        assert answer is (None if is_served else Unauthorized)


CROSS_SITE = [
    ({"Origin": "http://evil.example"}, False),
    ({"Origin": "null"}, False),
    ({"Origin": "https://localhost:5000.evil.example"}, False),
    ({"Origin": "http://localhost:5001"}, False),
    ({"Origin": "http://localhost"}, False),
    ({"Origin": "http://user@localhost:5000"}, False),
    ({"Origin": ""}, False),
    ({"Sec-Fetch-Site": "cross-site"}, False),
    ({"Sec-Fetch-Site": "same-site"}, False),
    ({"Sec-Fetch-Site": "cross-site", "Origin": "http://localhost:5000"}, False),
    ({}, True),
    ({"Origin": "http://localhost:5000"}, True),
    ({"Origin": "HTTP://LOCALHOST:5000"}, True),
    ({"Sec-Fetch-Site": "same-origin", "Origin": "http://localhost:5000"}, True),
    ({"Sec-Fetch-Site": "none"}, True),
]


@pytest.mark.parametrize(("headers", "is_served"), CROSS_SITE)
@pytest.mark.parametrize("key", ["", KEY])
def test_a_page_of_another_site_changes_nothing_and_may_be_linked_from(
    headers: dict[str, str], is_served: bool, key: str
) -> None:
    shown = {**headers, **({"Authorization": f"Bearer {key}"} if key else {})}
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        assert _check(Access(key), shown, method=method) is (None if is_served else CrossSiteRequest)
    for method in ("GET", "HEAD", "OPTIONS"):
        assert _check(Access(key), shown, method=method) is None
