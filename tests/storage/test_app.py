"""What a worker answers: storing, reading, verifying and deleting chunks over HTTP."""

from __future__ import annotations

import base64
import os
from pathlib import Path

import pytest

from common.settings import all_settings
from storage.chunk_file import file_size
from storage.receiving import MAX_CHUNK_BYTES
from tests.support.chunks import BLOCK, chunk_files, make_chunk, quarantined_files
from tests.support.worker import InProcessWorker, assert_problem, make_worker

EPOCH = {"X-DFS-Epoch": "1"}


@pytest.fixture
def worker(root: Path) -> InProcessWorker:
    return make_worker(root)


def test_a_chunk_is_stored_and_read_back(worker: InProcessWorker) -> None:
    for number, size in enumerate([1, BLOCK - 1, BLOCK, BLOCK + 1, 4 * 1024 * 1024 + 1]):
        chunk = make_chunk(size, number)
        stored = worker.put(chunk)
        assert stored.status_code == 201
        assert stored.get_json() == {"chunk_id": chunk.chunk_id, "size_bytes": size, "checksum": chunk.checksum}
        read = worker.ask("GET", f"/chunks/{chunk.chunk_id}")
        assert (read.status_code, read.data) == (200, chunk.content)
        assert read.headers["Content-Length"] == str(size)
        assert read.headers["Content-Type"] == "application/octet-stream"
        assert read.headers["X-DFS-Checksum"] == chunk.checksum
        assert read.headers["ETag"] == f'"{chunk.checksum}"'
        assert base64.b64decode(read.headers["X-DFS-Block-Digests"]) == chunk.digests


def test_head_answers_as_get_without_the_bytes(worker: InProcessWorker) -> None:
    chunk = make_chunk()
    worker.put(chunk)
    get, head = (worker.ask(method, f"/chunks/{chunk.chunk_id}") for method in ("GET", "HEAD"))
    assert (head.status_code, head.data) == (200, b"")
    for name in ("Content-Length", "X-DFS-Checksum", "X-DFS-Block-Digests", "ETag", "Accept-Ranges"):
        assert head.headers[name] == get.headers[name]


RANGES = [
    ("bytes=0-0", 0, 1),
    ("bytes=-1", BLOCK + 99, BLOCK + 100),
    (f"bytes={BLOCK}-", BLOCK, BLOCK + 100),
    (f"bytes=0-{BLOCK - 1}", 0, BLOCK),
    (f"bytes={BLOCK + 99}-{BLOCK + 99}", BLOCK + 99, BLOCK + 100),
    ("bytes=5-99999999", 5, BLOCK + 100),
    (f"bytes=-{2 * BLOCK}", 0, BLOCK + 100),
]


def test_a_range_is_answered_with_its_bytes_and_all_digests(worker: InProcessWorker) -> None:
    chunk = make_chunk(BLOCK + 100)
    worker.put(chunk)
    for wanted, start, stop in RANGES:
        read = worker.ask("GET", f"/chunks/{chunk.chunk_id}", {"Range": wanted})
        assert (read.status_code, read.data) == (206, chunk.content[start:stop]), wanted
        assert read.headers["Content-Range"] == f"bytes {start}-{stop - 1}/{BLOCK + 100}"
        assert read.headers["Content-Length"] == str(stop - start)
        assert base64.b64decode(read.headers["X-DFS-Block-Digests"]) == chunk.digests


def test_a_range_beyond_the_end_is_refused_with_the_size(worker: InProcessWorker) -> None:
    chunk = make_chunk(100)
    worker.put(chunk)
    for wanted in ("bytes=100-", "bytes=100-200", "bytes=-0"):
        answer = worker.ask("GET", f"/chunks/{chunk.chunk_id}", {"Range": wanted})
        assert assert_problem(answer, 416, "range_not_satisfiable")["size"] == 100


def test_a_range_that_is_not_understood_is_ignored(worker: InProcessWorker) -> None:
    chunk = make_chunk(100)
    worker.put(chunk)
    for wanted in ("bytes=5-2", "bytes=0-1,3-4", "nonsense"):
        read = worker.ask("GET", f"/chunks/{chunk.chunk_id}", {"Range": wanted})
        assert (read.status_code, read.data) == (200, chunk.content), wanted


def test_storing_a_chunk_again_is_answered_the_same_way(worker: InProcessWorker) -> None:
    assert [worker.put(make_chunk()).status_code for _ in range(3)] == [201, 201, 201]
    assert worker.store.usage().chunk_count == 1


def test_other_bytes_under_the_same_id_are_a_conflict(worker: InProcessWorker) -> None:
    worker.put(make_chunk())
    assert_problem(worker.put(make_chunk(seed=1)), 409, "chunk_conflict")
    assert worker.ask("GET", f"/chunks/{make_chunk().chunk_id}").data == make_chunk().content


def test_bytes_that_do_not_match_their_checksum_are_refused(worker: InProcessWorker) -> None:
    chunk = make_chunk()
    for checksum in ("0" * 32, "no checksum"):
        assert_problem(worker.put(chunk, headers={"X-DFS-Checksum": checksum}), 422, "chunk_corrupt")
    assert chunk_files(worker.root) == []


def test_a_checksum_in_capital_letters_is_the_same_checksum(worker: InProcessWorker) -> None:
    chunk = make_chunk()
    assert worker.put(chunk, headers={"X-DFS-Checksum": chunk.checksum.upper()}).status_code == 201


def test_a_chunk_without_a_checksum_is_refused(worker: InProcessWorker) -> None:
    assert_problem(worker.put(make_chunk(), headers={}), 400, "invalid_request")


def test_a_chunk_of_unknown_length_or_of_too_many_bytes_is_refused(worker: InProcessWorker) -> None:
    for content_length in ("", "-1", "x", str(MAX_CHUNK_BYTES + 1)):
        answer = worker.put(make_chunk(1), environ_overrides={"CONTENT_LENGTH": content_length})
        assert_problem(answer, 400, "invalid_request")
    assert chunk_files(worker.root) == []


def test_a_chunk_that_breaks_off_is_not_kept(worker: InProcessWorker) -> None:
    chunk = make_chunk(1000)
    answer = worker.put(chunk, environ_overrides={"CONTENT_LENGTH": "1001"})
    assert_problem(answer, 400, "incomplete_body")
    assert chunk_files(worker.root) == []


def test_a_full_worker_answers_507_and_still_reads(root: Path) -> None:
    worker = make_worker(root, capacity_bytes=file_size(BLOCK))
    assert worker.put(make_chunk(BLOCK)).status_code == 201
    assert_problem(worker.put(make_chunk(1, 1)), 507, "disk_full")
    assert worker.ask("GET", f"/chunks/{make_chunk(BLOCK).chunk_id}").status_code == 200


def test_a_chunk_that_is_not_here_is_not_found(worker: InProcessWorker) -> None:
    path = f"/chunks/{make_chunk().chunk_id}"
    assert_problem(worker.ask("GET", path), 404, "chunk_not_found")
    assert worker.ask("HEAD", path).status_code == 404


def test_verifying_tells_whether_the_chunk_is_intact(worker: InProcessWorker) -> None:
    chunk = make_chunk()
    worker.put(chunk)
    path = f"/chunks/{chunk.chunk_id}/verify"
    assert worker.ask("POST", path).get_json() == {"chunk_id": chunk.chunk_id, "is_intact": True}
    _damage(worker, 0)
    assert worker.ask("POST", path).get_json() == {"chunk_id": chunk.chunk_id, "is_intact": False}
    assert "chunk_quarantined" in worker.events.names
    assert_problem(worker.ask("POST", path), 404, "chunk_not_found")


def test_a_chunk_found_damaged_when_it_is_opened_is_not_found_any_more(worker: InProcessWorker) -> None:
    chunk = make_chunk()
    worker.put(chunk)
    _damage(worker, -1)
    for _ in range(2):
        assert_problem(worker.ask("GET", f"/chunks/{chunk.chunk_id}"), 404, "chunk_not_found")
    assert len(quarantined_files(worker.root)) == 1
    assert worker.events.names.count("chunk_quarantined") == 1
    assert worker.put(chunk).status_code == 201


def _damage(worker: InProcessWorker, position: int) -> None:
    (file,) = chunk_files(worker.root)
    content = bytearray(file.read_bytes())
    content[position] ^= 1
    file.write_bytes(content)


def test_one_chunk_is_deleted_by_an_order_and_deleting_it_again_is_fine(worker: InProcessWorker) -> None:
    chunk = make_chunk()
    worker.put(chunk)
    for deleted in (1, 0):
        answer = worker.ask("DELETE", f"/chunks/{chunk.chunk_id}", EPOCH)
        assert (answer.status_code, answer.get_json()) == (200, {"deleted": deleted})
    assert chunk_files(worker.root) == []


def test_many_chunks_are_deleted_by_one_order(worker: InProcessWorker) -> None:
    chunks = [make_chunk(10, number) for number in range(3)]
    for chunk in chunks[:2]:
        worker.put(chunk)
    body = {"chunk_ids": [chunk.chunk_id for chunk in chunks]}
    assert worker.ask("POST", "/chunks/delete", EPOCH, json=body).get_json() == {"deleted": 2}
    assert worker.ask("POST", "/chunks/delete", EPOCH, json={"chunk_ids": []}).get_json() == {"deleted": 0}


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="open files can be counted on Linux only")
def test_no_file_stays_open_however_a_request_ends(worker: InProcessWorker) -> None:
    chunk = make_chunk()
    worker.put(chunk)
    before = len(os.listdir("/proc/self/fd"))
    for method, wanted in (("GET", ""), ("HEAD", ""), ("GET", "bytes=0-0"), ("GET", "bytes=99999999-")):
        worker.ask(method, f"/chunks/{chunk.chunk_id}", {"Range": wanted}).close()
    unread = worker.ask("GET", f"/chunks/{chunk.chunk_id}", buffered=False)
    unread.close()
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_chunk_of_any_size_that_can_be_configured_is_within_the_limit() -> None:
    (largest,) = (entry.rule.maximum for entry in all_settings() if entry.key == "cluster.chunk_size_bytes")
    assert largest == MAX_CHUNK_BYTES
