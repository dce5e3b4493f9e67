"""Pages of other origins that may use `/uploads` with an API key (CORS, https://fetch.spec.whatwg.org/#http-cors-protocol).

Off unless origins are configured. Never with cookies: a browser sends those by itself, a key must be given by the page.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from common.actors import Actor
from common.errors import CannotStart

ANY = "*"
_ORIGIN = re.compile(r"https?://[0-9a-z.\[\]:_-]+")
_METHODS = "POST, GET, HEAD, PATCH, DELETE, OPTIONS"
_SENT = (
    "Authorization, Content-Type, Tus-Resumable, Upload-Length, Upload-Defer-Length, Upload-Offset, Upload-Metadata,"
    " Upload-Checksum, Upload-Concat, X-HTTP-Method-Override, X-Request-ID, X-Requested-With, X-DFS-Replication,"
    " X-DFS-Consistency"
)
_EXPOSED = (
    "Location, Tus-Resumable, Tus-Version, Tus-Extension, Tus-Max-Size, Tus-Checksum-Algorithm, Upload-Offset,"
    " Upload-Length, Upload-Defer-Length, Upload-Metadata, Upload-Expires, Upload-Concat, X-DFS-File-Id, X-DFS-Path,"
    " X-Request-ID, Retry-After"
)
_MAX_AGE_SECONDS = "7200"
# Set by the guard once it has let a request of another origin in.
_ADMITTED = "dfs.cross_origin"
# What a page must see to know that its key is no good.
_REFUSALS = ("401", "403", "429")
WSGIApp = Callable[[dict[str, Any], Callable[..., Any]], Iterable[Any]]


class CrossOrigin:
    """Which origins may come in, and what their browsers are told."""

    def __init__(self, origins: frozenset[str] = frozenset()) -> None:
        self._origins = origins

    @classmethod
    def of(cls, text: str) -> CrossOrigin:
        """From the setting: origins such as https://app.example, separated by commas, or *. Raises CannotStart."""
        origins = frozenset(origin.strip().lower() for origin in text.split(",") if origin.strip())
        for origin in origins - {ANY}:
            if not _ORIGIN.fullmatch(origin):
                raise CannotStart(f"gateway.cors_origins: {origin!r} is no origin; write it as https://app.example")
        return cls(origins)

    def admits(self, environ: dict[str, Any], headers: Mapping[str, str], rule: str, actor: Actor) -> bool:
        """Whether a request of another origin may come in: with a bearer key, given by the page itself."""
        origin = headers.get("Origin")
        if origin is None or not self._is_ours(environ["PATH_INFO"]) or not rule or not self._knows(origin):
            return False
        has_key = headers.get("Authorization", "").lower().startswith("bearer ")
        is_admitted = has_key and bool(actor.key_id) and not actor.is_session
        environ[_ADMITTED] = is_admitted
        return is_admitted

    def around(self, app: WSGIApp) -> WSGIApp:
        """The app with answers to preflights, and with the headers that let a page see the other answers."""
        return self._answering(app) if self._origins else app

    def _answering(self, app: WSGIApp) -> WSGIApp:
        def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[Any]:
            origin = environ.get("HTTP_ORIGIN")
            if origin is None or not self._is_ours(environ["PATH_INFO"]) or not self._knows(origin):
                return app(environ, start_response)
            if environ["REQUEST_METHOD"] == "OPTIONS" and "HTTP_ACCESS_CONTROL_REQUEST_METHOD" in environ:
                start_response("200 OK", _preflight(origin))
                return ()

            def start(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
                if environ.get(_ADMITTED) or status[:3] in _REFUSALS:
                    headers = [*headers, *_allowed(origin), ("Access-Control-Expose-Headers", _EXPOSED)]
                return start_response(status, headers, *rest)

            return app(environ, start)

        return answer

    def _knows(self, origin: str) -> bool:
        return ANY in self._origins or origin.lower() in self._origins

    @staticmethod
    def _is_ours(path: str) -> bool:
        return path == "/uploads" or path.startswith("/uploads/")


def _allowed(origin: str) -> list[tuple[str, str]]:
    return [("Access-Control-Allow-Origin", origin), ("Vary", "Origin")]


def _preflight(origin: str) -> list[tuple[str, str]]:
    return [
        *_allowed(origin),
        ("Access-Control-Allow-Methods", _METHODS),
        ("Access-Control-Allow-Headers", _SENT),
        ("Access-Control-Max-Age", _MAX_AGE_SECONDS),
        ("Content-Length", "0"),
    ]
