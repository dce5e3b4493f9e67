"""The part of a check that lists the workers' disks: every file has a record that names the worker, or an upload."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from common.errors import DFSError, MetadataUnavailable
from common.records import version_of
from common.worker_client import INVENTORY_FOLDERS, WorkerClient
from master_node.fsck.differences import Difference, compare_file, is_expected
from master_node.fsck.second_looks import SecondLooks
from master_node.membership import Membership
from master_node.store.base import MetadataStore

PAGE_CHUNKS = 500


class Disks:
    """The disks of all workers that serve now, one after the other."""

    def __init__(self, store: MetadataStore, membership: Membership, workers: WorkerClient, looks: SecondLooks) -> None:
        """looks: takes what looks wrong."""
        self._store = store
        self._membership = membership
        self._workers = workers
        self._looks = looks
        self._waiting = [view.worker_id for view in membership.workers() if view.is_serving]
        self._folder = 0
        self._after = ""
        self.checked = 0
        self.failed: set[str] = set()

    @property
    def is_over(self) -> bool:
        return not self._waiting

    def step(self) -> list[Difference]:
        """One page of one folder. A worker that fails is given up, and noted."""
        if self.is_over:
            return []
        worker_id = self._waiting[0]
        view = self._membership.find(worker_id)
        try:
            return self._check_page(worker_id, view.url) if view is not None else self._give_up(worker_id)
        except MetadataUnavailable:
            raise
        except DFSError:
            return self._give_up(worker_id)

    def _check_page(self, worker_id: str, url: str) -> list[Difference]:
        page = self._workers.list_inventory(url, self._folder, self._after, PAGE_CHUNKS)
        first = self._compare(worker_id, [file.chunk_id for file in page])
        found = {one for one in first if is_expected(one.kind)}
        if suspected := first - found:
            self._looks.add(lambda: self._look_again(worker_id, url, suspected))
        self.checked += len(page)
        # A page lacks those that were freed while it was made; only a much shorter one is the folder's last.
        if len(page) > PAGE_CHUNKS // 2:
            self._after = page[-1].chunk_id
        else:
            self._next_folder()
        return sorted(found)

    def _look_again(self, worker_id: str, url: str, suspected: Collection[Difference]) -> set[Difference]:
        """What is still so; of a worker that fails now nothing is said but that."""
        try:
            held = self._workers.find_held(url, sorted(one.chunk_id for one in suspected))
        except DFSError:
            self.failed.add(worker_id)
            return set()
        return self._compare(worker_id, sorted(held)).intersection(suspected)

    def _compare(self, worker_id: str, chunk_ids: Sequence[str]) -> set[Difference]:
        """Uploads first: their documents go only once the records are there."""
        versions = sorted({version_of(chunk_id) for chunk_id in chunk_ids})
        states = {upload.upload_id: upload.state for upload in self._store.find_uploads(versions)}
        records = {chunk.chunk_id: chunk for chunk in self._store.find_chunks(chunk_ids)}
        compared = (compare_file(worker_id, chunk_id, records, states) for chunk_id in chunk_ids)
        return {one for one in compared if one is not None}

    def _next_folder(self) -> None:
        self._folder, self._after = self._folder + 1, ""
        if self._folder == INVENTORY_FOLDERS:
            self._next_worker()

    def _next_worker(self) -> None:
        del self._waiting[0]
        self._folder, self._after = 0, ""

    def _give_up(self, worker_id: str) -> list[Difference]:
        self.failed.add(worker_id)
        self._next_worker()
        return []
