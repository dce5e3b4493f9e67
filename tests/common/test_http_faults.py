"""A peer that is dead, silent, slow or talks nonsense: every way not to get a whole answer is PeerUnreachable."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Iterator

import pytest

from common.errors import DiskFull, FileUnknown, PeerUnreachable
from common.http import Abort, HttpPool
from tests.support.tiny_server import Exchange, never_answering, refusing, serving
from tests.support.waiting import InBackground

# Of silence; a test that waits for the end of it takes as long.
SHORT = 0.1
LONG = 30.0
EMPTY_OBJECT = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


@pytest.fixture
def pool() -> HttpPool:
    return HttpPool()


def test_a_refused_connection_is_a_peer_that_cannot_be_reached(pool: HttpPool) -> None:
    with refusing() as url, pytest.raises(PeerUnreachable) as caught:
        pool.call_json("GET", url, timeout_seconds=LONG)
    assert caught.value.context["peer"] in url
    assert caught.value.is_retryable


@pytest.mark.parametrize("url", ["http://does-not-exist.invalid:80", "http://127.0.0.1:99999", "http://127.0.0.1:port"])
def test_an_address_that_leads_nowhere_is_a_peer_that_cannot_be_reached(url: str, pool: HttpPool) -> None:
    with pytest.raises(PeerUnreachable):
        pool.call_json("GET", url, timeout_seconds=1.0)


def test_a_peer_that_takes_the_connection_and_says_nothing_is_given_up(pool: HttpPool) -> None:
    with never_answering() as url:
        call = InBackground(lambda: pool.call_json("POST", url, timeout_seconds=SHORT, body={"a": 1}))
        with pytest.raises(PeerUnreachable, match="Timeout"):
            call.result(10.0)


def test_a_peer_that_falls_silent_in_the_middle_of_the_body_is_given_up(pool: HttpPool) -> None:
    def answer(exchange: Exchange) -> None:
        exchange.send(b"half", length=8)
        exchange.stay_silent()

    with serving(answer) as server:
        call = InBackground(lambda: read_whole(pool, server.url, timeout_seconds=SHORT))
        with pytest.raises(PeerUnreachable, match="Timeout"):
            call.result(10.0)


@pytest.mark.parametrize("how", ["head", "whole", "buffer"])
def test_a_peer_that_drips_its_answer_is_given_up(how: str, pool: HttpPool) -> None:
    """Each byte comes in time, the answer never; a caller must not be held for ever."""
    read = {"head": read_whole, "whole": read_whole, "buffer": read_into_buffer}[how]

    def answer(exchange: Exchange) -> None:
        if how == "head":
            exchange.send_raw(b"HTTP/1.1 200 OK\r\nA: ")
        else:
            exchange.send(b" ", length=1_000_000)
        while not exchange.released.wait(SHORT / 4):
            exchange.send_raw(b" ")

    with serving(answer) as server:
        call = InBackground(lambda: read(pool, server.url, timeout_seconds=SHORT))
        with pytest.raises(PeerUnreachable):
            call.result(5.0)


@pytest.mark.parametrize("kept", [0, 1, 7])
@pytest.mark.parametrize("how", ["whole", "buffer", "json"])
def test_a_body_that_ends_early_is_not_taken_for_a_whole_one(kept: int, how: str, pool: HttpPool) -> None:
    """The peer died while it was answering, which says nothing about the bytes it holds."""
    body = b'{"a": 1}'
    read = {"whole": read_whole, "buffer": read_into_buffer, "json": read_json}[how]

    def answer(exchange: Exchange) -> None:
        exchange.send(body[:kept], length=len(body))
        exchange.hang_up()

    with serving(answer) as server, pytest.raises(PeerUnreachable):
        read(pool, server.url, timeout_seconds=LONG)


@pytest.mark.parametrize(
    "raw",
    [
        b"\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 200\r\nContent-Length: x\r\n\r\n[]",
        b"HTTP/1.1 999999 X\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 200 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nA: " + b"b" * 70_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nnot-hex\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
    ],
)
def test_a_peer_that_does_not_speak_http_cannot_be_reached(raw: bytes, pool: HttpPool) -> None:
    def answer(exchange: Exchange) -> None:
        exchange.send_raw(raw)
        exchange.hang_up()

    with serving(answer) as server, pytest.raises(PeerUnreachable):
        pool.call_json("GET", server.url, timeout_seconds=LONG)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"5", b"\xff", b"<html>", b"[" * 100_000])
def test_an_answer_that_is_no_json_object_is_no_answer(body: bytes, pool: HttpPool) -> None:
    with serving(lambda exchange: exchange.send(body)) as server, pytest.raises(PeerUnreachable):
        pool.call_json("GET", server.url, timeout_seconds=LONG)


def test_an_answer_larger_than_allowed_is_not_read(pool: HttpPool) -> None:
    with serving(lambda exchange: exchange.send(b"12345")) as server:
        with pool.call("GET", server.url, timeout_seconds=LONG) as answer:
            assert answer.read(5) == b"12345"
        with pytest.raises(PeerUnreachable), pool.call("GET", server.url, timeout_seconds=LONG) as answer:
            answer.read(4)


def test_an_error_of_the_caller_stays_what_it_is(pool: HttpPool) -> None:
    with serving(lambda exchange: exchange.send(b"1")) as server:
        for error in (FileUnknown("x"), KeyError("x"), ZeroDivisionError()):
            with pytest.raises(type(error)), pool.call("GET", server.url, timeout_seconds=LONG):
                raise error


@pytest.mark.parametrize("moment", ["no answer yet", "in the middle of the body"])
def test_another_thread_breaks_off_a_call(moment: str, pool: HttpPool) -> None:
    asked = threading.Event()

    def answer(exchange: Exchange) -> None:
        if moment == "in the middle of the body":
            exchange.send(b"half", length=1_000_000)
        asked.set()
        exchange.stay_silent()

    abort = Abort()
    with serving(answer) as server:
        call = InBackground(lambda: read_whole(pool, server.url, timeout_seconds=LONG, abort=abort))
        assert asked.wait(10)
        abort.abort()
        with pytest.raises(PeerUnreachable):
            call.result(10.0)


def test_another_thread_breaks_off_a_call_that_is_sending(pool: HttpPool) -> None:
    """The peer has read one byte and takes no more, so the call hangs in sending."""
    abort = Abort()
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        call = InBackground(lambda: put(pool, url, bytes(64 * 1024 * 1024), abort))
        connection, _ = listening.accept()
        with connection:
            assert connection.recv(1) == b"P"
            abort.abort()
            with pytest.raises(PeerUnreachable):
                call.result(10.0)


def test_a_call_that_was_broken_off_does_not_pass_for_an_answer_that_ended(pool: HttpPool) -> None:
    """A body without a length ends with the connection, and breaking off ends the connection."""
    asked = threading.Event()
    abort = Abort()

    def answer(exchange: Exchange) -> None:
        exchange.send_raw(b"HTTP/1.1 200 OK\r\n\r\nhalf")
        asked.set()
        exchange.stay_silent()

    with serving(answer) as server:
        call = InBackground(lambda: read_whole(pool, server.url, timeout_seconds=LONG, abort=abort))
        assert asked.wait(10)
        abort.abort()
        with pytest.raises(PeerUnreachable):
            call.result(10.0)


def test_a_call_that_was_broken_off_before_it_began_is_not_made(pool: HttpPool) -> None:
    abort = Abort()
    abort.abort()
    with serving(lambda exchange: exchange.send_json({})) as server:
        pool.call_json("GET", server.url, timeout_seconds=LONG)
        with pytest.raises(PeerUnreachable):
            read_whole(pool, server.url, timeout_seconds=LONG, abort=abort)
        assert len(server.requests) == 1


@pytest.mark.parametrize("is_kept", [False, True], ids=["new connection", "kept connection"])
@pytest.mark.parametrize("size", [1, 64 * 1024, 64 * 1024 + 1, 64 * 1024 * 1024])
def test_an_error_that_a_peer_answers_before_it_read_the_body_comes_back(
    size: int, is_kept: bool, pool: HttpPool
) -> None:
    """It closes with bytes unread, so sending fails while the answer is there already."""
    problem = json.dumps(DiskFull("at the reserve").to_problem()).encode()
    head = b"HTTP/1.1 507 X\r\nContent-Length: %d\r\n\r\n"
    with closing_early(head % len(problem) + problem, is_kept=is_kept) as url:
        if is_kept:
            pool.call_json("GET", url, timeout_seconds=LONG)
        call = InBackground(lambda: put(pool, url, bytes(size), Abort()))
        with pytest.raises(DiskFull, match="at the reserve"):
            call.result(10.0)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"HTTP/1.1 507 X\r\nContent-Length: 8\r\n\r\nhalf",
        b"HTTP/1.1 507 X\r\n",
        b"garbage\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
    ],
)
def test_an_early_answer_that_is_no_whole_error_is_none(raw: bytes, pool: HttpPool) -> None:
    """Least of all a success: the peer cannot have the bytes that were never sent."""
    with closing_early(raw) as url:
        call = InBackground(lambda: put(pool, url, bytes(64 * 1024 * 1024), Abort()))
        with pytest.raises(PeerUnreachable) as caught:
            call.result(10.0)
        assert caught.value.context["may_have_arrived"]


def test_a_request_that_broke_off_may_have_arrived_even_if_nobody_is_there_the_second_time(pool: HttpPool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        first = InBackground(lambda: pool.call_json("GET", url, timeout_seconds=LONG))
        connection, _ = listening.accept()
        with connection:
            read_head(connection)
            connection.sendall(EMPTY_OBJECT)
            first.result(10.0)
            listening.close()
            second = InBackground(lambda: pool.call_json("POST", url, timeout_seconds=LONG, body={}))
            read_head(connection)
    with pytest.raises(PeerUnreachable) as caught:
        second.result(10.0)
    assert caught.value.context["may_have_arrived"]


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:port", "ftp://127.0.0.1:1", "http://a@127.0.0.1", f"http://{70 * 'a'}.b", "http://", "x"]
)
def test_a_request_to_what_is_no_address_cannot_have_arrived(url: str, pool: HttpPool) -> None:
    with pytest.raises(PeerUnreachable) as caught:
        pool.call_json("GET", url, timeout_seconds=LONG)
    assert not caught.value.context["may_have_arrived"]


def test_nothing_is_sent_of_a_request_that_would_arrive_as_another(pool: HttpPool) -> None:
    with serving(lambda exchange: exchange.send_json({})) as server:
        for target, value in (("/a\r\nB: c", "d"), ("/a b", "d"), ("/a", "d\r\nE: f"), ("/a", "\u0141")):
            with (
                pytest.raises(PeerUnreachable) as caught,
                pool.call("GET", server.url + target, timeout_seconds=LONG, headers={"A": value}),
            ):
                pass
            assert not caught.value.context["may_have_arrived"]
        assert server.requests == []


def test_breaking_off_a_call_that_is_over_harms_no_later_one(pool: HttpPool) -> None:
    abort = Abort()
    with serving(lambda exchange: exchange.send(b"whole")) as server:
        assert read_whole(pool, server.url, timeout_seconds=LONG, abort=abort) == b"whole"
        abort.abort()
        assert read_whole(pool, server.url, timeout_seconds=LONG) == b"whole"
        assert {seen.connection for seen in server.requests} == {0}


@contextlib.contextmanager
def closing_early(raw: bytes, *, is_kept: bool = False) -> Iterator[str]:
    """A peer that reads one byte of a request, answers `raw` and closes; is_kept: after one call that went well."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            connection, _ = listening.accept()
            with connection:
                if is_kept:
                    read_head(connection)
                    connection.sendall(EMPTY_OBJECT)
                connection.recv(1)
                connection.sendall(raw)

        peer = InBackground(serve)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        peer.result(10.0)


def read_head(connection: socket.socket) -> None:
    head = b""
    while b"\r\n\r\n" not in head:
        came = connection.recv(65536)
        assert came
        head += came


def read_whole(pool: HttpPool, url: str, *, timeout_seconds: float, abort: Abort | None = None) -> bytes:
    with pool.call("GET", url, timeout_seconds=timeout_seconds, abort=abort) as answer:
        return answer.read()


def read_into_buffer(pool: HttpPool, url: str, *, timeout_seconds: float) -> int:
    """Ask for as much as the answer promises."""
    with pool.call("GET", url, timeout_seconds=timeout_seconds) as answer:
        return answer.read_into(memoryview(bytearray(int(answer.headers["Content-Length"]))))


def read_json(pool: HttpPool, url: str, *, timeout_seconds: float) -> dict[str, object]:
    return pool.call_json("GET", url, timeout_seconds=timeout_seconds)


def put(pool: HttpPool, url: str, body: bytes, abort: Abort) -> None:
    with pool.call("PUT", url, timeout_seconds=LONG, body=body, abort=abort) as answer:
        answer.read()
