"""Any master answers: the client goes to the next one that does, and says so when none does within the deadline."""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Iterator
from typing import Any

import pytest

from common.clock import Clock, SystemClock
from common.errors import (
    ClusterSecretRejected,
    DFSError,
    FileUnknown,
    MetadataUnavailable,
    NoMasterAnswers,
    PathTaken,
    QuorumNotReached,
)
from common.http import HttpPool
from common.master_client import MapPart, MasterClient
from common.records import Checksum, Heartbeat, StoredChunk
from common.request_ids import begin_request
from tests.common.test_records import FILE, HEARTBEAT, OPEN_UPLOAD, STORED, TARGET
from tests.support.clocks import StepClock
from tests.support.tiny_server import Exchange, TinyServer, never_answering, refusing, serving
from tests.support.waiting import InBackground

FILE_ID = FILE["file_id"]


def client_of(
    *urls: str, clock: Clock | None = None, timeout_seconds: float = 5.0, deadline_seconds: float = 15.0
) -> MasterClient:
    return MasterClient(
        HttpPool(),
        urls,
        clock or SystemClock(),
        timeout_seconds=timeout_seconds,
        deadline_seconds=deadline_seconds,
    )


@contextlib.contextmanager
def master(answer: Any = None, status: int = 200) -> Iterator[TinyServer]:
    """A master that gives this one answer to everything."""
    with serving(lambda exchange: exchange.send_json({} if answer is None else answer, status)) as server:
        yield server


@contextlib.contextmanager
def failing_master(error: DFSError) -> Iterator[TinyServer]:
    with serving(lambda exchange: exchange.send_problem(error.to_problem(), error.status)) as server:
        yield server


def test_the_first_master_is_asked_first() -> None:
    with master({"a": 1}) as first, master({"a": 2}) as second:
        assert client_of(first.url, second.url).cluster() == {"a": 1}
        assert second.requests == []


def test_a_dead_master_is_passed_over() -> None:
    with refusing() as dead, master({"a": 2}) as second:
        assert client_of(dead, second.url).cluster() == {"a": 2}


def test_a_master_that_takes_the_connection_and_says_nothing_is_passed_over() -> None:
    with never_answering() as silent, master({"a": 2}) as second:
        call = InBackground(client_of(silent, second.url, timeout_seconds=0.2).cluster)
        assert call.result() == {"a": 2}


def test_a_master_that_breaks_off_is_passed_over() -> None:
    with serving(lambda exchange: exchange.hang_up()) as breaking, master({"a": 2}) as second:
        assert client_of(breaking.url, second.url).cluster() == {"a": 2}


def test_a_master_without_its_database_is_passed_over() -> None:
    with failing_master(MetadataUnavailable()) as first, master({"a": 2}) as second:
        assert client_of(first.url, second.url).cluster() == {"a": 2}


def test_the_master_that_answered_last_is_asked_first() -> None:
    with failing_master(MetadataUnavailable()) as first, master() as second, master() as third:
        client = client_of(first.url, second.url, third.url)
        for _ in range(3):
            client.cluster()
        assert [len(server.requests) for server in (first, second, third)] == [1, 3, 0]


def test_after_the_last_master_the_first_is_asked_again() -> None:
    """Two of three go away one after the other, and the first has come back."""
    with contextlib.ExitStack() as stack:
        first = stack.enter_context(master({"a": 1}))
        second = stack.enter_context(refusing())
        third = stack.enter_context(refusing())
        client = client_of(second, third, first.url)
        assert client.cluster() == {"a": 1}
        assert client.cluster() == {"a": 1}


def test_a_master_that_comes_back_within_the_deadline_is_found() -> None:
    states = iter([503, 503, 503])

    def answer(exchange: Exchange) -> None:
        if next(states, 200) == 200:
            exchange.send_json({"a": 1})
        else:
            exchange.send_problem(MetadataUnavailable().to_problem(), 503)

    clock = StepClock()
    with serving(answer) as only, refusing() as dead:
        assert client_of(dead, only.url, clock=clock).cluster() == {"a": 1}
        assert len(only.requests) == 4


def test_when_all_masters_are_dead_the_call_ends_within_the_deadline() -> None:
    clock = StepClock()
    with refusing() as first, refusing() as second, refusing() as third, pytest.raises(NoMasterAnswers):
        client_of(first, second, third, clock=clock, deadline_seconds=15.0).cluster()
    assert clock.now <= 1000.0 + 15.0


def test_when_all_masters_are_silent_the_call_ends() -> None:
    with never_answering() as first, never_answering() as second:
        call = InBackground(client_of(first, second, timeout_seconds=0.1, deadline_seconds=0.5).cluster)
        with pytest.raises(NoMasterAnswers):
            call.result()


def test_when_no_master_has_its_database_that_is_what_is_said() -> None:
    with failing_master(MetadataUnavailable("no database here")) as only:
        with pytest.raises(MetadataUnavailable, match="no database here"):
            client_of(only.url, only.url, clock=StepClock()).cluster()
        assert len(only.requests) > 2


@pytest.mark.parametrize("error", [FileUnknown("gone"), PathTaken("taken"), QuorumNotReached("no")])
def test_a_masters_decision_is_not_asked_of_another(error: DFSError) -> None:
    with failing_master(error) as first, master() as second:
        with pytest.raises(type(error), match=error.detail):
            client_of(first.url, second.url).cluster()
        assert (len(first.requests), len(second.requests)) == (1, 0)


def test_the_id_of_the_request_goes_to_every_master_that_is_asked() -> None:
    def call() -> None:
        begin_request("request-11")
        client_of(first.url, second.url).cluster()

    with failing_master(MetadataUnavailable()) as first, master() as second:
        contextvars.Context().run(call)
        for server in (first, second):
            assert [seen.headers["X-Request-ID"] for seen in server.requests] == ["request-11"]


def test_each_call_says_what_the_masters_interface_has() -> None:
    """Method, address and body of every call; ids and paths are escaped."""
    answer = {"file": FILE, "chunks": [{**STORED, "replicas": [TARGET]}], "is_new": True, **OPEN_UPLOAD, **FILE}
    chunk = StoredChunk.from_json(STORED)
    with master(answer) as server:
        client = client_of(server.url)
        client.open_upload("a/ü", None, 4, "all")
        client.record_chunks("u", [chunk], 1, 2)
        file, is_new = client.commit_upload(
            "u", path="p", content_type="t", size=1, chunk_count=1, checksum=Checksum("sha256", "00"), chunks=[chunk]
        )
        client.abort_upload("u")
        located = client.find_file("a/b?c", MapPart(7, 3))
        client.find_path("a b/ü&x=#\n")
        chunks = client.list_chunks("v", 5, 7)
        client.list_files({"prefix": "a b&"})
        for level in ("eventual", "a b&"):
            client.find_file("f", level=level)
            client.find_path("p", level=level)
            client.list_chunks("v", 5, 7, level)
            client.list_files({}, level)
        client.delete_file(FILE_ID, is_permanent=False)
        client.delete_file(FILE_ID, is_permanent=True)
        client.restore_file(FILE_ID, 2, None)
        client.rename_file(FILE_ID, "new")
        client.send_heartbeat("worker_1", Heartbeat.from_json(HEARTBEAT))
        assert [(seen.method, seen.target) for seen in server.requests] == [
            ("POST", "/uploads"),
            ("POST", "/uploads/u/chunks"),
            ("POST", "/uploads/u/commit"),
            ("DELETE", "/uploads/u"),
            ("GET", "/files/a%2Fb%3Fc?chunks=3&start=7"),
            ("GET", "/paths?path=a%20b%2F%C3%BC%26x%3D%23%0A&chunks=0&start=0"),
            ("GET", "/versions/v/chunks?start=5&limit=7"),
            ("GET", "/files?prefix=a+b%26"),
            ("GET", "/files/f?chunks=0&start=0&consistency=eventual"),
            ("GET", "/paths?path=p&chunks=0&start=0&consistency=eventual"),
            ("GET", "/versions/v/chunks?start=5&limit=7&consistency=eventual"),
            ("GET", "/files?consistency=eventual"),
            ("GET", "/files/f?chunks=0&start=0&consistency=a%20b%26"),
            ("GET", "/paths?path=p&chunks=0&start=0&consistency=a%20b%26"),
            ("GET", "/versions/v/chunks?start=5&limit=7&consistency=a%20b%26"),
            ("GET", "/files?consistency=a+b%26"),
            ("DELETE", f"/files/{FILE_ID}"),
            ("DELETE", f"/files/{FILE_ID}?permanent=true"),
            ("POST", f"/files/{FILE_ID}/restore"),
            ("PATCH", f"/files/{FILE_ID}"),
            ("POST", "/heartbeat/worker_1"),
        ]
        bodies = [seen.json() for seen in server.requests if seen.body]
    assert bodies[0] == {
        "path": "a/ü",
        "replication_factor": None,
        "place": 4,
        "consistency": "all",
        "size_bytes": None,
    }
    assert bodies[1] == {"chunks": [{**STORED, "doubtful": []}], "place_from": 1, "place": 2}
    assert bodies[2]["checksum"] == {"algorithm": "sha256", "value": "00"}
    assert Heartbeat.from_json(bodies[-1]) == Heartbeat.from_json(HEARTBEAT)
    assert (file.file_id, is_new) == (FILE_ID, True)
    assert located.chunks == chunks
    assert chunks[0].replicas[0].worker_id == "worker_1"


@pytest.mark.parametrize("answer", [{}, {"file": 5, "chunks": []}, {"file": FILE}, {"file": FILE, "chunks": [5]}])
def test_an_answer_that_lacks_what_was_asked_for_is_an_error_of_ours(answer: Any) -> None:
    """From a master of another release, say; the caller has to tell its own client something sensible."""
    with master(answer) as server, pytest.raises(DFSError):
        client_of(server.url).find_file(FILE_ID)


@pytest.mark.parametrize(("answer", "release"), [({"leader": None, "version": "9.9"}, "9.9"), ({"leader": None}, "")])
def test_a_master_that_answers_says_which_release_it_is(answer: dict[str, Any], release: str) -> None:
    """One of an earlier release does not say, and is alive all the same."""
    with master(answer) as server:
        assert client_of().release_of(server.url) == release


def test_a_stranger_at_a_master_s_address_does_not_keep_the_others_from_being_asked() -> None:
    with failing_master(ClusterSecretRejected()) as stranger, master({"a": 1}) as right:
        assert client_of(stranger.url, right.url).cluster() == {"a": 1}
        with pytest.raises(ClusterSecretRejected):
            client_of(stranger.url, deadline_seconds=0.1).cluster()


def test_a_master_that_refuses_the_secret_is_alive() -> None:
    with failing_master(ClusterSecretRejected()) as server:
        assert client_of().release_of(server.url) == ""


def test_a_dead_or_broken_master_is_of_no_release() -> None:
    """Also where something else listens on its port."""
    with refusing() as dead, failing_master(MetadataUnavailable()) as broken, master({}, 404) as stranger:
        for url in (dead, broken.url, stranger.url):
            assert client_of().release_of(url) is None
