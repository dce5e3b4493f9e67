"""Where a request comes from: this machine or not, and on behalf of which site's page. Knows no keys."""

from __future__ import annotations

from collections.abc import Mapping

from common.addresses import is_loopback, is_own_name
from common.errors import CrossSiteRequest, Unauthorized

_PROXY_HEADERS = frozenset({"forwarded", "via", "x-real-ip", "x-client-ip", "true-client-ip", "cf-connecting-ip"})
_PROXY_PREFIXES = ("x-forwarded-", "x-original-forwarded-")
_HOW = (
    "until there is an API key the gateway serves only clients on its own machine; make one there"
    " (POST /keys), or set DFS_GATEWAY_API_KEY in the gateway's .env and start it again; then send"
    " 'Authorization: Bearer <key>' (curl: -H, or -u any:<key>)"
)


def require_this_machine(headers: Mapping[str, str], client: str | None, local: str | None, host: str) -> None:
    """Raise Unauthorized unless a client on this machine asks for itself.

    client, local: the addresses of both ends of the connection. host: the header Host.
    """
    names = [name.lower() for name in headers]
    if not _PROXY_HEADERS.isdisjoint(names) or any(name.startswith(_PROXY_PREFIXES) for name in names):
        raise Unauthorized(f"the request came through a proxy; {_HOW}")
    if client is None or not (is_loopback(client) or client == local):
        raise Unauthorized(_HOW)
    if not is_own_name(host):
        # A page of another site can give its own name this machine's address (DNS rebinding).
        raise Unauthorized(f"the gateway does not go by the name {host!r}; use localhost or an address; {_HOW}")


def refuse_other_sites(headers: Mapping[str, str], host: str, *, is_session: bool) -> None:
    """Raise CrossSiteRequest for what the page of another site makes a visitor's browser do.

    Browsers say where a request comes from; curl and scripts send neither header. is_session: the browser sends its
    cookie by itself, so one of the two headers must be there.
    """
    site = headers.get("Sec-Fetch-Site")
    if site not in (None, "none", "same-origin"):
        raise CrossSiteRequest("the request was made by a page of another site")
    origin = headers.get("Origin")
    if origin is not None and origin.lower().partition("://")[2] != host.lower():
        raise CrossSiteRequest(f"the request was made by a page of {origin}")
    if is_session and origin is None and site != "same-origin":
        raise CrossSiteRequest("with a session, a change must say by Sec-Fetch-Site or Origin where it comes from")
