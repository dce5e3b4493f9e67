"""The keys of the gateway's clients: kept, looked up, revoked. Knows no key's text, only what is kept of it."""

from __future__ import annotations

from common.api_keys import KeyRecord
from common.clock import Clock
from common.errors import Conflict, KeyUnknown
from master_node.store.base import IdTaken, MetadataStore


class Keys:
    """Any master serves them; every call may be repeated."""

    def __init__(self, store: MetadataStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def put(self, key: KeyRecord) -> KeyRecord:
        """Keep a new key; raises Conflict where another one has its id."""
        try:
            self._store.put_key(key)
        except IdTaken:
            raise Conflict("another key has this id", key_id=key.key_id) from None
        return key

    def find(self, key_id: str) -> KeyRecord:
        """Also a revoked one; raises KeyUnknown."""
        return _require(self._store.find_key(key_id), key_id)

    def revoke(self, key_id: str) -> KeyRecord:
        """For good: there is no way back but a new key. Raises KeyUnknown."""
        return _require(self._store.revoke_key(key_id, self._clock.timestamp()), key_id)

    def list(self, after: str, limit: int, is_active_only: bool) -> list[KeyRecord]:
        return self._store.list_keys(after, limit, is_active_only)


def _require(key: KeyRecord | None, key_id: str) -> KeyRecord:
    if key is None:
        raise KeyUnknown("no key has this id", key_id=key_id)
    return key
