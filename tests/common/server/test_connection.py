"""One connection: requests follow each other exactly, answers are framed as RFC 9112 has it, nothing waits for ever."""

from __future__ import annotations

import contextlib
import json
import select
import socket
import struct
import threading
from collections.abc import Callable, Iterable, Iterator
from email.utils import parsedate_to_datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import common.server.connection as connection_module
from common.server.connection import MAX_HEAD_BYTES, Connection
from tests.support.own_server import Caller, OwnServer, connection_threads, own_server
from tests.support.scripted_socket import ScriptedSocket, byte_by_byte
from tests.support.waiting import wait_until

Start = Callable[..., Any]
LARGE = bytes(range(256)) * 4096 * 20


class App:
    """Answers by path; counts the calls and the answers that were closed."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.closed = 0
        self.release = threading.Event()

    def __call__(self, environ: dict[str, Any], start: Start) -> Iterable[Any]:
        self.calls.append(environ["PATH_INFO"])
        answer = getattr(self, "answer_" + environ["PATH_INFO"].strip("/"), self.answer_echo)
        return _Closing(answer(environ, start), self)

    def answer_echo(self, environ: dict[str, Any], start: Start) -> Iterable[Any]:
        """What was asked, as JSON."""
        body = environ["wsgi.input"].read()
        told = {name: value for name, value in environ.items() if isinstance(value, str)}
        text = json.dumps({**told, "body": body.decode("latin-1")}).encode()
        start("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(text)))])
        return [text]

    def answer_ignore(self, environ: dict[str, Any], start: Start) -> Iterable[Any]:
        start("403 Forbidden", [("Content-Length", "2")])
        return [b"no"]

    def answer_pieces(self, environ: dict[str, Any], start: Start) -> Iterator[Any]:
        start("200 OK", [])
        yield b""
        yield memoryview(b"one")
        yield bytearray(b"two" * 50_000)

    def answer_reused(self, environ: dict[str, Any], start: Start) -> Iterator[Any]:
        """Pieces in one buffer, which changes as soon as the next piece is asked for."""
        start("200 OK", [("Content-Length", str(26 * 100_000))])
        buffer = bytearray(100_000)
        for letter in range(26):
            buffer[:] = bytes([97 + letter]) * 100_000
            yield memoryview(buffer)
        buffer[:] = bytes(100_000)

    def answer_large(self, environ: dict[str, Any], start: Start) -> Iterable[Any]:
        start("200 OK", [("Content-Length", str(len(LARGE)))])
        return [LARGE]

    def answer_204(self, environ: dict[str, Any], start: Start) -> Iterable[Any]:
        start("204 No Content", [("Content-Length", "0")])
        return [b""]

    def answer_304(self, environ: dict[str, Any], start: Start) -> Iterable[Any]:
        start("304 Not Modified", [("Content-Length", "5"), ("ETag", '"x"')])
        return [b"never"]

    def answer_close(self, environ: dict[str, Any], start: Start) -> Iterable[Any]:
        start("200 OK", [("Content-Length", "2"), ("Connection", "close")])
        return [b"ok"]

    def answer_fails(self, environ: dict[str, Any], start: Start) -> Iterable[Any]:
        raise RuntimeError("before the answer")

    def answer_splits(self, environ: dict[str, Any], start: Start) -> Iterable[Any]:
        start("200 OK", [("X", "a\r\nSet-Cookie: b")])
        return []

    def answer_headless(self, environ: dict[str, Any], start: Start) -> Iterable[Any]:
        return [b"no start_response"]

    def answer_long(self, environ: dict[str, Any], start: Start) -> Iterable[Any]:
        start("200 OK", [("Content-Length", "3")])
        return [b"four"]

    def answer_short(self, environ: dict[str, Any], start: Start) -> Iterable[Any]:
        start("200 OK", [("Content-Length", "30")])
        return [b"four"]

    def answer_midway(self, environ: dict[str, Any], start: Start) -> Iterator[Any]:
        start("200 OK", [])
        yield b"some"
        raise RuntimeError("in the middle of the answer")

    def answer_waits(self, environ: dict[str, Any], start: Start) -> Iterable[Any]:
        assert self.release.wait(20)
        return self.answer_echo(environ, start)


class _Closing:
    def __init__(self, pieces: Iterable[Any], app: App) -> None:
        self._pieces = pieces
        self._app = app

    def __iter__(self) -> Iterator[Any]:
        return iter(self._pieces)

    def close(self) -> None:
        self._app.closed += 1


@pytest.fixture
def app() -> App:
    return App()


@pytest.fixture
def server(app: App) -> Iterator[OwnServer]:
    with own_server(app) as running:
        yield running
    wait_until(lambda: connection_threads() == 0, "no connection is served any more")


def request(target: str, *fields: str, method: str = "GET", version: str = "1.1", body: bytes = b"") -> bytes:
    lines = [f"{method} {target} HTTP/{version}", "Host: h", *fields]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


# --- what the app is told ---


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        ("/", "/", ""),
        ("/a/b?c=d&e", "/a/b", "c=d&e"),
        ("/a%2Fb%20c?%41", "/a/b c", "%41"),
        ("/%zz%", "/%zz%", ""),
        ("/%C3%A9", "/\xc3\xa9", ""),
        ("/\xe9", "/\xe9", ""),
        ("/%00", "/\x00", ""),
        ("//a//b", "//a//b", ""),
        ("/a?b?c", "/a", "b?c"),
        ("http://other:80/a%20b?c", "/a b", "c"),
        ("http://other", "/", ""),
        ("http://other?x=/y", "/", "x=/y"),
        ("*", "/", ""),
    ],
)
def test_the_app_is_told_the_address_in_every_form(server: OwnServer, target: str, path: str, query: str) -> None:
    told = json.loads(server.ask(request(target)).body)
    assert (told["PATH_INFO"], told["QUERY_STRING"], told["RAW_URI"]) == (path, query, target)


def test_the_app_is_told_who_asks_and_how(server: OwnServer) -> None:
    caller = server.caller()
    told = json.loads(caller.ask(request("/", "Content-Type: text/x", "X-Y: 1", method="PUT", body=b"12")).body)
    assert (told["REQUEST_METHOD"], told["SERVER_PROTOCOL"], told["HTTP_HOST"]) == ("PUT", "HTTP/1.1", "h")
    assert (told["CONTENT_TYPE"], told["CONTENT_LENGTH"], told["HTTP_X_Y"]) == ("text/x", "2", "1")
    assert (told["REMOTE_ADDR"], told["REMOTE_PORT"]) == ("127.0.0.1", str(caller.sock.getsockname()[1]))
    assert told["SERVER_PORT"] == str(server.address[1])
    assert "HTTP_CONTENT_LENGTH" not in told


def test_a_name_with_an_underscore_does_not_pass_for_one_with_a_hyphen(server: OwnServer) -> None:
    told = json.loads(server.ask(request("/", "X_Y: forged", "Content_Length: 5")).body)
    assert "HTTP_X_Y" not in told
    assert told["body"] == ""


# --- one request after another ---


@pytest.mark.parametrize("split", [lambda sent: [sent], byte_by_byte])
def test_requests_in_a_row_are_answered_in_their_order(server: OwnServer, split: Any) -> None:
    chunked = request("/c", "Transfer-Encoding: chunked", method="POST") + b"3\r\nabc\r\n1;x\r\nd\r\n0\r\nT: t\r\n\r\n"
    caller = server.caller()
    caller.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for piece in split(
        request("/a") + b"\r\n\r\n" + request("/b", method="PUT", body=b"body") + chunked + request("/d")
    ):
        caller.send(piece)
    told = [json.loads(caller.reply().body) for _ in range(4)]
    assert [(one["PATH_INFO"], one["body"]) for one in told] == [("/a", ""), ("/b", "body"), ("/c", "abcd"), ("/d", "")]


def test_hundreds_of_requests_sent_at_once_are_all_answered(server: OwnServer) -> None:
    caller = server.caller()
    caller.send(b"".join(request(f"/n{n}") for n in range(500)))
    assert [json.loads(caller.reply().body)["PATH_INFO"] for n in range(500)] == [f"/n{n}" for n in range(500)]


@pytest.mark.parametrize(
    ("fields", "version", "is_kept"),
    [
        ([], "1.1", True),
        (["Connection: close"], "1.1", False),
        ([], "1.0", False),
        (["Connection: keep-alive"], "1.0", True),
    ],
)
def test_the_connection_is_kept_as_the_client_wants(
    server: OwnServer, fields: list[str], version: str, is_kept: bool
) -> None:
    caller = server.caller()
    reply = caller.ask(request("/a", *fields, version=version))
    assert reply.fields.get("connection", "") == ("close" if not is_kept else "keep-alive" if version == "1.0" else "")
    if is_kept:
        assert caller.ask(request("/b")).status == 200
    else:
        assert caller.is_ended()


def test_an_app_may_end_the_connection(server: OwnServer) -> None:
    caller = server.caller()
    reply = caller.ask(request("/close"))
    assert (reply.fields["connection"], reply.body) == ("close", b"ok")
    assert caller.is_ended()


@pytest.mark.parametrize("coding", ["length", "chunked"])
def test_a_body_that_no_one_read_is_never_taken_for_a_request(server: OwnServer, app: App, coding: str) -> None:
    smuggled = request("/smuggled")
    caller = server.caller()
    if coding == "length":
        caller.send(request("/ignore", method="POST", body=smuggled) + request("/after"))
    else:
        caller.send(request("/ignore", "Transfer-Encoding: chunked", method="POST"))
        caller.send(b"%x\r\n%s\r\n0\r\n\r\n" % (len(smuggled), smuggled) + request("/after"))
    reply = caller.reply()
    assert (reply.status, reply.body, reply.fields["connection"]) == (403, b"no", "close")
    assert caller.is_ended()
    assert app.calls == ["/ignore"]


def test_an_early_answer_reaches_a_client_that_is_still_sending(server: OwnServer) -> None:
    caller = server.caller()
    caller.send(request("/ignore", f"Content-Length: {len(LARGE)}", method="PUT"))
    caller.send(LARGE[: 5 * 1024 * 1024])
    reply = caller.reply()
    assert (reply.status, reply.body) == (403, b"no")


@pytest.mark.parametrize("rest", [b"zz\r\n", b"5\r\nabc", b"5\r\nabcdefg\r\n0\r\n\r\n"])
def test_after_a_broken_chunked_body_nothing_more_is_read(server: OwnServer, app: App, rest: bytes) -> None:
    caller = server.caller()
    caller.send(request("/a", "Transfer-Encoding: chunked", method="POST") + rest)
    caller.end_sending()
    assert caller.reply().status == 500  # the test's app does not catch it
    assert caller.is_ended()
    assert app.calls == ["/a"]


# --- Expect: 100-continue ---


def test_a_client_is_told_to_go_on_when_its_body_is_wanted(server: OwnServer) -> None:
    caller = server.caller()
    assert caller.ask(request("/a", "Expect: 100-continue", "Content-Length: 4", method="PUT")).status == 100
    assert json.loads(caller.ask(b"body").body)["body"] == "body"
    assert caller.ask(request("/b")).status == 200


def test_a_client_whose_body_is_not_wanted_is_not_told_to_send_it(server: OwnServer) -> None:
    caller = server.caller()
    reply = caller.ask(request("/ignore", "Expect: 100-continue", "Content-Length: 4", method="PUT"))
    assert (reply.status, reply.fields["connection"]) == (403, "close")
    assert caller.is_ended()


# --- answers ---


def test_an_answer_of_unknown_length_comes_in_chunks_and_the_connection_stays(server: OwnServer) -> None:
    caller = server.caller()
    reply = caller.ask(request("/pieces"))
    assert (reply.fields["transfer-encoding"], reply.body) == ("chunked", b"one" + b"two" * 50_000)
    assert caller.ask(request("/a")).status == 200


def test_http_10_gets_an_answer_of_unknown_length_up_to_the_end(server: OwnServer) -> None:
    reply = server.ask(request("/pieces", version="1.0"))
    assert "transfer-encoding" not in reply.fields
    assert reply.body == b"one" + b"two" * 50_000


def test_a_piece_may_change_once_the_next_is_asked_for(server: OwnServer) -> None:
    assert server.ask(request("/reused")).body == b"".join(bytes([97 + n]) * 100_000 for n in range(26))


@pytest.mark.parametrize("target", ["/a", "/pieces", "/large", "/304", "/204"])
def test_an_answer_to_head_has_no_body(server: OwnServer, target: str) -> None:
    caller = server.caller()
    assert caller.ask(request(target, method="HEAD"), "HEAD").body == b""
    assert json.loads(caller.ask(request("/next")).body)["PATH_INFO"] == "/next"


def test_head_has_the_length_that_get_would_have(server: OwnServer) -> None:
    assert server.ask(request("/large", method="HEAD"), "HEAD").fields["content-length"] == str(len(LARGE))
    assert "transfer-encoding" not in server.ask(request("/pieces", method="HEAD"), "HEAD").fields


def test_no_content_has_no_length_and_not_modified_no_body(server: OwnServer) -> None:
    caller = server.caller()
    empty = caller.ask(request("/204"))
    assert (empty.status, "content-length" in empty.fields, "transfer-encoding" in empty.fields) == (204, False, False)
    unchanged = caller.ask(request("/304"))
    assert (unchanged.status, unchanged.fields["etag"]) == (304, '"x"')
    assert caller.ask(request("/a")).status == 200


@pytest.mark.parametrize("sent", [request("/a"), request("/304"), request("/fails"), b"no request\r\n\r\n"])
def test_every_answer_has_its_date(server: OwnServer, sent: bytes) -> None:
    assert parsedate_to_datetime(server.ask(sent).fields["date"]).tzinfo is not None


# --- what goes wrong in the app ---


@pytest.mark.parametrize(
    ("method", "target"),
    [("GET", "/long"), *((method, path) for method in ("GET", "HEAD") for path in ("/fails", "/splits", "/headless"))],
)
def test_an_app_that_fails_is_answered_500_and_reported(server: OwnServer, target: str, method: str) -> None:
    caller = server.caller()
    reply = caller.ask(request(target, method=method), method)
    assert (reply.status, reply.fields["connection"]) == (500, "close")
    assert b"RuntimeError" not in reply.body
    assert caller.is_ended()
    assert server.reports == [f"{method} {target}"]


def test_an_answer_shorter_than_announced_ends_the_connection(server: OwnServer) -> None:
    caller = server.caller()
    reply = caller.ask(request("/short"))
    assert (reply.fields["content-length"], reply.body) == ("30", b"four")
    assert caller.is_ended()


def test_an_answer_that_fails_midway_has_no_end(server: OwnServer) -> None:
    caller = server.caller()
    caller.send(request("/midway"))
    with pytest.raises(ValueError, match="invalid literal"):
        caller.reply()


def test_an_answer_that_fails_midway_does_not_pass_for_one_that_ended(server: OwnServer) -> None:
    """With HTTP/1.0 the end of the connection is all that tells; so it must not end well."""
    caller = server.caller()
    caller.send(request("/midway", version="1.0"))
    with pytest.raises(ConnectionResetError):
        caller.reply()


@pytest.mark.parametrize("target", ["/a", "/pieces", "/short", "/midway", "/long"])
def test_every_answer_is_closed_once(server: OwnServer, app: App, target: str) -> None:
    caller = server.caller()
    caller.send(request(target, "Connection: close"))
    caller.end_sending()
    while caller.sock.recv(65536):
        pass
    wait_until(lambda: connection_threads() == 0, "the connection is over")
    assert app.closed == 1


# --- clients that behave oddly ---


def test_a_client_that_ends_its_side_after_the_request_is_answered(server: OwnServer) -> None:
    caller = server.caller()
    caller.send(request("/a"))
    caller.end_sending()
    assert caller.reply().status == 200
    assert caller.is_ended()


@pytest.mark.parametrize("sent", [b"", b"G", b"GET / HTTP/1.1\r\nHost: h\r\n", b"\r\n\r\n"])
def test_a_client_that_ends_before_its_request_gets_nothing(server: OwnServer, app: App, sent: bytes) -> None:
    caller = server.caller()
    caller.send(sent)
    caller.end_sending()
    assert caller.is_ended()
    assert app.calls == []


@pytest.mark.parametrize(
    "sent",
    [
        b"GET / HTTP/1.1\r\nHo",
        request("/a", "Content-Length: 100", method="PUT") + b"part",
        request("/a", "Transfer-Encoding: chunked", method="PUT") + b"5\r\nab",
        request("/large"),
    ],
)
def test_a_client_that_resets_the_connection_leaves_no_thread(server: OwnServer, sent: bytes) -> None:
    caller = server.caller(receive_buffer_bytes=4096)
    caller.send(sent)
    wait_until(lambda: connection_threads() == 1, "the connection is served")
    caller.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    caller.close()
    wait_until(lambda: connection_threads() == 0, "the connection is over")
    assert server.ask(request("/next")).status == 200


def test_a_client_that_never_reads_its_answer_is_cut_off(app: App) -> None:
    with own_server(app, silence_seconds=0.5) as server:
        caller = server.caller(receive_buffer_bytes=4096)
        caller.send(request("/large"))
        wait_until(lambda: app.closed == 1, "the answer was given up")
        wait_until(lambda: connection_threads() == 0, "the connection is over")


def test_a_client_that_goes_silent_in_its_body_is_cut_off(app: App) -> None:
    with own_server(app, silence_seconds=0.3) as server:
        caller = server.caller()
        assert caller.ask(request("/a", "Content-Length: 100", method="PUT") + b"part").status == 500
        assert caller.is_ended()


@pytest.mark.parametrize("size", [100, 300_000])
def test_a_client_that_drips_its_body_is_not_cut_off(app: App, size: int) -> None:
    """Also while much more is hoped for than comes within the time set for silence."""
    with own_server(app, silence_seconds=0.4) as server:
        caller = server.caller()
        caller.send(request("/a", f"Content-Length: {size}", method="PUT"))
        pause = threading.Event()
        for _ in range(10):
            caller.send(b"x")
            pause.wait(0.15)
        caller.send(b"x" * (size - 10))
        assert json.loads(caller.reply().body)["body"] == "x" * size


@pytest.mark.parametrize(
    ("field", "begun"),
    [
        ("Content-Length: 100000", b""),
        ("Transfer-Encoding: chunked", b"100000\r\n"),
        ("Transfer-Encoding: chunked", b"1;"),
        ("Transfer-Encoding: chunked", b"1\r\nx\r\n0\r\n"),
    ],
)
def test_a_client_that_drips_less_than_the_least_is_cut_off(app: App, field: str, begun: bytes) -> None:
    """Also where it drips what belongs to the transfer coding: a chunk's extension, the trailer."""
    with own_server(app, silence_seconds=0.3, least_bytes_per_second=1000) as server:
        caller = server.caller()
        caller.send(request("/a", field, method="PUT") + begun)
        dripped = 0

        def is_cut_off() -> bool:
            nonlocal dripped
            with contextlib.suppress(ConnectionError):
                caller.send(b"x")
                dripped += 1
            return caller.sock in select.select([caller.sock], [], [], 0)[0]

        wait_until(is_cut_off, "the request is given up")
        # A line that is too long is refused anyway, but much later.
        assert dripped < 2000
        caller.close()
        wait_until(lambda: connection_threads() == 0, "the connection is over")


def test_a_client_that_takes_less_than_the_least_is_cut_off(app: App) -> None:
    with own_server(app, silence_seconds=0.3, least_bytes_per_second=2**30) as server:
        caller = server.caller(receive_buffer_bytes=4096)
        caller.send(request("/large"))

        def is_cut_off() -> bool:
            with contextlib.suppress(ConnectionError):
                caller.sock.recv(1000)
            return app.closed == 1

        wait_until(is_cut_off, "the answer was given up")
        wait_until(lambda: connection_threads() == 0, "the connection is over")


@contextlib.contextmanager
def unserved(app: Any) -> Iterator[tuple[Connection, Caller]]:
    """A connection that was accepted, and its client."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        caller = Caller(listener.getsockname())
        sock, client = listener.accept()
        with contextlib.closing(caller), sock:
            yield Connection(sock, client, app, 5.0, lambda _what: None, lambda: "today"), caller


def test_a_connection_that_is_stopped_before_it_is_served_answers_the_one_request_it_is_kept_for(app: App) -> None:
    with unserved(app) as (connection, caller):
        connection.stop(is_idle_kept=True)
        caller.send(request("/a") + request("/b"))
        connection.serve()
        assert caller.reply().fields["connection"] == "close"
        assert caller.is_ended()
        assert app.calls == ["/a"]


def test_a_client_that_was_not_told_of_the_stop_has_its_next_request_answered(app: App) -> None:
    def stop_behind_the_head(environ: dict[str, Any], start: Start) -> Iterator[bytes]:
        start("200 OK", [("Content-Length", "2")])
        yield b"o"
        connection.stop(is_idle_kept=True)
        yield b"k"

    app.answer_stops = stop_behind_the_head
    with unserved(app) as (connection, caller):
        caller.send(request("/stops") + request("/a") + request("/b"))
        connection.serve()
        assert "connection" not in caller.reply().fields
        assert caller.reply().fields["connection"] == "close"
        assert caller.is_ended()
        assert app.calls == ["/stops", "/a"]


def test_a_connection_that_is_stopped_before_it_is_served_ends_at_once_where_it_is_not_kept(app: App) -> None:
    with unserved(app) as (connection, caller):
        connection.stop()
        connection.serve()
        assert caller.is_ended()


def test_a_silent_connection_is_closed(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_module, "KEEP_ALIVE_SECONDS", 0.2)
    with own_server(app) as server:
        fresh, used = server.caller(), server.caller()
        assert used.ask(request("/a")).status == 200
        assert fresh.is_ended()
        assert used.is_ended()


@pytest.mark.parametrize("sent", [b"GET", b"\r\n", b"GET / HTTP/1.1\r\nHost: h\r\nX: "])
def test_a_head_that_drips_is_given_up(app: App, sent: bytes) -> None:
    with own_server(app, head_seconds=0.3) as server:
        caller = server.caller()
        caller.send(sent)
        drip = b"\r\n" if sent == b"\r\n" else b"x"

        def is_refused() -> bool:
            try:
                caller.send(drip)
            except ConnectionError:
                return True
            return connection_threads() == 0

        wait_until(is_refused, "the head is given up although it goes on")
        assert app.calls == []


@pytest.mark.parametrize("split_at", [0, 10, MAX_HEAD_BYTES - 10, MAX_HEAD_BYTES, MAX_HEAD_BYTES + 5])
def test_a_head_that_is_too_long_is_refused_in_whatever_pieces_it_comes(
    server: OwnServer, app: App, split_at: int
) -> None:
    caller = server.caller()
    sent = request("/a", "X: " + "x" * MAX_HEAD_BYTES)
    caller.send(sent[:split_at])
    assert caller.ask(sent[split_at:]).status == 431
    assert caller.is_ended()
    assert app.calls == []


def test_a_malformed_request_is_answered_400_and_ends_the_connection(server: OwnServer, app: App) -> None:
    caller = server.caller()
    reply = caller.ask(b"GET / HTTP/1.1\r\nHost: h\r\n folded\r\n\r\n" + request("/after"))
    assert (reply.status, reply.fields["content-type"]) == (400, "application/problem+json")
    assert json.loads(reply.body)["status"] == 400
    assert caller.is_ended()
    assert app.calls == []


# --- whole or byte by byte ---


def served(pieces: list[bytes]) -> tuple[list[tuple[str, str]], bytes]:
    """What the app was asked, and what was answered."""
    asked: list[tuple[str, str]] = []

    def app(environ: dict[str, Any], start: Start) -> Iterable[Any]:
        try:
            body = environ["wsgi.input"].read()
        except Exception as error:  # noqa: BLE001 - as the services answer it
            start("400 Bad Request", [("Content-Length", "0")])
            asked.append((environ["PATH_INFO"], type(error).__name__))
            return []
        asked.append((environ["PATH_INFO"], body.decode("latin-1")))
        start("200 OK", [("Content-Length", "0")])
        return []

    sock: Any = ScriptedSocket(pieces)
    reports: list[str] = []
    Connection(sock, ("127.0.0.1", 1), app, 1.0, reports.append, lambda: "today").serve()
    assert reports == []
    return asked, sock.sent


_TWO = (
    b"\r\n\r\nPOST /one HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nabcde"
    b"PUT /two HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3;e=f\r\nxyz\r\n0\r\nT: t\r\n\r\n"
    b"GET /three HTTP/1.1\r\nHost: h\r\n\r\n"
)
_JUNK = st.one_of(
    st.binary(max_size=4),
    st.sampled_from([b"\r\n", b"\n", b"\r", b" ", b":", b"\r\n\r\n", b"Content-Length: 3\r\n", b"GET / HTTP/1.1\r\n"]),
)


def test_whole_requests_are_served_the_same_byte_by_byte() -> None:
    assert served([_TWO]) == served(byte_by_byte(_TWO))
    assert served([_TWO])[0] == [("/one", "abcde"), ("/two", "xyz"), ("/three", "")]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.integers(0, len(_TWO)), _JUNK, st.integers(0, 4)), min_size=1, max_size=3))
def test_mutated_requests_are_served_or_refused_the_same_byte_by_byte(changes: list[tuple[int, bytes, int]]) -> None:
    sent = _TWO
    for at, junk, gone in changes:
        sent = sent[:at] + junk + sent[at + gone :]
    whole, dripped = served([sent]), served(byte_by_byte(sent))
    assert whole == dripped
    assert b"HTTP/1.1 5" not in whole[1]


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_random_bytes_are_refused_or_left_unanswered(sent: bytes) -> None:
    whole = served([sent])
    assert whole == served(byte_by_byte(sent))
    assert whole[1] == b"" or whole[1].startswith((b"HTTP/1.1 4", b"HTTP/1.1 200"))
