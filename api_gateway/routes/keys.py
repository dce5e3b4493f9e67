"""`/keys`: make, list and revoke API keys; `/links`: presigned links."""

from __future__ import annotations

from dataclasses import dataclass

from api_gateway.access.gate import Gate
from api_gateway.access.key_cache import KeyCache
from api_gateway.access.links import RIGHT_OF, Links
from api_gateway.access.sessions import Sessions
from common.actors import ADMIN, NOBODY
from common.api_keys import check_name, check_prefix, check_rights, make_key, require_sensible
from common.calls import Answer, Call, json_answer
from common.clock import Clock, format_timestamp
from common.edge import Edge
from common.errors import AdminNeeded, Unauthorized
from common.fields import take
from common.master_client import MasterClient

MAX_KEY_PAGE = 1000
# What an answer with a secret in it must not be: kept by anything on its way.
_NO_STORE = [("Cache-Control", "no-store")]


@dataclass(frozen=True)
class AccessServices:
    """Everything that the routes about keys, links and sessions call."""

    gate: Gate
    keys: KeyCache
    sessions: Sessions
    links: Links


def add_key_routes(edge: Edge, masters: MasterClient, access: AccessServices, clock: Clock) -> None:
    @edge.route("POST", "/keys")
    def make_api_key(call: Call) -> Answer:
        """201 with the key's text, which is shown this once."""
        body = call.json()
        name, rights = check_name(take(body, "name", str)), check_rights(take(body, "rights", list))
        prefix = check_prefix(take(body, "prefix", str)) if body.get("prefix") is not None else ""
        require_sensible(rights, prefix)
        if ADMIN not in rights and not access.gate.is_key_needed():
            raise AdminNeeded("from the first key on a key is needed everywhere, so the first needs the right admin")
        text, record = make_key(name, rights, prefix, clock.timestamp())
        call.about = {"key_id": record.key_id, "name": name, "rights": list(record.rights), "prefix": prefix}
        masters.put_key(record)
        access.keys.note(record)
        location = ("Location", f"/keys/{record.key_id}")
        return json_answer({**record.to_public_json(), "key": text}, 201, [location, *_NO_STORE])

    @edge.route("GET", "/keys")
    def list_api_keys(call: Call) -> Answer:
        """One page, in the order of the ids, revoked ones too; the next begins after `next_after`."""
        limit = call.number("limit", MAX_KEY_PAGE, MAX_KEY_PAGE, minimum=1)
        found = masters.list_keys(call.query.get("after", ""), limit, call.flag("active"))
        next_after = found[-1].key_id if len(found) == limit else None
        return json_answer({"keys": [key.to_public_json() for key in found], "next_after": next_after})

    @edge.route("DELETE", "/keys/<key_id>")
    def revoke_api_key(_call: Call, key_id: str) -> Answer:
        """For good; other gateways take it for `gateway.key_cache_seconds` more."""
        record = masters.revoke_key(key_id)
        access.keys.note(record)
        return json_answer(record.to_public_json())


def add_link_routes(edge: Edge, links: Links) -> None:
    @edge.route("POST", "/links")
    def make_link(call: Call) -> Answer:
        """201 with a URL that works without a key until it expires or the key that asked is revoked."""
        body = call.json()
        path, method, seconds = take(body, "path", str), take(body, "method", str), take(body, "seconds", int)
        actor = call.actor or NOBODY
        if not actor.key_id:
            raise Unauthorized("a link belongs to a key; make a key first, and ask with it")
        link = links.make(actor.key_id, path, method, seconds)
        call.about = {"method": method, "seconds": seconds}
        actor.require(RIGHT_OF[method])
        call.permit(path)
        scheme, host = call.environ["wsgi.url_scheme"], call.headers.get("Host", "")
        url = f"{scheme}://{host}{link.url}"
        answer = {"url": url, "path": path, "method": method, "expires_at": format_timestamp(link.expires_at)}
        return json_answer(answer, 201, _NO_STORE)
