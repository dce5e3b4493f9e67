"""Who may use the gateway.

With an API key configured, whoever shows it, as bearer token or as the password of HTTP Basic. Without one, only
clients on this machine. Either way a page of another site may not make a visitor's browser change anything.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import ipaddress
import socket
from collections.abc import Mapping
from urllib.parse import urlsplit

from common.addresses import is_loopback
from common.errors import CrossSiteRequest, Unauthorized

_SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
_PROXY_HEADERS = ("forwarded", "via", "x-real-ip", "x-client-ip", "true-client-ip", "cf-connecting-ip")
_PROXY_PREFIXES = ("x-forwarded-", "x-original-forwarded-")
_HOW = (
    "until an API key is configured the gateway serves only clients on its own machine;"
    " set DFS_GATEWAY_API_KEY in the gateway's .env, start it again and send"
    " 'Authorization: Bearer <key>' (curl: -H, or -u any:<key>)"
)


class Access:
    """Decides for each request; raises Unauthorized or CrossSiteRequest."""

    def __init__(self, api_key: str) -> None:
        self._api_key = api_key.encode("utf-8")

    def check(self, method: str, headers: Mapping[str, str], client: str | None, local: str | None, host: str) -> None:
        """client, local: the addresses of both ends of the connection. host: the header Host."""
        if self._api_key:
            if not self._shows_key(headers.get("Authorization", "")):
                raise Unauthorized("send the API key as 'Authorization: Bearer <key>' or as password of HTTP Basic")
        else:
            _require_this_machine(headers, client, local, host)
        if method not in _SAFE_METHODS:
            _refuse_other_sites(headers, host)

    def _shows_key(self, authorization: str) -> bool:
        scheme, _, value = authorization.partition(" ")
        if scheme.lower() == "basic":
            try:
                value = base64.b64decode(value, validate=True).decode("utf-8").partition(":")[2]
            except (binascii.Error, ValueError):
                return False
        elif scheme.lower() != "bearer":
            return False
        return hmac.compare_digest(value.strip().encode("utf-8", "surrogateescape"), self._api_key)


def _require_this_machine(headers: Mapping[str, str], client: str | None, local: str | None, host: str) -> None:
    if any(name.lower() in _PROXY_HEADERS or name.lower().startswith(_PROXY_PREFIXES) for name in headers):
        raise Unauthorized(f"the request came through a proxy; {_HOW}")
    if client is None or not (is_loopback(client) or client == local):
        raise Unauthorized(_HOW)
    if not _is_own_name(host):
        # A page of another site can give its own name this machine's address (DNS rebinding).
        raise Unauthorized(f"the gateway does not go by the name {host!r}; use localhost or an address; {_HOW}")


def _is_own_name(host: str) -> bool:
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    if name == "localhost" or name.endswith(".localhost") or name == socket.gethostname().lower():
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _refuse_other_sites(headers: Mapping[str, str], host: str) -> None:
    """Browsers say where a request comes from; curl and scripts send neither header."""
    if headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin"):
        raise CrossSiteRequest("the request was made by a page of another site")
    origin = headers.get("Origin")
    if origin is not None and origin.lower().partition("://")[2] != host.lower():
        raise CrossSiteRequest(f"the request was made by a page of {origin}")
