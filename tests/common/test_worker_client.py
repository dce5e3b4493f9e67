"""Reading blocks from a worker: what does not match the chunk's record is refused, whatever the worker says."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from common.checksums import BLOCK_SIZE_BYTES, block_digests, checksum_of
from common.errors import ChunkCorrupt, ChunkMissing, DFSError, DiskFull, PeerUnreachable
from common.http import HttpPool
from common.worker_client import CHECKSUM_HEADER, DIGESTS_HEADER, EPOCH_HEADER, HeldChunk, WorkerClient, encode_digests
from tests.support.tiny_server import Exchange, serving

BLOCK = BLOCK_SIZE_BYTES
CONTENT = random.Random(1).randbytes(2 * BLOCK + 100)
DIGESTS = block_digests(CONTENT)
CHECKSUM = checksum_of(DIGESTS)
CHUNK_ID = "0" * 32 + "-00000000"


@pytest.fixture
def client() -> WorkerClient:
    return WorkerClient(HttpPool(), timeout_seconds=5.0)


def get(client: WorkerClient, url: str, first_block: int = 0, blocks: int = 3) -> bytes:
    start = first_block * BLOCK
    buffer = bytearray(min(len(CONTENT), (first_block + blocks) * BLOCK) - start)
    client.get_blocks(
        url, CHUNK_ID, memoryview(buffer), size_bytes=len(CONTENT), first_block=first_block, checksum=CHECKSUM
    )
    return bytes(buffer)


def replica(
    content: bytes = CONTENT, digests: bytes = DIGESTS, header: str | None = None
) -> Callable[[Exchange], None]:
    """A worker that serves these bytes under these digests."""

    def answer(exchange: Exchange) -> None:
        start, stop = 0, len(content)
        if wanted := exchange.request.headers.get("Range"):
            first, _, last = wanted.removeprefix("bytes=").partition("-")
            start, stop = int(first), int(last) + 1
        headers = {DIGESTS_HEADER: encode_digests(digests) if header is None else header}
        exchange.send(content[start:stop], 206 if wanted else 200, headers)

    return answer


@pytest.mark.parametrize(
    ("first_block", "blocks", "wanted"),
    [
        (0, 3, None),
        (0, 1, f"bytes=0-{BLOCK - 1}"),
        (1, 1, f"bytes={BLOCK}-{2 * BLOCK - 1}"),
        (1, 2, f"bytes={BLOCK}-{2 * BLOCK + 99}"),
        (2, 1, f"bytes={2 * BLOCK}-{2 * BLOCK + 99}"),
    ],
)
def test_blocks_are_read_and_verified(first_block: int, blocks: int, wanted: str | None, client: WorkerClient) -> None:
    with serving(replica()) as worker:
        assert get(client, worker.url, first_block, blocks) == CONTENT[first_block * BLOCK :][: blocks * BLOCK]
        assert worker.requests[0].headers.get("Range") == wanted


@pytest.mark.parametrize("position", [0, BLOCK - 1, BLOCK, -1])
def test_a_wrong_byte_is_never_handed_on(position: int, client: WorkerClient) -> None:
    wrong = bytearray(CONTENT)
    wrong[position] ^= 128
    with serving(replica(bytes(wrong))) as worker, pytest.raises(ChunkCorrupt):
        get(client, worker.url)


def test_a_replica_that_is_right_by_its_own_digests_but_another_chunk_is_refused(client: WorkerClient) -> None:
    other = bytes(reversed(CONTENT))
    with serving(replica(other, block_digests(other))) as worker:
        for first_block in (0, 1, 2):
            with pytest.raises(ChunkCorrupt):
                get(client, worker.url, first_block, 1)


@pytest.mark.parametrize("header", ["", "!", "AAAA", "é", encode_digests(DIGESTS[:-16]), encode_digests(DIGESTS * 2)])
def test_digests_that_do_not_fit_are_refused(header: str, client: WorkerClient) -> None:
    with serving(replica(header=header)) as worker, pytest.raises((ChunkCorrupt, PeerUnreachable)):
        get(client, worker.url)


@pytest.mark.parametrize("content", [b"", CONTENT[:-1], CONTENT + b"x"])
def test_a_replica_of_another_size_is_refused(content: bytes, client: WorkerClient) -> None:
    with serving(replica(content)) as worker, pytest.raises((ChunkCorrupt, PeerUnreachable)):
        get(client, worker.url)


def test_a_worker_that_ignores_the_range_does_not_mislead(client: WorkerClient) -> None:
    def answer(exchange: Exchange) -> None:
        exchange.send(CONTENT, 200, {DIGESTS_HEADER: encode_digests(DIGESTS)})

    with serving(answer) as worker, pytest.raises((ChunkCorrupt, PeerUnreachable)):
        get(client, worker.url, 1, 1)


@pytest.mark.parametrize("error", [ChunkMissing("none"), DiskFull("full")])
def test_a_workers_error_comes_back_as_its_class(error: DFSError, client: WorkerClient) -> None:
    with serving(lambda exchange: exchange.send_problem(error.to_problem(), error.status)) as worker:
        with pytest.raises(type(error)):
            get(client, worker.url)
        with pytest.raises(type(error)):
            client.put_chunk(worker.url, CHUNK_ID, b"x", CHECKSUM)


def test_a_chunk_is_sent_with_its_checksum_and_an_order_with_its_epoch(client: WorkerClient) -> None:
    with serving(lambda exchange: exchange.send_json({"is_intact": False})) as worker:
        client.put_chunk(worker.url, CHUNK_ID, memoryview(CONTENT), CHECKSUM)
        client.delete_chunks(worker.url, [CHUNK_ID], epoch=7)
        assert client.verify_chunk(worker.url, CHUNK_ID) is False
        put, delete, verify = worker.requests
    assert (put.method, put.target, put.body) == ("PUT", f"/chunks/{CHUNK_ID}", CONTENT)
    assert (put.headers[CHECKSUM_HEADER], put.headers["Content-Length"]) == (CHECKSUM, str(len(CONTENT)))
    assert (delete.target, delete.headers[EPOCH_HEADER]) == ("/chunks/delete", "7")
    assert delete.json() == {"chunk_ids": [CHUNK_ID]}
    assert (verify.method, verify.target) == ("POST", f"/chunks/{CHUNK_ID}/verify")


def test_a_verification_without_a_clear_answer_is_an_error_of_ours(client: WorkerClient) -> None:
    with serving(lambda exchange: exchange.send_json({})) as worker, pytest.raises(DFSError):
        client.verify_chunk(worker.url, CHUNK_ID)


def test_what_the_leader_asks_and_orders_is_sent_as_the_workers_routes_have_it(client: WorkerClient) -> None:
    answer = {"chunks": [{"chunk_id": CHUNK_ID, "age_seconds": 1.5}], "held": [CHUNK_ID]}
    with serving(lambda exchange: exchange.send_json(answer)) as worker:
        assert client.list_inventory(worker.url, 0x0A, CHUNK_ID, 7) == [HeldChunk(CHUNK_ID, 1.5)]
        assert client.find_held(worker.url, [CHUNK_ID]) == {CHUNK_ID}
        client.copy_chunk(worker.url, CHUNK_ID, "http://source", size_bytes=5, checksum=CHECKSUM, epoch=8)
        client.quarantine_chunks(worker.url, [CHUNK_ID], epoch=9)
        listed, held, copy, quarantine = worker.requests
    assert (listed.method, listed.target) == ("GET", f"/inventory/0a?after={CHUNK_ID}&limit=7")
    # A body that no handler reads would end the connection, and every page of an inventory would open another one.
    assert (listed.body, listed.headers.get("Content-Length")) == (b"", None)
    assert (held.target, held.json()) == ("/chunks/held", {"chunk_ids": [CHUNK_ID]})
    assert (copy.method, copy.target, copy.headers[EPOCH_HEADER]) == ("POST", f"/chunks/{CHUNK_ID}/copy", "8")
    assert copy.json() == {"source_url": "http://source", "size_bytes": 5, "checksum": CHECKSUM}
    assert (quarantine.target, quarantine.headers[EPOCH_HEADER]) == ("/chunks/quarantine", "9")
    assert quarantine.json() == {"chunk_ids": [CHUNK_ID]}


@pytest.mark.parametrize("answer", [{}, {"chunks": [5], "held": 5}, {"chunks": [{"chunk_id": 5}], "held": [5]}])
def test_an_inventory_that_is_none_is_an_error_of_ours(answer: dict[str, object], client: WorkerClient) -> None:
    with serving(lambda exchange: exchange.send_json(answer)) as worker:
        with pytest.raises(DFSError):
            client.list_inventory(worker.url, 0, "", 1)
        with pytest.raises(DFSError):
            client.find_held(worker.url, [CHUNK_ID])
