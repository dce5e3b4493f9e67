"""Inventory: what a worker's disk holds is compared with what the records say of it, page by page.

A worker is compared after each of its starts, when it asks for it, and every `inventory_seconds`; until it is done it
is not reconciled. First the records: a replica that the worker says it does not have is struck, by proof. Then the
disk: a file whose record does not name the worker is noted as doubtful, and the release job settles it; a file that
nothing knows is put into quarantine, never freed, once it is old enough.

Only an answer is a proof: where a worker does not answer or its disk fails, the place is kept and taken up later. Each
change is written on condition that the record is still as it was when the worker was asked.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from common.clock import Clock
from common.errors import DFSError, MetadataUnavailable, StaleEpoch
from common.logs import EventLog
from common.records import version_of
from common.settings import MasterSettings
from common.worker_client import INVENTORY_FOLDERS, HeldChunk, WorkerClient
from master_node.election import Election
from master_node.jobs import Progress
from master_node.membership import Membership, WorkerView
from master_node.replicas import promised, struck
from master_node.store.base import Holding, MetadataStore

PAGE_CHUNKS = 500
RETRY_SECONDS = 5.0
# How often a page is looked at anew because other jobs changed its records meanwhile.
MAX_TRIES = 5
# So many unknown files are put aside without asking whether the rest of the disk looks familiar.
FEW_UNKNOWN = 100


class Inventory:
    """The job that compares disks with records; one page of one worker a unit, the workers in turn."""

    name = "inventory"

    def __init__(
        self,
        store: MetadataStore,
        membership: Membership,
        election: Election,
        workers: WorkerClient,
        settings: MasterSettings,
        clock: Clock,
        log: EventLog,
        is_held: Callable[[], bool] = lambda: False,
    ) -> None:
        """is_held: whether unknown files must stay where they are, for a rebuild to look at (recovery/hold.py)."""
        self._store = store
        self._membership = membership
        self._election = election
        self._workers = workers
        self._settings = settings
        self._clock = clock
        self._log = log
        self._is_held = is_held
        self._epoch: int | None = None
        self._turns = 0
        self._walks: dict[str, _Walk] = {}
        self._results: dict[str, _Result] = {}

    def work(self, epoch: int) -> Progress:
        """One page of the worker whose turn it is. Nothing while most workers are gone, as for all that is struck."""
        if epoch != self._epoch:
            # What was seen before another master led may not be so any more.
            self._epoch = epoch
            self._walks, self._results = {}, {}
        walk = None if self._membership.are_most_gone() else self._next_walk()
        if walk is None:
            return Progress.IDLE
        try:
            self._look(walk, epoch)
        except MetadataUnavailable:
            raise
        except DFSError as error:
            if isinstance(error, StaleEpoch):
                self._election.outrank(int(error.context.get("highest", 0)))
            walk.put_off(self._clock.monotonic() + RETRY_SECONDS, error.detail)
            self._log.warning("inventory_put_off", worker=walk.worker_id, error=error.detail)
        return Progress.BUSY

    def describe(self) -> Mapping[str, Any]:
        """For each worker what the comparison under way has found, or else the last one."""
        now = self._clock.monotonic()
        described = {worker_id: result.to_json(now) for worker_id, result in self._results.copy().items()}
        for worker_id, walk in self._walks.copy().items():
            last = described.get(worker_id, {}).get("last_age_seconds")
            described[worker_id] = {**walk.to_json(), "last_age_seconds": last}
        return {"workers": {worker_id: described[worker_id] for worker_id in sorted(described)}}

    def _next_walk(self) -> _Walk | None:
        """The walk that has waited longest; begun here for every worker whose time has come."""
        now = self._clock.monotonic()
        waiting = []
        views = self._membership.workers()
        self._forget_others({view.worker_id for view in views})
        for view in views:
            if view.is_serving and self._is_due(view, now):
                walk = self._walks.get(view.worker_id)
                if walk is None or walk.incarnation != view.record.heartbeat.incarnation:
                    walk = self._walks[view.worker_id] = _begin(view)
                walk.url = view.url
                if walk.put_off_until <= now:
                    waiting.append(walk)
        self._turns += 1
        chosen = min(waiting, key=lambda walk: walk.turn, default=None)
        if chosen is not None:
            chosen.turn = self._turns
        return chosen

    def _forget_others(self, known: Collection[str]) -> None:
        """A worker that was forgotten and comes again has a row that begins anew, and is compared anew."""
        self._walks = {name: walk for name, walk in self._walks.items() if name in known}
        self._results = {name: result for name, result in self._results.items() if name in known}

    def _is_due(self, view: WorkerView, now: float) -> bool:
        result = self._results.get(view.worker_id)
        if view.worker_id in self._walks:
            return True
        if not view.record.is_reconciled:
            # The membership may not have seen yet what was written down at the end of the last walk.
            return result is None or result.wanted != view.record.inventory_wanted
        if result is None:
            result = self._results[view.worker_id] = _Result(view.record.inventory_wanted, now, None)
        return now - result.since >= self._settings.inventory_seconds

    def _look(self, walk: _Walk, epoch: int) -> None:
        if walk.folder is None:
            self._compare_records(walk)
        elif walk.folder < INVENTORY_FOLDERS:
            self._compare_files(walk, epoch)
        # Also where an earlier try could not write the end down.
        if walk.folder == INVENTORY_FOLDERS:
            self._finish(walk)

    def _compare_records(self, walk: _Walk) -> None:
        """One page of the records that count a replica on the worker."""
        page = self._store.find_held(walk.worker_id, Holding.REPLICA, walk.after, PAGE_CHUNKS)
        held = self._workers.find_held(walk.url, [chunk.chunk_id for chunk in page]) if page else set()
        missing = [chunk for chunk in page if chunk.chunk_id not in held]
        written = self._store.replace_chunks([struck(chunk, walk.worker_id, is_proven=True) for chunk in missing])
        if any(written):
            walk.counts["missing"] += sum(written)
            self._log.warning("replicas_missing", worker=walk.worker_id, chunks=sum(written))
        if not all(written) and walk.may_try_again():
            return
        walk.counts["records_checked"] += len(page) - written.count(True)
        if len(page) == PAGE_CHUNKS:
            walk.pass_on(page[-1].chunk_id)
        else:
            walk.begin_disk()

    def _compare_files(self, walk: _Walk, epoch: int) -> None:
        """One page of one folder of the disk."""
        folder = walk.folder or 0
        page = self._workers.list_inventory(walk.url, folder, walk.after, PAGE_CHUNKS)
        records = {chunk.chunk_id: chunk for chunk in self._store.find_chunks([file.chunk_id for file in page])}
        unnamed = [chunk for chunk in records.values() if walk.worker_id not in (*chunk.replicas, *chunk.doubtful)]
        written = self._store.replace_chunks([promised(chunk, walk.worker_id) for chunk in unnamed])
        walk.counts["unnamed"] += sum(written)
        if not all(written) and walk.may_try_again():
            return
        walk.counts["files_checked"] += len(page)
        self._put_aside(walk, [file for file in page if file.chunk_id not in records], epoch)
        # A page lacks those that were freed while it was made; only a much shorter one is the folder's last.
        if len(page) > PAGE_CHUNKS // 2:
            walk.pass_on(page[-1].chunk_id)
        else:
            walk.next_folder()

    def _put_aside(self, walk: _Walk, strangers: Sequence[HeldChunk], epoch: int) -> None:
        """Of files that had no record a moment ago, put those into quarantine that nothing knows for long enough."""
        unknown = self._unknown(strangers)
        # A database that is younger than the grace may be the wrong one, and these files belong to the right one.
        grace = self._settings.orphan_grace_seconds
        old = [file.chunk_id for file in unknown if file.age_seconds >= grace]
        walk.counts["unknown"] += len(unknown)
        if not old or self._election.clock_seconds() < grace:
            return
        if self._is_held() or not is_familiar(walk.counts["files_checked"], walk.counts["unknown"]):
            walk.counts["held_back"] += len(old)
            return
        self._workers.quarantine_chunks(walk.url, old, epoch)
        walk.counts["quarantined"] += len(old)
        self._log.warning("unknown_files_quarantined", worker=walk.worker_id, chunks=len(old), first=old[0])

    def _unknown(self, strangers: Sequence[HeldChunk]) -> list[HeldChunk]:
        """Those without an upload and without a record, asked in this order.

        The upload's document is there before the first byte and goes only when its chunks have their records, or are
        freed. So a file that was listed before has one or the other, if it is anybody's.
        """
        if not strangers:
            return []
        versions = {file.chunk_id: version_of(file.chunk_id) for file in strangers}
        uploads = {upload.upload_id for upload in self._store.find_uploads(sorted(set(versions.values())))}
        recorded = {chunk.chunk_id for chunk in self._store.find_chunks(list(versions))}
        return [file for file in strangers if versions[file.chunk_id] not in uploads and file.chunk_id not in recorded]

    def _finish(self, walk: _Walk) -> None:
        self._store.finish_inventory(walk.worker_id, walk.wanted)
        self._results[walk.worker_id] = _Result(walk.wanted, self._clock.monotonic(), walk)
        del self._walks[walk.worker_id]
        held_back = walk.counts["held_back"]
        if held_back:
            self._log.error("unknown_files_held_back", worker=walk.worker_id, chunks=held_back)
        self._log.info("inventory_done", worker=walk.worker_id, **walk.counts)


def is_familiar(files: int, unknown: int) -> bool:
    """Whether a disk on which so many of the files are unknown is likely to belong to this database.

    Else the masters may look at the wrong database, or an old one, and nothing is put aside.
    """
    return unknown <= max(FEW_UNKNOWN, files // 2)


@dataclass
class _Walk:
    """How far the comparison of one worker is. folder: None while the records are compared; then up to 256.

    records_checked and missing do not overlap; of the files checked some are unnamed, others unknown, and of those
    some are quarantined, or held back.
    """

    worker_id: str
    incarnation: str
    wanted: int
    url: str
    after: str = ""
    folder: int | None = None
    tries: int = 0
    turn: int = 0
    put_off_until: float = 0.0
    last_error: str = ""
    counts: Counter[str] = field(default_factory=Counter)

    def pass_on(self, after: str) -> None:
        self.after, self.tries = after, 0

    def begin_disk(self) -> None:
        self.after, self.tries, self.folder = "", 0, 0

    def next_folder(self) -> None:
        self.after, self.tries, self.folder = "", 0, (self.folder or 0) + 1

    def may_try_again(self) -> bool:
        """Whether the page is to be looked at again: others changed some of its records meanwhile."""
        self.tries += 1
        return self.tries < MAX_TRIES

    def put_off(self, until: float, reason: str) -> None:
        self.put_off_until, self.last_error = until, reason

    def to_json(self) -> dict[str, Any]:
        state = "comparing records" if self.folder is None else "comparing files"
        return {"state": state, **_counted(self.counts), "folder": self.folder or 0, "last_error": self.last_error}


@dataclass(frozen=True)
class _Result:
    """The last comparison of a worker; walk: None where another leader made it. since: by this master's clock."""

    wanted: int
    since: float
    walk: _Walk | None

    def to_json(self, now: float) -> dict[str, Any]:
        if self.walk is None:
            return {"state": "done", "last_age_seconds": None}
        return {"state": "done", **_counted(self.walk.counts), "last_age_seconds": round(now - self.since, 1)}


def _begin(view: WorkerView) -> _Walk:
    heartbeat = view.record.heartbeat
    return _Walk(
        view.worker_id,
        heartbeat.incarnation,
        view.record.inventory_wanted,
        url=view.url,
    )


def _counted(counts: Counter[str]) -> dict[str, int]:
    names = ("records_checked", "missing", "files_checked", "unnamed", "unknown", "quarantined", "held_back")
    return {name: counts[name] for name in names}
