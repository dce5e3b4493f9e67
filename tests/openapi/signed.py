"""Requests of any client signed as the services' own: a transport for `requests` over connections with a session."""

from __future__ import annotations

import io
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter

from common.auth import DIGEST_HEADER, SESSION_PATH, ClusterSecret, Session, body_digest
from tests.support.own_server import Caller
from tests.support.signing import open_session


class SignedAdapter(HTTPAdapter):
    """One connection at a time; nothing of a request but its signature is added or changed."""

    def __init__(self, secret: ClusterSecret) -> None:
        super().__init__()
        self._secret = secret
        self._open: tuple[Caller, Session] | None = None

    def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:
        place = urlsplit(str(request.url))
        caller, session = self._open or self._connect(str(place.hostname), int(place.port or 80))
        body = request.body.encode() if isinstance(request.body, str) else bytes(request.body or b"")
        caller.send(session.sign(_head(request, place.netloc, body)) + body)
        reply = caller.reply(str(request.method))
        if reply.fields.get("connection") == "close" or place.path == SESSION_PATH:
            self.close()
        raw = urllib3.HTTPResponse(
            io.BytesIO(reply.body), reply.fields, reply.status, preload_content=False, request_method=request.method
        )
        return self.build_response(request, raw)

    def close(self) -> None:
        super().close()
        if self._open is not None:
            self._open[0].close()
        self._open = None

    def _connect(self, host: str, port: int) -> tuple[Caller, Session]:
        caller = Caller((host, port))
        self._open = caller, open_session(caller, self._secret)
        return self._open


def _head(request: requests.PreparedRequest, netloc: str, body: bytes) -> bytes:
    fields = {"Host": netloc, DIGEST_HEADER: body_digest(body), **request.headers}
    lines = [f"{request.method} {request.path_url} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")
