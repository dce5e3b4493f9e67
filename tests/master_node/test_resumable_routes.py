"""A resumable upload from its beginning to its file, by the client that the gateway uses, over the network."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator

import pytest

from common.auth import ClusterSecret
from common.clock import SystemClock
from common.errors import OffsetConflict, UploadClosed, UploadSealed, UploadTakenOver, UploadUnknown
from common.http import HttpPool
from common.master_client import MapPart, MasterClient
from common.records import Checksum, StoredChunk
from common.resumables import NewResumable
from common.settings import ClusterSettings
from master_node.app import MasterServices, create_app
from master_node.bad_replicas import BadReplicas
from master_node.cluster_routes import ClusterServices
from master_node.job_board import JobBoard
from master_node.jobs import JobRunner
from master_node.keys import Keys
from master_node.report import ClusterReport
from master_node.trash import Trash
from tests.support.environment import SECRET
from tests.support.logs import recording_log
from tests.support.masters import WORKERS, Master
from tests.support.metadata import CHUNK_SIZE
from tests.support.own_server import OwnServer
from tests.support.rosters import make_roster

SUM = Checksum("sha256", "ab" * 32)


@pytest.fixture
def masters(master: Master) -> Iterator[MasterClient]:
    """The client of a master that is served on a free port."""
    log, _ = recording_log()
    roster, board = make_roster(), JobBoard(master.store, master.membership)
    report = ClusterReport(
        roster.worker_ids, master.store, master.membership, master.election, board, ClusterSettings(), master.clock
    )
    trash = Trash(master.store, master.election, master.ledger, master.clock)
    runner = JobRunner([], master.store, master.election, master.clock, log, 1.0)
    bad_replicas = BadReplicas(master.store, log)
    services = MasterServices(
        uploads=master.uploads,
        committer=master.committer,
        resumables=master.resumables,
        catalog=master.catalog,
        ledger=master.ledger,
        trash=trash,
        cluster=ClusterServices(roster, master.membership, bad_replicas, master.election, runner, board, report),
        keys=Keys(master.store, master.clock),
    )
    pool = HttpPool(ClusterSecret(SECRET))
    server = OwnServer(create_app("master_1", services, ClusterSecret(SECRET), log), max_connections=16)
    with contextlib.closing(server), contextlib.closing(pool), contextlib.ExitStack() as stack:
        stack.callback(trash.stop)
        url = f"http://127.0.0.1:{server.address[1]}"
        yield MasterClient(pool, [url], SystemClock(), timeout_seconds=10.0, deadline_seconds=10.0)


def sent(index: int, attempt: int, size_bytes: int = CHUNK_SIZE) -> StoredChunk:
    return StoredChunk(index, size_bytes, secrets.token_hex(16), WORKERS, (), attempt)


def test_an_upload_goes_through_two_gateways_and_becomes_a_file(masters: MasterClient) -> None:
    new = NewResumable(None, "filename YQ==", "text/x", "a")
    upload_id = masters.open_upload("p/a", None, 0, resumable=new).upload_id
    info = masters.find_upload(upload_id)
    assert (info.offset, info.length, info.metadata, info.state) == (0, None, "filename YQ==", "resumable")
    first = masters.resume_upload(upload_id, 0, place=2)
    assert [placement.index for placement in first.opened.placements] == [0, 1]
    more = masters.record_chunks(upload_id, [sent(0, first.attempt)], 2, 2, attempt=first.attempt)
    assert [placement.index for placement in more.placements] == [2, 3]
    tail = sent(1, first.attempt, 7)
    masters.record_chunks(upload_id, [tail], 0, 0, attempt=first.attempt)
    size = CHUNK_SIZE + 20
    with pytest.raises(OffsetConflict) as caught:
        masters.resume_upload(upload_id, CHUNK_SIZE)
    assert caught.value.context["offset"] == CHUNK_SIZE + 7
    second = masters.resume_upload(upload_id, CHUNK_SIZE + 7, size, 1)
    assert second.tail is not None
    assert (second.next_index, second.tail_bytes, second.info.length) == (1, 7, size)
    assert (second.tail.attempt, second.tail.checksum) == (first.attempt, tail.checksum)
    with pytest.raises(UploadTakenOver):
        masters.record_chunks(upload_id, [], 0, 0, attempt=first.attempt)
    file, is_new = masters.commit_upload(
        upload_id,
        path="p/a",
        content_type="text/x",
        size=size,
        chunk_count=2,
        checksum=SUM,
        chunks=[sent(1, second.attempt, 20)],
        attempt=second.attempt,
    )
    assert (file.path, file.size, is_new) == ("p/a", size, True)
    assert masters.commit_sealed(upload_id) == (file, True)
    assert [chunk.attempt for chunk in masters.find_path("p/a", MapPart(0, 9)).chunks] == [1, 2]
    assert masters.find_upload(upload_id).file_id == file.file_id
    with pytest.raises(UploadSealed):
        masters.resume_upload(upload_id, size)
    with pytest.raises(UploadSealed):
        masters.abort_upload(upload_id)


def test_an_upload_that_is_given_up_or_unknown_is_told_from_one_that_goes_on(masters: MasterClient) -> None:
    new = NewResumable(9, is_partial=True)
    upload_id = masters.open_upload(None, None, 0, resumable=new).upload_id
    assert masters.find_upload(upload_id).is_partial
    masters.abort_upload(upload_id)
    with pytest.raises(UploadClosed):
        masters.find_upload(upload_id)
    with pytest.raises(UploadUnknown):
        masters.find_upload("f" * 32)
