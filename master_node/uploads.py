"""Open uploads, place and record their chunks, abort them."""

from __future__ import annotations

import random
import secrets
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace

from common.clock import Clock
from common.errors import InvalidPath, InvalidRequest, MetadataUnavailable, UploadClosed, UploadUnknown
from common.paths import check_path, is_folder
from common.records import OpenUpload, Placement, StoredChunk
from common.resumables import NewResumable
from common.settings import MAX_REPLICATION_FACTOR, ClusterSettings
from master_node import model
from master_node.attempts import Resumable
from master_node.commit import choose_target
from master_node.election import Election
from master_node.membership import Membership
from master_node.model import Upload
from master_node.placement import place_chunks
from master_node.quotas.ledger import Ledger
from master_node.recording import record_chunks
from master_node.store.base import MetadataStore

MAX_PLACE = 256
_MAX_TURNS = 10
# What a client may ask for as the write quorum: docs/consistency.md.
_QUORUMS: dict[str, Callable[[int], int]] = {
    "one": lambda _: 1,
    "quorum": lambda factor: factor // 2 + 1,
    "all": lambda factor: factor,
}


class Uploads:
    """The uploads of the cluster, as one master serves them. Every call may be repeated, at any master."""

    def __init__(
        self,
        store: MetadataStore,
        membership: Membership,
        election: Election,
        settings: ClusterSettings,
        clock: Clock,
        rng: random.Random,
        configured: Callable[[], Collection[str]],
        ledger: Ledger | None = None,
    ) -> None:
        """configured: the ids of the workers that config.json names now."""
        self._ledger = ledger or Ledger(store, election, clock)
        self._store = store
        self._membership = membership
        self._election = election
        self._settings = settings
        self._clock = clock
        self._rng = rng
        self._configured = configured

    def open(
        self,
        path: str | None,
        replication_factor: int | None,
        place: int,
        consistency: str | None = None,
        size_bytes: int | None = None,
        resumable: NewResumable | None = None,
    ) -> OpenUpload:
        """Open an upload and place its first chunks.

        path: where it will be committed, if known yet. The id is made here, anew each time: a late copy of the request
        then opens an upload of its own, which stays empty and is collected, instead of bringing an old id back.
        replication_factor, consistency ("one", "quorum" or "all"): None for those of the configuration.
        size_bytes: of the whole file, if known yet. resumable: for one that takes its bytes through resumables.py.
        Raises ClusterFull, NotEnoughWorkers, QuotaExceeded or LargerThanQuota before anything is written.
        """
        if resumable is not None:
            size_bytes = resumable.length
            _check_new(path, place, resumable)
        if path is not None and size_bytes is not None:
            self._ledger.check_early(path, size_bytes)
        factor = self._factor(replication_factor)
        quorum = choose_quorum(consistency, factor, self._settings.write_quorum)
        upload_id = secrets.token_hex(16)
        target = None
        if path is not None and resumable is None:
            target = choose_target(self._store, upload_id, check_path(path), is_new=True)
        upload = Upload(
            upload_id=upload_id,
            state=model.OPEN if resumable is None else model.RESUMABLE,
            revision=1,
            chunk_size_bytes=self._settings.chunk_size_bytes,
            replication_factor=factor,
            recorded_count=0,
            recorded_bytes=0,
            placed_count=0,
            workers=(),
            last_activity_at=self._election.clock_seconds(),
            target=target,
            write_quorum=quorum,
            resumable=_begin(path, resumable) if resumable is not None else None,
        )
        placements = self.place(upload, 0, place)
        upload = with_placements(upload, placements)
        self._store.insert_upload(upload)
        return describe(upload, placements)

    def record(self, upload_id: str, chunks: Sequence[StoredChunk], place_from: int, place: int) -> OpenUpload:
        """Record finished chunks and place the chunks `place_from` and following, `place` of them."""
        for _ in range(_MAX_TURNS):
            upload = self._require_open(upload_id)
            placements = self.place(upload, place_from, place)
            upload = with_placements(record_chunks(self._store, upload, chunks, is_last=False), placements)
            upload = replace(upload, revision=upload.revision + 1, last_activity_at=self._election.clock_seconds())
            if self._store.replace_upload(upload):
                return describe(upload, placements)
        raise MetadataUnavailable("the upload is being changed by others all the time")

    def abort(self, upload_id: str) -> None:
        """Give an upload up. Garbage collection settles whether a commit of it had happened, and frees its chunks."""
        for _ in range(_MAX_TURNS):
            upload = self._store.find_upload(upload_id)
            if upload is None or upload.state not in model.GOING_ON:
                return
            aborted = replace(
                upload,
                state=model.ABORTED,
                revision=upload.revision + 1,
                last_activity_at=self._election.clock_seconds(),
            )
            if self._store.replace_upload(aborted):
                return
        raise MetadataUnavailable("the upload is being changed by others all the time")

    def place(self, upload: Upload, start: int, count: int) -> tuple[Placement, ...]:
        """Where the chunks from `start` on go, `count` of them. Raises ClusterFull, NotEnoughWorkers."""
        if not 0 <= count <= MAX_PLACE:
            raise InvalidRequest(f"at most {MAX_PLACE} chunks are placed at once")
        if not count:
            return ()
        candidates = self._membership.candidates()
        if len(candidates) < upload.replication_factor:
            # Others may have heard of more, a moment ago.
            self._membership.refresh()
            candidates = self._membership.candidates()
        return place_chunks(
            candidates,
            start=start,
            count=count,
            chunk_size_bytes=upload.chunk_size_bytes,
            replication_factor=upload.replication_factor,
            write_quorum=upload.write_quorum,
            rng=self._rng,
        )

    def _factor(self, wanted: int | None) -> int:
        if wanted is None:
            return self._settings.replication_factor
        count = min(len(self._configured()), MAX_REPLICATION_FACTOR)
        if not 1 <= wanted <= count:
            raise InvalidRequest(f"a replication factor is a whole number from 1 to {count}, the number of workers")
        return wanted

    def _require_open(self, upload_id: str) -> Upload:
        upload = self._store.find_upload(upload_id)
        if upload is None:
            raise UploadUnknown("no such upload, or it was collected", upload_id=upload_id)
        if upload.takes_bytes:
            raise InvalidRequest("this upload is resumable: its chunks are recorded with their attempt")
        if upload.state != model.OPEN:
            raise UploadClosed(f"the upload is {upload.state}", upload_id=upload_id)
        return upload


def choose_quorum(consistency: str | None, factor: int, default: int) -> int:
    """How many of `factor` replicas must be on disk before a write is acknowledged; raises InvalidRequest."""
    if consistency is None:
        return min(default, factor)
    if consistency not in _QUORUMS:
        raise InvalidRequest(f"the consistency of a write is one of {', '.join(_QUORUMS)}, not {consistency!r}")
    return _QUORUMS[consistency](factor)


def _check_new(path: str | None, place: int, resumable: NewResumable) -> None:
    if (path is None) != resumable.is_partial:
        raise InvalidRequest("a resumable upload has a path, unless it is partial")
    if place:
        raise InvalidRequest("the chunks of a resumable upload are placed when it is resumed")
    if path is not None and is_folder(check_path(path)) and resumable.length != 0:
        raise InvalidPath('a path that ends in "/" is a folder\'s own entry and holds no bytes')


def _begin(path: str | None, new: NewResumable) -> Resumable:
    return Resumable(path or "", new.length, new.metadata, new.content_type, new.file_name, new.is_partial)


def describe(upload: Upload, placements: tuple[Placement, ...]) -> OpenUpload:
    """The upload as the gateway sees it."""
    return OpenUpload(
        upload.upload_id, upload.chunk_size_bytes, upload.replication_factor, upload.write_quorum, placements
    )


def with_placements(upload: Upload, placements: Sequence[Placement]) -> Upload:
    """The upload with every worker noted that may come to hold a chunk of it: they are where its garbage would be."""
    workers = {target.worker_id for placement in placements for target in placement.targets}
    return replace(
        upload,
        placed_count=max([upload.placed_count, *(placement.index + 1 for placement in placements)]),
        workers=tuple(sorted(workers | set(upload.workers))),
    )
