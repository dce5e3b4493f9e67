"""Who is on this machine, and what a page of another site makes a visitor's browser ask."""

from __future__ import annotations

import socket

import pytest

from api_gateway.access.callers import refuse_other_sites, require_this_machine
from common.errors import CrossSiteRequest, Unauthorized


def _is_served(
    headers: dict[str, str] | None = None,
    *,
    client: str | None = "127.0.0.1",
    local: str | None = "127.0.0.1",
    host: str = "localhost:5000",
) -> bool:
    try:
        require_this_machine(headers or {}, client, local, host)
    except Unauthorized:
        return False
    return True


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
    assert _is_served(client=client, local=local) is is_served


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
    assert _is_served(host=host) is is_served


@pytest.mark.parametrize(
    "header",
    ["Forwarded", "X-Forwarded-For", "x-forwarded-for", "X-Forwarded-Host", "X-Real-IP", "X-Real-Ip", "Via"],
)
def test_without_a_key_nobody_behind_a_proxy_is_served(header: str) -> None:
    assert not _is_served({header: "192.0.2.1"})
    assert not _is_served({header: ""})


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
def test_what_a_page_of_another_site_asks_for_is_refused(headers: dict[str, str], is_served: bool) -> None:
    assert _is_own(headers, is_session=False) is is_served


@pytest.mark.parametrize(("headers", "is_served"), CROSS_SITE)
def test_with_a_session_a_request_must_say_where_it_comes_from(headers: dict[str, str], is_served: bool) -> None:
    says_so = "Origin" in headers or headers.get("Sec-Fetch-Site") == "same-origin"
    assert _is_own(headers, is_session=True) is (is_served and says_so)


def _is_own(headers: dict[str, str], *, is_session: bool) -> bool:
    try:
        refuse_other_sites(headers, "localhost:5000", is_session=is_session)
    except CrossSiteRequest:
        return False
    return True
