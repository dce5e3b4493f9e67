"""Whether an answer is one that its service's OpenAPI document describes: status, headers, media type, body.

Stricter than the document in one thing: an object has no field that is not described, unless its schema says that it
may. So a field that is added to an answer and not to the document is noticed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

import jsonschema_rs

_VARIABLE = re.compile(r"\\\{(\w+)\\\}")
# What is not one operation's: addresses and methods that are not described, and what no operation was reached by.
_OUTSIDE_CODES = {404: "not_found", 405: "method_not_allowed", 431: "malformed_request"}


@dataclass(frozen=True)
class Seen:
    """One answer. path: unescaped, without the query. body: None where it was not read."""

    method: str
    path: str
    status: int
    headers: Mapping[str, str]
    body: bytes | None

    def header(self, name: str) -> str | None:
        return next((value for given, value in self.headers.items() if given.lower() == name.lower()), None)

    @property
    def media_type(self) -> str:
        return (self.header("Content-Type") or "").strip()


class Contract:
    """What one document promises."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = document
        self._closed = closed(document)
        # As Flask does it: a fixed address goes before one with a variable.
        paths = sorted(document["paths"], key=lambda path: path.count("{"))
        self._patterns = [(re.compile(_pattern(path)), path) for path in paths]
        self._validators: dict[str, Any] = {}

    def check(self, seen: Seen) -> None:
        """Fail where the document does not describe this answer."""
        if (fault := self.fault(seen)) is not None:
            raise AssertionError(
                f"{seen.method} {seen.path} -> {seen.status} {seen.media_type}: {fault}\n{(seen.body or b'')[:600]!r}"
            )

    def describes(self, seen: Seen) -> bool:
        """Whether the document has an operation for the request."""
        return seen.method.lower() in self._document["paths"].get(self._find(seen), {})

    def fault(self, seen: Seen) -> str | None:
        """What is not as described; None where all is."""
        if seen.method == "OPTIONS" and seen.status == 200:
            return None
        path = self._find(seen)
        methods = self._document["paths"].get(path, {})
        method = seen.method.lower()
        if method == "head" and method not in methods:
            method = "get"
        if method not in methods:
            return self._outside(seen, 404 if path is None else 405)
        reply = methods[method]["responses"].get(str(seen.status))
        if reply is None:
            code = _OUTSIDE_CODES.get(seen.status)
            is_outside = code == "malformed_request" and self._outside(seen, seen.status) is None
            return None if is_outside else "a status that is not described"
        place = f"#/paths/{_escaped(str(path))}/{method}/responses/{seen.status}"
        return self._missing_header(seen, reply) or self._wrong_body(seen, reply, place)

    def _find(self, seen: Seen) -> str | None:
        """The address that is meant; of several, the first that takes the method."""
        found = [template for pattern, template in self._patterns if pattern.fullmatch(seen.path)]
        takers = [template for template in found if seen.method.lower() in self._document["paths"][template]]
        return next(iter([*takers, *found]), None)

    def _outside(self, seen: Seen, status: int) -> str | None:
        if seen.status in (401, 403):
            return None
        if seen.status != status:
            return f"nothing is described here, so the answer is {status}"
        if seen.method == "HEAD" or not seen.media_type.startswith("application/problem+json"):
            return None
        code = json.loads(seen.body or b"{}").get("code")
        return None if code == _OUTSIDE_CODES[status] else f"the code is {code}"

    def _missing_header(self, seen: Seen, reply: Mapping[str, Any]) -> str | None:
        for name, header in reply.get("headers", {}).items():
            described = self._document["components"]["headers"][name] if "$ref" in header else header
            if described["required"] and seen.header(name) is None and not _is_refused_by_the_loop(seen):
                return f"the header {name} is missing"
        return None

    def _wrong_body(self, seen: Seen, reply: Mapping[str, Any], place: str) -> str | None:
        media = reply.get("content", {})
        if seen.method == "HEAD" or not media:
            return "a body where none is described" if seen.body and seen.method != "HEAD" else None
        # A described type that has no parameters goes with any.
        given = ("*/*", seen.media_type, seen.media_type.partition(";")[0].strip())
        name = next((name for name in media if name in given), None)
        if name is None:
            return f"the media type is none of {list(media)}"
        if seen.body is None or "json" not in name:
            return None
        validator = self._validator(f"{place}/content/{_escaped(name)}/schema")
        error = next(validator.iter_errors(json.loads(seen.body)), None)
        return None if error is None else f"{error.message} at {'/'.join(map(str, error.instance_path))}"

    def _validator(self, pointer: str) -> Any:
        if pointer not in self._validators:
            # References lead from the schema to the components of the document that it stands in.
            whole = {"$ref": pointer, "paths": self._closed["paths"], "components": self._closed["components"]}
            self._validators[pointer] = jsonschema_rs.Draft202012Validator(whole, validate_formats=True)
        return self._validators[pointer]


def closed(value: Any) -> Any:
    """A copy in which every object that names its fields has no others, unless its schema says that it may."""
    if isinstance(value, list):
        return [closed(item) for item in value]
    if not isinstance(value, dict):
        return value
    copied = {name: closed(item) for name, item in value.items()}
    if value.get("type") == "object" and isinstance(value.get("properties"), dict):
        copied.setdefault("additionalProperties", False)
    return copied


def seen_of(method: str, target: str, status: int, headers: Iterable[tuple[str, str]], body: bytes | None) -> Seen:
    """An answer to a request for `target`, as it stands in the request line."""
    path = target.partition("?")[0].partition("#")[0]
    if not path.startswith("/"):
        path = "/" + path.partition("://")[2].partition("/")[2]
    return Seen(method, unquote(path), status, dict(headers), body)


def _pattern(path: str) -> str:
    """Only a path of files goes over slashes."""
    escaped = re.escape(path)
    return _VARIABLE.sub(lambda match: "(?s:.*)" if match[1] in ("path", "filename") else "[^/]+", escaped)


def _escaped(text: str) -> str:
    """As one step of a JSON pointer in a URI."""
    escaped = text.replace("~", "~0").replace("/", "~1")
    return re.sub(r"[^\w~*.+-]", lambda match: f"%{ord(match[0]):02X}", escaped)


def _is_refused_by_the_loop(seen: Seen) -> bool:
    """The server's own refusals come before there is a request to have an id."""
    return b'"too_many_connections"' in (seen.body or b"") or b'"malformed_request"' in (seen.body or b"")
