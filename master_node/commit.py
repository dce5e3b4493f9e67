"""Make an upload visible: exactly once, by one conditional write, whatever is repeated, paused or lost.

A commit may be tried several times: the gateway asks another master when an answer does not come, while the first
master may only be paused and carry on later. If two tries could make two different writes, one upload could become
the content of two files, and freeing one would destroy the other. So before any try writes, the upload's document
fixes the one write that is allowed, its *target*: insert this file, or replace that file at exactly that revision.

* Every try executes the target that the upload's document names, so all tries make the same write (but for the time
  that it carries). docs/decisions/003-commit.md has the table of cases.
* The target may only be changed (by a conditional write of the upload) once it can never succeed any more: a replace
  because the file's revision has moved on; an insert because a *bar*, a document with the same id, stands in its place.
* An upload that is aborted is fenced in the same way before its chunks are freed.

The bar stays for a day (file_changes.TOMBSTONE_SECONDS), as does the document of a purged file.
tests/master_node/test_commit_races.py runs tries, aborts and deletes in random interleavings against these rules.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from common.clock import Clock
from common.errors import (
    Conflict,
    DFSError,
    InvalidPath,
    InvalidRequest,
    LargerThanQuota,
    PreconditionFailed,
    QuotaExceeded,
    TooManyVersions,
    UploadClosed,
    UploadUnknown,
)
from common.paths import check_path, is_folder
from common.records import Checksum, StoredChunk
from common.settings import MasterSettings
from master_node import file_changes, model
from master_node.election import Election
from master_node.model import CommitTarget, File, Preconditions, Upload, Version
from master_node.quotas.ledger import Ledger
from master_node.recording import record_chunks
from master_node.store.base import IdTaken, KeyTaken, MetadataStore

# Each turn of the loop is lost to another writer of the same path who succeeded, so the cluster makes progress.
MAX_TURNS = 200


@dataclass(frozen=True)
class CommitRequest:
    """What the gateway says of a finished upload. `chunks`: those not recorded before."""

    path: str
    content_type: str
    size: int
    chunk_count: int
    checksum: Checksum | None
    chunks: tuple[StoredChunk, ...]
    preconditions: Preconditions = field(default_factory=Preconditions)


class Committer:
    """Commits and fences uploads on one store."""

    def __init__(
        self,
        store: MetadataStore,
        election: Election,
        settings: MasterSettings,
        clock: Clock,
        ledger: Ledger | None = None,
    ) -> None:
        self._store = store
        self._ledger = ledger or Ledger(store, election, clock)
        self._election = election
        self._settings = settings
        self._clock = clock

    def commit(self, upload_id: str, request: CommitRequest) -> tuple[File, bool]:
        """Make the upload the content of `request.path`; returns the file and whether it is a new one.

        Safe to repeat: a repeated call gives the same result. Raises UploadUnknown, UploadClosed after an abort,
        PreconditionFailed, QuotaExceeded, LargerThanQuota (nothing has changed), TooManyVersions (try again),
        InvalidRequest when chunks are missing.
        """
        check_path(request.path)
        if is_folder(request.path) and request.size:
            raise InvalidPath('a path that ends in "/" is a folder\'s own entry and holds no bytes')
        upload = self._require_upload(upload_id)
        if upload.resumable is not None:
            raise InvalidRequest("this upload is resumable: it is committed with its attempt, or once it is sealed")
        if upload.state == model.OPEN:
            upload = record_chunks(self._store, upload, request.chunks, is_last=True)
            check_complete(upload, request)
        return self._settle(upload, request)

    def commit_sealed(self, upload_id: str) -> tuple[File, bool]:
        """The same for a resumable upload that is sealed, from what its document says."""
        upload = self._require_upload(upload_id)
        if upload.state == model.ABORTED:
            raise _refusal(upload)
        resumable = upload.resumable
        if resumable is None or resumable.sealed is None:
            raise InvalidRequest("the upload is not sealed", upload_id=upload_id)
        sealed = resumable.sealed
        request = CommitRequest(
            path=resumable.path,
            content_type=sealed.content_type,
            size=sealed.size_bytes,
            chunk_count=sealed.chunk_count,
            checksum=sealed.checksum,
            chunks=(),
            preconditions=Preconditions(sealed.if_match, sealed.if_none_match),
        )
        return self._settle(upload, request)

    def fence(self, upload: Upload) -> bool:
        """Settle an aborted upload: True when it had been committed after all, else it never will be."""
        target = upload.target
        if target is None:
            return False
        for _ in range(MAX_TURNS):
            file = self._store.find_file(target.file_id)
            if file is not None and file.has_version(upload.upload_id):
                self.mark_committed(upload, file.file_id)
                return True
            if target.is_insert:
                if file is not None or self._plant_bar(upload.upload_id):
                    return False
            elif (
                file is None or file.revision != target.revision or self._store.replace_file(file_changes.touched(file))
            ):
                return False
        raise Conflict("the upload cannot be settled now", upload_id=upload.upload_id)

    def mark_committed(self, upload: Upload, file_id: str) -> Upload:
        """Note in the upload's document that its version belongs to a file; from here on no try can write again."""
        present = upload
        while True:
            committed = replace(
                present,
                state=model.COMMITTED,
                file_id=file_id,
                revision=present.revision + 1,
                last_activity_at=self._election.clock_seconds(),
            )
            # Relaxed: where the note is lost, the file itself says that it has the version.
            if present.state in (model.COMMITTED, model.KEPT) or self._store.replace_upload(committed, is_relaxed=True):
                return committed
            found = self._store.find_upload(upload.upload_id)
            if found is None:
                return committed
            present = found

    def _settle(self, upload: Upload, request: CommitRequest) -> tuple[File, bool]:
        """Try until the upload is known to be a file, or never to become one."""
        for _ in range(MAX_TURNS):
            if upload.state == model.ABORTED:
                raise _refusal(upload)
            if upload.state in (model.COMMITTED, model.KEPT):
                return self._committed_file(upload, upload.file_id)
            upload, landed = self._try(upload, request)
            if landed is not None:
                return file_changes.as_of(landed, upload.upload_id), landed.file_id == upload.upload_id
        raise TooManyVersions("too many writers of this path at once")

    def _try(self, upload: Upload, request: CommitRequest) -> tuple[Upload, File | None]:
        """One turn: execute the upload's target, or name one; returns the upload as it stands then.

        With it the file, where its write has been made, by this try or another.
        """
        target = upload.target
        if target is None:
            return self._retarget(upload, request.path), None
        if target.path != request.path:
            raise Conflict(f"the upload was opened for another path, {target.path!r}")
        try:
            # Looked for again where this try was late: the target may have been gone because another try made it.
            landed = self._execute(upload, target, request) or self._landed(upload, target.file_id)
        except PreconditionFailed as error:
            refused = self._refuse(upload, error.detail)
            if refused.refusal:
                raise
            return refused, None
        if landed is not None:
            return self.mark_committed(upload, target.file_id), landed
        fresh = self._require_upload(upload.upload_id)
        # Another try may have named a new target already; then that one is to be executed, not replaced.
        return (self._retarget(fresh, request.path) if fresh.target == target else fresh), None

    def _refuse(self, upload: Upload, reason: str) -> Upload:
        """Abort the upload before its client is told that the conditions fail, so that no other try makes it happen."""
        refused = replace(
            upload,
            state=model.ABORTED,
            refusal=reason,
            revision=upload.revision + 1,
            last_activity_at=self._election.clock_seconds(),
        )
        return refused if self._store.replace_upload(refused) else self._require_upload(upload.upload_id)

    def _execute(self, upload: Upload, target: CommitTarget, request: CommitRequest) -> File | None:
        """Make the write that the target names, and return its file; None when it can not be made any more."""
        version = self._version(upload, request)
        if target.is_insert:
            return self._insert(upload, target, version, request.preconditions)
        file = self._store.find_file(target.file_id)
        if file is not None and file.has_version(upload.upload_id):
            return file
        if file is None or file.revision != target.revision:
            return None
        if file.status == model.ACTIVE and file.path == target.path:
            request.preconditions.check(file)
            overwritten = self._overwritten(file, version)
            return overwritten if self._ledger.replace_file(self._store, file, overwritten) else None
        if file.file_id == upload.upload_id and file.status == model.PURGED:
            request.preconditions.check(None)
            return self._revive(file, target, version)
        return None

    def _insert(
        self, upload: Upload, target: CommitTarget, version: Version, preconditions: Preconditions
    ) -> File | None:
        preconditions.check(None)
        file = file_changes.new_file(upload, target.path, version, self._clock.timestamp())
        try:
            self._ledger.insert_file(self._store, file)
        except (QuotaExceeded, LargerThanQuota):
            if (landed := self._landed(upload, upload.upload_id)) is not None:
                return landed
            raise
        except KeyTaken:
            return None if self._plant_bar(upload.upload_id) else self._landed(upload, upload.upload_id)
        except IdTaken:
            return self._landed(upload, upload.upload_id)
        return file

    def _revive(self, barrier: File, target: CommitTarget, version: Version) -> File | None:
        revived = file_changes.revive(barrier, target.path, version, self._clock.timestamp())
        try:
            return revived if self._ledger.replace_file(self._store, barrier, revived) else None
        except KeyTaken:
            # The path was taken meanwhile. Move the bar on, so that no late try of this target can succeed.
            self._store.replace_file(file_changes.touched(barrier))
            return None

    def _overwritten(self, file: File, version: Version) -> File:
        return file_changes.overwrite(
            file,
            version,
            expires_at=self._election.clock_seconds() + self._settings.trash_retention_seconds,
            max_versions=self._settings.max_versions,
            now=self._clock.timestamp(),
        )

    def _retarget(self, upload: Upload, path: str) -> Upload:
        """Name the next write to try. The present target, if any, must be one that cannot succeed any more."""
        if upload.state not in (model.OPEN, model.SEALED):
            return upload
        target = choose_target(self._store, upload.upload_id, path)
        changed = replace(upload, target=target, revision=upload.revision + 1)
        if self._store.replace_upload(changed):
            return changed
        return self._require_upload(upload.upload_id)

    def _plant_bar(self, upload_id: str) -> bool:
        """Whether the bar is new; False when a document with this id stands there already."""
        try:
            self._store.insert_file(
                file_changes.bar(upload_id, self._election.clock_seconds(), self._clock.timestamp())
            )
        except IdTaken:
            return False
        return True

    def _landed(self, upload: Upload, file_id: str) -> File | None:
        """The file, if the upload is its content, or was."""
        file = self._store.find_file(file_id)
        return file if file is not None and file.has_version(upload.upload_id) else None

    def _require_upload(self, upload_id: str) -> Upload:
        upload = self._store.find_upload(upload_id)
        if upload is None:
            raise UploadUnknown("no such upload, or it was collected", upload_id=upload_id)
        return upload

    def _committed_file(self, upload: Upload, file_id: str) -> tuple[File, bool]:
        file = self._store.find_file(file_id)
        if file is None or not file.has_version(upload.upload_id):
            raise UploadUnknown("the upload was committed, and its file was deleted since", upload_id=upload.upload_id)
        return file_changes.as_of(file, upload.upload_id), file_id == upload.upload_id

    def _version(self, upload: Upload, request: CommitRequest) -> Version:
        return Version(
            version_id=upload.upload_id,
            number=0,
            size_bytes=request.size,
            chunk_count=request.chunk_count,
            chunk_size_bytes=upload.chunk_size_bytes,
            replication_factor=upload.replication_factor,
            checksum=request.checksum,
            content_type=request.content_type,
            created_at=self._clock.timestamp(),
        )


def choose_target(store: MetadataStore, upload_id: str, path: str, *, is_new: bool = False) -> CommitTarget:
    """The write that would make the upload the content of `path`, as things stand. is_new: nobody knows its id yet."""
    present = store.find_file_by_key(f"a/{path}")
    if present is None and not is_new:
        present = store.find_file(upload_id)
    if present is None:
        return CommitTarget(upload_id, path, 0, is_insert=True)
    return CommitTarget(present.file_id, path, present.revision, is_insert=False)


def _refusal(upload: Upload) -> DFSError:
    """Why an aborted upload cannot be committed: its conditions failed in an earlier try, or somebody gave it up."""
    if upload.refusal:
        return PreconditionFailed(upload.refusal)
    return UploadClosed("the upload was aborted", upload_id=upload.upload_id)


def check_complete(upload: Upload, request: CommitRequest) -> None:
    """Raise InvalidRequest unless just the chunks that the commit speaks of are recorded."""
    if upload.recorded_count != request.chunk_count or upload.recorded_bytes != request.size:
        raise InvalidRequest(
            f"{upload.recorded_count} chunks with {upload.recorded_bytes} bytes are recorded;"
            f" the commit says {request.chunk_count} with {request.size}"
        )
