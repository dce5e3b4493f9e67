"""The header fields of an HTTP/1.1 message, read strictly (RFC 9112, section 5)."""

from __future__ import annotations

import re

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


class MalformedHead(ValueError):
    """A head that different readers could understand differently."""


def parse_fields(block: bytes) -> dict[str, str]:
    """The fields by their names in small letters, repeated ones joined by ", "; `block` has no start line."""
    fields: dict[str, str] = {}
    if not block:
        return fields
    for line in block.decode("latin-1").split("\r\n"):
        name, colon, value = line.partition(":")
        if not colon or _NAME.fullmatch(name) is None or "\n" in value or "\r" in value or "\0" in value:
            raise MalformedHead("a header line is malformed")
        name, value = name.lower(), value.strip(" \t")
        if name in fields:
            if name == "content-length":
                if fields[name] != value:
                    raise MalformedHead("Content-Length is given twice")
                continue
            value = f"{fields[name]}, {value}"
        fields[name] = value
    return fields
