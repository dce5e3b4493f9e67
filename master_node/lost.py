"""Strike the replicas of workers that are lost: they count no more, and repair makes them again elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from common.clock import Clock
from common.logs import EventLog
from master_node.jobs import Progress
from master_node.membership import Membership
from master_node.passes import PAGE, Pause
from master_node.replicas import struck
from master_node.store.base import Holding, MetadataStore


class Strike:
    """The job; one page of one worker's replicas a unit.

    The last replica of a chunk stays in its record, whoever has it: no other is left to be copied.
    """

    name = "strike"

    def __init__(self, store: MetadataStore, membership: Membership, clock: Clock, log: EventLog) -> None:
        self._store = store
        self._membership = membership
        self._log = log
        self._pause = Pause(clock)
        self._places: dict[str, str] = {}
        self._struck = 0
        self._found_any = False

    def work(self, epoch: int) -> Progress:  # noqa: ARG002 - nothing is ordered
        views = self._membership.workers()
        if self._membership.are_most_gone() or not self._pause.is_over(views):
            return Progress.IDLE
        lost = [view.worker_id for view in views if view.is_lost]
        self._places = {name: self._places.get(name, "") for name in lost}
        for worker_id in lost:
            if self._strike_page(worker_id):
                return Progress.BUSY
        self._places = {}
        if self._found_any:
            self._pause.lengthen()
        self._found_any = False
        return Progress.IDLE

    def describe(self) -> Mapping[str, Any]:
        return {"struck": self._struck}

    def _strike_page(self, worker_id: str) -> bool:
        """False once the worker's last page was done in this pass."""
        chunks = self._store.find_held(worker_id, Holding.REPLICA, self._places[worker_id], PAGE)
        if not chunks:
            return False
        self._places[worker_id] = chunks[-1].chunk_id
        after = [struck(chunk, worker_id, is_proven=False) for chunk in chunks]
        changed = [new for old, new in zip(chunks, after, strict=True) if new is not old]
        count = sum(self._store.replace_chunks(changed))
        self._struck += count
        self._found_any = True
        if count:
            self._log.info("replicas_struck", worker=worker_id, chunks=count)
        return True
