"""Quotas in every store: one document each, changed on condition of its revision."""

from __future__ import annotations

from dataclasses import replace

import pytest

from master_node.quotas.model import Announcement, Part, Quota, Recount
from master_node.store.base import IdTaken, MetadataStore

FULL = Quota(
    "a/$b.c",
    None,
    5,
    used_bytes=10**15,
    used_files=2,
    announced=(Announcement("x", (Part("a/$b.c/é", -5, 1), Part("", 0, -1)), 1.5),),
    is_counted=True,
    changed_at=1.0,
    counted_at=2.0,
    recount=Recount("a/$b.c/1", 7, 1),
)


@pytest.mark.parametrize("quota", [Quota("", 1, None), FULL])
def test_a_quota_is_read_as_it_was_written(store: MetadataStore, quota: Quota) -> None:
    store.insert_quota(quota)
    assert store.find_quota(quota.prefix) == quota
    assert store.list_quotas() == [quota]


def test_a_prefix_has_one_quota(store: MetadataStore) -> None:
    store.insert_quota(Quota("a/", 1, None))
    with pytest.raises(IdTaken):
        store.insert_quota(Quota("a/", 2, None))
    assert store.find_quota("a/") == Quota("a/", 1, None)


def test_a_quota_is_replaced_only_at_the_revision_that_was_read(store: MetadataStore) -> None:
    quota = Quota("a/", 1, None)
    store.insert_quota(quota)
    later = replace(quota, revision=2, used_bytes=1)
    assert store.replace_quota(later)
    assert not store.replace_quota(replace(quota, revision=2, used_bytes=9))
    assert not store.replace_quota(Quota("b/", 1, None, revision=2))
    assert store.list_quotas() == [later]


def test_quotas_are_listed_in_the_order_of_their_prefixes_until_deleted(store: MetadataStore) -> None:
    for prefix in ("b/", "", "a/"):
        store.insert_quota(Quota(prefix, 1, None))
    assert [quota.prefix for quota in store.list_quotas()] == ["", "a/", "b/"]
    assert store.delete_quota("a/")
    assert not store.delete_quota("a/")
    assert store.find_quota("a/") is None
