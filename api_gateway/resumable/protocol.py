"""What the header fields of tus 1.0.0 say (https://tus.io/protocols/resumable-upload), read strictly. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from api_gateway.resumable.checksums import ExpectedChecksum, parse_checksum
from common.errors import InvalidRequest, TusVersionUnsupported, UnsupportedMediaType

VERSION = "1.0.0"
EXTENSIONS = (
    "creation",
    "creation-with-upload",
    "creation-defer-length",
    "checksum",
    "termination",
    "expiration",
    "concatenation",
)
CONTENT_TYPE = "application/offset+octet-stream"
METHOD_OVERRIDE = "X-HTTP-Method-Override"
# 2**63 - 1 has 19 digits.
_MAX_DIGITS = 18
_BLANKS = re.compile(r"[ \t]+")


@dataclass(frozen=True)
class Concatenation:
    """What Upload-Concat says. text: as it came; partials: the URLs behind "final;", none for a partial upload."""

    text: str
    is_partial: bool
    partials: tuple[str, ...] = ()


@dataclass(frozen=True)
class Creation:
    """What a POST asks for. length: None where it comes later; has_body: whether bytes come with it."""

    length: int | None
    metadata: str
    concatenation: Concatenation | None
    checksum: ExpectedChecksum | None
    has_body: bool

    @property
    def is_partial(self) -> bool:
        return self.concatenation is not None and self.concatenation.is_partial


@dataclass(frozen=True)
class Addition:
    """What a PATCH brings. length: of the whole upload, where it says so now."""

    offset: int
    length: int | None = None
    checksum: ExpectedChecksum | None = None


def require_version(headers: Mapping[str, str]) -> None:
    """Raise TusVersionUnsupported unless the client speaks this version."""
    given = headers.get("Tus-Resumable")
    if given != VERSION:
        said = "is missing" if given is None else f"is {given!r}"
        raise TusVersionUnsupported(f"the header Tus-Resumable {said}; this server speaks {VERSION}")


def read_creation(headers: Mapping[str, str]) -> Creation:
    """The fields of a POST. Raises InvalidRequest, UnsupportedMediaType."""
    concatenation = _concatenation(headers.get("Upload-Concat"))
    length = _number(headers, "Upload-Length")
    is_deferred = _is_deferred(headers)
    is_final = concatenation is not None and not concatenation.is_partial
    if is_final and (length is not None or is_deferred):
        raise InvalidRequest("a final upload has the length of its partial uploads; send no Upload-Length with it")
    if not is_final and (length is not None) == is_deferred:
        raise InvalidRequest("send Upload-Length, or Upload-Defer-Length: 1, and not both")
    has_body = _has_body(headers)
    if has_body and is_final:
        raise InvalidRequest("a final upload brings no bytes of its own")
    if has_body:
        _require_media_type(headers)
    return Creation(length, headers.get("Upload-Metadata", ""), concatenation, _checksum(headers), has_body)


def read_addition(headers: Mapping[str, str]) -> Addition:
    """The fields of a PATCH. Raises InvalidRequest, UnsupportedMediaType."""
    _require_media_type(headers)
    offset = _number(headers, "Upload-Offset")
    if offset is None:
        raise InvalidRequest("the header Upload-Offset is missing")
    return Addition(offset, _number(headers, "Upload-Length"), _checksum(headers))


def _require_media_type(headers: Mapping[str, str]) -> None:
    given = headers.get("Content-Type", "")
    if given.partition(";")[0].strip().lower() != CONTENT_TYPE:
        raise UnsupportedMediaType(f"the bytes of an upload come as {CONTENT_TYPE}, not as {given!r}")


def _has_body(headers: Mapping[str, str]) -> bool:
    return headers.get("Content-Length", "0") != "0" or "Transfer-Encoding" in headers


def _number(headers: Mapping[str, str], name: str) -> int | None:
    text = headers.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS):
        raise InvalidRequest(f"the header {name} must be a whole number, not {text!r}")
    return int(text)


def _is_deferred(headers: Mapping[str, str]) -> bool:
    text = headers.get("Upload-Defer-Length")
    if text not in (None, "1"):
        raise InvalidRequest(f"the header Upload-Defer-Length can only be 1, not {text!r}")
    return text is not None


def _checksum(headers: Mapping[str, str]) -> ExpectedChecksum | None:
    text = headers.get("Upload-Checksum")
    return None if text is None else parse_checksum(text)


def _concatenation(text: str | None) -> Concatenation | None:
    if text is None:
        return None
    if text == "partial":
        return Concatenation(text, is_partial=True)
    kind, _, rest = text.partition(";")
    urls = tuple(url for url in _BLANKS.split(rest) if url)
    if kind != "final" or not urls:
        raise InvalidRequest("the header Upload-Concat is 'partial', or 'final;' and the URLs of partial uploads")
    return Concatenation(text, is_partial=False, partials=urls)
