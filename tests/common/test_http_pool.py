"""Calls over kept connections: what is sent, what is reused, how a peer's error comes back."""

from __future__ import annotations

import contextvars
import threading

import pytest

from common.auth import ClusterSecret, body_digest
from common.errors import (
    ChunkMissing,
    ClusterSecretRejected,
    DiskFull,
    InternalError,
    InvalidRequest,
    PeerUnreachable,
    StaleEpoch,
)
from common.http import HttpPool
from common.request_ids import begin_request
from tests.support.environment import SECRET
from tests.support.tiny_server import Exchange, serving
from tests.support.waiting import wait_until

TIMEOUT = 5.0
OTHER = "the-secret-of-another-cluster"


def echo(exchange: Exchange) -> None:
    exchange.send_json({"body": exchange.request.body.decode(), "target": exchange.request.target})


@pytest.fixture
def pool() -> HttpPool:
    return HttpPool()


def test_json_goes_there_and_back(pool: HttpPool) -> None:
    with serving(echo) as server:
        answer = pool.call_json("POST", f"{server.url}/a?b=c%20d", timeout_seconds=TIMEOUT, body={"é": [1]})
        assert answer == {"body": '{"\\u00e9": [1]}', "target": "/a?b=c%20d"}
        (seen,) = server.requests
        assert seen.headers["Content-Type"] == "application/json"
        assert seen.json() == {"é": [1]}


def test_a_call_without_a_body_sends_none(pool: HttpPool) -> None:
    with serving(echo) as server:
        assert pool.call_json("GET", server.url, timeout_seconds=TIMEOUT) == {"body": "", "target": "/"}
        assert "Content-Type" not in server.requests[0].headers


def test_every_request_carries_the_id_of_its_request(pool: HttpPool) -> None:
    def call() -> None:
        begin_request("request-9")
        pool.call_json("GET", server.url, timeout_seconds=TIMEOUT)

    with serving(echo) as server:
        contextvars.Context().run(call)
        contextvars.Context().run(pool.call_json, "GET", server.url, timeout_seconds=TIMEOUT)
        during, outside = server.requests
    assert during.headers["X-Request-ID"] == "request-9"
    assert outside.headers["X-Request-ID"] == ""


def test_a_member_s_requests_are_signed_one_by_one() -> None:
    pool = HttpPool(ClusterSecret(SECRET))
    with serving(echo) as server:
        for _ in range(2):
            pool.call_json("POST", server.url, timeout_seconds=TIMEOUT, body={})
        server.hang_up_on_all()
        wait_until(lambda: server.ended_connections == 1, "the connection is over")
        pool.call_json("POST", server.url, timeout_seconds=TIMEOUT, body={})
        assert [seen.connection for seen in server.requests] == [0, 0, 1]
        assert len({seen.headers["X-DFS-Signature"] for seen in server.requests}) == 3
        assert {seen.headers["Content-Digest"] for seen in server.requests} == {body_digest(b"{}")}
        assert all(SECRET not in str(seen) for seen in server.requests)


@pytest.mark.parametrize("answered", ["", "x", "00" * 16 + " " + "00" * 32])
def test_a_stranger_at_a_member_s_address_gets_no_request(answered: str) -> None:
    def answer(exchange: Exchange) -> None:
        exchange.send(b"", headers={"X-DFS-Session": answered})

    with serving(answer) as server, pytest.raises(PeerUnreachable) as caught:
        HttpPool(ClusterSecret(OTHER)).call_json("POST", server.url, timeout_seconds=TIMEOUT, body={"a": "word"})
    assert not caught.value.context["may_have_arrived"]
    assert [seen.target for seen in server.requests] == ["/session"]
    assert "word" not in str(server.requests)


@pytest.mark.parametrize("status", [403, 404, 410, 500, 503])
def test_a_stranger_s_error_is_not_taken_for_a_member_s(status: int) -> None:
    """It could say that a chunk is missing, or a file deleted, in the name of a worker or a master."""

    def answer(exchange: Exchange) -> None:
        exchange.send_problem(ChunkMissing("gone").to_problem(), status)

    expected = ClusterSecretRejected if status == 403 else PeerUnreachable
    with serving(answer) as server, pytest.raises(expected) as caught:
        HttpPool(ClusterSecret(OTHER)).call_json("GET", server.url, timeout_seconds=TIMEOUT)
    assert "gone" not in caught.value.detail
    assert [seen.target for seen in server.requests] == ["/session"]


def test_a_member_of_another_cluster_is_told_that_its_secret_is_not_ours() -> None:
    def answer(exchange: Exchange) -> None:
        exchange.send_problem(ClusterSecretRejected().to_problem(), 403)

    with serving(answer) as server, pytest.raises(ClusterSecretRejected):
        HttpPool(ClusterSecret(OTHER)).call_json("GET", server.url, timeout_seconds=TIMEOUT)


def test_calls_one_after_another_use_one_connection(pool: HttpPool) -> None:
    with serving(echo) as server:
        for _ in range(5):
            pool.call_json("GET", server.url, timeout_seconds=TIMEOUT)
        assert {seen.connection for seen in server.requests} == {0}


def test_calls_at_the_same_time_use_connections_of_their_own(pool: HttpPool) -> None:
    together = threading.Barrier(4)

    def answer(exchange: Exchange) -> None:
        together.wait(timeout=10)
        exchange.send_json({})

    with serving(answer) as server:
        threads = [
            threading.Thread(target=pool.call_json, args=("GET", server.url), kwargs={"timeout_seconds": TIMEOUT})
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert {seen.connection for seen in server.requests} == {0, 1, 2, 3}


def test_an_answer_that_was_not_read_to_its_end_does_not_leak_into_the_next_call(pool: HttpPool) -> None:
    with serving(lambda exchange: exchange.send(exchange.request.target.encode() * 5)) as server:
        with pool.call("GET", f"{server.url}/first", timeout_seconds=TIMEOUT) as answer:
            assert answer.read_into(memoryview(bytearray(3))) == 3
        with pool.call("GET", f"{server.url}/second", timeout_seconds=TIMEOUT) as answer:
            assert answer.read() == b"/second" * 5
        assert [seen.connection for seen in server.requests] == [0, 1]


@pytest.mark.parametrize("size", [0, 1, 65535, 65536, 65537, 3_000_000])
def test_a_body_is_read_into_the_buffer_it_is_for(size: int, pool: HttpPool) -> None:
    content = bytes(range(256)) * (size // 256 + 1)
    with serving(lambda exchange: exchange.send(content[:size])) as server:
        buffer = bytearray(size + 10)
        with pool.call("GET", server.url, timeout_seconds=TIMEOUT) as answer:
            assert answer.read_into(memoryview(buffer)) == size
        assert buffer == content[:size] + bytes(10)


def test_a_large_body_is_sent_from_a_view(pool: HttpPool) -> None:
    content = bytes(range(256)) * 4096
    with serving(echo_size) as server:
        headers = {"Content-Length": str(len(content) - 2)}
        with pool.call(
            "PUT", server.url, timeout_seconds=TIMEOUT, headers=headers, body=memoryview(content)[1:-1]
        ) as answer:
            assert answer.json() == {"size": len(content) - 2}
        assert server.requests[0].body == content[1:-1]


def echo_size(exchange: Exchange) -> None:
    exchange.send_json({"size": len(exchange.request.body)})


def test_a_connection_that_the_peer_closed_meanwhile_is_replaced(pool: HttpPool) -> None:
    def answer(exchange: Exchange) -> None:
        exchange.send_json({})
        exchange.hang_up()

    with serving(answer) as server:
        for _ in range(3):
            pool.call_json("POST", server.url, timeout_seconds=TIMEOUT, body={})
        assert [seen.connection for seen in server.requests] == [0, 1, 2]


def test_every_connection_that_the_peer_closed_is_replaced(pool: HttpPool) -> None:
    """As after a restart of the peer, with many connections kept."""
    together = threading.Barrier(4)

    def answer(exchange: Exchange) -> None:
        if exchange.request.target == "/together":
            together.wait(timeout=10)
        exchange.send_json({})

    with serving(answer) as server:
        threads = [
            threading.Thread(
                target=pool.call_json, args=("GET", f"{server.url}/together"), kwargs={"timeout_seconds": TIMEOUT}
            )
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        server.hang_up_on_all()
        assert pool.call_json("GET", server.url, timeout_seconds=TIMEOUT) == {}


def test_what_a_peer_said_unasked_is_not_taken_for_the_next_answer(pool: HttpPool) -> None:
    """Some servers say 408 on an idle connection before they close it."""
    is_idle, is_said = threading.Event(), threading.Event()

    def answer(exchange: Exchange) -> None:
        exchange.send_json({"connection": exchange.request.connection})
        if exchange.request.connection == 0 and is_idle.wait(10):
            exchange.send_raw(b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n")
            is_said.set()

    with serving(answer) as server:
        assert pool.call_json("GET", server.url, timeout_seconds=TIMEOUT) == {"connection": 0}
        is_idle.set()
        assert is_said.wait(10)
        assert pool.call_json("GET", server.url, timeout_seconds=TIMEOUT) == {"connection": 1}


def test_a_kept_connection_that_breaks_under_a_request_is_retried_once_on_a_new_one(pool: HttpPool) -> None:
    """The peer closes at the moment the request arrives, so it could not be noticed before."""

    def answer(exchange: Exchange) -> None:
        if exchange.request.target == "/breaks" and exchange.request.connection == 0:
            exchange.hang_up()
        else:
            exchange.send_json({"connection": exchange.request.connection})

    with serving(answer) as server:
        pool.call_json("GET", server.url, timeout_seconds=TIMEOUT)
        assert pool.call_json("POST", f"{server.url}/breaks", timeout_seconds=TIMEOUT, body={"a": 1}) == {
            "connection": 1
        }
        assert [seen.body for seen in server.requests] == [b"", b'{"a": 1}', b'{"a": 1}']


def test_a_new_connection_that_breaks_is_not_retried(pool: HttpPool) -> None:
    with serving(lambda exchange: exchange.hang_up()) as server:
        with pytest.raises(PeerUnreachable):
            pool.call_json("GET", server.url, timeout_seconds=TIMEOUT)
        assert len(server.requests) == 1


def test_an_error_comes_back_as_the_class_that_the_peer_named(pool: HttpPool) -> None:
    problem = StaleEpoch("epoch 3 is over", highest=4).to_problem()
    with serving(lambda exchange: exchange.send_problem(problem, 409)) as server:
        with pytest.raises(StaleEpoch) as caught:
            pool.call_json("POST", server.url, timeout_seconds=TIMEOUT, body={})
        assert caught.value.detail == "epoch 3 is over"
        assert caught.value.context == {"highest": 4}


def test_a_connection_is_kept_after_an_error_that_was_read_whole(pool: HttpPool) -> None:
    with serving(lambda exchange: exchange.send_problem(DiskFull().to_problem(), 507)) as server:
        for _ in range(3):
            with pytest.raises(DiskFull):
                pool.call_json("GET", server.url, timeout_seconds=TIMEOUT)
        assert {seen.connection for seen in server.requests} == {0}


@pytest.mark.parametrize(
    "body", [b"", b"<html>gateway timeout</html>", b"{", b"[]", b"null", b'"x"', b"\xff\xfe", b"5"]
)
@pytest.mark.parametrize(("status", "expected"), [(404, InvalidRequest), (503, InternalError)])
def test_an_error_that_is_no_problem_json_is_told_by_its_status(
    body: bytes, status: int, expected: type[Exception], pool: HttpPool
) -> None:
    """From a proxy in between, or a stranger on the port."""
    match = f"HTTP status {status}"
    with serving(lambda exchange: exchange.send(body, status)) as server, pytest.raises(expected, match=match):
        pool.call_json("GET", server.url, timeout_seconds=TIMEOUT)


def test_closing_the_pool_closes_its_connections(pool: HttpPool) -> None:
    with serving(echo) as server:
        pool.call_json("GET", server.url, timeout_seconds=TIMEOUT)
        assert server.ended_connections == 0
        pool.close()
        wait_until(lambda: server.ended_connections == 1, "the server sees the end of the connection")
