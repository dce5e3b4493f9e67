"""The way of a file out: locate, fetch ahead, verify, stream. Knows no Flask.

Every chunk, or the 64 KiB blocks of it that a range touches, is verified before a byte is given on. Memory: the chunk
that is being sent and at most `window` fetched ahead, fewer while other transfers need the buffers.
"""

from __future__ import annotations

import enum
import itertools
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass

from api_gateway.avoidance import Avoidance
from api_gateway.buffers import BufferPool
from api_gateway.small_chunks import LARGEST_BYTES, SmallChunks
from common.checksums import BLOCK_SIZE_BYTES, Buffer
from common.errors import ChunkCorrupt, ChunkLost, ChunkMissing, ChunkUnavailable, DFSError
from common.http import Abort
from common.logs import EventLog
from common.master_client import Located, MasterClient
from common.metrics import Counts
from common.ranges import ByteRange
from common.records import ChunkLocation, FileInfo, chunk_id
from common.request_ids import carry_request_id
from common.worker_client import WorkerClient

MAP_PAGE = 256
# Up to this much goes through a buffer of its own, not one of the pool's, which have the size of a chunk.
SMALL_BYTES = 128 * 1024


@dataclass(frozen=True)
class _Span:
    """The bytes `start` to `stop` of one chunk, and the whole blocks that contain them."""

    location: ChunkLocation
    start: int
    stop: int

    @property
    def first_block(self) -> int:
        return self.start // BLOCK_SIZE_BYTES

    @property
    def blocks_start(self) -> int:
        return self.first_block * BLOCK_SIZE_BYTES

    @property
    def blocks_stop(self) -> int:
        return min(-(-self.stop // BLOCK_SIZE_BYTES) * BLOCK_SIZE_BYTES, self.location.size_bytes)


class _Outcome(enum.Enum):
    """How asking the replicas of a chunk ended. LOST: each worker says itself that it has no good one, or none has."""

    READ = enum.auto()
    UNAVAILABLE = enum.auto()
    LOST = enum.auto()


@dataclass
class _Fetch:
    span: _Span
    buffer: bytearray
    future: Future[None]
    call: Abort


class DownloadService:
    """Streams files and parts of files."""

    def __init__(
        self,
        masters: MasterClient,
        workers: WorkerClient,
        buffers: BufferPool,
        executor: Executor,
        avoidance: Avoidance,
        log: EventLog,
        window_chunks: int,
        small_chunks: SmallChunks,
    ) -> None:
        self.failures = Counts()
        self._small_chunks = small_chunks
        self._masters = masters
        self._workers = workers
        self._buffers = buffers
        self._executor = executor
        self._avoidance = avoidance
        self._log = log
        self._window_chunks = window_chunks

    def stream(self, located: Located, wanted: ByteRange) -> Generator[Buffer, None, None]:
        """The bytes of `wanted`, in pieces, each valid until the next is asked for. To be closed, also before its end.

        Raises ChunkUnavailable when no replica of a chunk can be read now, ChunkLost when every worker that has one by
        the records says that it has no good one, at the latest when the chunk's first byte is due.
        """
        spans = self._spans(located, wanted)
        span = next(spans)
        following = next(spans, None)
        if following is None:
            yield from self._stream_one(located.file, span)
            return
        yield from self._stream_many(located.file, itertools.chain((span, following), spans))

    def read_chunk(self, file: FileInfo, location: ChunkLocation, buffer: bytearray) -> None:
        """Put a whole chunk, verified, at the beginning of the buffer. Raises as `stream` does."""
        self._fetch(file, _Span(location, 0, location.size_bytes), buffer, Abort())

    def _stream_one(self, file: FileInfo, span: _Span) -> Iterator[Buffer]:
        """What lies in one chunk: with nothing to fetch ahead, this thread does it all."""
        length = span.blocks_stop - span.blocks_start
        if span.location.size_bytes <= LARGEST_BYTES:
            yield memoryview(self._small_chunk(file, span.location))[span.start : span.stop]
            return
        if length <= SMALL_BYTES:
            buffer = bytearray(length)
            self._fetch(file, span, buffer, Abort())
            yield _bytes_of(span, buffer)
            return
        buffer = self._buffers.acquire()
        try:
            self._fetch(file, span, buffer, Abort())
            yield _bytes_of(span, buffer)
        finally:
            self._buffers.release(buffer)

    def _small_chunk(self, file: FileInfo, location: ChunkLocation) -> bytes:
        """A whole chunk, from memory where it was read before."""
        name = chunk_id(file.version_id, location.index, location.attempt)
        kept = self._small_chunks.get(name)
        if kept is None:
            buffer = bytearray(location.size_bytes)
            self._fetch(file, _Span(location, 0, location.size_bytes), buffer, Abort())
            kept = bytes(buffer)
            self._small_chunks.keep(name, kept)
        return kept

    def _stream_many(self, file: FileInfo, spans: Iterator[_Span]) -> Iterator[Buffer]:
        fetch = carry_request_id(self._fetch)
        under_way: deque[_Fetch] = deque()
        span = next(spans, None)
        try:
            while span is not None or under_way:
                while span is not None and (buffer := self._buffer_for(len(under_way))) is not None:
                    call = Abort()
                    future = self._executor.submit(fetch, file, span, buffer, call)
                    under_way.append(_Fetch(span, buffer, future, call))
                    span = next(spans, None)
                under_way[0].future.result()
                yield _bytes_of(under_way[0].span, under_way[0].buffer)
                self._buffers.release(under_way.popleft().buffer)
        finally:
            for started in under_way:
                started.call.abort()
                if not started.future.cancel():
                    started.future.exception()
                self._buffers.release(started.buffer)

    def _buffer_for(self, under_way: int) -> bytearray | None:
        """A buffer for one more fetch: one is worth waiting for, those ahead only if nobody else needs them."""
        if under_way >= self._window_chunks:
            return None
        return self._buffers.try_acquire() if under_way else self._buffers.acquire()

    def _spans(self, located: Located, wanted: ByteRange) -> Iterator[_Span]:
        """The parts of chunks that make up the range, in order; the map is read a page at a time."""
        chunk_size = located.file.chunk_size
        index, last = wanted.start // chunk_size, (wanted.stop - 1) // chunk_size
        page: Sequence[ChunkLocation] = [chunk for chunk in located.chunks if chunk.index >= index]
        while index <= last:
            if not page or page[0].index != index:
                page = self._masters.list_chunks(located.file.version_id, index, min(MAP_PAGE, last - index + 1))
                if not page or page[0].index != index:
                    raise ChunkUnavailable(f"the map of the file lacks chunk {index}; it may have been deleted")
            for location in page:
                if location.index != index:
                    break
                if index <= last:
                    begin = index * chunk_size
                    stop = min(wanted.stop - begin, location.size_bytes)
                    yield from self._fitting(_Span(location, max(0, wanted.start - begin), stop))
                    index += 1
            page = ()

    def _fitting(self, span: _Span) -> Iterator[_Span]:
        """The span in parts that fit into a buffer: a file may be older than the present chunk size."""
        start = span.start
        while start < span.stop:
            stop = min(span.stop, start // BLOCK_SIZE_BYTES * BLOCK_SIZE_BYTES + self._buffers.size_bytes)
            yield _Span(span.location, start, stop)
            start = stop

    def _fetch(self, file: FileInfo, span: _Span, buffer: bytearray, call: Abort) -> None:
        """Fill the buffer with the verified blocks of the span, from whichever replica gives them."""
        if self._fetch_from(file, span, span.location, buffer, call) is _Outcome.READ or call.is_aborted:
            return
        index, outcome = span.location.index, _Outcome.UNAVAILABLE
        # The replicas may have moved since the map was read.
        for location in self._masters.list_chunks(file.version_id, index, 1):
            if location.index == index:
                outcome = self._fetch_from(file, span, location, buffer, call)
        if outcome is _Outcome.LOST:
            raise ChunkLost(f"no good replica of chunk {index} of file {file.file_id} is left", chunk_index=index)
        if outcome is _Outcome.UNAVAILABLE:
            raise ChunkUnavailable(
                f"no replica of chunk {index} of file {file.file_id} can be read now", chunk_index=index
            )

    def _fetch_from(
        self, file: FileInfo, span: _Span, location: ChunkLocation, buffer: bytearray, call: Abort
    ) -> _Outcome:
        name = chunk_id(file.version_id, location.index, location.attempt)
        outcome = _Outcome.LOST
        view = memoryview(buffer)[: span.blocks_stop - span.blocks_start]
        for target in self._avoidance.order(location.replicas):
            try:
                self._workers.get_blocks(
                    target.url,
                    name,
                    view,
                    size_bytes=location.size_bytes,
                    first_block=span.first_block,
                    checksum=location.checksum,
                    abort=call,
                )
            except DFSError as error:
                if call.is_aborted:
                    return _Outcome.UNAVAILABLE
                self.failures.add(error.code)
                self._log.warning(
                    "replica_not_read", worker=target.worker_id, chunk_id=name, code=error.code, error=error.detail
                )
                if isinstance(error, ChunkMissing):
                    # The worker tells the masters itself, and may well have all other chunks.
                    continue
                self._avoidance.note_failure(target.worker_id)
                if isinstance(error, ChunkCorrupt):
                    # On another thread: the reader waits for the next replica, not for this one's disk.
                    self._executor.submit(carry_request_id(self._report_corrupt), target.url, name)
                else:
                    outcome = _Outcome.UNAVAILABLE
            else:
                return _Outcome.READ
        return outcome

    def _report_corrupt(self, url: str, name: str) -> None:
        """Have the worker re-read its replica and put it into quarantine if it is bad on the disk."""
        try:
            is_intact = self._workers.verify_chunk(url, name)
        except DFSError as error:
            self._log.warning("verify_failed", chunk_id=name, error=error.detail)
        else:
            self._log.warning("corrupt_replica_reported", chunk_id=name, is_intact_on_disk=is_intact)


def _bytes_of(span: _Span, buffer: bytearray) -> memoryview:
    """The bytes of the span, in a buffer that holds its verified blocks."""
    return memoryview(buffer)[span.start - span.blocks_start : span.stop - span.blocks_start]
