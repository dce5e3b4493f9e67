"""The job `quotas`: count what lies under a prefix, when a quota is new, when a change was left announced, and daily.

A page is counted on condition that the quota's document did not change meanwhile, and none of the page's files was
about to: so every file is in the sums once, however many are written during the count. Pages get smaller where there
are many writers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from master_node.election import Election
from master_node.jobs import Progress
from master_node.listing import after_prefix
from master_node.quotas.ledger import KNOWN_SECONDS, STALE_SECONDS
from master_node.quotas.model import (
    Part,
    Quota,
    begin_recount,
    end_recount,
    has_under_way,
    parts_of,
    recount_page,
)
from master_node.store.base import MetadataStore

LARGEST_PAGE, SMALLEST_PAGE = 500, 1
RECOUNT_SECONDS = 86400.0


class RecountQuotas:
    """The job; one page of one quota a unit."""

    name = "quotas"

    def __init__(self, store: MetadataStore, election: Election, lease_seconds: float) -> None:
        """lease_seconds: by how much the cluster clock may be behind."""
        self._store = store
        self._election = election
        # Until every master knows a new quota, some files are written without being announced.
        self._settling_seconds = 2 * KNOWN_SECONDS + lease_seconds
        self._page = LARGEST_PAGE
        self._counted = 0

    def work(self, epoch: int) -> Progress:  # noqa: ARG002 - nothing is ordered
        now = self._election.clock_seconds()
        for quota in self._store.list_quotas():
            is_stale = any(now - one.announced_at > STALE_SECONDS for one in quota.announced)
            if is_stale or (quota.recount is None and self._is_due(quota, now)):
                self._store.replace_quota(begin_recount(quota, now - STALE_SECONDS))
                return Progress.BUSY
            if quota.recount is not None:
                return self._count_page(quota, now)
        return Progress.IDLE

    def describe(self) -> Mapping[str, Any]:
        return {"recounted": self._counted}

    def _is_due(self, quota: Quota, now: float) -> bool:
        if not quota.is_counted:
            return now - quota.changed_at >= self._settling_seconds
        return now - quota.counted_at >= RECOUNT_SECONDS

    def _count_page(self, quota: Quota, now: float) -> Progress:
        cursor = quota.recount.cursor if quota.recount is not None else ""
        after = f"a/{cursor or quota.prefix}"
        files = self._store.scan_files(after, after_prefix(f"a/{quota.prefix}"), self._page, is_inclusive=not cursor)
        is_last = len(files) < self._page
        end = None if is_last else files[-1].path
        if has_under_way(quota, cursor, end):
            # It will be settled soon, or be stale; a smaller page may be free of it.
            return self._shrink()
        parts: list[Part] = [part for file in files for part in parts_of(None, file)]
        done = end_recount(quota, parts, now) if end is None else recount_page(quota, end, parts)
        if not self._store.replace_quota(done):
            return self._shrink()
        self._page = min(LARGEST_PAGE, 2 * self._page)
        self._counted += is_last
        return Progress.BUSY

    def _shrink(self) -> Progress:
        was_smallest = self._page == SMALLEST_PAGE
        self._page = max(SMALLEST_PAGE, self._page // 4)
        return Progress.THROTTLED if was_smallest else Progress.BUSY
