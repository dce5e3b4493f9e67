"""Workers that were taken out of the configuration: forget them, once no record names them any more.

Their replicas are struck like those of any lost worker (lost.py) and made again. What they may hold besides is given up
here; put back into the configuration, they are taken in by an inventory like any worker that returns.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from common.logs import EventLog
from master_node.jobs import Progress
from master_node.membership import Membership
from master_node.replicas import released
from master_node.store.base import Holding, MetadataStore

_PAGE = 200


class Departed:
    """The job that forgets workers; one page of records a unit."""

    name = "forget"

    def __init__(self, store: MetadataStore, membership: Membership, log: EventLog) -> None:
        self._store = store
        self._membership = membership
        self._log = log
        self._waiting: tuple[str, ...] = ()

    def work(self, _epoch: int) -> Progress:
        """The first departed worker of which there is something to give up, or which can be forgotten."""
        departed = [view.worker_id for view in self._membership.workers() if view.is_lost and not view.is_configured]
        self._waiting = tuple(departed)
        if any(self._give_up(worker_id) for worker_id in departed):
            return Progress.BUSY
        return Progress.IDLE

    def describe(self) -> Mapping[str, Any]:
        """waiting: departed workers that records still name, because nobody else has those chunks."""
        return {"waiting": list(self._waiting)}

    def _give_up(self, worker_id: str) -> bool:
        doubtful = self._store.find_held(worker_id, Holding.DOUBTFUL, "", _PAGE)
        if doubtful:
            # One that somebody else changed meanwhile is seen again.
            return any(self._store.replace_chunks([released(chunk, worker_id) for chunk in doubtful]))
        if self._store.find_held(worker_id, Holding.REPLICA, "", 1):
            return False
        self._store.forget_worker(worker_id)
        self._membership.refresh()
        self._log.info("worker_forgotten", worker=worker_id)
        return True
