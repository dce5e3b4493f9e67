"""Resumable uploads as clients know them: create, look, append, terminate. Any gateway goes on with any of them.

Nothing of an upload is kept here but how far its checksum is (hashes.py), where one is made at all, and that can be
made again: what counts is in the masters' records. A client is told that an upload is complete only once it is a file.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import replace

from api_gateway import file_hash
from api_gateway.admission import Admission, UploadLimits
from api_gateway.downloads import DownloadService
from api_gateway.redundancy import AS_CONFIGURED, Redundancy
from api_gateway.resumable.checksums import ExpectedChecksum, require_checkable
from api_gateway.resumable.concatenation import PartialsSource, require_finished
from api_gateway.resumable.hashes import HashState, HashTable
from api_gateway.resumable.metadata import Destination, read_destination, recall, remember
from api_gateway.resumable.protocol import Addition, Creation
from api_gateway.resumable.session import PLACE_AHEAD, Received, Session
from api_gateway.resumable.stored import read_back
from api_gateway.uploads import UploadService, patiently
from common.bodies import ByteSource
from common.errors import (
    ChunkLost,
    ChunkUnavailable,
    DFSError,
    FileUnknown,
    OffsetConflict,
    PreconditionFailed,
    TooLarge,
    TooManyVersions,
    UploadClosed,
    UploadFinished,
    UploadGone,
    UploadSealed,
    UploadUnknown,
    VersionUnknown,
)
from common.master_client import MasterClient
from common.records import Checksum, FileInfo, is_version_id
from common.resumables import COMMITTED, RESUMABLE, SEALED, NewResumable, ResumableInfo, ResumedUpload

COPY_WAIT_SECONDS = 30.0
# How often a file may have been replaced since and still be found as it was: each is a call.
MAX_REPLACED = 8


class ResumableService:
    """The resumable uploads of the cluster, as one gateway serves them."""

    def __init__(self, masters: MasterClient, uploads: UploadService, downloads: DownloadService) -> None:
        self._masters = masters
        self._uploads = uploads
        self._downloads = downloads
        self._hashes = HashTable()
        # Each reads and writes, and holds buffers for both: few enough that they cannot hold all.
        limits = UploadLimits(max(1, uploads.buffers.count // 8), COPY_WAIT_SECONDS, 0)
        self._copies = Admission(limits)

    def create(
        self, creation: Creation, destination: Destination, length: int | None, redundancy: Redundancy = AS_CONFIGURED
    ) -> str:
        """Begin an upload; returns its id. Raises TooLarge, PreconditionFailed, and what the masters say."""
        self._uploads.admission.check_size(length)
        if destination.if_none_match is not None and destination.path is not None:
            self._require_free(destination.path)
        said = NewResumable(
            length,
            remember(creation.metadata, creation.concatenation.text if creation.concatenation is not None else ""),
            destination.content_type,
            destination.file_name,
            creation.is_partial,
        )
        opened = self._masters.open_upload(
            destination.path, redundancy.replication_factor, 0, redundancy.consistency, length, said
        )
        return opened.upload_id

    def create_with(
        self,
        creation: Creation,
        destination: Destination,
        redundancy: Redundancy,
        source: ByteSource,
        expected_bytes: int | None,
    ) -> ResumableInfo:
        """Begin an upload with its first bytes; what fails leaves nothing, for the client has no address of it."""
        upload_id = self.create(creation, destination, creation.length, redundancy)
        with self._terminating(upload_id):
            return self.append(upload_id, Addition(0, None, creation.checksum), source, expected_bytes)

    def concatenate(
        self,
        creation: Creation,
        destination: Destination,
        redundancy: Redundancy,
        partials: Sequence[ResumableInfo],
    ) -> ResumableInfo:
        """Make a file of the bytes of partial uploads, which stay as they are until they expire."""
        length = require_finished(partials)
        with self._copies.admitted():
            upload_id = self.create(creation, destination, length, redundancy)
            source = PartialsSource(self._downloads, partials)
            with (
                self._terminating(upload_id),
                self._explaining_loss([partial.upload_id for partial in partials]),
                contextlib.closing(source),
            ):
                return self.append(upload_id, Addition(0), source, length)

    def find(self, upload_id: str) -> ResumableInfo:
        """As the masters have it. Raises UploadUnknown, UploadGone."""
        if not is_version_id(upload_id):
            raise UploadUnknown("an upload's id is 32 hexadecimal digits")
        with _gone():
            return self._masters.find_upload(upload_id)

    def look(self, upload_id: str) -> ResumableInfo:
        """The same; one that has all its bytes is made a file first. Raises what a commit raises, too."""
        info = self.find(upload_id)
        if info.state == SEALED:
            file, _ = patiently(self._uploads.clock, lambda: self._masters.commit_sealed(upload_id))
            return _as_committed(info, file)
        if info.state == RESUMABLE and info.offset == info.length and not info.is_partial:
            return self.append(upload_id, Addition(info.offset), _Nothing(), 0)
        return info

    def file_of(self, info: ResumableInfo) -> FileInfo | None:
        """The file that a committed upload has become, with its bytes as the content, also if it has others by now.

        None while it is no file, and where the file has been moved or replaced again and again since.
        """
        if info.state != COMMITTED:
            return None
        try:
            file = self._masters.find_file(info.file_id).file
            older = [old["version"] for old in file.old_versions[:MAX_REPLACED]]
            while file.version_id != info.upload_id and older:
                file = self._masters.find_file(info.file_id, version=older.pop(0)).file
        except (FileUnknown, VersionUnknown):
            return None
        # Whoever may write to one path is not told of another.
        return file if (file.version_id, file.path) == (info.upload_id, info.path) else None

    def append(
        self, upload_id: str, addition: Addition, source: ByteSource, expected_bytes: int | None
    ) -> ResumableInfo:
        """Add the bytes of one request; with the last of them the upload becomes a file. Returns how it then stands.

        expected_bytes: how many the source gives, if known. Raises UploadUnknown, UploadGone, UploadFinished,
        OffsetConflict, UploadTakenOver, and as `Session.receive`.
        """
        if not is_version_id(upload_id):
            raise UploadUnknown("an upload's id is 32 hexadecimal digits")
        if addition.checksum is not None and expected_bytes is not None:
            require_checkable(expected_bytes)
        place = self._places(addition.offset, expected_bytes)
        with self._uploads.admission.admitted(), _gone():
            try:
                resumed = self._masters.resume_upload(upload_id, addition.offset, addition.length, place)
            except UploadSealed:
                return self._append_to_sealed(upload_id, addition, expected_bytes)
            with self._explaining_loss([upload_id]):
                return self._receive(resumed, addition.checksum, source, expected_bytes)

    def terminate(self, upload_id: str) -> None:
        """Give an upload up. Raises UploadFinished for one that is a file."""
        self.find(upload_id)
        try:
            self._masters.abort_upload(upload_id)
        except UploadSealed:
            raise UploadFinished("the upload has become a file; delete that") from None
        self._hashes.forget(upload_id)

    @contextlib.contextmanager
    def _terminating(self, upload_id: str) -> Iterator[None]:
        """Give the upload up where the block raises; where the masters cannot be told, it expires."""
        try:
            yield
        except BaseException:
            with contextlib.suppress(DFSError):
                self._masters.abort_upload(upload_id)
            raise

    @contextlib.contextmanager
    def _explaining_loss(self, upload_ids: Sequence[str]) -> Iterator[None]:
        """Where bytes of these uploads cannot be read because one was given up meanwhile, raise that instead."""
        try:
            yield
        except (ChunkUnavailable, ChunkLost):
            for upload_id in upload_ids:
                self.find(upload_id)
            raise

    def _require_free(self, path: str) -> None:
        """So that nobody sends a whole file in vain; what counts is the same condition of the commit."""
        try:
            self._masters.find_path(path)
        except FileUnknown:
            return
        raise PreconditionFailed("there is a file at this path already", path=path)

    def _places(self, offset: int, expected_bytes: int | None) -> int:
        """How many chunks to place at once: what is placed in vain has to be looked for on the workers later."""
        if expected_bytes is None:
            return 1
        size = self._uploads.chunk_size_bytes
        return min(PLACE_AHEAD, -(-(offset % size + expected_bytes) // size))

    def _append_to_sealed(self, upload_id: str, addition: Addition, expected_bytes: int | None) -> ResumableInfo:
        """All bytes are there; the client may not know it yet."""
        info = self.look(upload_id)
        is_final = bool(recall(info.metadata)[1])
        if addition.offset != info.offset and not is_final:
            raise OffsetConflict(f"the upload has {info.offset} bytes", offset=info.offset)
        if is_final or expected_bytes != 0:
            raise UploadFinished("the upload has all its bytes")
        if addition.checksum is not None:
            addition.checksum.require(addition.checksum.new_hasher().digest())
        return info

    def _receive(
        self,
        resumed: ResumedUpload,
        checksum: ExpectedChecksum | None,
        source: ByteSource,
        expected_bytes: int | None,
    ) -> ResumableInfo:
        info = resumed.info
        if info.length is not None:
            self._uploads.admission.check_size(info.length)
            if expected_bytes is not None and info.offset + expected_bytes > info.length:
                raise TooLarge("the request brings more than Upload-Length leaves", upload_length=info.length)
        state = self._hash_state(info, expected_bytes) if self._uploads.makes_checksums else None
        before = state.copy() if state is not None else None
        session = Session(self._uploads, self._downloads, resumed, state, checksum)
        try:
            with session:
                received = session.receive(source)
                is_whole = received.offset == info.length and not info.is_partial
                if is_whole and (state is not None or not self._uploads.makes_checksums):
                    return self._commit(resumed, session, received, state)
                session.record(received)
                return replace(info, offset=received.offset)
        except BaseException:
            if before is not None and not session.is_recorded:
                self._hashes.keep(info.upload_id, before)
            raise
        finally:
            if state is not None and session.is_recorded:
                self._hashes.keep(info.upload_id, HashState(state.hasher, session.offset))

    def _hash_state(self, info: ResumableInfo, expected_bytes: int | None) -> HashState | None:
        """The whole file's checksum up to the offset; None where it is not needed, or needed later only.

        With the request that may be the last one, what this gateway has not seen is read back and hashed.
        """
        if info.is_partial:
            return None
        state = self._hashes.take(info.upload_id, info.offset)
        if state.covered_bytes == info.offset:
            return state
        is_last = info.length is not None and (expected_bytes is None or info.offset + expected_bytes == info.length)
        if is_last:
            return self._catch_up(state, info)
        self._hashes.keep(info.upload_id, state)
        return None

    def _catch_up(self, state: HashState, info: ResumableInfo) -> HashState:
        hasher, covered = state.hasher.copy(), state.covered_bytes
        try:
            with contextlib.closing(read_back(self._downloads, info, covered, info.offset)) as pieces:
                for piece in pieces:
                    hasher.update(piece)
                    covered += len(piece)
        except BaseException:
            self._hashes.keep(info.upload_id, HashState(hasher, covered))
            raise
        return HashState(hasher, info.offset)

    def _commit(
        self, resumed: ResumedUpload, session: Session, received: Received, state: HashState | None
    ) -> ResumableInfo:
        """Seal the upload with its last chunk, and make it the file."""
        info = resumed.info
        last = session.record_before_seal(received)
        try:
            file, _ = self._masters.commit_upload(
                info.upload_id,
                path=info.path,
                content_type=info.content_type,
                size=received.offset,
                chunk_count=received.chunk_count,
                checksum=Checksum(file_hash.ALGORITHM, state.hasher.hexdigest()) if state is not None else None,
                chunks=last,
                if_none_match=read_destination(recall(info.metadata)[0]).if_none_match,
                attempt=resumed.attempt,
            )
        except TooManyVersions:
            # It is sealed by now.
            file, _ = patiently(self._uploads.clock, lambda: self._masters.commit_sealed(info.upload_id))
        return _as_committed(info, file)


class _Nothing:
    """No bytes at all."""

    def fill(self, _buffer: bytearray, _start: int, _stop: int) -> int:
        return 0


def _as_committed(info: ResumableInfo, file: FileInfo) -> ResumableInfo:
    return replace(info, state=COMMITTED, offset=file.size, length=file.size, path=file.path, file_id=file.file_id)


@contextlib.contextmanager
def _gone() -> Iterator[None]:
    """What the masters call closed is gone for a client of this protocol."""
    try:
        yield
    except UploadClosed as error:
        raise UploadGone(error.detail) from error
