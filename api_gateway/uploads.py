"""The way of a file in: split, place, replicate, commit. Knows no Flask; any front end feeds it bytes.

Memory: one buffer being filled and at most `window` on their way to the workers, whatever the size of the file.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from typing import TypeVar

from api_gateway.admission import Admission
from api_gateway.buffers import BufferPool
from api_gateway.file_hash import FileHash
from api_gateway.redundancy import AS_CONFIGURED, Redundancy
from api_gateway.replication import Replicator
from api_gateway.under_way import ChunkUnderWay, StoredWrite
from common.bodies import ByteSource
from common.checksums import block_digests, checksum_of
from common.chunk_notes import ChunkNote, encode_header
from common.clock import Clock
from common.errors import DFSError, InternalError, TooManyVersions, UploadClosed, UploadUnknown
from common.logs import EventLog
from common.master_client import MasterClient
from common.metrics import Count
from common.records import FileInfo, Placement, StoredChunk, chunk_id

FIRST_PLACE = 4
MAX_PLACE = 64
FIRST_PIECE_BYTES = 4096
COMMIT_PATIENCE_SECONDS = 30.0
_Result = TypeVar("_Result")


@dataclass(frozen=True)
class CommitOptions:
    """How a finished upload becomes a file; the conditions are entity tags as HTTP has them."""

    path: str
    content_type: str = "application/octet-stream"
    if_match: str | None = None
    if_none_match: str | None = None


@dataclass(frozen=True)
class Committed:
    """The file that an upload became."""

    file: FileInfo
    is_new: bool


class UploadService:
    """Opens uploads."""

    def __init__(
        self,
        masters: MasterClient,
        replicator: Replicator,
        buffers: BufferPool,
        executor: Executor,
        clock: Clock,
        log: EventLog,
        window_chunks: int,
        chunk_size_bytes: int,
        keep_alive_seconds: float,
        admission: Admission,
        *,
        makes_checksums: bool = True,
    ) -> None:
        """keep_alive_seconds: how often the masters hear of a slow upload; well below master.upload_idle_seconds.

        makes_checksums: whether each file gets the checksum of its whole content.
        """
        self.masters = masters
        self.replicator = replicator
        self.buffers = buffers
        self.executor = executor
        self.clock = clock
        self.log = log
        self.window_chunks = window_chunks
        self.chunk_size_bytes = chunk_size_bytes
        self.keep_alive_seconds = keep_alive_seconds
        self.admission = admission
        self.makes_checksums = makes_checksums
        self.begun, self.ended = Count(), Count()

    def open(
        self,
        path: str | None,
        expected_size: int | None,
        redundancy: Redundancy = AS_CONFIGURED,
        note: ChunkNote | None = None,
    ) -> Upload:
        """Begin an upload. path: where it will go, if known. expected_size: an upper bound in bytes, if known.

        note: what is known of the file besides, to be written beside its chunks.
        Raises what the masters say, such as ClusterFull, before a byte of the file is needed.
        """
        return Upload(self, path, expected_size, redundancy, note or ChunkNote(path or ""))


class Upload:
    """One file on its way in. Use as a context manager: leaving it without `commit` aborts. One thread at a time."""

    def __init__(
        self,
        service: UploadService,
        path: str | None,
        expected_size: int | None,
        redundancy: Redundancy,
        note: ChunkNote,
    ) -> None:
        self._service = service
        place = _first_place(expected_size, service.chunk_size_bytes)
        opened = service.masters.open_upload(
            path, redundancy.replication_factor, place, redundancy.consistency, expected_size
        )
        self._upload_id = opened.upload_id
        self._told_at = service.clock.monotonic()
        self._is_committed = self._is_closed = False
        if opened.chunk_size > service.buffers.size_bytes:
            raise InternalError("cluster.chunk_size_bytes of the masters is larger than that of this gateway")
        self._chunk_size = opened.chunk_size
        self._factor = opened.replication_factor
        self._quorum = opened.write_quorum
        self._placements: deque[Placement] = deque(opened.placements)
        self._next_index = 0
        self._size = 0
        self._note = replace(
            note,
            uploaded_at=service.clock.timestamp(),
            chunk_size_bytes=opened.chunk_size,
            replication_factor=opened.replication_factor,
        )
        self._encoded_note = ""
        # The first bytes of a chunk: no buffer is taken for a chunk that nobody sends, or that drips.
        self._first = bytearray(min(FIRST_PIECE_BYTES, self._chunk_size))
        self._hash = FileHash(service.executor) if service.makes_checksums else None
        self._buffer: bytearray | None = None
        self._filled = 0
        self._pending: deque[ChunkUnderWay] = deque()
        self._stored: list[StoredWrite] = []
        service.begun.add()

    def receive(self, source: ByteSource, on_piece: Callable[[], None] | None = None) -> None:
        """Take all that the source gives. on_piece: called after each piece, whatever its length.

        Raises QuorumNotReached, ClusterFull, GatewayBusy, TooLarge, and what the source raises.
        """
        while self._receive_piece(source):
            self._service.admission.check_size(self._size + self._filled)
            self.keep_alive()
            if on_piece is not None:
                on_piece()

    def keep_alive(self) -> None:
        """Tell the masters, now and then, that this upload is slow and not abandoned; called for every piece read."""
        if self._service.clock.monotonic() - self._told_at < self._service.keep_alive_seconds:
            return
        try:
            self._service.masters.record_chunks(self._upload_id, (), self._next_index, 0)
        except (UploadClosed, UploadUnknown):
            raise
        except DFSError as error:
            self._service.log.warning("keep_alive_failed", upload_id=self._upload_id, error=error.detail)
        self._told_at = self._service.clock.monotonic()

    def finish(self) -> None:
        """Wait until every byte is on a write quorum of disks; nothing is visible yet.

        A file without a byte has one empty chunk: docs/decisions/011-empty-files.md.
        """
        if self._buffer is not None or not self._next_index:
            self._send(self._buffer, is_last=True)
        while self._pending:
            self._reap()

    def commit(self, options: CommitOptions) -> Committed:
        """Make the upload the file at a path, in one step. A path written by too many at once is waited for."""
        self.finish()
        file, is_new = patiently(
            self._service.clock,
            lambda: self._service.masters.commit_upload(
                self._upload_id,
                path=options.path,
                content_type=options.content_type,
                size=self._size,
                chunk_count=self._next_index,
                checksum=self._hash.checksum() if self._hash is not None else None,
                chunks=self._describe_stored(),
                if_match=options.if_match,
                if_none_match=options.if_none_match,
            ),
        )
        self._is_committed = True
        return Committed(file, is_new)

    def close(self) -> None:
        """Let go of everything; an upload that was not committed is aborted, as far as the masters can be told."""
        if not self._is_closed:
            self._is_closed = True
            self._service.ended.add()
        for pending in self._pending:
            pending.write.cancel()
            pending.release(self._service.buffers)
        self._pending.clear()
        if self._buffer is not None:
            self._service.buffers.release(self._buffer)
            self._buffer = None
        if not self._is_committed:
            self._is_committed = True
            try:
                self._service.masters.abort_upload(self._upload_id)
            except DFSError as error:
                # The leader collects it once it has been idle for long enough.
                self._service.log.warning("abort_failed", upload_id=self._upload_id, error=error.detail)

    def __enter__(self) -> Upload:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _receive_piece(self, source: ByteSource) -> int:
        """Read once; returns how many bytes came. A full buffer is sent when there is more to come: the last chunk is
        marked as such.
        """
        if self._buffer is not None and self._filled < self._chunk_size:
            count = source.fill(self._buffer, self._filled, self._chunk_size)
            self._filled += count
            return count
        if self._buffer is not None:
            count = source.fill(self._first, 0, len(self._first))
            if not count:
                return 0
            self._send(self._buffer)
        else:
            count = source.fill(self._first, self._filled, len(self._first))
        self._filled += count
        if self._filled and (not count or self._filled == len(self._first)):
            self._buffer = self._take_buffer()
            self._buffer[: self._filled] = self._first[: self._filled]
        return count

    def _take_buffer(self) -> bytearray:
        """A free buffer; rather than wait for other transfers, wait for our own chunks that hold one."""
        while len(self._pending) >= self._service.window_chunks:
            self._reap()
        while self._pending:
            if (buffer := self._service.buffers.try_acquire()) is not None:
                return buffer
            self._reap()
        return self._service.buffers.acquire()

    def _send(self, buffer: bytearray | None, *, is_last: bool = False) -> None:
        """Start to replicate the buffer that was being filled, or an empty chunk."""
        placement = self._next_placement()
        view = memoryview(b"" if buffer is None else buffer)[: self._filled]
        checksum = checksum_of(block_digests(view))
        name = chunk_id(self._upload_id, self._next_index)
        # First the step that leaves nobody with the buffer when it fails.
        hashed = self._hash.add(view) if self._hash is not None else None
        note = self._write_note(is_last)
        write = self._service.replicator.start(placement, name, view, checksum, self._factor, self._quorum, note)
        self._pending.append(ChunkUnderWay(self._next_index, buffer, self._filled, checksum, write, hashed))
        self._buffer = None
        self._next_index += 1
        self._size += self._filled
        self._filled = 0

    def _write_note(self, is_last: bool) -> str:
        if is_last:
            return encode_header(self._note.last(self._next_index + 1, self._size + self._filled).encode())
        if not self._encoded_note:
            self._encoded_note = encode_header(self._note.encode())
        return self._encoded_note

    def _next_placement(self) -> Placement:
        if not self._placements:
            count = min(MAX_PLACE, max(FIRST_PLACE, 2 * self._next_index))
            chunks = self._describe_stored()
            answer = self._service.masters.record_chunks(self._upload_id, chunks, self._next_index, count)
            self._stored = []
            self._told_at = self._service.clock.monotonic()
            self._placements.extend(answer.placements)
        return self._placements.popleft()

    def _reap(self) -> None:
        """Wait for the oldest chunk under way and note who has it."""
        pending = self._pending[0]
        try:
            pending.write.wait(may_linger=not self._service.buffers.is_scarce)
        finally:
            self._pending.popleft()
            pending.release(self._service.buffers)
        self._stored.append(pending.stored())

    def _describe_stored(self) -> list[StoredChunk]:
        return [chunk.describe() for chunk in self._stored]


def patiently(clock: Clock, commit: Callable[[], _Result]) -> _Result:
    """What `commit` gives, asked again for a while when the path is written by too many at once."""
    give_up_at = clock.monotonic() + COMMIT_PATIENCE_SECONDS
    while True:
        try:
            return commit()
        except TooManyVersions:
            if clock.monotonic() >= give_up_at:
                raise
            clock.sleep(0.5)


def _first_place(expected_size: int | None, chunk_size: int) -> int:
    """How many chunks to place at once in the beginning: all of a small file, a few of one of unknown size."""
    if expected_size is None:
        return FIRST_PLACE
    return min(MAX_PLACE, max(1, -(-expected_size // chunk_size)))
