"""The Date field of answers, which a server with a clock must send (RFC 9110, 6.6.1)."""

from __future__ import annotations

from email.utils import format_datetime

from common.clock import Clock, parse_timestamp

# How old the text may be; making it costs as much as a tenth of a small request.
_KEPT_SECONDS = 0.2


class HttpDate:
    """The time as HTTP writes it. For any number of threads."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._made = (clock.monotonic() - 2 * _KEPT_SECONDS, "")
        # The first time Python opens files for it, of which none may be left later.
        self.now()

    def now(self) -> str:
        """For example "Sun, 06 Nov 1994 08:49:37 GMT"."""
        made_at, text = self._made
        now = self._clock.monotonic()
        if now - made_at > _KEPT_SECONDS:
            text = format_datetime(parse_timestamp(self._clock.timestamp()), usegmt=True)
            self._made = (now, text)
        return text
