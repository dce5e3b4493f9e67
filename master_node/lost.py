"""Strike the replicas of workers that are lost: they count no more, and repair makes them again elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from common.logs import EventLog
from master_node.jobs import Progress
from master_node.membership import Membership, WorkerView
from master_node.passes import PAGE
from master_node.replicas import struck
from master_node.store.base import Holding, MetadataStore


class Strike:
    """The job; one page of one worker's replicas a unit.

    The last replica of a chunk stays in its record, whoever has it: no other is left to be copied.
    """

    name = "strike"

    def __init__(self, store: MetadataStore, membership: Membership, log: EventLog) -> None:
        self._store = store
        self._membership = membership
        self._log = log
        self._places: dict[str, str] = {}
        # The lost workers all of whose replicas have been looked at.
        self._settled: frozenset[str] = frozenset()
        self._struck = 0
        self._found_any = False

    def work(self, epoch: int) -> Progress:  # noqa: ARG002 - nothing is ordered
        if self._membership.are_most_gone():
            return Progress.THROTTLED
        lost = [view.worker_id for view in self._membership.workers() if view.is_lost]
        self._places = {name: self._places.get(name, "") for name in lost}
        if any(self._strike_page(worker_id) for worker_id in lost):
            return Progress.BUSY
        self._settled = frozenset(lost)
        # What was found and stays is the last of its chunk each.
        is_fruitless, self._found_any = self._found_any, False
        self._places = {}
        return Progress.THROTTLED if is_fruitless else Progress.IDLE

    def is_pending(self, views: Sequence[WorkerView]) -> bool:
        """Whether some worker is lost, or about to be, whose replicas still count. From any thread.

        Workers that died together are lost within a few seconds of each other; until all their replicas are struck it
        is not known which chunks have the fewest copies.
        """
        return any(view.is_nearly_lost and view.worker_id not in self._settled for view in views)

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
