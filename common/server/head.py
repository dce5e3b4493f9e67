"""The head of an HTTP/1.1 request, read strictly (RFC 9112): what is ambiguous is refused, never guessed.

Two parties that read one request differently let a third smuggle another one in between; so a length given twice, a
length beside a transfer coding, folded lines and bare line feeds are errors.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from common.wire import MalformedHead, content_length, is_chunked, parse_fields

_REQUEST_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]{1,32}) ([\x21-\x7e\x80-\xff]+) HTTP/1\.([01])")
MAX_TARGET_BYTES = 16 * 1024


class Refused(Exception):
    """A request that cannot be read; `status` is the answer, after which the connection is closed."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


@dataclass(frozen=True)
class RequestHead:
    """A request without its body. `length`: of the body in bytes; None when it comes in chunks."""

    method: str
    target: str
    is_http_11: bool
    fields: dict[str, str]
    length: int | None

    @property
    def keeps_alive(self) -> bool:
        options = self.fields.get("connection", "").lower()
        return "close" not in options if self.is_http_11 else "keep-alive" in options

    @property
    def expects_continue(self) -> bool:
        return self.is_http_11 and self.fields.get("expect", "").lower() == "100-continue"


def parse_head(block: bytes) -> RequestHead:
    """Read a head, given with the CR LF of its last line and without the empty line after it. Raises Refused."""
    line, _, rest = block.partition(b"\r\n")
    found = _REQUEST_LINE.fullmatch(line)
    if found is None:
        raise Refused(400, "the request line is malformed, or not of HTTP/1.0 or HTTP/1.1")
    method, target, minor = found.groups()
    if len(target) > MAX_TARGET_BYTES:
        raise Refused(414, f"the address is longer than {MAX_TARGET_BYTES} bytes")
    if not (target.startswith(b"/") or b"://" in target or target == b"*"):
        raise Refused(400, "the address is neither a path nor an absolute one")
    try:
        fields = parse_fields(rest)
        is_in_chunks, length = is_chunked(fields), content_length(fields) or 0
    except MalformedHead as error:
        raise Refused(400, str(error)) from None
    is_http_11 = minor == b"1"
    if is_http_11 and "host" not in fields:
        raise Refused(400, "a request needs a Host")
    if is_in_chunks and not is_http_11:
        raise Refused(400, "HTTP/1.0 has no transfer codings")
    return RequestHead(
        method.decode("ascii"), target.decode("latin-1"), is_http_11, fields, None if is_in_chunks else length
    )
