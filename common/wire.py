"""The grammar of HTTP/1.1 heads, RFC 9112, for both sides: header fields, what delimits a body, a request's head.

It knows bytes and text, not sockets. Everything that is read comes from a stranger, and two readers that disagree
about where a body ends let one request hide in another; so whatever the RFC calls invalid is refused, never mended.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

MAX_HEAD_BYTES = 64 * 1024
MAX_FIELDS = 100

_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105 - RFC 9110 section 5.6.2, no secret
# No control character but the tab: a bare CR, LF or NUL is where readers disagree.
_VALUE = r"[^\x00-\x08\x0a-\x1f\x7f]*"
_FIELD = re.compile(rf"({_TOKEN}):({_VALUE})\r\n")
# Matches from the start on, in one pass; a search for fields would cost the square of the length where there are none,
# which for one head of 64 KiB is half a minute.
_ARE_FIELDS = re.compile(rf"(?:{_TOKEN}:{_VALUE}\r\n)*").fullmatch
_IS_TOKEN = re.compile(_TOKEN).fullmatch
_IS_VALUE = re.compile(_VALUE).fullmatch
_IS_TARGET = re.compile(r'/[!"$-~]*').fullmatch
_LENGTH = re.compile(r"[0-9]{1,15}")
_CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\x00-\x08\x0a-\x1f\x7f]*)?\r\n")
_METHODS_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})
_OURS = frozenset({"host", "content-length", "transfer-encoding"})


class MalformedHead(ValueError):
    """The bytes are no HTTP/1.1 head, or one that says two things about its body."""


class Headers(Mapping[str, str]):
    """The header fields by name, in whatever letters."""

    def __init__(self, fields: dict[str, str]) -> None:
        self._fields = fields

    def __getitem__(self, name: str) -> str:
        return self._fields[name.lower()]

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)


def parse_fields(block: bytes) -> dict[str, str]:
    """The header lines of a head, each with its CRLF, without the start line and the empty line at the end.

    Names come in small letters; the values of a repeated name are joined by ", ". A Content-Length may be repeated
    with the same value only, Host not at all. Raises MalformedHead, also for more than MAX_FIELDS lines.
    """
    text = block.decode("latin-1")
    if _ARE_FIELDS(text) is None:
        raise MalformedHead("a header line is not valid")
    lines = _FIELD.findall(text)
    if len(lines) > MAX_FIELDS:
        raise MalformedHead(f"more than {MAX_FIELDS} header fields")
    fields: dict[str, str] = {}
    for name, value in lines:
        key = name.lower()
        stripped = value.strip(" \t")
        fields[key] = _join(key, fields[key], stripped) if key in fields else stripped
    return fields


def content_length(fields: Mapping[str, str]) -> int | None:
    """How many bytes of body the fields of `parse_fields` promise; None where they say nothing."""
    text = fields.get("content-length")
    if text is None:
        return None
    if not _LENGTH.fullmatch(text):
        raise MalformedHead("the Content-Length is no number")
    return int(text)


def is_chunked(fields: Mapping[str, str]) -> bool:
    """Whether the body comes in chunks; any other transfer coding, or a length besides, is MalformedHead."""
    coding = fields.get("transfer-encoding")
    if coding is None:
        return False
    if coding.lower() != "chunked" or "content-length" in fields:
        raise MalformedHead("the Transfer-Encoding is not just chunked")
    return True


def parse_chunk_size(line: bytes) -> int:
    """The size in a chunk's first line, which is given with its CRLF; extensions are ignored."""
    match = _CHUNK_LINE.fullmatch(line)
    if match is None:
        raise MalformedHead("the size of a chunk is not valid")
    return int(match[1], 16)


def request_head(method: str, target: str, host: str, fields: Mapping[str, str], size_bytes: int | None) -> bytes:
    """The head of a request with a body of `size_bytes`, None for no body.

    fields: may name a Content-Length, which must be the body's, but neither Host nor Transfer-Encoding. Raises
    ValueError for what would not arrive as one head with these fields.
    """
    if not (_IS_TOKEN(method) and _IS_TARGET(target) and _IS_VALUE(host)):
        raise ValueError("the method, the target or the host is not valid")
    if size_bytes is None and method in _METHODS_WITH_BODY:
        size_bytes = 0
    lines = [f"{method} {target} HTTP/1.1\r\nHost: {host}\r\n"]
    for name, value in fields.items():
        if not (_IS_TOKEN(name) and _IS_VALUE(value)):
            raise ValueError(f"the header field {name!r} is not valid")
        if name.lower() not in _OURS:
            lines.append(f"{name}: {value}\r\n")
        elif name.lower() != "content-length" or value != str(size_bytes):
            raise ValueError(f"the header field {name!r} contradicts the request")
    lines.append("\r\n" if size_bytes is None else f"Content-Length: {size_bytes}\r\n\r\n")
    return "".join(lines).encode("latin-1")


def _join(key: str, first: str, second: str) -> str:
    if key == "host" or (key == "content-length" and first != second):
        raise MalformedHead(f"{key} is given twice")
    return first if key == "content-length" else f"{first}, {second}"
