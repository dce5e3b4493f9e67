"""Bytes on their way out: right ones from any good replica, else an error that says whether waiting may help."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from api_gateway.avoidance import Avoidance
from api_gateway.buffers import BufferPool
from api_gateway.downloads import DownloadService
from api_gateway.small_chunks import SmallChunks
from common.checksums import block_digests, checksum_of
from common.errors import ChunkLost, ChunkMissing, ChunkUnavailable, DFSError, DiskFailed
from common.http import HttpPool
from common.master_client import Located, MasterClient
from common.ranges import ByteRange
from common.records import Checksum, ChunkLocation, FileInfo, Target, chunk_id
from common.worker_client import DIGESTS_HEADER, WorkerClient, encode_digests
from tests.support.client import some_bytes
from tests.support.clocks import StepClock
from tests.support.logs import recording_log
from tests.support.tiny_server import Exchange, serving

CHUNK = 2 * 65536
CONTENT = some_bytes(3 * CHUNK - 5, "download")
VERSION = "b" * 32
FILE = FileInfo(
    file_id="a" * 32,
    path="p",
    status="active",
    version=1,
    version_id=VERSION,
    size=len(CONTENT),
    content_type="text/plain",
    checksum=Checksum("sha256", "00"),
    chunk_size=CHUNK,
    chunk_count=3,
    replication_factor=3,
    created_at="2026-01-31T12:00:00.000Z",
    modified_at="2026-01-31T12:00:00.000Z",
)
GOOD, FLIPPED, CUT, MISSING, FAILING = "good", "flipped", "cut", "missing", "failing"
UNREACHABLE = ""


class _Ring:
    """A master that knows the map, and three workers; what each does with a chunk is set by index."""

    def __init__(self, stack: ExitStack) -> None:
        self.replicas: dict[int, list[str]] = {index: [GOOD] * 3 for index in range(3)}
        self.map: dict[int, list[str]] = {}
        self.master = stack.enter_context(serving(self._answer_map))
        self.workers = [stack.enter_context(serving(self._worker(number))) for number in range(3)]
        self.clock = StepClock()
        self.avoidance = Avoidance(self.clock, 60.0)
        pool = HttpPool()
        stack.callback(pool.close)
        log, self.events = recording_log()
        self.service = DownloadService(
            MasterClient(pool, (self.master.url,), self.clock, timeout_seconds=10.0, deadline_seconds=10.0),
            WorkerClient(pool, timeout_seconds=10.0),
            BufferPool(4, CHUNK, 1.0),
            stack.enter_context(ThreadPoolExecutor(4)),
            self.avoidance,
            log,
            2,
            SmallChunks(0),
        )

    def location(self, index: int, names: Sequence[str] = ("w0", "w1", "w2")) -> ChunkLocation:
        part = CONTENT[index * CHUNK : (index + 1) * CHUNK]
        urls = {f"w{number}": worker.url for number, worker in enumerate(self.workers)}
        targets = tuple(Target(name, urls.get(name, UNREACHABLE)) for name in names)
        return ChunkLocation(index, len(part), checksum_of(block_digests(part)), targets)

    def read(self, span: ByteRange | None = None) -> tuple[bytes, DFSError | None]:
        """What was given out, and what ended it."""
        received = bytearray()
        located = Located(FILE, tuple(self._present_map(0, 3)))
        try:
            for piece in self.service.stream(located, span or ByteRange(0, len(CONTENT))):
                received += piece
        except DFSError as error:
            return bytes(received), error
        return bytes(received), None

    def _present_map(self, start: int, count: int) -> list[ChunkLocation]:
        return [self.location(i, self.map.get(i, ["w0", "w1", "w2"])) for i in range(start, min(3, start + count))]

    def _answer_map(self, exchange: Exchange) -> None:
        query = dict(item.split("=") for item in exchange.request.target.partition("?")[2].split("&"))
        found = self._present_map(int(query["start"]), int(query["limit"]))
        exchange.send_json({"chunks": [location.to_json() for location in found]})

    def _worker(self, number: int) -> Callable[[Exchange], None]:
        def answer(exchange: Exchange) -> None:
            name = exchange.request.target.split("/")[2]
            index = int(name.rpartition("-")[2], 16)
            assert name == chunk_id(VERSION, index)
            how = self.replicas[index][number]
            if exchange.request.method == "POST":
                exchange.send_json({"is_intact": how == GOOD})
            elif how in (MISSING, FAILING):
                error = ChunkMissing() if how == MISSING else DiskFailed()
                exchange.send_problem(error.to_problem(), error.status)
            else:
                _send_replica(exchange, CONTENT[index * CHUNK : (index + 1) * CHUNK], how)

        return answer


def _send_replica(exchange: Exchange, content: bytes, how: str) -> None:
    digests = {DIGESTS_HEADER: encode_digests(block_digests(content))}
    start, stop = 0, len(content)
    if wanted := exchange.request.headers.get("Range"):
        first, _, last = wanted.removeprefix("bytes=").partition("-")
        start, stop = int(first), int(last) + 1
    sent = bytearray(content[start:stop])
    if how == FLIPPED:
        sent[len(sent) // 2] ^= 1
    if how == CUT:
        del sent[-1:]
    exchange.send(bytes(sent), 206 if wanted else 200, digests)


@pytest.fixture
def ring() -> Iterator[_Ring]:
    with ExitStack() as stack:
        yield _Ring(stack)


@pytest.mark.parametrize("how", [FLIPPED, CUT, MISSING, FAILING])
@pytest.mark.parametrize("index", [0, 1, 2])
@pytest.mark.parametrize("count", [1, 2])
def test_with_one_good_replica_left_the_bytes_are_right(ring: _Ring, how: str, index: int, count: int) -> None:
    ring.replicas[index] = [how] * count + [GOOD] * (3 - count)
    for _ in range(3):
        assert ring.read() == (CONTENT, None)


@pytest.mark.parametrize("index", [0, 1, 2])
@pytest.mark.parametrize(
    ("replicas", "expected"),
    [
        ([FLIPPED] * 3, ChunkLost),
        ([CUT] * 3, ChunkLost),
        ([MISSING] * 3, ChunkLost),
        ([MISSING, FLIPPED, CUT], ChunkLost),
        ([FAILING] * 3, ChunkUnavailable),
        ([FLIPPED, FAILING, FLIPPED], ChunkUnavailable),
        ([MISSING, MISSING, FAILING], ChunkUnavailable),
    ],
)
def test_without_a_good_replica_no_byte_of_the_chunk_leaves_the_gateway(
    ring: _Ring, index: int, replicas: list[str], expected: type[DFSError]
) -> None:
    ring.replicas[index] = replicas
    received, error = ring.read()
    assert type(error) is expected
    assert error.context == {"chunk_index": index}
    assert received == CONTENT[: index * CHUNK]
    received, error = ring.read(ByteRange(index * CHUNK + 10, index * CHUNK + 20))
    assert (received, type(error)) == (b"", expected)


@pytest.mark.parametrize(
    ("holders", "expected"),
    [([], ChunkLost), (["elsewhere"], ChunkUnavailable), (["w0", "elsewhere"], ChunkUnavailable)],
)
def test_a_chunk_without_a_replica_is_lost_one_on_an_unknown_worker_is_not(
    ring: _Ring, holders: list[str], expected: type[DFSError]
) -> None:
    ring.map[1], ring.replicas[1] = holders, [MISSING] * 3
    received, error = ring.read()
    assert (received, type(error)) == (CONTENT[:CHUNK], expected)


def test_replicas_that_have_moved_since_the_map_was_read_are_found(ring: _Ring) -> None:
    ring.replicas[0] = [MISSING, MISSING, GOOD]
    stale = Located(FILE, (ring.location(0, ["w0", "w1"]), ring.location(1), ring.location(2)))
    assert b"".join(map(bytes, ring.service.stream(stale, ByteRange(0, 1000)))) == CONTENT[:1000]


def test_a_worker_that_lacks_one_chunk_is_not_avoided_for_the_others(ring: _Ring) -> None:
    """It says so itself, and whoever avoids it would only load the other two."""
    ring.replicas[0] = [MISSING, GOOD, GOOD]
    assert ring.read() == (CONTENT, None)
    targets = ring.location(1).replicas
    assert ring.avoidance.order(targets) == list(targets)


@pytest.mark.parametrize("how", [FLIPPED, FAILING])
def test_a_worker_that_fails_a_read_is_asked_last_for_a_while(ring: _Ring, how: str) -> None:
    ring.replicas[0] = [how, GOOD, GOOD]
    assert ring.read(ByteRange(0, 1 + CHUNK // 2)) == (CONTENT[: 1 + CHUNK // 2], None)
    targets = ring.location(1).replicas
    assert ring.avoidance.order(targets) == [*targets[1:], targets[0]]
