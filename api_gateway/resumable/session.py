"""One request's bytes on their way into a resumable upload: the tail read back, chunks filled, stored and recorded.

Each chunk is recorded as soon as it is stored, and what is left when the body ends or breaks off is stored as the
upload's new tail; so what is lost when this process dies is the chunk that was being filled and those on their way.
Where the client sent a checksum, nothing is recorded before the checksum is known to be right.

Memory: one buffer being filled and WINDOW on their way to the workers.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from api_gateway.downloads import DownloadService
from api_gateway.file_hash import Hasher, OrderedHash
from api_gateway.resumable.checksums import ExpectedChecksum, require_checkable
from api_gateway.resumable.checksums import Hasher as ChecksumHasher
from api_gateway.resumable.hashes import HashState
from api_gateway.resumable.stored import as_file
from api_gateway.under_way import ChunkUnderWay, StoredWrite
from api_gateway.uploads import FIRST_PIECE_BYTES, UploadService
from common.bodies import ByteSource
from common.checksums import Buffer, block_digests, checksum_of
from common.chunk_notes import ChunkNote, encode_header
from common.errors import ChunkUnavailable, IncompleteBody, InternalError, TooLarge
from common.records import Placement, StoredChunk, chunk_id
from common.resumables import ResumedUpload

# How many chunks are on their way at once. All of them are sent again after a crash, so fewer than for other uploads.
WINDOW = 2
# How many chunks are placed ahead: what is placed and not sent must be looked for on the workers later.
PLACE_AHEAD = 4
RECORD_AT_ONCE = 64


@dataclass(frozen=True)
class Received:
    """All of a request's bytes, stored. chunks: those of them that are not recorded yet; the last one may be short."""

    offset: int
    chunk_count: int
    chunks: tuple[StoredChunk, ...]


class Session:
    """What one attempt adds to an upload. Use as a context manager. One thread at a time."""

    def __init__(
        self,
        uploads: UploadService,
        downloads: DownloadService,
        resumed: ResumedUpload,
        hash_state: HashState | None,
        expected: ExpectedChecksum | None,
    ) -> None:
        """hash_state: takes the whole file's checksum further, where it is known up to the offset."""
        opened = resumed.opened
        if opened.chunk_size > uploads.buffers.size_bytes:
            raise InternalError("cluster.chunk_size_bytes of the masters is larger than that of this gateway")
        self._uploads = uploads
        self._downloads = downloads
        self._resumed = resumed
        self._expected = expected
        self._checked: ChecksumHasher | None = expected.new_hasher() if expected is not None else None
        hashers: list[Hasher] = [hash_state.hasher] if hash_state is not None else []
        if self._checked is not None:
            hashers.append(self._checked)
        self._hash = OrderedHash(uploads.executor, _All(hashers)) if hashers else None
        self._chunk_size = opened.chunk_size
        self._placements: deque[Placement] = deque(opened.placements)
        self._index = resumed.next_index
        # The chunk being filled: its first bytes are waited for without a buffer, for they may never come.
        self._filled = self._old_bytes = resumed.tail_bytes
        self._buffer: bytearray | None = None
        self._first = bytearray(FIRST_PIECE_BYTES)
        self._waiting = 0
        # How many bytes have come, and whether all of them count.
        self.offset = resumed.info.offset
        self.is_recorded = False
        self._pending: deque[ChunkUnderWay] = deque()
        self._stored: list[StoredWrite] = []
        self._note = ChunkNote(
            resumed.info.path,
            resumed.info.file_name,
            resumed.info.content_type,
            uploads.clock.timestamp(),
            opened.chunk_size,
            opened.replication_factor,
        )
        uploads.begun.add()

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        """Let go of everything; what is not recorded by now never counts."""
        self._uploads.ended.add()
        for pending in self._pending:
            pending.write.cancel()
            pending.release(self._uploads.buffers)
        self._pending.clear()
        if self._buffer is not None:
            self._uploads.buffers.release(self._buffer)
            self._buffer = None

    def receive(self, source: ByteSource) -> Received:
        """Take all that the source gives, and store it.

        Where it breaks off, what came is stored and recorded, and IncompleteBody raised; with a checksum nothing is.
        Raises ChecksumMismatch, QuorumNotReached, ClusterFull, GatewayBusy, TooLarge, UploadTakenOver.
        """
        begin, length = self.offset, self._resumed.info.length
        bounded = _Bounded(source, None if length is None else length - begin)
        try:
            while count := self._receive_piece(bounded):
                self.offset += count
                self._uploads.admission.check_size(self.offset)
                if self._expected is not None:
                    require_checkable(self.offset - begin)
                if self._pending and self._pending[0].write.is_over:
                    self._reap()
        except IncompleteBody:
            if self._expected is None:
                self.record(self._finish(is_broken=True))
            raise
        return self._finish(is_broken=False)

    def record(self, received: Received) -> None:
        """Make all that was received count."""
        self._record_all(received.chunks)
        self.is_recorded = True

    def record_before_seal(self, received: Received) -> tuple[StoredChunk, ...]:
        """Make all count but the last chunk, with which the file is sealed; returns that, if there is one."""
        self._record_all(received.chunks[:-1])
        return received.chunks[-1:]

    def _finish(self, *, is_broken: bool) -> Received:
        """Store what is left in the buffer; the checksum is right when this returns."""
        info = self._resumed.info
        is_end = not is_broken and not info.is_partial and self.offset == info.length
        if self._waiting:
            self._begin_chunk()
        if is_end and self._filled and self._buffer is None:
            # The file ends with a tail that was stored before: as the last chunk it is written again.
            self._begin_chunk()
        # A file without a byte has one empty chunk: docs/decisions/011-empty-files.md.
        is_empty = is_end and not self.offset
        if is_empty or (self._buffer is not None and (is_end or self._filled > self._old_bytes)):
            self._send(self._buffer, is_end=is_end)
        while self._pending:
            self._reap(is_last=True)
        if self._hash is not None:
            self._hash.finish()
        if self._expected is not None and self._checked is not None:
            self._expected.require(self._checked.digest())
        return Received(self.offset, self._index, tuple(self._describe_stored()))

    def _receive_piece(self, source: ByteSource) -> int:
        """Read once; returns how many bytes came. A full buffer is sent when there is more to come."""
        if self._buffer is not None and self._filled < self._chunk_size:
            count = source.fill(self._buffer, self._filled, self._chunk_size)
            self._filled += count
            return count
        room = min(len(self._first), self._chunk_size)
        if self._buffer is None:
            room = min(room, self._chunk_size - self._filled)
        count = source.fill(self._first, self._waiting, room)
        if count and self._buffer is not None:
            self._send(self._buffer, is_end=False)
        self._waiting += count
        if self._waiting and (not count or self._waiting == room):
            self._begin_chunk()
        return count

    def _begin_chunk(self) -> None:
        """Take a buffer, with what the chunk has already: the bytes of the tail, and the first ones that came."""
        self._buffer = self._take_buffer()
        if self._filled:
            self._read_tail(self._buffer)
        self._buffer[self._filled : self._filled + self._waiting] = self._first[: self._waiting]
        self._filled += self._waiting
        self._waiting = 0

    def _read_tail(self, buffer: bytearray) -> None:
        tail = self._resumed.tail
        if tail is None or not self._filled <= tail.size_bytes <= self._chunk_size:
            raise ChunkUnavailable("the masters do not say where the last bytes of the upload are")
        self._downloads.read_chunk(as_file(self._resumed.info), tail, buffer)

    def _take_buffer(self) -> bytearray:
        """A free buffer; rather than wait for other transfers, wait for our own chunks that hold one."""
        while self._pending:
            if (buffer := self._uploads.buffers.try_acquire()) is not None:
                return buffer
            self._reap()
        return self._uploads.buffers.acquire()

    def _send(self, buffer: bytearray | None, *, is_end: bool) -> None:
        """Once there is room in the window, start to replicate what is in the buffer; None: an empty one."""
        while len(self._pending) >= WINDOW:
            self._reap()
        opened, attempt = self._resumed.opened, self._resumed.attempt
        placement = self._next_placement()
        view = memoryview(b"" if buffer is None else buffer)[: self._filled]
        checksum = checksum_of(block_digests(view))
        name = chunk_id(opened.upload_id, self._index, attempt)
        hashed = self._hash.add(view[self._old_bytes :]) if self._hash is not None else None
        write = self._uploads.replicator.start(
            placement, name, view, checksum, opened.replication_factor, opened.write_quorum, self._write_note(is_end)
        )
        self._pending.append(ChunkUnderWay(self._index, buffer, self._filled, checksum, write, hashed, attempt))
        self._buffer = None
        self._index += 1
        self._filled = self._old_bytes = 0

    def _write_note(self, is_end: bool) -> str:
        note = self._note.last(self._index + 1, self.offset) if is_end else self._note
        return encode_header(note.encode())

    def _next_placement(self) -> Placement:
        if not self._placements:
            self._record((), PLACE_AHEAD)
        return self._placements.popleft()

    def _reap(self, *, is_last: bool = False) -> None:
        """Wait for the oldest chunk under way, and record it, unless it is to count only with what is still to come.

        is_last: none follows in this request that is not under way already.
        """
        pending = self._pending[0]
        try:
            pending.write.wait(may_linger=not self._uploads.buffers.is_scarce)
        finally:
            self._pending.popleft()
            pending.release(self._uploads.buffers)
        self._stored.append(pending.stored())
        if self._expected is None and pending.size_bytes == self._chunk_size and not self._ends_file(pending):
            self._record(self._describe_stored(), 0 if self._placements or is_last else 1)
            self._stored = []

    def _ends_file(self, chunk: ChunkUnderWay) -> bool:
        """Whether this is the file's last chunk, which is recorded when the upload is sealed and not before."""
        info = self._resumed.info
        return not info.is_partial and chunk.index * self._chunk_size + chunk.size_bytes == info.length

    def _record_all(self, chunks: Sequence[StoredChunk]) -> None:
        for start in range(0, len(chunks), RECORD_AT_ONCE):
            self._record(chunks[start : start + RECORD_AT_ONCE], 0)

    def _record(self, chunks: Sequence[StoredChunk], place: int) -> None:
        opened, attempt = self._resumed.opened, self._resumed.attempt
        place_from = self._index + len(self._placements)
        answer = self._uploads.masters.record_chunks(opened.upload_id, chunks, place_from, place, attempt)
        self._placements.extend(answer.placements)

    def _describe_stored(self) -> list[StoredChunk]:
        return [chunk.describe() for chunk in self._stored]


class _Bounded:
    """A source that may give so many bytes; what comes beyond them is too much."""

    def __init__(self, source: ByteSource, most: int | None) -> None:
        self._source = source
        self._left = most

    def fill(self, buffer: bytearray, start: int, stop: int) -> int:
        if self._left is None:
            return self._source.fill(buffer, start, stop)
        if not self._left:
            if self._source.fill(bytearray(1), 0, 1):
                raise TooLarge("the request brings more than Upload-Length leaves")
            return 0
        count = self._source.fill(buffer, start, min(stop, start + self._left))
        self._left -= count
        return count


class _All:
    """Several hashers as one."""

    def __init__(self, hashers: list[Hasher]) -> None:
        self._hashers = hashers

    def update(self, view: Buffer, /) -> None:
        for hasher in self._hashers:
            hasher.update(view)
