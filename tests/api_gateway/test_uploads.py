"""An upload fills its buffers from any source: chunks of the right size, and no buffer for bytes that never come."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from api_gateway.admission import Admission, UploadLimits
from api_gateway.avoidance import Avoidance
from api_gateway.buffers import BufferPool
from api_gateway.receiving import receive_body, receive_form
from api_gateway.replication import Replicator
from api_gateway.stragglers import Stragglers
from api_gateway.uploads import FIRST_PIECE_BYTES, CommitOptions, UploadService
from common.chunk_notes import NOTE_HEADER, ChunkNote, decode_header
from common.errors import GatewayBusy, IncompleteBody, OutsidePrefix, TooLarge
from common.http import HttpPool
from common.master_client import MasterClient
from common.records import chunk_id
from common.worker_client import WorkerClient
from tests.support.client import file_part, form_body, path_part, some_bytes
from tests.support.clocks import StepClock
from tests.support.forms import body_of
from tests.support.logs import recording_log
from tests.support.tiny_server import Exchange, TinyServer, serving

CHUNK = 65536
UPLOAD_ID = "a" * 32
KEEP_ALIVE_SECONDS = 30.0
MAX_FILE_BYTES = 5 * CHUNK + 3


class _Gateway:
    """Uploads to one tiny worker, placed by a tiny master, with two buffers."""

    def __init__(self, stack: ExitStack) -> None:
        self.worker: TinyServer = stack.enter_context(serving(lambda exchange: exchange.send_json({}, 201)))
        self.master: TinyServer = stack.enter_context(serving(self._place))
        self.buffers = BufferPool(2, CHUNK, 0.05)
        self.clock = StepClock()
        pool = HttpPool()
        stack.callback(pool.close)
        log, _ = recording_log()
        executor = stack.enter_context(ThreadPoolExecutor(4))
        self.uploads = UploadService(
            MasterClient(pool, (self.master.url,), self.clock, timeout_seconds=10.0, deadline_seconds=10.0),
            Replicator(
                WorkerClient(pool, timeout_seconds=10.0),
                executor,
                Avoidance(self.clock, 60.0),
                self.clock,
                log,
                Stragglers(self.clock, 0.2, 4),
            ),
            self.buffers,
            executor,
            self.clock,
            log,
            window_chunks=2,
            chunk_size_bytes=CHUNK,
            keep_alive_seconds=KEEP_ALIVE_SECONDS,
            admission=Admission(UploadLimits(max_uploads=1, wait_seconds=0.01, max_file_bytes=MAX_FILE_BYTES)),
        )

    def chunks(self) -> list[bytes]:
        """What the worker was sent, in the order of the file."""
        by_name = {seen.target.rpartition("/")[2]: seen.body for seen in self.worker.requests}
        return [by_name[chunk_id(UPLOAD_ID, index)] for index in range(len(by_name))]

    def keep_alives(self) -> int:
        return sum(seen.target.endswith("/chunks") and seen.json()["place"] == 0 for seen in self.master.requests)

    def _place(self, exchange: Exchange) -> None:
        targets = [{"worker_id": "w1", "url": self.worker.url}]
        start = exchange.request.json().get("place_from", 0) if exchange.request.body else 0
        exchange.send_json(
            {
                "upload_id": UPLOAD_ID,
                "chunk_size": CHUNK,
                "replication_factor": 1,
                "write_quorum": 1,
                "placements": [{"index": start + number, "targets": targets} for number in range(64)],
            }
        )


@pytest.fixture
def gateway() -> Iterator[_Gateway]:
    with ExitStack() as stack:
        yield _Gateway(stack)


SIZES = [0, 1, FIRST_PIECE_BYTES, FIRST_PIECE_BYTES + 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 5 * CHUNK + 3]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("piece", [999, 10**6])
def test_a_file_is_cut_into_full_chunks_and_a_last_one(gateway: _Gateway, size: int, piece: int) -> None:
    content = some_bytes(size, "upload")
    with gateway.uploads.open("name", size) as upload:
        upload.receive(body_of(content, piece))
        upload.finish()
    assert gateway.chunks() == [content[start : start + CHUNK] for start in range(0, max(1, size), CHUNK)]
    assert gateway.buffers.acquire() is not gateway.buffers.acquire()


@pytest.mark.parametrize("size", [0, 1, CHUNK, CHUNK + 1, 3 * CHUNK])
def test_every_chunk_has_a_note_and_the_last_one_tells_how_many_there_are(gateway: _Gateway, size: int) -> None:
    with gateway.uploads.open("a/name", None) as upload:
        upload.receive(body_of(some_bytes(size, "upload"), 10_000))
        upload.finish()
    notes = [
        ChunkNote.decode(decode_header(seen.headers[NOTE_HEADER]))
        for seen in sorted(gateway.worker.requests, key=lambda seen: seen.target)
    ]
    count = max(1, -(-size // CHUNK))
    first = ChunkNote("a/name", uploaded_at=notes[0].uploaded_at, chunk_size_bytes=CHUNK, replication_factor=1)  # type: ignore[union-attr]
    assert notes == [first] * (count - 1) + [first.last(count, size)]


@pytest.mark.parametrize(("path", "noted"), [("mine/a", "mine/a"), ("mine/", "mine/f"), ("yours/a", ""), ("", "")])
def test_a_note_names_no_path_that_the_client_may_not_write_to(gateway: _Gateway, path: str, noted: str) -> None:
    """A rebuild from the disks would put the file there."""

    def permit(*paths: str) -> None:
        raise OutsidePrefix

    form = form_body([path_part(path), file_part("f", b"x")], "B")
    with pytest.raises(OutsidePrefix):
        receive_form(
            gateway.uploads,
            body_of(form, 100),
            "multipart/form-data; boundary=B",
            2,
            permit=permit,
            may=lambda asked: asked.startswith("mine/"),
        )
    note = ChunkNote.decode(decode_header(gateway.worker.requests[0].headers[NOTE_HEADER]))
    assert note is not None
    assert (note.path, note.file_name) == (noted, "" if noted else "f")


def test_no_buffer_is_taken_before_a_byte_has_come(gateway: _Gateway) -> None:
    for _ in range(2):
        gateway.buffers.acquire()
    with gateway.uploads.open("empty", 0) as upload:
        upload.receive(body_of(b"", 1))
        upload.finish()
    assert gateway.chunks() == [b""]
    with gateway.uploads.open("busy", 1) as upload, pytest.raises(GatewayBusy):
        upload.receive(body_of(b"x", 1))


def test_no_buffer_is_taken_for_a_chunk_that_drips(gateway: _Gateway) -> None:
    for _ in range(2):
        gateway.buffers.acquire()
    body = body_of(bytes(FIRST_PIECE_BYTES - 1), 1)
    body.length = CHUNK
    with gateway.uploads.open("slow", None) as upload, pytest.raises(IncompleteBody):
        upload.receive(body)


def test_a_file_that_turns_out_too_large_is_refused_while_it_comes(gateway: _Gateway) -> None:
    with gateway.uploads.open("large", None) as upload, pytest.raises(TooLarge):
        upload.receive(body_of(bytes(MAX_FILE_BYTES + 1), 999))
    with pytest.raises(TooLarge):
        receive_body(gateway.uploads, body_of(bytes(MAX_FILE_BYTES + 1), 999), CommitOptions("large"))
    assert gateway.buffers.acquire() is not gateway.buffers.acquire()


def test_one_upload_too_many_is_told_to_come_again(gateway: _Gateway) -> None:
    for _ in range(2):
        with gateway.uploads.admission.admitted(), pytest.raises(GatewayBusy):
            receive_body(gateway.uploads, body_of(b"x", 1), CommitOptions("name"))


def test_a_body_that_breaks_off_gives_its_buffer_back(gateway: _Gateway) -> None:
    body = body_of(some_bytes(CHUNK + 5000, "cut"), 5000)
    body.length = 2 * CHUNK
    with gateway.uploads.open("name", None) as upload, pytest.raises(IncompleteBody):
        upload.receive(body)
    assert gateway.buffers.acquire() is not gateway.buffers.acquire()


def test_a_slow_upload_says_that_it_is_alive_and_every_piece_is_noticed(gateway: _Gateway) -> None:
    pieces = 0

    def on_piece() -> None:
        nonlocal pieces
        pieces += 1
        gateway.clock.now += KEEP_ALIVE_SECONDS / 2

    with gateway.uploads.open("name", 10_240) as upload:
        upload.receive(body_of(bytes(10_240), 1024), on_piece)
        assert pieces == 10
        assert gateway.keep_alives() == 4
