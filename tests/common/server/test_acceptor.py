"""Connections are taken in up to the limit, idle ones make room, the rest are told so; a stop lets requests finish."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

import common.server.acceptor as acceptor_module
from common.environment import PROJECT_ROOT
from common.server.connection import Connection
from common.server.refusals import MAX_KEPT, Refusals
from common.silence import peek
from tests.support.own_server import Caller, OwnServer, connection_threads, own_server
from tests.support.waiting import InBackground, wait_until

REQUEST = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
WAITING = b"GET /wait HTTP/1.1\r\nHost: h\r\n\r\n"


class App:
    """Answers "ok"; /wait only when released."""

    def __init__(self) -> None:
        self.waiting = threading.Semaphore(0)
        self.release = threading.Event()

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        if environ["PATH_INFO"] == "/wait":
            self.waiting.release()
            assert self.release.wait(20)
        environ["wsgi.input"].read()
        start("200 OK", [("Content-Length", "2")])
        return [b"ok"]


@pytest.fixture
def app() -> Iterator[App]:
    made = App()
    yield made
    made.release.set()
    wait_until(lambda: connection_threads() == 0, "no connection is served any more")


@contextlib.contextmanager
def small_server(app: App, monkeypatch: pytest.MonkeyPatch, wait_seconds: float, **options: Any) -> Iterator[OwnServer]:
    """A server for three connections."""
    monkeypatch.setattr(acceptor_module, "WAIT_SECONDS", wait_seconds)
    with own_server(app, max_connections=3, **options) as server:
        try:
            yield server
        finally:
            app.release.set()


def busy_callers(server: OwnServer, app: App, count: int) -> list[Caller]:
    callers = [server.caller() for _ in range(count)]
    for caller in callers:
        caller.send(WAITING)
        assert app.waiting.acquire(timeout=20)
    return callers


# --- the limit ---


def test_the_connection_that_was_idle_for_longest_makes_room(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    with small_server(app, monkeypatch, 20.0) as server:
        first, second, third = (server.caller() for _ in range(3))
        # In this order they become idle.
        for caller in (second, third, first):
            assert caller.ask(REQUEST).status == 200
            wait_until(lambda: all(one.idle_since for one in server.acceptor._snapshot()), "all are idle")
        assert server.ask(REQUEST).status == 200
        assert second.is_ended()
        for caller in (third, first):
            assert caller.ask(REQUEST).status == 200


def test_many_more_connections_than_the_limit_are_all_served_one_after_another(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    with small_server(app, monkeypatch, 20.0) as server:
        for _ in range(50):
            assert server.ask(REQUEST).body == b"ok"


def test_where_all_are_busy_a_client_waits_until_one_is_not(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    """The busy ones stay open when they are done; being idle then, one of them makes room."""
    with small_server(app, monkeypatch, 20.0) as server:
        busy = busy_callers(server, app, 3)
        fourth = server.caller()
        fourth.send(REQUEST)
        app.release.set()
        assert fourth.reply().status == 200
        assert {caller.reply().status for caller in busy} == {200}


def test_where_all_stay_busy_every_client_is_told_to_come_again(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    with small_server(app, monkeypatch, 0.1) as server:
        busy = busy_callers(server, app, 3)
        refused = [server.caller() for _ in range(20)]
        for caller in refused:
            caller.send(REQUEST)
        for caller in refused:
            reply = caller.reply()
            assert (reply.status, reply.fields["retry-after"], reply.fields["connection"]) == (503, "2", "close")
            assert json.loads(reply.body)["code"] == "too_many_connections"
            assert caller.is_ended()
        app.release.set()
        assert {caller.reply().status for caller in busy} == {200}
        assert server.ask(REQUEST).status == 200


def test_a_refused_client_that_sends_late_still_sees_the_answer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        caller = Caller(listener.getsockname())
        refusals = Refusals()
        refusals.refuse(listener.accept()[0])
        caller.send(REQUEST)
        caller.send(REQUEST)
        assert caller.reply().status == 503
        refusals.close_all()
        caller.close()


def test_refused_connections_are_closed_also_when_many_come_at_once() -> None:
    refusals = Refusals()
    peers = []
    for _ in range(MAX_KEPT + 2):
        ours, peer = socket.socketpair()
        refusals.refuse(ours)
        peers.append(peer)
    # The first two are closed, which a peer that sends learns.
    for peer, is_closed in ((peers[0], True), (peers[1], True), (peers[2], False)):
        with pytest.raises(BrokenPipeError) if is_closed else contextlib.nullcontext():
            peer.send(b"x")
    refusals.close_all()
    for peer in peers:
        peer.close()


# --- what a system may lack ---

_FEW_DESCRIPTORS = """
import resource, sys
from tests.common.server.test_acceptor import serve_with_few_descriptors
serve_with_few_descriptors()
"""


def serve_with_few_descriptors() -> None:
    """In a process of its own: idle connections use up all descriptors, and a new client is served all the same."""

    def app(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        start("200 OK", [("Content-Length", "2")])
        return [b"ok"]

    with own_server(app, max_connections=1000) as server:
        idle = [server.caller() for _ in range(10)]
        wait_until(lambda: connection_threads() == 10, "all are served")
        last = Caller.__new__(Caller)
        last.sock = socket.socket()
        last.sock.settimeout(20)
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (100, limit[1]))
        with contextlib.suppress(OSError):
            while True:
                os.dup(0)
        last.sock.connect(server.address)
        last.sock.sendall(REQUEST)
        assert last.sock.recv(100).startswith(b"HTTP/1.1 200 OK")
        last.sock.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, limit)
        assert idle[0].is_ended()


def test_idle_connections_make_room_when_no_file_descriptor_is_left() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", _FEW_DESCRIPTORS], cwd=PROJECT_ROOT, check=False, timeout=60, capture_output=True
    )
    assert (ended.returncode, ended.stderr) == (0, b"")


# --- stopping ---


def test_a_stop_ends_idle_connections_and_lets_requests_finish(app: App) -> None:
    with own_server(app) as server:
        idle, used = server.caller(), server.caller()
        assert used.ask(REQUEST).status == 200
        (busy,) = busy_callers(server, app, 1)
        wait_until(lambda: connection_threads() == 3, "all are served")
        server.stop_taking()
        stopping = InBackground(lambda: server.acceptor.stop(20.0))
        assert idle.is_ended()
        assert used.is_ended()
        app.release.set()
        reply = busy.reply()
        assert (reply.status, reply.body, reply.fields["connection"]) == (200, b"ok", "close")
        assert busy.is_ended()
        stopping.result()
        assert connection_threads() == 0


def test_a_stop_that_keeps_idle_connections_answers_one_more_request_on_each(app: App) -> None:
    with own_server(app) as server:
        idle, used = server.caller(), server.caller()
        assert used.ask(REQUEST).fields.get("connection") is None
        wait_until(lambda: connection_threads() == 2, "both are served")
        server.stop_taking()
        stopping = InBackground(lambda: server.acceptor.stop(20.0, idle_seconds=20.0))
        wait_until(lambda: all(one._is_stopping for one in server.acceptor._snapshot()), "the stop has begun")
        for caller in (idle, used):
            reply = caller.ask(REQUEST)
            assert (reply.status, reply.fields["connection"]) == (200, "close")
            assert caller.is_ended()
        stopping.result()


def test_a_stop_ends_idle_connections_once_they_were_kept_for_their_time(app: App) -> None:
    with own_server(app) as server:
        idle = server.caller()
        wait_until(lambda: connection_threads() == 1, "it is served")
        server.stop_taking()
        stopping = InBackground(lambda: server.acceptor.stop(20.0, idle_seconds=0.1))
        assert idle.is_ended()
        stopping.result()


def test_a_connection_on_which_a_request_has_come_is_not_idle(app: App) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()) as theirs:
        ours, client = listener.accept()
        with ours:
            connection = Connection(ours, client, app, 20.0, str, str)
            theirs.sendall(b"G")
            wait_until(lambda: peek(ours) == b"G", "the byte has come")
            assert not connection.stop_if_idle()
            assert ours.recv(1) == b"G"
            assert connection.stop_if_idle()


def test_a_stop_lets_a_body_that_is_under_way_arrive(app: App) -> None:
    with own_server(app) as server:
        caller = server.caller()
        caller.send(b"PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 300000\r\n\r\npart")
        wait_until(lambda: connection_threads() == 1, "it is served")
        wait_until(lambda: all(one.idle_since is None for one in server.acceptor._snapshot()), "it is being read")
        server.stop_taking()
        stopping = InBackground(lambda: server.acceptor.stop(20.0))
        caller.send(bytes(300000 - 4))
        assert caller.reply().status == 200
        assert caller.is_ended()
        stopping.result()


def test_a_stop_breaks_off_what_does_not_end_in_time(app: App) -> None:
    with own_server(app) as server:
        (busy,) = busy_callers(server, app, 1)
        half = server.caller()
        half.send(b"PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\npart")
        wait_until(lambda: connection_threads() == 2, "all are served")
        server.stop_taking()
        server.acceptor.stop(0.1)
        with pytest.raises((EOFError, ConnectionError)):
            busy.reply()
        app.release.set()
        wait_until(lambda: connection_threads() == 0, "no connection is left")


def test_a_connection_that_is_ended_as_idle_serves_no_part_of_a_request_that_just_comes(app: App) -> None:
    """Told at the same moment to end and what to do, it does nothing: the client may safely ask again."""
    for _ in range(50):
        with own_server(app) as server:
            caller = server.caller()
            assert caller.ask(REQUEST).status == 200
            sending = InBackground(
                lambda caller=caller: caller.send(b"PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n")
            )
            for connection in server.acceptor._snapshot():
                connection.stop_if_idle()
            with contextlib.suppress(ConnectionError):
                sending.result()
                caller.send(b"123456789")
            with contextlib.suppress(EOFError, ConnectionError):
                assert caller.reply().status == 200


# --- addresses ---


def _has_ipv6() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


@pytest.mark.skipif(not _has_ipv6(), reason="this machine has no IPv6")
def test_a_server_listens_on_ipv6(app: App) -> None:
    with own_server(app, host="::1") as server:
        assert server.ask(REQUEST).body == b"ok"


def test_many_clients_at_once_get_whole_answers(app: App) -> None:
    with own_server(app, max_connections=64) as server:
        callers = [server.caller() for _ in range(48)]
        for _ in range(5):
            for caller in callers:
                caller.send(REQUEST)
            for caller in callers:
                assert caller.reply().body == b"ok"
