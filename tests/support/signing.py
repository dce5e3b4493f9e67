"""Signed requests of a test's own: over one connection to our server loop, or straight into a Flask app."""

from __future__ import annotations

import json as json_module
from typing import Any

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from common.auth import DIGEST_HEADER, SESSION_HEADER, SIGNATURE_HEADER, ClusterSecret, Session, body_digest
from tests.support.environment import SECRET
from tests.support.own_server import Caller, OwnServer, Reply

_HEAD = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"


class SignedCaller:
    """One connection with an open session; `send` and `ask` take requests without their signature."""

    def __init__(self, server: OwnServer, secret: str = SECRET, receive_buffer_bytes: int = 0) -> None:
        self.caller: Caller = server.caller(receive_buffer_bytes)
        self.session = open_session(self.caller, ClusterSecret(secret))

    def send(self, request: bytes) -> None:
        """request: a head, and as much of a body as is to be sent at once."""
        head, end, body = request.partition(b"\r\n\r\n")
        self.caller.send(self.session.sign(head + end) + body)

    def ask(self, request: bytes, method: str = "GET") -> Reply:
        self.send(request)
        return self.caller.reply(method)


def open_session(caller: Caller, secret: ClusterSecret) -> Session:
    offer = secret.offer()
    reply = caller.ask(f"POST /session HTTP/1.1\r\nHost: h\r\n{SESSION_HEADER}: {offer.text}\r\n\r\n".encode())
    assert reply.status == 200
    return offer.conclude(reply.fields[SESSION_HEADER.lower()])


def signed_open(
    client: FlaskClient,
    path: str,
    *,
    secret: str = SECRET,
    headers: dict[str, str] | None = None,
    json: Any = None,
    **arguments: Any,
) -> TestResponse:
    """A request into a Flask app as our server loop would hand it in: signed, on a connection with an open session."""
    fields = dict(headers or {})
    if json is not None:
        arguments["data"] = json_module.dumps(json).encode()
        arguments["content_type"] = "application/json"
    if isinstance(arguments.get("data"), bytes):
        fields.setdefault(DIGEST_HEADER, body_digest(arguments["data"]))
    environ = {**_signed_environ(ClusterSecret(secret)), **arguments.pop("environ_overrides", {})}
    return client.open(path, headers=fields, environ_overrides=environ, **arguments)


def _signed_environ(secret: ClusterSecret) -> dict[str, Any]:
    offer = secret.offer()
    answer, key = secret.accept(offer.text)
    head = offer.conclude(answer).sign(_HEAD)
    assert SIGNATURE_HEADER.encode() in head
    return {"dfs.connection": {"key": key}, "dfs.number": 1, "dfs.head": head[:-2]}
