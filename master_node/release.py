"""Release doubtful copies: once enough others are safe the worker frees its copy, then the record forgets it.

What is owed is none of its business: there a doubtful copy may be wanted (repair.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from common.errors import DFSError, PeerUnreachable, StaleEpoch
from common.logs import EventLog
from common.worker_client import WorkerClient
from master_node import model
from master_node.copying import Copier
from master_node.election import Election
from master_node.jobs import Progress
from master_node.membership import Membership, WorkerView
from master_node.model import Chunk
from master_node.replicas import Views, released, safe_replicas
from master_node.store.base import Holding, MetadataStore

BATCH_CHUNKS = 100


class Release:
    """The job; one page of the doubtful copies of one worker a unit.

    Before a copy goes, one of those that stay is read and verified: by an order of ours no last good copy is ever lost.
    """

    name = "release"

    def __init__(
        self,
        store: MetadataStore,
        membership: Membership,
        election: Election,
        workers: WorkerClient,
        log: EventLog,
        copier: Copier,
    ) -> None:
        self._store = store
        self._membership = membership
        self._election = election
        self._workers = workers
        self._log = log
        self._claims = copier.claims
        # The workers that this pass has yet to see the end of, and how far it is with each; None between two passes.
        self._places: dict[str, str] | None = None
        self._found_any = self._freed_any = False
        self._freed = self._failed = 0

    def work(self, epoch: int) -> Progress:
        views = self._views()
        if self._membership.are_most_gone():
            return Progress.THROTTLED
        ready = [name for name, view in views.items() if view.is_serving and view.record.is_reconciled]
        if self._places is None:
            self._places = dict.fromkeys(ready, "")
        for worker_id in [name for name in self._places if name in ready]:
            chunks = self._store.find_held(worker_id, Holding.DOUBTFUL, self._places[worker_id], BATCH_CHUNKS)
            if chunks:
                self._places[worker_id] = chunks[-1].chunk_id
                self._found_any = True
                self._freed_any |= self._free(views[worker_id], chunks, views, epoch) > 0
                return Progress.BUSY
            del self._places[worker_id]
        return self._end_pass()

    def describe(self) -> Mapping[str, Any]:
        return {"freed": self._freed, "failed": self._failed}

    def _end_pass(self) -> Progress:
        is_fruitless = self._found_any and not self._freed_any
        self._places, self._found_any, self._freed_any = None, False, False
        return Progress.THROTTLED if is_fruitless else Progress.IDLE

    def _free(self, view: WorkerView, chunks: Sequence[Chunk], views: Views, epoch: int) -> int:
        """Free those of the worker's copies that nobody needs; returns how many."""
        claimed = self._claims.claim(chunk.chunk_id for chunk in chunks if self._may_go(chunk, view, views))
        try:
            backed = self._backed([chunk for chunk in chunks if chunk.chunk_id in claimed], views)
            # Reading took its time: only what is still so counts, of the records and of the workers.
            views = self._views()
            current = self._store.find_chunks(sorted(chunk.chunk_id for chunk in backed))
            going = [chunk for chunk in current if chunk in backed and self._may_go(chunk, view, views)]
            if not going or not self._order_delete(view, going, epoch):
                return 0
            count = sum(self._store.replace_chunks([released(chunk, view.worker_id) for chunk in going]))
            self._freed += count
            self._log.info("copies_released", worker=view.worker_id, chunks=count)
            return count
        finally:
            self._claims.give_back(claimed)

    def _views(self) -> Views:
        return {view.worker_id: view for view in self._membership.workers()}

    def _may_go(self, chunk: Chunk, view: WorkerView, views: Views) -> bool:
        return (
            view.worker_id in chunk.doubtful
            and len(safe_replicas(chunk, views)) >= chunk.factor
            and not self._claims.is_unanswered(chunk.chunk_id, view.worker_id)
        )

    def _arriving(self, chunks: Sequence[Chunk]) -> set[str]:
        """The versions of these chunks of which a copy may still be on its way from a client."""
        now = self._election.clock_seconds()
        uploads = self._store.find_uploads(sorted({chunk.version_id for chunk in chunks}))
        return {
            upload.upload_id
            for upload in uploads
            if upload.state != model.ABORTED and now - upload.last_activity_at < model.ARRIVAL_SECONDS
        }

    def _backed(self, chunks: Sequence[Chunk], views: Views) -> set[Chunk]:
        """Those of which no copy is arriving, and one of the replicas that stay is good."""
        arriving = self._arriving(chunks)
        silent: set[str] = set()
        return {
            chunk for chunk in chunks if chunk.version_id not in arriving and self._is_one_good(chunk, views, silent)
        }

    def _is_one_good(self, chunk: Chunk, views: Views, silent: set[str]) -> bool:
        """Whether one of the replicas that stay is good, by reading it; of a version that is freed none need be.

        A worker that finds its own damaged reports it, so this is looked at again. silent: the workers that did not
        answer, which are not waited for once more.
        """
        if chunk.factor <= 0:
            return True
        for name in safe_replicas(chunk, views):
            if name in silent:
                continue
            try:
                if self._workers.verify_chunk(views[name].url, chunk.chunk_id):
                    return True
            except DFSError as error:
                if isinstance(error, PeerUnreachable):
                    silent.add(name)
                self._log.warning("copy_not_verified", worker=name, chunk_id=chunk.chunk_id, error=error.detail)
        self._failed += 1
        return False

    def _order_delete(self, view: WorkerView, chunks: Sequence[Chunk], epoch: int) -> bool:
        ids = [chunk.chunk_id for chunk in chunks]
        try:
            self._workers.delete_chunks(view.url, ids, epoch)
        except StaleEpoch as error:
            self._election.outrank(int(error.context.get("highest", 0)))
        except DFSError as error:
            if error.context.get("may_have_arrived", True):
                self._claims.note_unanswered(ids, view.worker_id)
            self._log.warning("release_failed", worker=view.worker_id, chunks=len(ids), error=error.detail)
        else:
            return True
        self._failed += len(ids)
        return False
