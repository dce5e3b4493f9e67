"""What a request shows to be let in: a key in the header Authorization, or a session's cookie. Judges neither."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Any

SESSION_COOKIE = "dfs_session"
# A browser takes a cookie of such a name over TLS alone, and from this host alone: nobody else can give our page a
# session, neither another host of the domain nor somebody who writes into plain HTTP.
SECURE_SESSION_COOKIE = f"__Host-{SESSION_COOKIE}"
_COOKIES = {
    name: re.compile(rf"(?:^|;)[ \t]*{name}=([0-9A-Za-z._-]{{1,200}})[ \t]*(?:;|$)")
    for name in (SESSION_COOKIE, SECURE_SESSION_COOKIE)
}


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


def shown_session(headers: Mapping[str, str], *, is_secure: bool) -> str | None:
    """The value of the session's cookie, of the one that counts over TLS or of the other."""
    found = _COOKIES[session_cookie(is_secure=is_secure)].search(headers.get("Cookie", ""))
    return found[1] if found is not None else None


def session_cookie(*, is_secure: bool) -> str:
    """The name of the session's cookie."""
    return SECURE_SESSION_COOKIE if is_secure else SESSION_COOKIE


def came_by_tls(headers: Mapping[str, str], environ: Mapping[str, Any]) -> bool:
    """Whether the browser did, to us or to a proxy; who lies about that only loses his own session."""
    return environ["wsgi.url_scheme"] == "https" or headers.get("X-Forwarded-Proto") == "https"
