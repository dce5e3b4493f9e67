"""A request's head is read as RFC 9112 has it, and what two readers could understand differently is refused."""

from __future__ import annotations

import contextlib
import subprocess
import sys

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from common.environment import PROJECT_ROOT
from common.server.head import MAX_TARGET_BYTES, Refused, RequestHead, parse_head
from common.wire import MAX_FIELDS

HOST = b"Host: h\r\n"


def head(line: bytes, *fields: bytes) -> RequestHead:
    return parse_head(b"".join(part + b"\r\n" for part in (line, *fields)))


def refusal(block: bytes) -> int:
    with pytest.raises(Refused) as refused:
        parse_head(block)
    return refused.value.status


def test_a_plain_request_is_read() -> None:
    read = head(b"PUT /fs/a%2Fb?x=1 HTTP/1.1", b"Host: h:1", b"Content-Length:  12 ", b"X-Two: a", b"x-two: b")
    assert (read.method, read.target, read.is_http_11, read.length) == ("PUT", "/fs/a%2Fb?x=1", True, 12)
    assert read.fields == {"host": "h:1", "content-length": "12", "x-two": "a, b"}


@pytest.mark.parametrize(
    ("line", "fields", "length"),
    [
        (b"GET / HTTP/1.1", [b"Host: h"], 0),
        (b"PUT / HTTP/1.1", [b"Host: h", b"Content-Length: 0"], 0),
        (b"PUT / HTTP/1.1", [b"Host: h", b"Content-Length: 007"], 7),
        (b"PUT / HTTP/1.1", [b"Host: h", b"Content-Length: 7", b"Content-Length: 7"], 7),
        (b"PUT / HTTP/1.1", [b"Host: h", b"Content-Length: 999999999999999"], 999999999999999),
        (b"PUT / HTTP/1.1", [b"Host: h", b"Transfer-Encoding: chunked"], None),
        (b"PUT / HTTP/1.1", [b"Host: h", b"transfer-encoding:  Chunked\t"], None),
        (b"PUT / HTTP/1.0", [b"Content-Length: 3"], 3),
    ],
)
def test_a_body_has_the_length_that_the_fields_say(line: bytes, fields: list[bytes], length: int | None) -> None:
    assert head(line, *fields).length == length


@pytest.mark.parametrize(
    ("line", "connection", "keeps_alive"),
    [
        (b"GET / HTTP/1.1", None, True),
        (b"GET / HTTP/1.1", b"close", False),
        (b"GET / HTTP/1.1", b"Close, TE", False),
        (b"GET / HTTP/1.1", b"keep-alive", True),
        (b"GET / HTTP/1.0", None, False),
        (b"GET / HTTP/1.0", b"Keep-Alive", True),
    ],
)
def test_the_connection_is_kept_as_the_version_and_the_client_say(
    line: bytes, connection: bytes | None, keeps_alive: bool
) -> None:
    fields = [b"Host: h"] + ([b"Connection: " + connection] if connection else [])
    assert head(line, *fields).keeps_alive is keeps_alive


def test_only_http_11_may_expect_an_interim_answer() -> None:
    assert head(b"PUT / HTTP/1.1", b"Host: h", b"Expect: 100-Continue").expects_continue
    assert not head(b"PUT / HTTP/1.0", b"Host: h", b"Expect: 100-continue").expects_continue
    assert not head(b"PUT / HTTP/1.1", b"Host: h").expects_continue


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"GET",
        b"GET /",
        b"GET / HTTP/1.2",
        b"GET / HTTP/2.0",
        b"GET / http/1.1",
        b"GET / HTTP/1.1 ",
        b" GET / HTTP/1.1",
        b"GET  / HTTP/1.1",
        b"GET /a b HTTP/1.1",
        b"GET\t/ HTTP/1.1",
        b"G\x00T / HTTP/1.1",
        b"GET /\x00 HTTP/1.1",
        b"GET /\x7f HTTP/1.1",
        b"GET / HTTP/1.1\n",
        b"\nGET / HTTP/1.1",
        b"\rGET / HTTP/1.1",
        b"GET relative HTTP/1.1",
        b"CONNECT host:443 HTTP/1.1",
        b"A" * 33 + b" / HTTP/1.1",
        b"(GET) / HTTP/1.1",
    ],
)
def test_a_malformed_request_line_is_refused(line: bytes) -> None:
    assert refusal(line + b"\r\n" + HOST) == 400


@pytest.mark.parametrize("target", [b"*", b"/", b"//", b"/%zz", b"/\xff", b"http://h/a", b"http://h", b"/?a://b"])
def test_every_form_of_address_is_taken(target: bytes) -> None:
    assert head(b"GET " + target + b" HTTP/1.1", b"Host: h").target == target.decode("latin-1")


def test_a_long_address_is_refused_as_such() -> None:
    longest = b"/" + b"a" * (MAX_TARGET_BYTES - 1)
    assert head(b"GET " + longest + b" HTTP/1.1", b"Host: h").target == longest.decode()
    assert refusal(b"GET " + longest + b"a HTTP/1.1\r\n" + HOST) == 414


@pytest.mark.parametrize(
    "fields",
    [
        b"",
        b"Host: a\r\nHost: a\r\n",
        b"Host : a\r\n",
        b" Host: a\r\n",
        HOST + b"no colon\r\n",
        HOST + b": no name\r\n",
        HOST + b"Name : v\r\n",
        HOST + b"X: a\r\n folded\r\n",
        HOST + b"X: a\r\n\tfolded\r\n",
        HOST + b"X: a\nY: b\r\n",
        HOST + b"X: a\rY: b\r\n",
        HOST + b"X: a\x00b\r\n",
        HOST + b"X: a\n",
        HOST + b"X: a",
        HOST + b"X\xe9: a\r\n",
        HOST + b"Content-Length: +1\r\n",
        HOST + b"Content-Length: -1\r\n",
        HOST + b"Content-Length: 1 1\r\n",
        HOST + b"Content-Length: 0x1\r\n",
        HOST + b"Content-Length: 1, 1\r\n",
        HOST + b"Content-Length:\r\n",
        HOST + b"Content-Length: 9999999999999999\r\n",
        HOST + b"Content-Length: \xb2\r\n",
        HOST + b"Content-Length: 1\r\nContent-Length: 2\r\n",
        HOST + b"Content-Length: 1\r\nContent-Length: 01\r\n",
        HOST + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n",
        HOST + b"Transfer-Encoding: gzip, chunked\r\n",
        HOST + b"Transfer-Encoding: chunked, chunked\r\n",
        HOST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        HOST + b"Transfer-Encoding: identity\r\n",
        HOST + b"Transfer-Encoding: \x0bchunked\r\n",
        HOST + b"Transfer-Encoding: xchunked\r\n",
        HOST + b"Transfer-Encoding:\r\n",
        HOST + b"X: y\r\n" * MAX_FIELDS,
    ],
)
def test_ambiguous_or_malformed_fields_are_refused(fields: bytes) -> None:
    assert refusal(b"POST / HTTP/1.1\r\n" + fields) == 400


def test_http_10_has_no_transfer_codings() -> None:
    assert refusal(b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n") == 400


def test_as_many_fields_as_allowed_are_taken() -> None:
    assert len(head(b"GET / HTTP/1.1", b"Host: h", *[b"X%d: y" % n for n in range(MAX_FIELDS - 1)]).fields) == 100


_HOSTILE = ("b'a' * 60_000", "b'a:' * 30_000 + b'\\0\\r\\n'", "b'a' * 60_000 + b'\\r\\n'")
_PARSE = """
import sys
from common.environment import PROJECT_ROOT
from common.server.head import Refused, parse_head
try:
    parse_head(b"GET / HTTP/1.1\\r\\n" + eval(sys.argv[1]))
except Refused as refused:
    sys.exit(refused.status - 390)
"""


@pytest.mark.parametrize("rest", _HOSTILE)
def test_a_hostile_head_does_not_hold_everything_up(rest: str) -> None:
    """A search through such a head took half a minute, in which no other thread of the process ran."""
    ended = subprocess.run([sys.executable, "-c", _PARSE, rest], cwd=PROJECT_ROOT, check=False, timeout=10)
    assert ended.returncode == 10


@given(st.binary(max_size=300))
@example(b"GET / HTTP/1.1\r\nHost: h\r\n")
def test_any_bytes_are_read_or_refused(block: bytes) -> None:
    with contextlib.suppress(Refused):
        read = parse_head(block)
        assert read.length is None or read.length >= 0
