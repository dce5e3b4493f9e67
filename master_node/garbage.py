"""Garbage collection: free what nobody can reach any more, on the workers first, then in the records.

What is due is found by an index: old versions and trash past their retention, purged files, aborted uploads. Nothing
is freed before it is certain that no commit can still bring it back (commit.py). An item that cannot be freed now,
because a worker is down, is put off and tried again; records go only when every replica is confirmed gone.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from common.clock import Clock
from common.errors import DFSError
from common.logs import EventLog
from common.records import chunk_id
from common.settings import MasterSettings
from common.worker_client import WorkerClient
from master_node import file_changes, model
from master_node.claims import Claims
from master_node.commit import Committer
from master_node.election import Election
from master_node.freeing import Freeing, Left, holders_of
from master_node.jobs import Progress
from master_node.loose import LooseChunks
from master_node.membership import Membership
from master_node.model import Chunk, File, OldVersion, Upload
from master_node.store.base import MetadataStore

BATCH_CHUNKS = 500
RETRY_SECONDS = 30.0
# Records that other jobs change or copy are looked at again at once, so often, and then after this time.
MAX_TRIES = 3
BUSY_SECONDS = 2.0
# More steps than a file takes from its last due version to nothing.
MAX_STEPS = 8
# How long the document of a committed upload answers repeated commits.
COMMITTED_KEPT_SECONDS = 300.0


class GarbageCollector:
    """The job that frees space; some files or uploads a unit."""

    name = "garbage_collection"

    def __init__(
        self,
        store: MetadataStore,
        membership: Membership,
        election: Election,
        committer: Committer,
        workers: WorkerClient,
        settings: MasterSettings,
        clock: Clock,
        log: EventLog,
        knows_worker: Callable[[str], bool],
        claims: Claims | None = None,
        lanes: int = 1,
    ) -> None:
        """knows_worker: whether a worker is in the configuration; what only others hold counts as gone.

        claims: those of the jobs that run beside this one, so that nothing is freed while it is copied. lanes: how
        many files or uploads are collected at once, each on a thread if there are several: they share the waits for
        workers and for the database's disk.
        """
        self._store = store
        self._election = election
        self._committer = committer
        self._settings = settings
        self._clock = clock
        self._log = log
        self._lanes = lanes
        self._counting = threading.Lock()
        self._freed_versions = self._freed_bytes = 0
        self._claims = claims or Claims(clock)
        self._freeing = Freeing(membership, election, workers, log, knows_worker)
        self._loose = LooseChunks(store, self._freeing, self._claims, clock, log)
        kinds = (self._next_file, self._next_aborted, self._next_idle, self._next_committed, self._next_kept)
        self._kinds = deque((*kinds, self._loose.next_littered))

    def work(self, epoch: int) -> Progress:
        """Some of one kind. The kinds take turns, so that none waits for ever behind another."""
        now = self._election.clock_seconds()
        for _ in range(len(self._kinds)):
            self._kinds.rotate(-1)
            if self._kinds[0](now, epoch):
                return Progress.BUSY
        return Progress.IDLE

    def describe(self) -> Mapping[str, Any]:
        """Counted since this master's start."""
        return {"freed_versions": self._freed_versions, "freed_bytes": self._freed_bytes}

    def _next_file(self, now: float, epoch: int) -> bool:
        files = self._store.find_due_files(now, self._lanes)
        self._at_once([partial(self._try_file, file, now, epoch) for file in files])
        return bool(files)

    def _next_aborted(self, now: float, epoch: int) -> bool:
        uploads = self._store.find_idle_uploads(model.ABORTED, now, self._lanes)
        self._at_once([partial(self._try_upload, upload, now, epoch) for upload in uploads])
        return bool(uploads)

    def _at_once(self, units: Sequence[Callable[[], None]]) -> None:
        """Do them all, and return when the last is done; raises what the first that failed has raised."""
        errors: list[Exception] = []

        def do(unit: Callable[[], None]) -> None:
            try:
                unit()
            except Exception as error:  # noqa: BLE001 - raised again below
                errors.append(error)

        threads = [threading.Thread(target=do, args=(unit,), name="collect", daemon=True) for unit in units[1:]]
        for thread in threads:
            thread.start()
        for unit in units[:1]:
            do(unit)
        for thread in threads:
            thread.join()
        if errors:
            raise errors[0]

    def _try_file(self, file: File, now: float, epoch: int) -> None:
        try:
            present: File | None = file
            for _ in range(MAX_STEPS):
                if present is None or present.due_at > now:
                    break
                self._collect_file(present, now, epoch)
                present = self._store.find_file(file.file_id)
        except DFSError as error:
            self._log.warning("collection_put_off", file_id=file.file_id, error=error.detail)
            self._postpone(file.file_id, now + RETRY_SECONDS)

    def _try_upload(self, upload: Upload, now: float, epoch: int) -> None:
        try:
            self._collect_upload(upload, now, epoch)
        except DFSError as error:
            self._log.warning("collection_put_off", upload_id=upload.upload_id, error=error.detail)
            self._put_off(upload, now + RETRY_SECONDS)

    def _postpone(self, file_id: str, until: float) -> None:
        self._change_file(file_id, lambda present: file_changes.postponed(present, until))

    def _next_idle(self, now: float, _epoch: int) -> bool:
        uploads = self._store.find_idle_uploads(model.OPEN, now - self._settings.upload_idle_seconds, 1)
        for state in (model.RESUMABLE, model.LITTERED, model.SEALED):
            uploads += self._store.find_idle_uploads(state, now - self._settings.resumable_idle_seconds, 1)
        for upload in uploads:
            self._abandon(upload, now)
        return bool(uploads)

    def _next_committed(self, now: float, epoch: int) -> bool:
        """Forget committed uploads; what resumable ones have left behind is freed first, and then they are kept."""
        uploads = self._store.find_idle_uploads(model.COMMITTED, now - COMMITTED_KEPT_SECONDS, 100)
        self._store.delete_uploads([upload.upload_id for upload in uploads if upload.resumable is None])
        resumable = [upload for upload in uploads if upload.resumable is not None]
        self._at_once([partial(self._try_settle, upload, now, epoch) for upload in resumable[: self._lanes]])
        return bool(uploads)

    def _try_settle(self, upload: Upload, now: float, epoch: int) -> None:
        left = Left.HELD
        try:
            left = self._loose.settle(upload, epoch)
        except DFSError as error:
            self._log.warning("collection_put_off", upload_id=upload.upload_id, error=error.detail)
        if left is not Left.NOTHING or upload.resumable is None:
            pause = BUSY_SECONDS if left is Left.BUSY else RETRY_SECONDS
            self._put_off(upload, now + pause - COMMITTED_KEPT_SECONDS)
        else:
            kept = replace(upload, state=model.KEPT, resumable=replace(upload.resumable, loose=()))
            self._put_off(kept, now)

    def _next_kept(self, now: float, _epoch: int) -> bool:
        """Forget uploads that were done long ago, unless a record has come since that is no part of the file."""
        uploads = self._store.find_idle_uploads(model.KEPT, now - self._settings.resumable_idle_seconds, 100)
        stray = [upload for upload in uploads if self._has_strays(upload)]
        for upload in stray:
            self._put_off(replace(upload, state=model.COMMITTED), now - COMMITTED_KEPT_SECONDS)
        self._store.delete_uploads([upload.upload_id for upload in uploads if upload not in stray])
        return bool(uploads)

    def _has_strays(self, upload: Upload) -> bool:
        sealed = upload.resumable.sealed if upload.resumable is not None else None
        return sealed is not None and bool(self._store.list_chunks(upload.upload_id, sealed.chunk_count, 1))

    def _collect_file(self, file: File, now: float, epoch: int) -> None:
        """Free what is due in one file. Every step is a conditional write; whatever interferes is seen next time."""
        if file.status == model.DELETED and file.expires_at <= now:
            self._store.replace_file(file_changes.purge(file, now, self._clock.timestamp()))
        elif due := [old for old in file.old_versions if old.expires_at <= now]:
            if due[0].is_released:
                self._free_old_version(file, due[0], now, epoch)
            else:
                # From here on it cannot be restored; only then may its bytes go.
                self._store.replace_file(file_changes.released(file, due[0].version.version_id))
        elif file.status == model.PURGED and not file.old_versions:
            self._store.delete_file(file.file_id, file.revision)

    def _free_old_version(self, file: File, old: OldVersion, now: float, epoch: int) -> None:
        version_id = old.version.version_id
        upload = self._store.find_upload(version_id)
        if upload is not None:
            self._committer.mark_committed(upload, file.file_id)
        # A late replica may still be arriving at a worker that is told to free it: its record stays for another time.
        is_arriving = upload is not None and now - upload.last_activity_at < model.ARRIVAL_SECONDS
        for _ in range(MAX_TRIES):
            left = self._free_recorded_chunks(version_id, is_arriving, epoch)
            if left is not Left.BUSY:
                break
        if left is not Left.NOTHING:
            self._postpone(file.file_id, now + (BUSY_SECONDS if left is Left.BUSY else RETRY_SECONDS))
            return
        self._change_file(file.file_id, lambda present: file_changes.without_version(present, version_id))
        with self._counting:
            self._freed_versions += 1
            self._freed_bytes += old.version.size_bytes
        self._log.info("version_freed", file_id=file.file_id, version_id=version_id, bytes=old.version.size_bytes)

    def _change_file(self, file_id: str, change: Callable[[File], File]) -> None:
        """Apply `change` to the file as it stands, again where another writer came first; else at the next look."""
        for _ in range(10):
            file = self._store.find_file(file_id)
            if file is None or self._store.replace_file(change(file)):
                return

    def _free_recorded_chunks(self, version_id: str, is_arriving: bool, epoch: int) -> Left:
        """Free all chunks of a version and their records. is_arriving: replicas that were late may come yet."""
        start, left = 0, Left.NOTHING
        while chunks := self._store.list_chunks(version_id, start, BATCH_CHUNKS):
            start = chunks[-1].index + 1
            left = max(left, self._free_batch(chunks, is_arriving, epoch))
        return left

    def _free_batch(self, chunks: Sequence[Chunk], is_arriving: bool, epoch: int) -> Left:
        """Free these chunks, but for those that are just being copied."""
        claimed = self._claims.claim(chunk.chunk_id for chunk in chunks)
        try:
            left = self._free_claimed([chunk for chunk in chunks if chunk.chunk_id in claimed], is_arriving, epoch)
        finally:
            self._claims.give_back(claimed)
        return max(left, Left.NOTHING if len(claimed) == len(chunks) else Left.BUSY)

    def _free_claimed(self, chunks: Sequence[Chunk], is_arriving: bool, epoch: int) -> Left:
        recorded = holders_of(chunks)
        # All workers are told; those that are recorded must confirm.
        told = self._freeing.tell_all(recorded, [chunk.chunk_id for chunk in chunks], epoch)
        silent = recorded - told
        left = [_still_held(chunk, silent.union(chunk.doubtful) if is_arriving else silent) for chunk in chunks]
        # A record that another job changed meanwhile stays as it is, and is seen again at the next try.
        is_gone = self._store.delete_chunks([chunk for chunk in left if not chunk.doubtful])
        self._store.replace_chunks([replace(chunk, revision=chunk.revision + 1) for chunk in left if chunk.doubtful])
        if len(is_gone) < len(chunks):
            return Left.HELD
        return Left.NOTHING if all(is_gone) else Left.BUSY

    def _collect_upload(self, upload: Upload, now: float, epoch: int) -> None:
        """Free an aborted upload: first make sure that no commit of it can happen any more."""
        if self._committer.fence(upload):
            return
        left, start = Left.NOTHING, 0
        while start < upload.placed_count or self._has_records(upload, start):
            left = max(left, self._free_placed(upload, start, start + BATCH_CHUNKS, epoch))
            start += BATCH_CHUNKS
        left = max(left, self._loose.free_aborted(upload, epoch))
        if left is not Left.NOTHING:
            self._put_off(upload, now + (BUSY_SECONDS if left is Left.BUSY else RETRY_SECONDS))
        elif upload.is_collected:
            self._store.delete_uploads([upload.upload_id])
            self._log.info("upload_collected", upload_id=upload.upload_id, chunks=upload.placed_count)
        else:
            # A worker may still be writing a chunk that was under way at the abort: everything is ordered twice.
            self._put_off(replace(upload, is_collected=True, recorded_bytes=0), now + model.ARRIVAL_SECONDS)

    def _free_placed(self, upload: Upload, start: int, end: int, epoch: int) -> Left:
        """Free the chunks of an upload from index `start` to `end` - 1, recorded or not, but for those that are just
        being copied: their records are to go with their bytes, or they would seem to be lost.

        Those that it was placed on must confirm, and those that the records name: repair may have brought a chunk to
        another worker.
        """
        attempt = upload.resumable.attempt if upload.resumable is not None else 0
        ids = {chunk_id(upload.upload_id, index, attempt) for index in range(start, min(end, upload.placed_count))}
        if attempt:
            # Records of earlier attempts.
            ids |= {chunk.chunk_id for chunk in self._recorded(upload, start, end)}
        claimed = self._claims.claim(ids)
        try:
            chunks = [chunk for chunk in self._recorded(upload, start, end) if chunk.chunk_id in claimed]
            holders = {*upload.workers, *holders_of(chunks)}
            told = self._freeing.tell_all(holders, sorted(claimed), epoch)
            is_gone = self._store.delete_chunks(chunks)
        finally:
            self._claims.give_back(claimed)
        if not holders <= told:
            return Left.HELD
        return Left.NOTHING if len(claimed) == len(ids) and all(is_gone) else Left.BUSY

    def _recorded(self, upload: Upload, start: int, end: int) -> list[Chunk]:
        found = self._store.list_chunks(upload.upload_id, start, end - start)
        return [chunk for chunk in found if chunk.index < end]

    def _has_records(self, upload: Upload, start: int) -> bool:
        """Whether a resumable upload has records beyond what its present attempt was placed."""
        return upload.resumable is not None and bool(self._store.list_chunks(upload.upload_id, start, 1))

    def _abandon(self, upload: Upload, now: float) -> None:
        self._log.info("upload_abandoned", upload_id=upload.upload_id)
        self._store.replace_upload(
            replace(upload, state=model.ABORTED, revision=upload.revision + 1, last_activity_at=now)
        )

    def _put_off(self, upload: Upload, until: float) -> None:
        self._store.replace_upload(replace(upload, revision=upload.revision + 1, last_activity_at=until))


def _still_held(chunk: Chunk, silent: set[str]) -> Chunk:
    """The record of a freed chunk that only these may still hold: nothing counts, and nothing is owed any more."""
    held = (name for name in (*chunk.replicas, *chunk.doubtful) if name in silent)
    return replace(chunk, replicas=(), doubtful=tuple(dict.fromkeys(held)), owed=0)
