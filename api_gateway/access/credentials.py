"""What a request shows to be let in: a key in the header Authorization, or a session's cookie. Judges neither."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping

SESSION_COOKIE = "dfs_session"
_COOKIE = re.compile(rf"(?:^|;)[ \t]*{SESSION_COOKIE}=([0-9A-Za-z._-]{{1,200}})[ \t]*(?:;|$)")


def shown_key(headers: Mapping[str, str]) -> str | None:
    """The key that is shown as bearer token or as the password of HTTP Basic; "" for what can be no key.

    None where nothing is shown.
    """
    authorization = headers.get("Authorization")
    if authorization is None:
        return None
    scheme, _, value = authorization.partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    if scheme.lower() != "basic":
        return ""
    try:
        return base64.b64decode(value, validate=True).decode("utf-8").partition(":")[2].strip()
    except (binascii.Error, ValueError):
        return ""


def shown_session(headers: Mapping[str, str]) -> str | None:
    """The value of the session's cookie."""
    found = _COOKIE.search(headers.get("Cookie", ""))
    return found[1] if found is not None else None
