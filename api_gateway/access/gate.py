"""Decides for each request who asks, and whether they may.

Whoever shows a key is let in with its rights: as bearer token or password of HTTP Basic, by the session of a browser
that signed in with it, or by a link that was made with it. While there is no key at all, clients on the gateway's own
machine may do everything, and nobody else anything.
"""

from __future__ import annotations

import hmac
from dataclasses import replace

from api_gateway.access.callers import refuse_other_sites, require_this_machine
from api_gateway.access.credentials import came_by_tls, shown_key, shown_session
from api_gateway.access.key_cache import KeyCache
from api_gateway.access.links import RIGHT_OF, SIGNATURE, Links
from api_gateway.access.needs import Scope, need_of
from api_gateway.access.sessions import Sessions
from api_gateway.cross_origin import CrossOrigin
from api_gateway.request_path import requested_path
from common.actors import EVERY_RIGHT, NOBODY, Actor
from common.api_keys import is_right_secret, split_key
from common.calls import Call
from common.errors import LinkRefused, Unauthorized
from common.failed_sign_ins import FailedSignIns

LOCAL = Actor("local", EVERY_RIGHT)
SIGN_IN_PATH = "/sign-in"
_SAFE_METHODS = ("GET", "HEAD", "OPTIONS")


class Gate:
    """The gateway's guard. operator_id: stands for the operator's key in sessions and links; changes with the key."""

    def __init__(
        self,
        operator_key: str,
        operator_id: str,
        keys: KeyCache,
        sessions: Sessions,
        links: Links,
        failures: FailedSignIns,
        cross_origin: CrossOrigin | None = None,
    ) -> None:
        self._operator_key = operator_key.encode("utf-8")
        self._operator = Actor("operator", EVERY_RIGHT, key_id=operator_id)
        self._keys = keys
        self._sessions = sessions
        self._links = links
        self._failures = failures
        self._cross_origin = cross_origin or CrossOrigin()

    def admit(self, call: Call) -> None:
        """Let the call in and say who makes it, or raise Unauthorized, Forbidden, TooManySignIns, Unavailable."""
        need = need_of(call.method, call.rule)
        is_safe = call.method in _SAFE_METHODS
        call.actor = NOBODY
        if need.scope is not Scope.OPEN:
            call.actor = self._recognise(call)
        is_invited = self._cross_origin.admits(call.environ, call.headers, call.rule, call.actor)
        if not is_safe and not is_invited:
            refuse_other_sites(call.headers, call.headers.get("Host", ""), is_session=call.actor.is_session)
        need.check(call.actor)

    def is_key_needed(self) -> bool:
        """Whether being on the gateway's own machine is not enough. Raises Unavailable where that is not known."""
        return bool(self._operator_key) or self._keys.is_any()

    def sign_in(self, call: Call, text: str) -> str:
        """The session's cookie for a key; raises Unauthorized, TooManySignIns."""
        call.actor = actor = self._by_key(call, text)
        return self._sessions.begin(actor.key_id)

    def _recognise(self, call: Call) -> Actor:
        if SIGNATURE in call.query:
            return self._by_link(call)
        if not self.is_key_needed():
            host = call.headers.get("Host", "")
            require_this_machine(call.headers, call.client, _local_address(call), host)
            return LOCAL
        text = shown_key(call.headers)
        if text is not None:
            return self._by_key(call, text)
        session = shown_session(call.headers, is_secure=came_by_tls(call.headers, call.environ))
        if session is not None and (actor := self._by_session(session)) is not None:
            return actor
        raise _key_wanted()

    def _by_key(self, call: Call, text: str) -> Actor:
        if self._operator_key and hmac.compare_digest(text.encode("utf-8", "surrogateescape"), self._operator_key):
            # It may be a weak one; who has to wait must not learn that this guess was right.
            self._failures.require_patience(call.client)
            return self._operator
        key_id, secret = split_key(text) or ("", "")
        record = self._keys.known(key_id)
        is_right = is_right_secret(record, secret)
        if not is_right:
            # A right key that is known is never hindered by others who share its address.
            self._failures.require_patience(call.client)
            record = self._keys.find(key_id) if key_id else None
            is_right = is_right_secret(record, secret)
        if not is_right or record is None or record.revoked_at is not None:
            self._failures.note(call.client)
            call.actor = replace(NOBODY, key_id=key_id)
            raise _key_wanted()
        return record.actor

    def _by_session(self, value: str) -> Actor | None:
        key_id = self._sessions.key_of(value)
        actor = self._by_id(key_id) if key_id is not None else None
        return replace(actor, is_session=True) if actor is not None else None

    def _by_link(self, call: Call) -> Actor:
        path = requested_path(call)
        key_id = self._links.verify(call.method, call.rule, path, call.query)
        maker = self._by_id(key_id)
        if maker is None:
            raise LinkRefused("the key that made the link counts no more")
        right = RIGHT_OF[call.query["dfs_method"]]
        maker.require(right)
        maker.require_path(path)
        return replace(maker, label=f"link of {maker.label}", rights=frozenset({right}), prefix=path)

    def _by_id(self, key_id: str) -> Actor | None:
        if self._operator_key and key_id == self._operator.key_id:
            return self._operator
        record = self._keys.find(key_id)
        return record.actor if record is not None and record.revoked_at is None else None


def _local_address(call: Call) -> str | None:
    """Our end of the client's connection; a client with the same address is on this machine."""
    connection = call.environ.get("dfs.socket")
    return str(connection.getsockname()[0]) if connection is not None else None


def _key_wanted() -> Unauthorized:
    return Unauthorized(
        "send an API key as 'Authorization: Bearer <key>' or as password of HTTP Basic, or sign in with it",
        sign_in=SIGN_IN_PATH,
    )
