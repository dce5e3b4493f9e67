"""One check of every record against every disk, a page at a time. It changes nothing.

The cluster goes on while it runs: what looks wrong is looked at a second time, a second later, and counts only if it is
still so (second_looks.py). The chunk records come first, in the order of their ids, and the workers are asked which
files they have; after every MAX_VERSIONS versions, and at the end, all files (versions.py); at last the disks
(disks.py).

Memory: one page, the differences of those that wait for their second look, and a sum for each of MAX_VERSIONS versions.
A bigger cluster has its files read several times.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from common.clock import Clock
from common.errors import ChunkMissing, DFSError
from common.worker_client import WorkerClient
from master_node.fsck.differences import (
    Difference,
    Findings,
    VersionSum,
    compare_record,
    difference,
    is_expected,
)
from master_node.fsck.disks import Disks
from master_node.fsck.second_looks import SecondLooks
from master_node.fsck.versions import Versions
from master_node.membership import Membership
from master_node.model import Chunk
from master_node.store.base import MetadataStore

PAGE_CHUNKS = 500
# Where every replica is read again, a page of them takes some seconds.
PAGE_VERIFIED_CHUNKS = 10
MAX_VERSIONS = 50_000
_ABOVE_ALL_IDS = "g"


class Check:
    """A check that is under way. `step` may be called again after an error: it takes up where it was."""

    COUNTERS = ("records_checked", "replicas_checked", "replicas_verified", "versions_checked", "files_checked")

    def __init__(
        self,
        store: MetadataStore,
        membership: Membership,
        workers: WorkerClient,
        clock: Clock,
        *,
        is_verifying: bool,
        max_versions: int = MAX_VERSIONS,
    ) -> None:
        """is_verifying: also have the workers read every replica again, which quarantines damaged ones."""
        self._store = store
        self._membership = membership
        self._workers = workers
        self._looks = SecondLooks(clock)
        self.is_verifying = is_verifying
        self._max_versions = max_versions
        self.findings = Findings()
        self.progress: Counter[str] = Counter()
        self.is_over = False
        self._after = ""
        self._has_all_records = False
        # The versions whose records were read since the last round over the files, the last one perhaps in part.
        self._sums: dict[str, VersionSum] = {}
        self._summed_up_to = ""
        self._versions: Versions | None = None
        self._disks: Disks | None = None
        # By worker, replicas that it should have and was not asked for.
        self._unchecked: Counter[str] = Counter()

    @property
    def stage(self) -> str:
        if self._disks is not None:
            return "disks"
        return "records" if self._versions is None else "versions"

    def step(self) -> bool:
        """One page of whatever comes next; returns whether there is more."""
        self.findings.add(self._looks.take())
        if self._disks is not None:
            self._check_disks(self._disks)
        elif self._versions is not None:
            self._check_versions(self._versions)
        elif not self._has_all_records:
            self._check_records()
        else:
            self._disks = Disks(self._store, self._membership, self._workers, self._looks)
        return not self.is_over

    def _check_records(self) -> None:
        page = self._store.scan_chunks(self._after, PAGE_VERIFIED_CHUNKS if self.is_verifying else PAGE_CHUNKS)
        held = self._ask_held(page)
        first = {one for chunk in page for one in compare_record(chunk, held)}
        found = {one for one in first if is_expected(one.kind)}
        if suspected := first - found:
            self._looks.add(lambda: self._look_again(suspected))
        if self.is_verifying:
            found |= self._verify_bytes(page, held, suspected)
        self.findings.add(sorted(found))
        self._count(page, held)
        self._sum_up(page)

    def _look_again(self, suspected: set[Difference]) -> set[Difference]:
        chunks = self._store.find_chunks(sorted({one.chunk_id for one in suspected}))
        held = self._ask_held(chunks)
        return suspected & {one for chunk in chunks for one in compare_record(chunk, held)}

    def _ask_held(self, chunks: Sequence[Chunk]) -> dict[str, set[str]]:
        """By worker, which of the chunks that name it it has a file of; only of workers that answer."""
        held = {}
        for worker_id in sorted({name for chunk in chunks for name in (*chunk.replicas, *chunk.doubtful)}):
            named = [chunk.chunk_id for chunk in chunks if worker_id in (*chunk.replicas, *chunk.doubtful)]
            view = self._membership.find(worker_id)
            if view is not None and view.is_serving:
                try:
                    held[worker_id] = self._workers.find_held(view.url, named)
                except DFSError:
                    # Its replicas are counted as unchecked, and it is named at the end.
                    continue
        return held

    def _verify_bytes(
        self, page: Sequence[Chunk], held: Mapping[str, set[str]], suspected: Iterable[Difference]
    ) -> set[Difference]:
        missing = {(one.chunk_id, one.worker_id) for one in suspected if one.kind == "replica_missing"}
        return {
            difference("replica_corrupt", chunk_id=chunk.chunk_id, worker_id=worker_id)
            for chunk in page
            for worker_id in chunk.replicas
            if worker_id in held and (chunk.chunk_id, worker_id) not in missing
            if self._is_corrupt(worker_id, chunk.chunk_id)
        }

    def _is_corrupt(self, worker_id: str, chunk_id: str) -> bool:
        view = self._membership.find(worker_id)
        try:
            is_corrupt = view is not None and not self._workers.verify_chunk(view.url, chunk_id)
        except ChunkMissing:
            # It was there a moment ago, so an order freed it, or the next check finds it missing.
            return False
        except DFSError:
            self._unchecked[worker_id] += 1
            return False
        self.progress["replicas_verified"] += 1
        return is_corrupt

    def _count(self, page: Sequence[Chunk], held: Mapping[str, set[str]]) -> None:
        self.progress["records_checked"] += len(page)
        for chunk in page:
            self.progress["replicas_checked"] += sum(worker_id in held for worker_id in chunk.replicas)
            self._unchecked.update(worker_id for worker_id in chunk.replicas if worker_id not in held)

    def _sum_up(self, page: Sequence[Chunk]) -> None:
        for chunk in page:
            self._sums.setdefault(chunk.version_id, VersionSum()).add([chunk])
        if page:
            self._after = page[-1].chunk_id
        self._has_all_records = not page
        if self._has_all_records or len(self._sums) > self._max_versions:
            self._begin_versions()

    def _begin_versions(self) -> None:
        carried: dict[str, VersionSum] = {}
        high = _ABOVE_ALL_IDS
        if not self._has_all_records:
            # The last version may have more records to come: it waits for the next round.
            last = max(self._sums)
            carried[last] = self._sums.pop(last)
            high = max(self._sums)
        self._versions = Versions(self._store, self._sums, self._summed_up_to, high)
        self._sums, self._summed_up_to = carried, high

    def _check_versions(self, versions: Versions) -> None:
        self.findings.add(versions.step())
        if versions.is_over:
            self.progress["versions_checked"] += versions.checked
            self._versions = None

    def _check_disks(self, disks: Disks) -> None:
        self.findings.add(disks.step())
        self.progress["files_checked"] = disks.checked
        if disks.is_over:
            self.findings.add(self._looks.take(is_last=True))
            self._unchecked.update(dict.fromkeys(disks.failed, 0))
            self.findings.add(self._describe_unchecked())
            self.is_over = True

    def _describe_unchecked(self) -> list[Difference]:
        """The workers that are not in reach, or failed when they were asked."""
        states = {view.worker_id: view.state for view in self._membership.workers()}
        away = {view.worker_id for view in self._membership.workers() if not view.is_serving}
        return [
            difference(
                "worker_not_checked",
                worker_id=worker_id,
                state=states.get(worker_id, "unknown to the masters"),
                number=self._unchecked[worker_id],
            )
            for worker_id in sorted(away | set(self._unchecked))
        ]
