"""Trim what has too many replicas to exactly its factor; the copies that go are freed by the release job."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from common.clock import Clock
from master_node.jobs import Progress
from master_node.membership import Membership
from master_node.passes import PAGE, Pause
from master_node.replicas import choose_surplus, struck
from master_node.store.base import MetadataStore


class Trim:
    """The job; one page of the chunks with surplus a unit, one replica of each."""

    name = "trim"

    def __init__(self, store: MetadataStore, membership: Membership, clock: Clock) -> None:
        self._store = store
        self._membership = membership
        self._pause = Pause(clock)
        self._after = ""
        self._trimmed = 0
        self._found_any = False

    def work(self, epoch: int) -> Progress:  # noqa: ARG002 - nothing is ordered
        views = self._membership.workers()
        if self._membership.are_most_gone() or not self._pause.is_over(views):
            return Progress.IDLE
        chunks = self._store.find_surplus(self._after, PAGE)
        if not chunks:
            if self._found_any:
                self._pause.lengthen()
            self._after, self._found_any = "", False
            return Progress.IDLE
        self._after, self._found_any = chunks[-1].chunk_id, True
        by_id = {view.worker_id: view for view in views}
        chosen = [(chunk, choose_surplus(chunk, by_id)) for chunk in chunks]
        changed = [struck(chunk, name, is_proven=False) for chunk, name in chosen if name is not None]
        self._trimmed += sum(self._store.replace_chunks(changed))
        return Progress.BUSY

    def describe(self) -> Mapping[str, Any]:
        return {"trimmed": self._trimmed}
