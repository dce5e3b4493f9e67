"""Answers byte by byte: every way to delimit a body, cut anywhere, malformed, or more than was asked for."""

from __future__ import annotations

import pytest

from common.errors import DiskFull, InternalError, PeerUnreachable
from common.http import HttpPool
from tests.support.tiny_server import Exchange, serving

TIMEOUT = 5.0
BODY = b'{"a": 1}'
BY_LENGTH = b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n" + BODY
IN_CHUNKS = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    b'3;x="y"\r\n{"a\r\n004\r\n": 1\r\n1\r\n}\r\n0\r\nT: railer\r\n\r\n'
)
AFTER_INTERIM = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 \r\nLink: x\r\n\r\n" + BY_LENGTH
WHOLE = pytest.mark.parametrize(
    "raw", [BY_LENGTH, IN_CHUNKS, AFTER_INTERIM], ids=["by length", "in chunks", "after interim"]
)


@pytest.fixture
def pool() -> HttpPool:
    return HttpPool()


def get(pool: HttpPool, url: str, method: str = "GET") -> bytes:
    with pool.call(method, url, timeout_seconds=TIMEOUT) as answer:
        return answer.read()


def get_into(pool: HttpPool, url: str, size_bytes: int) -> bytes:
    buffer = bytearray(size_bytes)
    with pool.call("GET", url, timeout_seconds=TIMEOUT) as answer:
        return bytes(buffer[: answer.read_into(memoryview(buffer))])


@WHOLE
def test_an_answer_that_comes_byte_by_byte_is_whole_and_its_connection_is_kept(raw: bytes, pool: HttpPool) -> None:
    def answer(exchange: Exchange) -> None:
        for number in range(len(raw)):
            exchange.send_raw(raw[number : number + 1])

    with serving(answer) as server:
        for _ in range(3):
            assert get(pool, server.url) == BODY
            assert get_into(pool, server.url, 20) == BODY
        assert {seen.connection for seen in server.requests} == {0}


@WHOLE
@pytest.mark.parametrize("how", ["read", "into", "into exactly", "json"])
def test_an_answer_that_is_cut_anywhere_is_no_answer(how: str, raw: bytes, pool: HttpPool) -> None:
    def answer(exchange: Exchange) -> None:
        exchange.send_raw(raw[: int(exchange.request.target[1:])])
        exchange.hang_up()

    def ask(kept: int) -> object:
        url = f"{server.url}/{kept}"
        if how == "json":
            return pool.call_json("GET", url, timeout_seconds=TIMEOUT)
        return get(pool, url) if how == "read" else get_into(pool, url, 20 if how == "into" else len(BODY) + 1)

    with serving(answer) as server:
        for kept in range(len(raw)):
            with pytest.raises(PeerUnreachable):
                ask(kept)
        assert ask(len(raw)) in (BODY, {"a": 1})


@WHOLE
@pytest.mark.parametrize("status", [400, 507])
def test_an_error_that_is_cut_anywhere_is_no_answer(status: int, raw: bytes, pool: HttpPool) -> None:
    """Else half an error of one class would be taken for another."""
    raw = raw.replace(b"200 OK", b"%d Error" % status)

    def answer(exchange: Exchange) -> None:
        exchange.send_raw(raw[: int(exchange.request.target[1:])])
        exchange.hang_up()

    with serving(answer) as server:
        for kept in range(len(raw)):
            with pytest.raises(PeerUnreachable):
                get(pool, f"{server.url}/{kept}")


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 7, 8, 9])
def test_chunks_are_read_into_views_of_any_size(size: int, pool: HttpPool) -> None:
    with serving(lambda exchange: exchange.send_raw(IN_CHUNKS)) as server:
        for _ in range(2):
            came = b""
            with pool.call("GET", server.url, timeout_seconds=TIMEOUT) as answer:
                buffer = bytearray(size)
                while got := answer.read_into(memoryview(buffer)):
                    came += buffer[:got]
            assert came == BODY
        assert {seen.connection for seen in server.requests} == {0}


@pytest.mark.parametrize("size", [0, 1, 16 * 1024 - 1, 64 * 1024, 1_000_000])
def test_large_chunks_come_whole(size: int, pool: HttpPool) -> None:
    content = bytes(range(256)) * (size // 256 + 1)
    chunks = b"".join(b"%x\r\n%s\r\n" % (size, content[:size]) for _ in range(3 if size else 0)) + b"0\r\n\r\n"
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    with serving(lambda exchange: exchange.send_raw(head + chunks)) as server:
        assert get(pool, server.url) == content[:size] * 3
        assert get_into(pool, server.url, 3 * size + 1) == content[:size] * 3
        assert {seen.connection for seen in server.requests} == {0}


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
def test_a_body_without_a_length_ends_with_the_connection(version: bytes, pool: HttpPool) -> None:
    def answer(exchange: Exchange) -> None:
        exchange.send_raw(b"HTTP/" + version + b" 200 OK\r\n\r\n" + BODY)
        exchange.hang_up()

    with serving(answer) as server:
        assert get(pool, server.url) == BODY
        assert get_into(pool, server.url, 20) == BODY
        assert [seen.connection for seen in server.requests] == [0, 1]


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 204), ("GET", 304)])
@pytest.mark.parametrize("field", [b"", b"Content-Length: 8\r\n", b"Transfer-Encoding: chunked\r\n"])
def test_an_answer_that_has_no_body_leaves_the_connection_for_the_next(
    field: bytes, method: str, status: int, pool: HttpPool
) -> None:
    raw = b"HTTP/1.1 %d X\r\n%s\r\n" % (status, field)
    with serving(lambda exchange: exchange.send_raw(raw)) as server:
        assert [get(pool, server.url, method) for _ in range(3)] == [b""] * 3
        assert {seen.connection for seen in server.requests} == {0}


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 8\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nConnection: x, Close\r\nContent-Length: 8\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nContent-Length: 8\r\n\r\n",
    ],
)
def test_a_connection_that_the_peer_will_close_is_not_kept(head: bytes, pool: HttpPool) -> None:
    with serving(lambda exchange: exchange.send_raw(head + BODY)) as server:
        assert [get(pool, server.url) for _ in range(2)] == [BODY] * 2
        assert [seen.connection for seen in server.requests] == [0, 1]


@WHOLE
@pytest.mark.parametrize("more", [b"X", b"\r\n", BY_LENGTH])
def test_what_comes_after_an_answer_is_never_taken_for_the_next_one(more: bytes, raw: bytes, pool: HttpPool) -> None:
    with serving(lambda exchange: exchange.send_raw(raw + more)) as server:
        for number in range(3):
            assert get(pool, server.url) == BODY
            assert server.requests[-1].connection == number


@pytest.mark.parametrize(
    "raw",
    [
        b"\r\n" + BY_LENGTH,
        b"HTTP/1.1 200 OK\nContent-Length: 8\n\n" + BODY,
        b"HTTP/2 200 OK\r\nContent-Length: 8\r\n\r\n" + BODY,
        b"HTTP/1.2 200 OK\r\nContent-Length: 8\r\n\r\n" + BODY,
        b"http/1.1 200 OK\r\nContent-Length: 8\r\n\r\n" + BODY,
        b"HTTP/1.1 2000 OK\r\nContent-Length: 8\r\n\r\n" + BODY,
        b"HTTP/1.1 -20 OK\r\nContent-Length: 8\r\n\r\n" + BODY,
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n" + BY_LENGTH,
        b"HTTP/1.1 100 Continue\r\n\r\n" * 10_000,
        b"HTTP/1.1 200 OK\r\nContent-Length: -8\r\n\r\n" + BODY,
        b"HTTP/1.1 200 OK\r\nContent-Length: +8\r\n\r\n" + BODY,
        b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\nContent-Length: 9\r\n\r\n" + BODY,
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n" + BODY,
        b"HTTP/1.1 200 OK\r\nContent-Length: 100000000000000\r\n\r\n" + BODY,
        b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\nTransfer-Encoding: chunked\r\n\r\n" + BODY,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\nabcde\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffff\r\nab",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"f" * 100 + b"\r\nab",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcde\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\nabc\n0\n\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0;" + b"x" * 70_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + b"A: b\r\n" * 20_000 + b"\r\n",
    ],
)
def test_an_answer_that_is_malformed_is_no_answer(raw: bytes, pool: HttpPool) -> None:
    def answer(exchange: Exchange) -> None:
        exchange.send_raw(raw)
        exchange.hang_up()

    with serving(answer) as server:
        with pytest.raises(PeerUnreachable):
            get(pool, server.url)
        with pytest.raises(PeerUnreachable):
            get_into(pool, server.url, 70_000)


def test_a_malformed_error_is_no_answer_and_one_that_says_nothing_is_told_by_its_status(pool: HttpPool) -> None:
    head = b"HTTP/1.1 500 X\r\nTransfer-Encoding: chunked\r\n\r\n"
    with serving(lambda exchange: exchange.send_raw(head + b"zz\r\n")) as server, pytest.raises(PeerUnreachable):
        get(pool, server.url)
    with serving(lambda exchange: exchange.send_raw(head + b"0\r\n\r\n")) as server, pytest.raises(InternalError):
        get(pool, server.url)


def test_header_names_are_found_in_whatever_letters(pool: HttpPool) -> None:
    with (
        serving(lambda exchange: exchange.send(BODY, 200, {"x-dfs-CHECKSUM": "é"})) as server,
        pool.call("GET", server.url, timeout_seconds=TIMEOUT) as answer,
    ):
        assert answer.headers["X-DFS-Checksum"] == answer.headers.get("x-dfs-checksum") == "é"
        assert answer.headers.get("Missing") is None
        assert "CONTENT-LENGTH" in answer.headers


def test_an_error_in_chunks_comes_back_as_the_class_that_the_peer_named(pool: HttpPool) -> None:
    body = b'{"code": "disk_full", "detail": "at the reserve"}'
    raw = b"HTTP/1.1 507 X\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    with serving(lambda exchange: exchange.send_raw(raw)) as server, pytest.raises(DiskFull, match="at the reserve"):
        get(pool, server.url)
