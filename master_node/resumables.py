"""Resumable uploads: sent in many requests, through any gateways, each of which takes over from the one before.

To resume an upload raises its *attempt* by one conditional write, and that is the lock: whoever has an earlier attempt
is refused at its next record or commit, and what it wrote has other ids. Nobody has to give a lock back, so a killed
gateway or a connection that is half open holds nobody up. docs/decisions/010-resumable-uploads.md says why no byte
that was acknowledged can be lost or changed; tests/master_node/test_resumable_races.py tries to.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from common import resumables as told
from common.errors import (
    InternalError,
    InvalidRequest,
    MetadataUnavailable,
    OffsetConflict,
    TooManyRequests,
    UploadClosed,
    UploadSealed,
    UploadTakenOver,
    UploadUnknown,
)
from common.paths import check_path, is_folder
from common.records import ChunkLocation, OpenUpload, StoredChunk
from common.resumables import ResumableInfo, ResumedUpload
from common.settings import MasterSettings
from master_node import model
from master_node.attempts import MAX_LOOSE, Resumable, Sealed
from master_node.commit import CommitRequest, Committer, check_complete, choose_target
from master_node.election import Election
from master_node.model import Chunk, File, Upload
from master_node.quotas.ledger import Ledger
from master_node.recording import record_attempt
from master_node.store.base import MetadataStore
from master_node.uploads import Uploads, describe, with_placements

RETRY_AFTER_SECONDS = 30.0
MAX_SESSION_LENGTH = 64
_MAX_TURNS = 10


class Resumables:
    """The resumable uploads of the cluster, as one master serves them. Every call may be repeated, at any master."""

    def __init__(
        self,
        store: MetadataStore,
        election: Election,
        settings: MasterSettings,
        uploads: Uploads,
        committer: Committer,
        ledger: Ledger,
        locate: Callable[[Sequence[Chunk]], tuple[ChunkLocation, ...]],
    ) -> None:
        """uploads: which opens them, aborts them, and places chunks. locate: says where chunks can be read."""
        self._store = store
        self._locate = locate
        self._election = election
        self._settings = settings
        self._uploads = uploads
        self._committer = committer
        self._ledger = ledger

    def find(self, upload_id: str) -> ResumableInfo:
        """Raises UploadUnknown, UploadClosed."""
        return self._info(*self._require(upload_id))

    def resume(self, upload_id: str, offset: int, length: int | None, place: int, session: str) -> ResumedUpload:
        """Take the upload over at this offset and place the next chunks.

        length: None, or that of the whole, said now or before. session: of the call; a copy of it gets the same
        attempt. Raises OffsetConflict, UploadSealed, UploadUnknown, UploadClosed, UploadTakenOver where another call
        came at the same time, TooManyRequests, InvalidRequest, and what placing raises.
        """
        if not 0 < len(session) <= MAX_SESSION_LENGTH:
            raise InvalidRequest(f"a session has 1 to {MAX_SESSION_LENGTH} characters")
        seen: int | None = None
        for _ in range(_MAX_TURNS):
            upload, resumable = self._require_going_on(upload_id)
            # Not beyond an attempt that came while this call was under way: that one is the later.
            if seen not in (None, resumable.attempt) and resumable.session != session:
                raise UploadTakenOver("another request has resumed the upload", upload_id=upload_id)
            seen = resumable.attempt
            self._check_offset(upload, offset)
            resumed = self._next_attempt(upload, resumable, self._length(upload, resumable, length), session)
            placements = self._uploads.place(resumed, resumed.recorded_count, place)
            resumed = self._touched(with_placements(resumed, placements))
            if self._store.replace_upload(resumed):
                tail = self._tail(resumed)
                return self._describe_resumed(resumed, describe(resumed, placements), tail)
        raise MetadataUnavailable("the upload is being changed by others all the time")

    def record(
        self, upload_id: str, attempt: int, chunks: Sequence[StoredChunk], place_from: int, place: int
    ) -> OpenUpload:
        """Record finished chunks of the present attempt and place the next ones; without any: a sign of life.

        Raises UploadTakenOver once the upload was resumed, UploadSealed, UploadUnknown, UploadClosed, InvalidRequest.
        """
        for _ in range(_MAX_TURNS):
            upload = self._require_attempt(upload_id, attempt)
            if place and place_from < upload.recorded_count:
                raise InvalidRequest(f"the chunks before {upload.recorded_count} are recorded")
            placements = self._uploads.place(upload, place_from, place)
            recorded = record_attempt(self._store, upload, chunks, lambda: self._require_attempt(upload_id, attempt))
            recorded = self._touched(with_placements(recorded, placements))
            if self._store.replace_upload(recorded):
                return describe(recorded, placements)
        raise MetadataUnavailable("the upload is being changed by others all the time")

    def commit(self, upload_id: str, attempt: int, request: CommitRequest) -> tuple[File, bool]:
        """Seal the upload with its last chunks, then make it the content of its path.

        From the first on it takes no more bytes, and anybody can go on with the second (`commit_sealed`). Raises
        UploadTakenOver, UploadUnknown, UploadClosed, InvalidRequest, and what a commit raises.
        """
        self._seal(upload_id, attempt, request)
        return self.commit_sealed(upload_id)

    def commit_sealed(self, upload_id: str) -> tuple[File, bool]:
        """Make a sealed upload the content of its path; any number of times, with the same result."""
        return self._committer.commit_sealed(upload_id)

    # --- how ---

    def _seal(self, upload_id: str, attempt: int, request: CommitRequest) -> None:
        for _ in range(_MAX_TURNS):
            upload, resumable = self._find(upload_id)
            if not upload.takes_bytes:
                self._check_repeated(resumable, attempt, request)
                return
            upload = self._require_attempt(upload_id, attempt)
            _check_request(resumable, request)
            recorded = record_attempt(
                self._store, upload, request.chunks, lambda: self._require_attempt(upload_id, attempt)
            )
            if self._store.replace_upload(self._touched(self._sealed(recorded, request))):
                return
        raise MetadataUnavailable("the upload is being changed by others all the time")

    def _sealed(self, upload: Upload, request: CommitRequest) -> Upload:
        """The upload with everything in its document that a commit needs."""
        resumable = upload.resumable
        if resumable is None:
            raise InvalidRequest("the upload is not resumable")
        if upload.tail_bytes and resumable.tail_attempt != resumable.attempt:
            # A record of an earlier attempt may be longer than what counts of it, and its note says that more follows.
            raise InvalidRequest("the last chunk must be one of the attempt that commits: write its bytes again")
        # The last chunk, where it is a short one, or the empty one of an empty file.
        is_short = upload.tail_bytes > 0 or (request.size == 0 and len(request.chunks) == 1)
        whole = replace(upload, recorded_count=upload.recorded_count + is_short)
        check_complete(whole, request)
        sealed = Sealed(
            request.size,
            request.chunk_count,
            request.checksum,
            request.content_type,
            request.preconditions.if_match,
            request.preconditions.if_none_match,
        )
        changed = replace(
            resumable, length=request.size, tail_attempt=0, loose=resumable.loose + whole.unrecorded, sealed=sealed
        )
        target = choose_target(self._store, upload.upload_id, resumable.path)
        return replace(whole, state=model.SEALED, resumable=changed, target=target)

    def _check_repeated(self, resumable: Resumable, attempt: int, request: CommitRequest) -> None:
        """A commit that finds the upload sealed is a copy of the one that sealed it, or comes from an earlier attempt.

        What has become of the upload since, being given up included, is for the commit to say.
        """
        if resumable.attempt != attempt:
            raise UploadTakenOver("another request goes on with the upload")
        sealed = resumable.sealed
        if sealed is not None and (sealed.size_bytes, sealed.checksum) != (request.size, request.checksum):
            raise UploadSealed("the upload was sealed with other bytes")

    def _next_attempt(self, upload: Upload, resumable: Resumable, length: int | None, session: str) -> Upload:
        """The upload with the next attempt, or with the same for a copy of the call that made it."""
        changed = replace(resumable, length=length)
        if resumable.session == session:
            return model.with_loose(upload, changed)
        if len(resumable.loose) >= MAX_LOOSE:
            raise TooManyRequests(
                "the upload was resumed more often than what this leaves behind could be freed",
                retry_after_seconds=RETRY_AFTER_SECONDS,
            )
        loose = resumable.loose + upload.unrecorded
        changed = replace(changed, attempt=resumable.attempt + 1, session=session, loose=loose)
        # Nothing is placed yet of this attempt.
        return model.with_loose(replace(upload, placed_count=upload.recorded_count), changed)

    def _tail(self, upload: Upload) -> Chunk | None:
        """The record of the short chunk at the end. Its chunk may be longer than what counts of it."""
        if not upload.tail_bytes:
            return None
        tail = next(iter(self._store.list_chunks(upload.upload_id, upload.recorded_count, 1)), None)
        if tail is None or tail.index != upload.recorded_count or tail.size_bytes < upload.tail_bytes:
            raise InternalError("the last chunk of the upload has no record", upload_id=upload.upload_id)
        return tail

    def _describe_resumed(self, upload: Upload, opened: OpenUpload, tail: Chunk | None) -> ResumedUpload:
        resumable = upload.resumable
        if resumable is None:
            raise InvalidRequest("the upload is not resumable")
        location = self._locate([tail])[0] if tail is not None else None
        return ResumedUpload(opened, resumable.attempt, location, self._info(upload, resumable))

    def _length(self, upload: Upload, resumable: Resumable, length: int | None) -> int | None:
        if length is None or length == resumable.length:
            return resumable.length
        if resumable.length is not None:
            raise InvalidRequest(f"the length of the upload is {resumable.length} bytes and does not change")
        if length < upload.recorded_bytes:
            raise InvalidRequest(f"the upload has {upload.recorded_bytes} bytes already")
        if resumable.path:
            self._ledger.check_early(resumable.path, length)
        return length

    def _check_offset(self, upload: Upload, offset: int) -> None:
        if offset != upload.recorded_bytes:
            raise OffsetConflict(
                f"the upload goes on at offset {upload.recorded_bytes}, not {offset}", offset=upload.recorded_bytes
            )

    def _touched(self, upload: Upload) -> Upload:
        """At the next revision, with a sign of life."""
        return replace(upload, revision=upload.revision + 1, last_activity_at=self._election.clock_seconds())

    def _find(self, upload_id: str) -> tuple[Upload, Resumable]:
        upload = self._store.find_upload(upload_id)
        if upload is None or upload.resumable is None:
            raise UploadUnknown("no such upload, or it was collected", upload_id=upload_id)
        return upload, upload.resumable

    def _require(self, upload_id: str) -> tuple[Upload, Resumable]:
        upload, resumable = self._find(upload_id)
        if upload.state == model.ABORTED:
            raise UploadClosed("the upload was given up, or it has expired", upload_id=upload_id)
        return upload, resumable

    def _require_going_on(self, upload_id: str) -> tuple[Upload, Resumable]:
        upload, resumable = self._require(upload_id)
        if not upload.takes_bytes:
            raise UploadSealed("the upload has all its bytes", upload_id=upload_id)
        return upload, resumable

    def _require_attempt(self, upload_id: str, attempt: int) -> Upload:
        upload, resumable = self._require(upload_id)
        if resumable.attempt != attempt:
            raise UploadTakenOver("another request goes on with the upload", upload_id=upload_id)
        if not upload.takes_bytes:
            raise UploadSealed("the upload has all its bytes", upload_id=upload_id)
        return upload

    def _info(self, upload: Upload, resumable: Resumable) -> ResumableInfo:
        idle_seconds = self._election.clock_seconds() - upload.last_activity_at
        return ResumableInfo(
            upload_id=upload.upload_id,
            state=_TOLD.get(upload.state, told.RESUMABLE),
            offset=upload.recorded_bytes,
            length=resumable.length,
            metadata=resumable.metadata,
            path=resumable.path,
            content_type=resumable.content_type,
            file_name=resumable.file_name,
            is_partial=resumable.is_partial,
            chunk_size=upload.chunk_size_bytes,
            expires_in_seconds=max(0.0, self._settings.resumable_idle_seconds - idle_seconds),
            file_id=upload.file_id,
        )


_TOLD = {model.SEALED: told.SEALED, model.COMMITTED: told.COMMITTED, model.KEPT: told.COMMITTED}


def _check_request(resumable: Resumable, request: CommitRequest) -> None:
    """Before the upload is sealed, whatever a commit could never accept of it."""
    if resumable.is_partial:
        raise InvalidRequest("a partial upload does not become a file")
    if request.path != resumable.path:
        raise InvalidRequest(f"the upload was opened for another path, {resumable.path!r}")
    if is_folder(check_path(request.path)) and request.size:
        raise InvalidRequest('a path that ends in "/" is a folder\'s own entry and holds no bytes')
    if resumable.length not in (None, request.size):
        raise InvalidRequest(f"the length of the upload is {resumable.length} bytes")
