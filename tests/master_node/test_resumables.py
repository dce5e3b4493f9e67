"""Resumable uploads on one master: what each call accepts, answers and refuses."""

from __future__ import annotations

import secrets
from dataclasses import replace

import pytest

from common.errors import (
    ChunkConflict,
    InvalidPath,
    InvalidRequest,
    LargerThanQuota,
    OffsetConflict,
    PreconditionFailed,
    TooManyRequests,
    UploadClosed,
    UploadSealed,
    UploadTakenOver,
    UploadUnknown,
)
from common.master_client import MapPart
from common.records import Checksum, StoredChunk
from common.resumables import NewResumable, ResumedUpload
from master_node import model
from master_node.attempts import MANY_LOOSE, MAX_LOOSE, Loose, without
from master_node.commit import CommitRequest
from master_node.model import Preconditions, Upload
from tests.support.masters import WORKERS, Master
from tests.support.metadata import CHUNK_SIZE, hex_id


def begin(master: Master, path: str | None = "a", length: int | None = None, **said: object) -> str:
    new = NewResumable(length, **said)  # type: ignore[arg-type]
    return master.uploads.open(path, 3, 0, resumable=new).upload_id


def resume(master: Master, upload_id: str, offset: int = 0, place: int = 4, length: int | None = None) -> ResumedUpload:
    return master.resumables.resume(upload_id, offset, length, place, secrets.token_hex(8))


def sent(index: int, attempt: int, size_bytes: int = CHUNK_SIZE, content: object = "") -> StoredChunk:
    return StoredChunk(index, size_bytes, hex_id((index, attempt, size_bytes, content)), WORKERS, (), attempt)


def record(master: Master, upload_id: str, attempt: int, *chunks: StoredChunk) -> int:
    """Record these chunks; returns the offset then."""
    master.resumables.record(upload_id, attempt, chunks, 0, 0)
    return master.resumables.find(upload_id).offset


def request_of(size: int, *chunks: StoredChunk, path: str = "a", **conditions: str) -> CommitRequest:
    return CommitRequest(
        path=path,
        content_type="text/x-test",
        size=size,
        chunk_count=-(-size // CHUNK_SIZE),
        checksum=Checksum("sha256", "ab" * 32),
        chunks=chunks,
        preconditions=Preconditions(**conditions),
    )


def upload_of(master: Master, upload_id: str) -> Upload:
    upload = master.store.find_upload(upload_id)
    assert upload is not None
    assert upload.resumable is not None
    return upload


def loose_of(master: Master, upload_id: str) -> tuple[Loose, ...]:
    resumable = upload_of(master, upload_id).resumable
    assert resumable is not None
    return resumable.loose


def test_an_upload_tells_what_the_client_said_of_it(master: Master) -> None:
    upload_id = begin(master, "p/q", 99, metadata="filename eA==", content_type="text/x", file_name="x")
    info = master.resumables.find(upload_id)
    assert (info.state, info.offset, info.length, info.path) == ("resumable", 0, 99, "p/q")
    assert (info.metadata, info.content_type, info.file_name) == ("filename eA==", "text/x", "x")
    assert (info.is_partial, info.chunk_size, info.file_id) == (False, CHUNK_SIZE, "")
    assert info.expires_in_seconds == master.settings.resumable_idle_seconds


@pytest.mark.parametrize(
    ("path", "place", "new", "error"),
    [
        (None, 0, NewResumable(), InvalidRequest),
        ("a", 0, NewResumable(is_partial=True), InvalidRequest),
        ("a", 1, NewResumable(), InvalidRequest),
        ("a/", 0, NewResumable(5), InvalidPath),
        ("../a", 0, NewResumable(), InvalidPath),
    ],
)
def test_what_can_never_become_a_file_is_refused_at_its_beginning(
    master: Master, path: str | None, place: int, new: NewResumable, error: type[Exception]
) -> None:
    with pytest.raises(error):
        master.uploads.open(path, 3, place, resumable=new)


def test_quotas_are_asked_as_soon_as_the_length_is_known(master: Master) -> None:
    master.ledger.set_limits("a", 100, None)
    with pytest.raises(LargerThanQuota):
        begin(master, "a/b", 101)
    upload_id = begin(master, "a/b")
    with pytest.raises(LargerThanQuota):
        resume(master, upload_id, length=101)
    assert resume(master, upload_id, length=100).info.length == 100


def test_a_session_goes_on_with_the_tail_of_the_one_before(master: Master) -> None:
    upload_id = begin(master)
    first = resume(master, upload_id)
    assert (first.attempt, first.tail, first.next_index, first.tail_bytes) == (1, None, 0, 0)
    assert [placement.index for placement in first.opened.placements] == [0, 1, 2, 3]
    assert record(master, upload_id, 1, sent(0, 1), sent(1, 1, 10)) == CHUNK_SIZE + 10
    second = resume(master, upload_id, CHUNK_SIZE + 10)
    assert second.tail is not None
    assert (second.attempt, second.next_index, second.tail_bytes) == (2, 1, 10)
    assert (second.tail.index, second.tail.attempt, second.tail.size_bytes) == (1, 1, 10)
    assert {target.worker_id for target in second.tail.replicas} == set(WORKERS)
    assert second.opened.placements[0].index == 1
    assert record(master, upload_id, 2, sent(1, 2, 11)) == CHUNK_SIZE + 11
    assert [chunk.chunk_id[-8:] for chunk in master.store.list_chunks(upload_id, 0, 9)] == ["00000001", "00000002"]
    # What the first attempt was placed and has not used, and its short chunk, which has a successor.
    assert loose_of(master, upload_id) == (Loose(1, 2, 4), Loose(1, 1, 2))


def test_whoever_had_the_upload_before_is_refused(master: Master) -> None:
    upload_id = begin(master)
    for _ in range(2):
        resume(master, upload_id)
    for chunks in ((), (sent(0, 1),)):
        with pytest.raises(UploadTakenOver):
            record(master, upload_id, 1, *chunks)
    with pytest.raises(UploadTakenOver):
        master.resumables.commit(upload_id, 1, request_of(CHUNK_SIZE, sent(0, 1)))
    assert master.store.list_chunks(upload_id, 0, 9) == []
    assert record(master, upload_id, 2, sent(0, 2)) == CHUNK_SIZE


def test_a_copy_of_the_call_that_resumed_does_not_fence_its_own_caller_off(master: Master) -> None:
    upload_id = begin(master)
    for _ in range(3):
        assert master.resumables.resume(upload_id, 0, None, 2, "one call").attempt == 1
    assert record(master, upload_id, 1, sent(0, 1)) == CHUNK_SIZE


def test_another_offset_is_refused_and_the_right_one_told(master: Master) -> None:
    upload_id = begin(master)
    resume(master, upload_id)
    record(master, upload_id, 1, sent(0, 1, 7))
    for offset in (0, 6, 8, CHUNK_SIZE):
        with pytest.raises(OffsetConflict) as caught:
            resume(master, upload_id, offset)
        assert caught.value.context["offset"] == 7
    assert record(master, upload_id, 1) == 7


def test_the_length_is_said_once_and_bounds_the_upload(master: Master) -> None:
    upload_id = begin(master)
    resume(master, upload_id)
    record(master, upload_id, 1, sent(0, 1))
    with pytest.raises(InvalidRequest):
        resume(master, upload_id, CHUNK_SIZE, length=CHUNK_SIZE - 1)
    assert resume(master, upload_id, CHUNK_SIZE, length=CHUNK_SIZE + 5).info.length == CHUNK_SIZE + 5
    with pytest.raises(InvalidRequest):
        resume(master, upload_id, CHUNK_SIZE, length=CHUNK_SIZE + 6)
    with pytest.raises(InvalidRequest):
        record(master, upload_id, 2, sent(1, 2, 6))
    assert record(master, upload_id, 2, sent(1, 2, 5)) == CHUNK_SIZE + 5


def test_a_repeated_record_changes_nothing_and_another_chunk_of_the_same_id_is_refused(master: Master) -> None:
    upload_id = begin(master)
    resume(master, upload_id)
    chunks = (sent(0, 1), sent(1, 1, 10))
    for _ in range(2):
        assert record(master, upload_id, 1, *chunks) == CHUNK_SIZE + 10
    with pytest.raises(ChunkConflict):
        record(master, upload_id, 1, sent(1, 1, 12))
    assert [chunk.revision for chunk in master.store.list_chunks(upload_id, 0, 9)] == [1, 1]


@pytest.mark.parametrize(
    "chunks",
    [
        (sent(1, 2),),
        (sent(0, 2), sent(2, 2)),
        (sent(0, 2, 5), sent(1, 2)),
        (sent(0, 1),),
        (sent(0, 3),),
        (sent(0, 2, CHUNK_SIZE + 1),),
        (replace(sent(0, 2), replicas=("worker_1",)),),
        (replace(sent(0, 2), replicas=(*WORKERS[:2], "worker_9")),),
        (sent(0, 2, 9),),
        tuple(sent(index, 2) for index in range(5)),
    ],
)
def test_chunks_that_do_not_follow_on_what_is_there_are_refused(
    master: Master, chunks: tuple[StoredChunk, ...]
) -> None:
    upload_id = begin(master)
    resume(master, upload_id)
    record(master, upload_id, 1, sent(0, 1, 10))
    resume(master, upload_id, 10)
    before = master.store.list_chunks(upload_id, 0, 9)
    with pytest.raises(InvalidRequest):
        record(master, upload_id, 2, *chunks)
    assert master.store.list_chunks(upload_id, 0, 9) == before
    assert master.resumables.find(upload_id).offset == 10


def test_a_commit_seals_the_upload_and_makes_it_a_file(master: Master) -> None:
    upload_id = begin(master)
    resume(master, upload_id)
    record(master, upload_id, 1, sent(0, 1), sent(1, 1, 3))
    resume(master, upload_id, CHUNK_SIZE + 3)
    request = request_of(CHUNK_SIZE + 9, sent(1, 2, 9))
    for _ in range(3):
        file, is_new = master.resumables.commit(upload_id, 2, request)
        assert (file.file_id, is_new) == (upload_id, True)
        assert master.resumables.commit_sealed(upload_id) == (file, True)
    located = master.catalog.find_path("a", MapPart(0, 9))
    assert (located.file.size, located.file.content_type) == (CHUNK_SIZE + 9, "text/x-test")
    assert [(chunk.index, chunk.attempt, chunk.size_bytes) for chunk in located.chunks] == [
        (0, 1, CHUNK_SIZE),
        (1, 2, 9),
    ]
    info = master.resumables.find(upload_id)
    assert (info.state, info.offset, info.length, info.file_id) == ("committed", *[CHUNK_SIZE + 9] * 2, upload_id)
    with pytest.raises(UploadSealed):
        resume(master, upload_id, CHUNK_SIZE + 9)
    with pytest.raises(UploadTakenOver):
        master.resumables.commit(upload_id, 1, request)
    with pytest.raises(UploadSealed):
        record(master, upload_id, 2)


def test_an_empty_upload_becomes_an_empty_file(master: Master) -> None:
    upload_id = begin(master, length=0)
    assert resume(master, upload_id, place=0).opened.placements == ()
    file, _ = master.resumables.commit(upload_id, 1, request_of(0))
    assert file.to_info().size == 0


def test_a_sealed_upload_waits_for_any_gateway_to_commit_it(master: Master) -> None:
    """The master that sealed it has died before it could go on."""
    upload_id = begin(master)
    resume(master, upload_id)
    master.resumables._seal(upload_id, 1, request_of(9, sent(0, 1, 9)))
    info = master.resumables.find(upload_id)
    assert (info.state, info.offset) == ("sealed", 9)
    with pytest.raises(UploadSealed):
        resume(master, upload_id, 9)
    with pytest.raises(UploadSealed):
        master.resumables.commit(upload_id, 1, request_of(8))
    file, _ = master.resumables.commit_sealed(upload_id)
    assert file.to_info().size == 9


def test_the_last_short_chunk_is_written_again_by_the_attempt_that_commits(master: Master) -> None:
    upload_id = begin(master)
    resume(master, upload_id)
    record(master, upload_id, 1, sent(0, 1, 9))
    resume(master, upload_id, 9)
    with pytest.raises(InvalidRequest):
        master.resumables.commit(upload_id, 2, request_of(9))
    assert master.resumables.find(upload_id).state == "resumable"
    file, _ = master.resumables.commit(upload_id, 2, request_of(9, sent(0, 2, 9)))
    assert file.to_info().size == 9


@pytest.mark.parametrize("size", [8, 10, CHUNK_SIZE])
def test_a_commit_that_speaks_of_other_chunks_than_there_are_is_refused(master: Master, size: int) -> None:
    upload_id = begin(master)
    resume(master, upload_id)
    with pytest.raises(InvalidRequest):
        master.resumables.commit(upload_id, 1, request_of(size, sent(0, 1, 9)))
    with pytest.raises(InvalidRequest):
        master.resumables.commit(upload_id, 1, request_of(9, sent(0, 1, 9), path="b"))
    assert master.resumables.find(upload_id).state == "resumable"


def test_conditions_count_when_the_upload_is_committed(master: Master) -> None:
    upload_id = begin(master)
    resume(master, upload_id)
    master.put("a")
    request = request_of(9, sent(0, 1, 9), if_none_match="*")
    for _ in range(2):
        with pytest.raises(PreconditionFailed):
            master.resumables.commit(upload_id, 1, request)
    with pytest.raises(UploadClosed):
        master.resumables.find(upload_id)


def test_a_partial_upload_is_filled_and_never_committed(master: Master) -> None:
    upload_id = begin(master, None, 9, is_partial=True)
    resume(master, upload_id)
    assert record(master, upload_id, 1, sent(0, 1, 9)) == 9
    assert master.resumables.find(upload_id).is_partial
    for path in ("", "a"):
        with pytest.raises(InvalidRequest):
            master.resumables.commit(upload_id, 1, request_of(9, path=path))


def test_uploads_of_one_kind_do_not_take_the_other_s_calls(master: Master) -> None:
    resumable, ordinary = begin(master), master.begin("b", 1)
    with pytest.raises(InvalidRequest):
        master.uploads.record(resumable, [], 0, 0)
    with pytest.raises(InvalidRequest):
        master.committer.commit(resumable, request_of(0))
    with pytest.raises(InvalidRequest):
        master.resumables.commit_sealed(resumable)
    with pytest.raises(InvalidRequest):
        master.resumables.commit_sealed(ordinary)
    for call in (
        lambda: master.resumables.find(ordinary),
        lambda: resume(master, ordinary),
        lambda: record(master, ordinary, 0),
        lambda: master.resumables.commit(ordinary, 0, request_of(0)),
    ):
        with pytest.raises(UploadUnknown):
            call()
    with pytest.raises(InvalidRequest):
        master.uploads.record(ordinary, [sent(0, 1)], 0, 0)


def test_an_upload_that_was_given_up_takes_nothing(master: Master) -> None:
    upload_id = begin(master)
    resume(master, upload_id)
    for _ in range(2):
        master.uploads.abort(upload_id)
    for call in (
        lambda: master.resumables.find(upload_id),
        lambda: resume(master, upload_id),
        lambda: record(master, upload_id, 1, sent(0, 1)),
        lambda: master.resumables.commit(upload_id, 1, request_of(0)),
    ):
        with pytest.raises(UploadClosed):
            call()


def test_a_sealed_upload_that_is_given_up_never_becomes_a_file(master: Master) -> None:
    upload_id = begin(master)
    resume(master, upload_id)
    master.resumables._seal(upload_id, 1, request_of(9, sent(0, 1, 9)))
    late = upload_of(master, upload_id)
    for _ in range(2):
        master.resumables.abort(upload_id)
    # A master that has read it before goes on with its commit.
    with pytest.raises(UploadClosed):
        master.committer._settle(late, request_of(9))
    assert master.store.find_file_by_key("a/a") is None


def test_an_upload_that_has_become_a_file_cannot_be_given_up(master: Master) -> None:
    upload_id = begin(master)
    resume(master, upload_id)
    master.resumables._seal(upload_id, 1, request_of(9, sent(0, 1, 9)))
    sealed = upload_of(master, upload_id)
    file, _ = master.resumables.commit_sealed(upload_id)
    # Once with the document as a master has left it that died right after it had written the file.
    assert master.store.replace_upload(replace(sealed, revision=upload_of(master, upload_id).revision + 1))
    for _ in range(2):
        with pytest.raises(UploadSealed):
            master.resumables.abort(upload_id)
    assert master.resumables.commit_sealed(upload_id) == (file, True)


def test_a_record_that_is_ahead_of_the_upload_is_taken_for_the_bytes_that_count(master: Master) -> None:
    """A master wrote the chunk's record and died before it wrote the upload's document."""
    upload_id = begin(master)
    resume(master, upload_id)
    record(master, upload_id, 1, sent(0, 1, 10))
    resume(master, upload_id, 10)
    upload = upload_of(master, upload_id)
    record(master, upload_id, 2, sent(0, 2), sent(1, 2))
    behind = replace(upload, revision=upload_of(master, upload_id).revision + 1)
    assert master.store.replace_upload(behind)
    third = resume(master, upload_id, 10)
    assert third.tail is not None
    assert (third.tail_bytes, third.tail.attempt, third.tail.size_bytes) == (10, 2, CHUNK_SIZE)
    assert record(master, upload_id, 3, sent(0, 3, 12)) == 12
    resume(master, upload_id, 12)
    file, _ = master.resumables.commit(upload_id, 4, request_of(13, sent(0, 4, 13)))
    located = master.catalog.find(file.file_id, MapPart(0, 9))
    assert [(chunk.index, chunk.attempt) for chunk in located.chunks] == [(0, 4)]


def test_an_upload_with_too_much_left_behind_waits_until_it_is_freed(master: Master) -> None:
    upload_id = begin(master)
    for _ in range(MANY_LOOSE + 2):
        assert upload_of(master, upload_id).state == model.RESUMABLE
        resume(master, upload_id, place=1)
    assert upload_of(master, upload_id).state == model.LITTERED
    assert master.resumables.find(upload_id).state == "resumable"
    upload = upload_of(master, upload_id)
    assert upload.resumable is not None
    many = tuple(Loose(number, 0, 1) for number in range(MAX_LOOSE))
    full = replace(upload, revision=upload.revision + 1, resumable=replace(upload.resumable, loose=many))
    assert master.store.replace_upload(full)
    with pytest.raises(TooManyRequests):
        resume(master, upload_id)


def test_what_is_freed_is_taken_out_of_the_ranges() -> None:
    loose = (Loose(1, 2, 6), Loose(3, 0, 1), Loose(4, 7, 9))
    ids = [list(one.ids(hex_id("u"))) for one in loose]
    assert without(loose, hex_id("u"), set()) == loose
    assert without(loose, hex_id("u"), {*ids[0], *ids[1]}) == loose[2:]
    assert without(loose, hex_id("u"), {ids[0][1], ids[2][1]}) == (
        Loose(1, 2, 3),
        Loose(1, 4, 6),
        Loose(3, 0, 1),
        Loose(4, 7, 8),
    )
