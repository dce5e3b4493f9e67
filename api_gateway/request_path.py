"""Which file a request for `/fs/<path>` means."""

from __future__ import annotations

from urllib.parse import unquote_to_bytes

from common.calls import Call
from common.paths import decode_path

_PREFIX = b"/fs/"


def requested_path(call: Call) -> str:
    """The path exactly as the client sent it, unescaped once: PATH_INFO would do, were it not for a "%2F"."""
    target: str = call.environ.get("RAW_URI") or call.environ["REQUEST_URI"]
    if not target.startswith("/"):
        # The absolute form, http://host/path, is what proxies send (RFC 9112, 3.2.2).
        target = "/" + target.partition("://")[2].partition("/")[2]
    escaped = target.partition("?")[0].encode("latin-1")
    return decode_path(unquote_to_bytes(escaped).removeprefix(_PREFIX))
