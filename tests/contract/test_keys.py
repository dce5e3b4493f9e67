"""The keys of the gateway's clients in a metadata store."""

from __future__ import annotations

from dataclasses import replace

import pytest

from common.api_keys import KeyRecord, make_key
from master_node.store.base import IdTaken, MetadataStore
from tests.contract.conftest import Connect
from tests.support.metadata import AWKWARD, NOW

LATER = "2026-02-01T00:00:00.000Z"


def key(number: int = 1, **changes: object) -> KeyRecord:
    _, record = make_key(f"key {number}", ("read", "write"), "", NOW)
    return replace(record, key_id=f"{number:016x}", **changes)  # type: ignore[arg-type]


def test_a_key_comes_back_as_it_was_put(connect: Connect) -> None:
    one, other = connect(), connect()
    assert one.find_key(f"{1:016x}") is None
    keys = [key(number, prefix=prefix, name="ünï") for number, prefix in enumerate(AWKWARD) if prefix]
    for record in keys:
        one.put_key(record)
    assert [other.find_key(record.key_id) for record in keys] == keys


def test_a_key_that_is_put_twice_is_one_key(store: MetadataStore) -> None:
    record = key()
    for _ in range(2):
        store.put_key(record)
    assert store.list_keys("", 10) == [record]


def test_another_key_never_takes_the_place_of_one(store: MetadataStore) -> None:
    record, rival = key(), key()
    store.put_key(record)
    with pytest.raises(IdTaken):
        store.put_key(rival)
    assert store.find_key(record.key_id) == record


def test_a_key_is_revoked_once_and_for_good(connect: Connect) -> None:
    one, other = connect(), connect()
    record = key()
    one.put_key(record)
    revoked = replace(record, revoked_at=NOW)
    assert other.revoke_key(record.key_id, NOW) == revoked
    assert one.revoke_key(record.key_id, LATER) == revoked
    # A late copy of the call that made it.
    one.put_key(record)
    assert one.find_key(record.key_id) == revoked


def test_a_key_that_is_not_there_is_not_revoked(store: MetadataStore) -> None:
    assert store.revoke_key(f"{1:016x}", NOW) is None
    assert store.list_keys("", 10) == []


def test_keys_are_listed_page_by_page_in_the_order_of_their_ids(store: MetadataStore) -> None:
    keys = [key(number) for number in range(1, 8)]
    for record in reversed(keys):
        store.put_key(record)
    for number in (2, 3, 7):
        store.revoke_key(f"{number:016x}", NOW)
    assert [record.key_id for record in store.list_keys("", 3)] == [f"{number:016x}" for number in (1, 2, 3)]
    assert [record.key_id for record in store.list_keys(f"{3:016x}", 10)] == [
        f"{number:016x}" for number in (4, 5, 6, 7)
    ]
    active = store.list_keys("", 10, is_active_only=True)
    assert active == [keys[number - 1] for number in (1, 4, 5, 6)]
    assert store.list_keys(f"{1:016x}", 1, is_active_only=True) == [keys[3]]
