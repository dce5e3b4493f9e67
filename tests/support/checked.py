"""Clients and apps of the services that hold every answer against the service's OpenAPI document."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import requests
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

import api_gateway.openapi.description
import master_node.openapi.description
import storage.openapi.description
from common.openapi.build import build_document
from common.openapi.service import DOCUMENT_PATH
from tests.support.contract import Contract, Seen, seen_of

DESCRIPTIONS = {
    "gateway": api_gateway.openapi.description.DESCRIPTION,
    "master": master_node.openapi.description.DESCRIPTION,
    "worker": storage.openapi.description.DESCRIPTION,
}
# An address that only this service has.
_OWN_RULES = {"gateway": "/docs", "master": "/uploads", "worker": "/chunks/held"}


@functools.cache
def contract(service: str) -> Contract:
    """The contract of `gateway`, `master` or `worker`; made once."""
    return Contract(build_document(DESCRIPTIONS[service]))


def contract_of(app: Flask) -> Contract | None:
    """The contract of a whole service's app; None for an app of some routes only, or of none of ours."""
    rules = {rule.rule for rule in app.url_map.iter_rules()}
    if DOCUMENT_PATH not in rules:
        return None
    return next((contract(service) for service, rule in _OWN_RULES.items() if rule in rules), None)


class CheckedClient(FlaskClient):
    """Flask's test client; an answer that the app's document does not describe is an AssertionError."""

    def open(self, *arguments: Any, **options: Any) -> TestResponse:
        response = super().open(*arguments, **options)
        promised = contract_of(self.application)
        if promised is not None and not response.history:
            promised.check(_seen(response))
        return response


class CheckedApp:
    """A service's app for a server. faults: one line for each answer that its document does not describe."""

    def __init__(self, app: Flask) -> None:
        found = contract_of(app)
        assert found is not None, "the app has no document"
        self._app, self._contract = app, found
        self.faults: list[str] = []

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[Any]:
        begun: list[Any] = []

        def start(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            begun[:] = [int(status.split()[0]), headers]
            return start_response(status, headers, *rest)

        pieces = self._app.wsgi_app(environ, start)
        status, headers = begun
        is_json = any(name.lower() == "content-type" and "json" in value for name, value in headers)
        return _Watched(pieces, is_json, lambda body: self._note(environ, status, headers, body))

    def _note(self, environ: dict[str, Any], status: int, headers: list[tuple[str, str]], body: bytes | None) -> None:
        seen = Seen(environ["REQUEST_METHOD"], environ["PATH_INFO"], status, dict(headers), body)
        if (fault := self._contract.fault(seen)) is not None:
            self.faults.append(f"{seen.method} {seen.path} -> {seen.status}: {fault}")


class _Watched:
    """An answer's pieces as they go by; `note` gets all of them where they are kept, at the end."""

    def __init__(self, pieces: Iterable[Any], is_kept: bool, note: Callable[[bytes | None], None]) -> None:
        self._pieces, self._is_kept, self._note = pieces, is_kept, note

    def __iter__(self) -> Iterator[Any]:
        kept = b""
        for piece in self._pieces:
            if self._is_kept:
                kept += bytes(piece)
            yield piece
        self._note(kept if self._is_kept else None)

    def close(self) -> None:
        if (close := getattr(self._pieces, "close", None)) is not None:
            close()


def check_answer(service: str, answer: requests.Response) -> requests.Response:
    """Fail where the service's document does not describe this answer; returns it."""
    request = answer.request
    # What has been read already is never a stream that the test wants to read itself.
    body = answer.content if answer._content_consumed else None
    target = str(request.path_url)
    contract(service).check(seen_of(str(request.method), target, answer.status_code, answer.headers.items(), body))
    return answer


def _seen(response: TestResponse) -> Seen:
    is_json = "json" in (response.content_type or "")
    body = response.get_data() if is_json else None
    return Seen(response.request.method, response.request.path, response.status_code, dict(response.headers), body)
