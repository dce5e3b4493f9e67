"""A request and its answer as the services' handlers see them: plain values over WSGI's environ, no framework.

A handler takes a `Call` and gives an `Answer`, or raises a DFSError. `edge.py` serves handlers both through Flask and,
for the routes that carry the load, without its cost.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import parse_qsl

from common.actors import Actor
from common.auth import verify_body
from common.bodies import BodyReader
from common.checksums import Buffer
from common.errors import DFSError, InvalidRequest, RangeNotSatisfiable, TooLarge, Unauthorized
from common.wire import Headers

RETRY_AFTER_SECONDS = 2
MAX_JSON_BODY_BYTES = 1024 * 1024
_encode = json.JSONEncoder(separators=(",", ":")).encode


class Call:
    """One request.

    rule: that of the route which serves it, as it was registered; empty where there is none. actor: who asks, set by
    the guard where it knows. subjects: the paths that it concerns, as far as handlers have said so. is_step: one of
    many requests that together make one change, which has a line of its own in the audit log. about: what the audit
    log says of the change besides; nothing that is secret.
    """

    rule = ""
    actor: Actor | None = None
    subjects: tuple[str, ...] = ()
    is_step = False
    about: Mapping[str, object] | None = None

    def __init__(self, environ: dict[str, Any]) -> None:
        self.environ = environ
        self.method: str = environ["REQUEST_METHOD"]

    @cached_property
    def headers(self) -> Headers:
        fields = self.environ.get("dfs.fields")
        return Headers(_fields_of(self.environ) if fields is None else fields)

    @property
    def path(self) -> str:
        """Unescaped, each byte a character, as WSGI has it."""
        path: str = self.environ["PATH_INFO"]
        return path

    @cached_property
    def query(self) -> Mapping[str, str]:
        """The parameters of the query; of one that is repeated, the first."""
        text: str = self.environ.get("QUERY_STRING", "")
        return dict(reversed(parse_qsl(text, keep_blank_values=True))) if text else {}

    @cached_property
    def body(self) -> BodyReader:
        return BodyReader(self.environ)

    @property
    def received_bytes(self) -> int:
        """How much of the body was read so far; a body that nobody asked for is not made for this."""
        body: BodyReader | None = self.__dict__.get("body")
        return 0 if body is None else body.read_bytes

    @property
    def client(self) -> str | None:
        """The client's address."""
        return self.environ.get("REMOTE_ADDR")

    @property
    def connection(self) -> dict[str, Any]:
        """What is kept for as long as the connection; of another server than ours, nothing."""
        kept: dict[str, Any] = self.environ.get("dfs.connection", {})
        return kept

    @property
    def sequence(self) -> int:
        """Which request of its connection this is, from 0."""
        number: int = self.environ.get("dfs.number", 0)
        return number

    def permit(self, *paths: str) -> None:
        """Raise OutsidePrefix unless whoever asks may deal with all of these paths; notes them as subjects.

        A handler asks this of every path before it does or answers anything; the rights themselves are the guard's.
        """
        self.subjects += paths
        if self.actor is None:
            raise Unauthorized("nobody has said who asks")
        for path in paths:
            self.actor.require_path(path)

    def may(self, path: str) -> bool:
        """Whether whoever asks may deal with this path, without noting it as a subject."""
        return self.actor is not None and path.startswith(self.actor.prefix)

    def json(self) -> Mapping[str, Any]:
        """The JSON object in the body; raises InvalidRequest, TooLarge, ClusterSecretRejected for another's body."""
        text = self.body.read_all(MAX_JSON_BODY_BYTES + 1)
        if len(text) > MAX_JSON_BODY_BYTES:
            raise TooLarge(f"a JSON body must not be larger than {MAX_JSON_BODY_BYTES} bytes")
        if "dfs.digest" in self.environ:
            verify_body(text, self.environ["dfs.digest"])
        try:
            value = json.loads(text or b"{}")
        except (ValueError, RecursionError):
            raise InvalidRequest("the body is not valid JSON") from None
        if not isinstance(value, dict):
            raise InvalidRequest("the body must be a JSON object")
        return value

    def flag(self, name: str) -> bool:
        """A query parameter that is true or false; false when absent."""
        text = self.query.get(name, "false").lower()
        if text not in ("true", "false", "1", "0"):
            raise InvalidRequest(f"the parameter {name!r} must be true or false, not {text!r}")
        return text in ("true", "1")

    def number(self, name: str, default: int, maximum: int, minimum: int = 0) -> int:
        """A query parameter that is a whole number within limits."""
        text = self.query.get(name)
        if text is None:
            return default
        if not (text.isascii() and text.isdigit() and len(text) <= 15 and minimum <= int(text) <= maximum):
            raise InvalidRequest(
                f"the parameter {name!r} must be a whole number from {minimum} to {maximum}, not {text!r}"
            )
        return int(text)


@dataclass
class Answer:
    """What is sent back. body: its pieces; a piece is not touched any more once the next one was asked for.

    close: called when the answer is over, however it ended.
    """

    status: int
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: Iterable[Buffer] = ()
    close: Callable[[], None] | None = None


class Started:
    """The same pieces, the first one fetched already: what prevents it is an error and not a broken body.

    `close` reaches the generator behind it, also when nothing was read.
    """

    def __init__(self, pieces: Generator[Buffer, None, None]) -> None:
        self._first: Buffer | None = next(pieces, None)
        self._rest = pieces

    def __iter__(self) -> Started:
        return self

    def __next__(self) -> Buffer:
        if self._first is not None:
            first, self._first = self._first, None
            return first
        return next(self._rest)

    def close(self) -> None:
        self._rest.close()


def json_answer(value: Any, status: int = 200, headers: Iterable[tuple[str, str]] = ()) -> Answer:
    """A value as JSON, one line."""
    return _text_answer(_encode(value), status, "application/json", headers)


def problem_answer(error: DFSError, request_id: str) -> Answer:
    """An error as application/problem+json (RFC 9457)."""
    headers = []
    if isinstance(error, RangeNotSatisfiable) and "size" in error.context:
        headers.append(("Content-Range", f"bytes */{error.context['size']}"))
    if error.is_retryable:
        seconds = error.context.get("retry_after_seconds", RETRY_AFTER_SECONDS)
        headers.append(("Retry-After", str(seconds)))
    problem = {**error.to_problem(), "request_id": request_id}
    return _text_answer(_encode(problem), error.status, "application/problem+json", headers)


def _text_answer(text: str, status: int, content_type: str, headers: Iterable[tuple[str, str]]) -> Answer:
    encoded = text.encode() + b"\n"
    own = [("Content-Type", content_type), ("Content-Length", str(len(encoded)))]
    return Answer(status, [*own, *headers], (encoded,))


def _fields_of(environ: Mapping[str, Any]) -> dict[str, str]:
    """The header fields out of an environ that another server made."""
    fields = {name[5:].lower().replace("_", "-"): value for name, value in environ.items() if name.startswith("HTTP_")}
    for name in ("CONTENT_TYPE", "CONTENT_LENGTH"):
        if environ.get(name):
            fields[name.lower().replace("_", "-")] = environ[name]
    return fields
