"""Answers are read right however they are cut into pieces."""

from __future__ import annotations

import pytest

from benchmarks.answers import Answer, BadAnswer

PLAIN = b"HTTP/1.1 201 Created\r\nServer: x\r\nContent-Length: 5\r\n\r\nhello"
EMPTY = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"
NO_CONTENT = b"HTTP/1.1 204 No Content\r\nContent-Type: text/html\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\nTrailer: z\r\n\r\n"
BUSY = b"HTTP/1.1 503 Busy\r\nRetry-After: 7\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


@pytest.mark.parametrize("step", [1, 2, 3, 7, 1000])
@pytest.mark.parametrize(
    ("text", "status", "body"),
    [(PLAIN, 201, b"hello"), (EMPTY, 200, b""), (NO_CONTENT, 204, b""), (CHUNKED, 200, b"hello"), (BUSY, 503, b"")],
)
def test_an_answer_is_complete_with_its_last_byte_and_not_before(
    text: bytes, status: int, body: bytes, step: int
) -> None:
    answer = Answer(keeps_body=True)
    pieces = [text[start : start + step] for start in range(0, len(text), step)]
    assert [answer.feed(piece) for piece in pieces] == [False] * (len(pieces) - 1) + [True]
    assert (answer.status, bytes(answer.body), answer.body_bytes) == (status, body, len(body))


def test_a_body_that_is_not_kept_is_counted() -> None:
    answer = Answer()
    assert answer.feed(memoryview(PLAIN))
    assert (answer.body_bytes, bytes(answer.body)) == (5, b"")


def test_what_the_server_asks_of_the_client_is_noted() -> None:
    answer = Answer()
    answer.feed(BUSY)
    assert (answer.closes, answer.retry_after) == (True, 7.0)
    kept = Answer()
    kept.feed(PLAIN)
    assert (kept.closes, kept.retry_after) == (False, None)


def test_a_body_without_length_ends_with_the_connection() -> None:
    answer = Answer(keeps_body=True)
    assert not answer.feed(b"HTTP/1.1 200 OK\r\n\r\nabc")
    assert not answer.feed(b"def")
    assert answer.end()
    assert bytes(answer.body) == b"abcdef"


@pytest.mark.parametrize("cut", [1, 20, len(PLAIN) - 1])
def test_an_answer_that_is_cut_off_has_no_proper_end(cut: int) -> None:
    answer = Answer()
    answer.feed(PLAIN[:cut])
    assert not answer.end()


@pytest.mark.parametrize(
    "text",
    [
        b"SSH-2.0-OpenSSH_9\r\n\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        PLAIN + b"more",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        b"x" * 70_000,
    ],
)
def test_what_is_no_answer_is_refused(text: bytes) -> None:
    with pytest.raises(BadAnswer):
        Answer().feed(text)
