"""The headers of one part of a form: its field's name, its file's name exactly as the client meant it, its type."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import unquote_to_bytes

from common.errors import InvalidForm

MAX_HEADER_BYTES = 16 * 1024
_PARAMETER = re.compile(r';\s*([!#$%&\'*+.^_`|~0-9A-Za-z-]+)\s*=\s*("(?:\\"|[^"])*"|[^;"]*)')
_ESCAPED = (("%22", '"'), ("%0D", "\r"), ("%0A", "\n"))


def parse_headers(block: bytes) -> Mapping[str, str]:
    """The headers by their names in small letters. Raises InvalidForm, also when there is no Content-Disposition."""
    if len(block) > MAX_HEADER_BYTES:
        raise InvalidForm("the headers of a part are too long")
    try:
        text = block.decode("utf-8")
    except UnicodeDecodeError:
        raise InvalidForm("the headers of a part must be valid UTF-8") from None
    headers = {}
    for line in re.sub(r"\r\n[ \t]+", " ", text).split("\r\n"):
        name, colon, value = line.partition(":")
        if not colon:
            raise InvalidForm("a part of the form has a line that is no header")
        headers[name.strip().lower()] = value.strip()
    if "content-disposition" not in headers:
        raise InvalidForm("a part of the form has no Content-Disposition")
    return headers


def disposition_parameters(disposition: str) -> Mapping[str, str]:
    """The parameters of a Content-Disposition, a file's name exactly as the client meant it.

    Browsers and curl escape only `"`, CR and LF, as %22, %0D, %0A (HTML, "Multipart form data"); a backslash stands for
    itself, except before a quote, where older clients put it. `filename*` (RFC 8187) wins over `filename`.
    """
    found = {match[1].lower(): _unquote(match[2]) for match in _PARAMETER.finditer(disposition)}
    extended = found.get("filename*")
    if extended is not None:
        found["filename"] = _decode_extended(extended)
    return found


def _unquote(value: str) -> str:
    if not value.startswith('"'):
        return value.strip()
    text = value[1:-1].replace('\\"', '"')
    for escaped, character in _ESCAPED:
        text = text.replace(escaped, character)
    return text


def _decode_extended(value: str) -> str:
    charset, _, rest = value.partition("'")
    _language, _, escaped = rest.partition("'")
    try:
        return unquote_to_bytes(escaped).decode(charset or "utf-8")
    except (LookupError, UnicodeDecodeError):
        raise InvalidForm("the name of a file cannot be decoded") from None
