"""The header fields that keep a browser from doing anything with an answer that was not meant.

They follow OWASP's list for secure headers and its advice for REST services. The server loop adds them to whatever it
sends, its own refusals included; an answer that sets one of them itself (a page, a stored file) has its own way there.
"""

from __future__ import annotations

from collections.abc import Collection

# The answers are for programs: nothing in one may load, run or be framed, and none is kept by a cache.
_DEFAULTS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
# Said over TLS only; elsewhere browsers must ignore it (RFC 6797, 8.1). Other services of the same domain are not ours.
_OVER_TLS = {"Strict-Transport-Security": "max-age=31536000"}
# What an HTML page of ours says besides.
PAGE_HEADERS = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
}


class SecurityHeaders:
    """The lines for the answers of one connection."""

    def __init__(self, *, is_tls: bool) -> None:
        fields = {**_DEFAULTS, **(_OVER_TLS if is_tls else {})}
        self._lines = {name.lower(): f"{name}: {value}\r\n" for name, value in fields.items()}
        self._all = "".join(self._lines.values())
        self.names = frozenset(self._lines)

    def lines(self, given: Collection[str] = ()) -> str:
        """The header lines, each with its CRLF, without those named in `given`, in small letters."""
        if not given:
            return self._all
        return "".join(line for name, line in self._lines.items() if name not in given)


OVER_TLS, IN_THE_CLEAR = SecurityHeaders(is_tls=True), SecurityHeaders(is_tls=False)
