"""Trim what has too many replicas to exactly its factor; the copies that go are freed by the release job."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from master_node.jobs import Progress
from master_node.membership import Membership
from master_node.passes import PAGE
from master_node.replicas import choose_surplus, struck
from master_node.store.base import MetadataStore


class Trim:
    """The job; one page of the chunks with surplus a unit, one replica of each."""

    name = "trim"

    def __init__(self, store: MetadataStore, membership: Membership) -> None:
        self._store = store
        self._membership = membership
        self._after = ""
        self._trimmed = 0
        self._is_fruitless = False

    def work(self, epoch: int) -> Progress:  # noqa: ARG002 - nothing is ordered
        if self._membership.are_most_gone():
            return Progress.THROTTLED
        chunks = self._store.find_surplus(self._after, PAGE)
        if not chunks:
            is_fruitless, self._is_fruitless, self._after = self._is_fruitless, False, ""
            return Progress.THROTTLED if is_fruitless else Progress.IDLE
        views = {view.worker_id: view for view in self._membership.workers()}
        chosen = [(chunk, choose_surplus(chunk, views)) for chunk in chunks]
        count = sum(
            self._store.replace_chunks([struck(chunk, name, is_proven=False) for chunk, name in chosen if name])
        )
        self._after, self._is_fruitless = chunks[-1].chunk_id, not count
        self._trimmed += count
        return Progress.BUSY

    def describe(self) -> Mapping[str, Any]:
        return {"trimmed": self._trimmed}
