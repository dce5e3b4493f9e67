"""Orders to workers to free chunks, and who of them has confirmed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from enum import IntEnum

from common.errors import DFSError, StaleEpoch
from common.logs import EventLog
from common.worker_client import WorkerClient
from master_node.election import Election
from master_node.membership import DEAD, Membership
from master_node.model import Chunk


class Left(IntEnum):
    """What is left of chunks that were to be freed: nothing; records that others work on; copies on silent workers."""

    NOTHING = 0
    BUSY = 1
    HELD = 2


class Freeing:
    """The leader's orders. Any thread may call."""

    def __init__(
        self,
        membership: Membership,
        election: Election,
        workers: WorkerClient,
        log: EventLog,
        knows_worker: Callable[[str], bool],
    ) -> None:
        """knows_worker: whether a worker is in the configuration; what only others hold counts as gone."""
        self._membership = membership
        self._election = election
        self._workers = workers
        self._log = log
        self._knows_worker = knows_worker

    def tell_all(self, worker_ids: Iterable[str], chunk_ids: Sequence[str], epoch: int) -> set[str]:
        """Order these workers, and every other that is known, to free the chunks; returns those that confirmed.

        All are told, in case one holds what no record names.
        """
        told = {*worker_ids, *self._membership.targets()}
        return {worker_id for worker_id in sorted(told) if self._order(worker_id, chunk_ids, epoch)}

    def lost_workers(self) -> set[str]:
        """Those that are dead for so long that their disks are compared with the records before they count again."""
        return {view.worker_id for view in self._membership.workers() if view.is_lost}

    def _order(self, worker_id: str, chunk_ids: Sequence[str], epoch: int) -> bool:
        """Whether the worker confirmed that it holds none of these chunks any more, or is not ours any more."""
        if not self._knows_worker(worker_id):
            return True
        view = next((view for view in self._membership.workers() if view.record.worker_id == worker_id), None)
        if view is None or view.state == DEAD:
            return False
        try:
            self._workers.delete_chunks(view.record.heartbeat.url, chunk_ids, epoch)
        except StaleEpoch as error:
            self._election.outrank(int(error.context.get("highest", 0)))
            return False
        except DFSError as error:
            self._log.warning("delete_not_confirmed", worker=worker_id, chunks=len(chunk_ids), error=error.detail)
            return False
        return True


def holders_of(chunks: Sequence[Chunk]) -> set[str]:
    """The workers that the records name."""
    return {worker_id for chunk in chunks for worker_id in (*chunk.replicas, *chunk.doubtful)}
