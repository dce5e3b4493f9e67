"""What resumable uploads leave behind goes from the disks of real workers, and nothing that counts does."""

from __future__ import annotations

import secrets
from dataclasses import replace

import pytest

from common.errors import UploadClosed, UploadUnknown
from common.master_client import MapPart
from common.records import Checksum, StoredChunk, chunk_id
from common.resumables import NewResumable
from common.settings import MasterSettings
from master_node import model
from master_node.attempts import MANY_LOOSE, Loose
from master_node.commit import CommitRequest
from master_node.loose import KEPT_RANGES
from master_node.store.sqlite import SqliteStore
from tests.support.masters import WORKERS, ManualClock, Master
from tests.support.metadata import CHUNK_SIZE, make_chunk
from tests.support.served import ServedWorkers

IDLE = 4000.0


@pytest.fixture
def master(store: SqliteStore, clock: ManualClock, workers: ServedWorkers) -> Master:
    settings = MasterSettings(resumable_idle_seconds=IDLE, upload_idle_seconds=60.0)
    master = Master("master_1", store, clock, workers.client, settings)
    master.urls = workers.urls
    master.look()
    return master


class Client:
    """Sends one upload, session by session."""

    def __init__(self, master: Master, workers: ServedWorkers) -> None:
        self._master, self._workers = master, workers
        self.upload_id = master.uploads.open("a", 3, 0, resumable=NewResumable()).upload_id

    def resume(self, place: int = 3) -> int:
        """The attempt."""
        offset = self._master.resumables.find(self.upload_id).offset
        return self._master.resumables.resume(self.upload_id, offset, None, place, secrets.token_hex(8)).attempt

    def send(self, index: int, attempt: int, size_bytes: int = CHUNK_SIZE) -> StoredChunk:
        one = chunk_id(self.upload_id, index, attempt)
        checksum = self._workers.put_one(one, one.encode().ljust(size_bytes, b".")[:size_bytes], WORKERS)
        return StoredChunk(index, size_bytes, checksum, WORKERS, (), attempt)

    def record(self, *chunks: StoredChunk) -> None:
        self._master.resumables.record(self.upload_id, chunks[0].attempt, chunks, 0, 0)

    def commit(self, size: int, attempt: int, *chunks: StoredChunk) -> None:
        count = -(-size // CHUNK_SIZE)
        request = CommitRequest("a", "text/x", size, count, Checksum("sha256", "ab" * 32), chunks)
        self._master.resumables.commit(self.upload_id, attempt, request)

    def ids(self, *places: tuple[int, int]) -> set[str]:
        return {chunk_id(self.upload_id, index, attempt) for index, attempt in places}


@pytest.fixture
def client(master: Master, workers: ServedWorkers) -> Client:
    return Client(master, workers)


def settle(master: Master, seconds: float) -> None:
    """Collect again and again while this time passes."""
    master.collect()
    for _ in range(int(seconds / 100)):
        master.pass_time(100.0)
        master.collect()


def upload_of(master: Master, client: Client) -> model.Upload:
    upload = master.store.find_upload(client.upload_id)
    assert upload is not None
    return upload


def test_after_a_commit_only_what_the_file_needs_is_left_and_the_client_can_ask_for_a_while(
    master: Master, workers: ServedWorkers, client: Client
) -> None:
    client.resume()
    client.record(client.send(0, 1), client.send(1, 1, 70))
    client.send(2, 1)
    client.resume()
    client.send(1, 2)
    client.resume()
    client.commit(CHUNK_SIZE + 90, 3, client.send(1, 3, 90))
    wanted = client.ids((0, 1), (1, 3))
    assert workers.held("worker_1") > wanted
    settle(master, 600.0)
    for name in WORKERS:
        assert workers.held(name) == wanted
    assert upload_of(master, client).state == model.KEPT
    settle(master, IDLE - 600.0)
    assert master.resumables.find(client.upload_id).state == "committed"
    settle(master, 1000.0)
    assert master.store.find_upload(client.upload_id) is None
    assert workers.held("worker_1") == wanted
    assert len(master.catalog.find_path("a").file.version_id) == 32


def test_the_chunk_of_a_file_without_a_byte_is_no_left_over(
    master: Master, workers: ServedWorkers, client: Client
) -> None:
    for _ in range(2):
        attempt = master.resumables.resume(client.upload_id, 0, 0, 1, secrets.token_hex(8)).attempt
        empty = client.send(0, attempt, 0)
    request = CommitRequest("a", "text/x", 0, 1, Checksum("sha256", "ab" * 32), (empty,))
    master.resumables.commit(client.upload_id, attempt, request)
    resumable = upload_of(master, client).resumable
    assert resumable is not None
    assert resumable.loose == (Loose(1, 0, 1),)
    settle(master, 600.0)
    assert workers.held("worker_1") == client.ids((0, 2))


def test_what_a_silent_worker_holds_keeps_the_document_until_it_is_freed(
    master: Master, workers: ServedWorkers, client: Client
) -> None:
    client.resume()
    client.send(0, 1)
    client.resume()
    client.commit(9, 2, client.send(0, 2, 9))
    workers.take_away("worker_2")
    settle(master, 900.0)
    assert upload_of(master, client).state == model.COMMITTED
    assert workers.held("worker_1") == client.ids((0, 2))
    assert len(workers.held("worker_2")) == 2
    workers.bring_back("worker_2")
    settle(master, 300.0)
    assert workers.held("worker_2") == client.ids((0, 2))
    assert upload_of(master, client).state == model.KEPT


@pytest.mark.parametrize("is_sealed", [False, True])
def test_an_upload_that_is_given_up_leaves_nothing_of_any_attempt(
    master: Master, workers: ServedWorkers, client: Client, is_sealed: bool
) -> None:
    client.resume()
    client.record(client.send(0, 1), client.send(1, 1, 70))
    client.resume()
    # A master recorded the second attempt's chunk and died before it could say so.
    upload = upload_of(master, client)
    client.record(client.send(1, 2, 80))
    assert master.store.replace_upload(replace(upload, revision=upload_of(master, client).revision + 1))
    client.resume()
    client.send(2, 3)
    if is_sealed:
        last = client.send(1, 3, 75)
        request = CommitRequest("a", "text/x", CHUNK_SIZE + 75, 2, Checksum("sha256", "ab" * 32), (last,))
        master.resumables._seal(client.upload_id, 3, request)
    master.uploads.abort(client.upload_id)
    settle(master, 300.0)
    assert [workers.held(name) for name in WORKERS] == [set()] * 3
    assert master.store.list_chunks(client.upload_id, 0, 9) == []
    assert master.store.find_upload(client.upload_id) is None


@pytest.mark.parametrize("is_sealed", [False, True])
def test_an_upload_that_nobody_goes_on_with_expires_and_a_slow_one_does_not(
    master: Master, workers: ServedWorkers, client: Client, is_sealed: bool
) -> None:
    slow = Client(master, workers)
    slow.resume()
    client.resume()
    if is_sealed:
        request = CommitRequest("a", "text/x", 9, 1, Checksum("sha256", "ab" * 32), (client.send(0, 1, 9),))
        master.resumables._seal(client.upload_id, 1, request)
    else:
        client.record(client.send(0, 1, 9))
    settle(master, IDLE - 100.0)
    assert master.resumables.find(client.upload_id).expires_in_seconds == pytest.approx(100.0, abs=5.0)
    master.resumables.record(slow.upload_id, 1, (), 0, 0)
    settle(master, 200.0)
    with pytest.raises((UploadClosed, UploadUnknown)):
        master.resumables.find(client.upload_id)
    assert master.resumables.find(slow.upload_id).state == "resumable"
    settle(master, 300.0)
    assert workers.held("worker_1") == set()


def test_an_upload_that_is_resumed_all_the_time_is_cleaned_while_it_goes_on(
    master: Master, workers: ServedWorkers, client: Client
) -> None:
    client.resume()
    client.record(client.send(0, 1, 10))
    for attempt in range(2, MANY_LOOSE + 4):
        client.resume(1)
        if attempt in (2, MANY_LOOSE):
            client.send(0, attempt)
    before = upload_of(master, client)
    assert before.state == model.LITTERED
    settle(master, 100.0)
    upload = upload_of(master, client)
    assert upload.resumable is not None
    assert (upload.state, len(upload.resumable.loose)) == (model.RESUMABLE, KEPT_RANGES)
    assert upload.last_activity_at == before.last_activity_at
    # The tail that counts stays, and so do the youngest, of which something may still be on its way.
    assert workers.held("worker_1") == client.ids((0, 1), (0, MANY_LOOSE))
    attempt = client.resume(1)
    client.commit(20, attempt, client.send(0, attempt, 20))
    settle(master, 600.0)
    assert workers.held("worker_1") == client.ids((0, attempt))


def loose_count(master: Master, client: Client) -> int:
    resumable = upload_of(master, client).resumable
    assert resumable is not None
    return len(resumable.loose)


def test_an_upload_that_is_resumed_very_often_is_cleaned_as_often(master: Master, client: Client) -> None:
    client.resume()
    for _ in range(6):
        for _ in range(MANY_LOOSE + 2):
            client.resume(1)
        master.pass_time(1.1)
        master.collect()
        assert loose_count(master, client) == KEPT_RANGES


def test_a_lost_worker_does_not_keep_an_upload_from_being_cleaned(
    master: Master, workers: ServedWorkers, client: Client
) -> None:
    attempt = client.resume()
    client.record(client.send(0, attempt, 10))
    client.resume(1)
    client.send(0, 2)
    workers.take_away("worker_2")
    for _ in range(MANY_LOOSE + 2):
        client.resume(1)
    others = ("worker_1", "worker_3")
    master.pass_time(master.settings.dead_seconds + 1.0, others)
    master.collect()
    assert loose_count(master, client) > MANY_LOOSE, "it may yet come back with what it has"
    master.pass_time(master.settings.repair_grace_seconds + 30.0, others)
    master.collect()
    assert loose_count(master, client) == KEPT_RANGES
    assert workers.held("worker_1") == client.ids((0, 1))
    # That is for the inventory after its return.
    assert workers.held("worker_2") == client.ids((0, 1), (0, 2))


def test_a_chunk_that_a_record_names_is_never_freed(master: Master, workers: ServedWorkers, client: Client) -> None:
    """A late master has put the second attempt's chunk in the tail's place, before the third could see to it."""
    client.resume()
    client.record(client.send(0, 1, 10))
    client.resume()
    late = client.send(0, 2, 30)
    tail = master.store.list_chunks(client.upload_id, 0, 1)[0]
    changed = replace(tail, attempt=2, size_bytes=30, checksum=late.checksum, revision=tail.revision + 1)
    assert master.store.replace_chunks([changed]) == [True]
    for _ in range(MANY_LOOSE + 2):
        client.resume(1)
    settle(master, 100.0)
    assert client.ids((0, 2)) <= workers.held("worker_1")


def test_records_that_come_late_beyond_the_file_s_end_are_freed_with_their_bytes(
    master: Master, workers: ServedWorkers, client: Client
) -> None:
    client.resume()
    client.send(1, 1)
    client.send(2, 1)
    client.resume()
    client.commit(9, 2, client.send(0, 2, 9))

    def come_late(index: int) -> None:
        master.store.insert_chunks([replace(make_chunk(client.upload_id, index, replicas=WORKERS), attempt=1)])

    come_late(1)
    assert [chunk.index for chunk in master.catalog.find_path("a", MapPart(0, 9)).chunks] == [0]
    settle(master, 600.0)
    assert workers.held("worker_1") == client.ids((0, 2))
    assert len(master.store.list_chunks(client.upload_id, 0, 9)) == 1
    # And once more, when all seemed to be settled.
    come_late(2)
    client.send(2, 1)
    settle(master, IDLE + 500.0)
    assert workers.held("worker_1") == client.ids((0, 2))
    assert len(master.store.list_chunks(client.upload_id, 0, 9)) == 1
    settle(master, IDLE)
    assert master.store.find_upload(client.upload_id) is None


def test_a_file_that_is_deleted_while_its_upload_is_remembered_leaves_nothing(
    master: Master, workers: ServedWorkers, client: Client
) -> None:
    client.resume()
    client.send(0, 1)
    client.resume()
    client.commit(9, 2, client.send(0, 2, 9))
    settle(master, 600.0)
    master.catalog.delete(client.upload_id, is_permanent=True)
    settle(master, 300.0)
    assert workers.held("worker_1") == set()
    assert upload_of(master, client).state == model.KEPT
