"""Byte ranges of HTTP (RFC 9110, section 14), as pure functions.

One range is served. A request for several gets the whole representation, which the RFC allows; so does a range that
is not well-formed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from common.errors import RangeNotSatisfiable

# Each gap has one reading only: two that meet would cost the square of the header's length.
_ONE_RANGE = re.compile(r"\s*bytes\s*=\s*(?:(\d{1,19})\s*)?-\s*(?:(\d{1,19})\s*)?", re.IGNORECASE | re.ASCII)


@dataclass(frozen=True)
class ByteRange:
    """The bytes from `start` up to, not including, `stop`."""

    start: int
    stop: int

    @property
    def length(self) -> int:
        return self.stop - self.start

    def content_range(self, size: int) -> str:
        """The value of the header Content-Range."""
        return f"bytes {self.start}-{self.stop - 1}/{size}"


def parse_range(header: str | None, size: int) -> ByteRange | None:
    """The part of a representation of `size` bytes that the header Range asks for; None for all of it.

    Raises RangeNotSatisfiable when no byte of the range exists: one beyond the end, a suffix of 0 bytes, any range of
    an empty representation.
    """
    match = _ONE_RANGE.fullmatch(header) if header else None
    if match is None or match.groups() == (None, None):
        return None
    first, last = match.groups()
    if not first:
        wanted = ByteRange(max(0, size - int(last)), size)
    elif last and int(last) < int(first):
        return None
    else:
        wanted = ByteRange(int(first), min(int(last) + 1, size) if last else size)
    if wanted.length <= 0:
        raise RangeNotSatisfiable(f"the file has {size} bytes", size=size)
    return wanted
