"""The header fields against misuse by browsers are in what the server loop itself says, too."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from common.security_headers import IN_THE_CLEAR, OVER_TLS
from common.server.refusals import Refusals
from tests.support.own_server import own_server

REQUEST = b"GET /%s HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


def _app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    if environ["PATH_INFO"] == "/fails":
        raise ZeroDivisionError
    own = [("cache-control", "max-age=60"), ("X-Frame-Options", "SAMEORIGIN")]
    start_response("200 OK", own if environ["PATH_INFO"] == "/own" else [])
    return [b"x"]


@pytest.mark.parametrize(("path", "status"), [(b"plain", 200), (b"fails", 500), (b"\x01", 400)])
def test_answers_of_any_app_and_of_the_loop_have_the_headers(path: bytes, status: int) -> None:
    with own_server(_app) as server:
        reply = server.ask(REQUEST % path)
    assert reply.status == status
    assert IN_THE_CLEAR.names <= reply.fields.keys()
    assert "strict-transport-security" not in reply.fields


def test_what_an_answer_says_itself_stands_alone() -> None:
    with own_server(_app) as server:
        reply = server.ask(REQUEST % b"own")
    # A field that came twice would have been joined by a comma, or be the second one.
    assert reply.fields["cache-control"] == "max-age=60"
    assert reply.fields["x-frame-options"] == "SAMEORIGIN"
    assert reply.fields["x-content-type-options"] == "nosniff"


def test_a_connection_that_is_turned_away_is_told_so_with_the_headers() -> None:
    client, server = socket.socketpair()
    with client:
        refusals = Refusals()
        refusals.refuse(server)
        refusals.close_all()
        answer = client.recv(65536)
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert IN_THE_CLEAR.lines().encode() in answer


def test_browsers_are_told_to_come_by_tls_only_over_tls() -> None:
    assert "Strict-Transport-Security: max-age=31536000\r\n" in OVER_TLS.lines()
    assert "strict-transport-security" not in IN_THE_CLEAR.names
    assert OVER_TLS.lines().startswith(IN_THE_CLEAR.lines())
