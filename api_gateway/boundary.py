"""Where the data of a part end: finds boundary lines in octets that may stop anywhere. Reads nothing, keeps nothing.

A boundary counts only as a whole line of its own, CR LF before it included; whatever else contains its text is data.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

MAX_PADDING_BYTES = 256
_LINE_END = re.compile(rb"--|[ \t]{0,%d}\r\n" % MAX_PADDING_BYTES)
_OPEN_LINE_END = re.compile(rb"-|[ \t]{0,%d}\r?" % MAX_PADDING_BYTES)


@dataclass(frozen=True)
class DataEnd:
    """How far the data go, and where what is behind the boundary begins; None when no boundary was seen to its end.

    Without a boundary, what stands behind the data may be the beginning of one: more octets will tell.
    """

    position: int
    line_end: int | None


class Boundary:
    """The boundary of one form."""

    def __init__(self, text: bytes) -> None:
        self._delimiter = b"\r\n--" + text
        # No beginning of a boundary line is longer.
        self.max_line_bytes = len(self._delimiter) + MAX_PADDING_BYTES + 2

    def find(self, octets: bytearray, start: int, end: int) -> DataEnd:
        """The end of the data that begin at octets[start]; nothing from `end` on is looked at. Takes linear time."""
        at = octets.find(self._delimiter, start, end)
        while at >= 0:
            behind = at + len(self._delimiter)
            if (line_end := _LINE_END.match(octets, behind, end)) is not None:
                return DataEnd(at, line_end.end())
            if _OPEN_LINE_END.fullmatch(octets, behind, end) is not None:
                return DataEnd(at, None)
            at = octets.find(self._delimiter, at + 1, end)
        return DataEnd(self._open_delimiter(octets, start, end), None)

    def _open_delimiter(self, octets: bytearray, start: int, end: int) -> int:
        """Where a delimiter may begin that `end` cuts off; `end` when none does."""
        at = octets.find(b"\r", max(start, end - len(self._delimiter) + 1), end)
        while at >= 0 and not self._delimiter.startswith(octets[at:end]):
            at = octets.find(b"\r", at + 1, end)
        return at if at >= 0 else end
