"""A handler is reached directly or through Flask; whoever asks cannot tell which."""

from __future__ import annotations

import json
import logging
import select
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import Client, EnvironBuilder, run_wsgi_app

from common.auth import ClusterSecret, body_digest
from common.calls import Answer, Call, json_answer
from common.edge import Edge, internal_edge, internal_guard
from common.errors import ClusterSecretRejected, DiskFull, Forbidden, Unavailable
from common.logs import EventLog
from tests.support.environment import SECRET
from tests.support.logs import Events, recording_log
from tests.support.own_server import Caller, own_server
from tests.support.signing import SignedCaller
from tests.support.waiting import wait_until


class Service:
    """An app with a handler of each kind; remembers which answers were closed and what was asked of the guard."""

    def __init__(self) -> None:
        self.closed: list[str] = []
        self.guarded: list[tuple[str, str]] = []
        log, self.events = recording_log()
        self.app = Flask("tests")
        edge = Edge(self.app, log, self._guard)
        self.flask = edge._flask

        @edge.route("GET", "/items/<name>")
        def get_item(call: Call, name: str) -> Answer:
            return json_answer(
                {"name": name, "query": dict(call.query), "method": call.method}, headers=[("X-Own", "1")]
            )

        @edge.route("GET", "/items/fixed")
        def get_fixed(_call: Call) -> Answer:
            return json_answer("fixed")

        @edge.route("POST", "/items")
        def post_item(call: Call) -> Answer:
            return json_answer(call.json(), 201)

        @edge.route("GET", "/items/<name>/bytes")
        def get_bytes(_call: Call, name: str) -> Answer:
            return Answer(206, [("Content-Length", "6")], _reusing_a_buffer(), lambda: self.closed.append(name))

        @edge.route("GET", "/items/<name>/bad-header")
        def get_bad_header(_call: Call, name: str) -> Answer:
            return Answer(200, [("X-Bad", "a\r\nb")], (), lambda: self.closed.append(name))

        @edge.route("GET", "/items/<name>/full")
        def get_full(_call: Call, name: str) -> Answer:
            raise DiskFull("no room", size=3)

        @edge.route("GET", "/items/<name>/bug")
        def get_bug(_call: Call, name: str) -> Answer:
            raise RuntimeError("a secret detail")

        @edge.route("DELETE", "/items/<name>")
        def delete_item(_call: Call, name: str) -> Answer:
            return Answer(204)

    def _guard(self, call: Call) -> None:
        self.guarded.append((call.method, call.path))
        if "X-Stranger" in call.headers:
            raise Forbidden("not you")


def _reusing_a_buffer() -> Iterator[memoryview]:
    buffer = bytearray(2)
    for pair in (b"ab", b"cd", b"ef"):
        buffer[:] = pair
        yield memoryview(buffer)
    buffer[:] = b"--"


@pytest.fixture
def service() -> Service:
    return Service()


Told = tuple[str, dict[str, str], bytes]


def asked(app: Any, method: str, path: str, **options: Any) -> Told:
    """The answer of a WSGI app: status, headers without the request's id, body."""
    environ = EnvironBuilder(path=path, method=method, **options).get_environ()
    pieces, status, headers = run_wsgi_app(app, environ, buffered=True)
    found = dict(headers.items())
    assert found.pop("X-Request-ID")
    return status, found, _without_id(b"".join(pieces))


def _without_id(body: bytes) -> bytes:
    try:
        value = json.loads(body)
    except ValueError:
        return body
    if isinstance(value, dict):
        value.pop("request_id", None)
    return json.dumps(value).encode()


@pytest.mark.parametrize(
    ("method", "path", "options", "status"),
    [
        ("GET", "/items/a-1_B", {}, "200 OK"),
        ("GET", "/items/a", {"query_string": "x=1&x=2&y=%C3%A9&z"}, "200 OK"),
        ("GET", "/items/fixed", {}, "200 OK"),
        ("HEAD", "/items/a", {}, "200 OK"),
        ("GET", "/items/a/bytes", {}, "206 PARTIAL CONTENT"),
        ("DELETE", "/items/a", {}, "204 NO CONTENT"),
        ("POST", "/items", {"data": b'{"a": 1}'}, "201 CREATED"),
        ("POST", "/items", {"data": b"no json"}, "400 BAD REQUEST"),
        ("POST", "/items", {"data": b"[1]"}, "400 BAD REQUEST"),
        ("GET", "/items/a/full", {}, "507 INSUFFICIENT STORAGE"),
        ("GET", "/items/a/bug", {}, "500 INTERNAL SERVER ERROR"),
        ("GET", "/items/a", {"headers": {"X-Stranger": "1"}}, "403 FORBIDDEN"),
        ("GET", "/health", {}, "200 OK"),
        ("PUT", "/items/a", {}, "405 METHOD NOT ALLOWED"),
        ("OPTIONS", "/items/a", {}, "200 OK"),
        ("GET", "/items", {}, "405 METHOD NOT ALLOWED"),
        ("GET", "/nothing", {}, "404 NOT FOUND"),
        ("GET", "/items/", {}, "404 NOT FOUND"),
        ("GET", "/items/a/", {}, "404 NOT FOUND"),
    ],
)
def test_both_ways_give_the_same_answer(
    service: Service, method: str, path: str, options: dict[str, Any], status: str
) -> None:
    through_edge = asked(service.app, method, path, **options)
    through_flask = asked(service.flask, method, path, **options)
    assert through_edge[0].upper() == through_flask[0].upper() == status
    assert through_edge[1:] == through_flask[1:]
    assert service.guarded == [(method, path)] * 2


def test_a_refused_method_names_those_that_are_allowed(service: Service) -> None:
    allowed = asked(service.app, "PUT", "/items/a")[1]["Allow"]
    assert {"GET", "HEAD", "DELETE"} <= set(allowed.split(", "))


def test_a_fixed_path_goes_before_one_with_a_variable_whatever_came_first(service: Service) -> None:
    assert asked(service.app, "GET", "/items/fixed")[2] == b'"fixed"'


@pytest.mark.parametrize("path", ["/items/a b", "/items/caf\u00e9", "/items/a.b", "/items/a%2Fb"])
def test_a_name_that_is_not_plain_goes_through_flask(service: Service, path: str) -> None:
    assert asked(service.app, "GET", path) == asked(service.flask, "GET", path)


@pytest.mark.parametrize("way", ["app", "flask"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_an_answer_is_closed_once_whichever_way_it_went(service: Service, way: str, method: str) -> None:
    body = asked(getattr(service, way), method, "/items/a/bytes")[2]
    assert body == (b"abcdef" if method == "GET" else b"")
    assert service.closed == ["a"]


@pytest.mark.parametrize("way", ["app", "flask"])
def test_a_bug_is_logged_and_not_told(service: Service, way: str) -> None:
    _, _, body = asked(getattr(service, way), "GET", "/items/a/bug")
    assert b"secret" not in body
    assert service.events.names.count("unexpected_error") == 1


@pytest.mark.parametrize("way", ["app", "flask"])
def test_every_request_is_logged_once(service: Service, way: str) -> None:
    for path in ("/items/a", "/items/a/full", "/nothing"):
        asked(getattr(service, way), "GET", path)
    assert service.events.names.count("request") == 3


@pytest.mark.parametrize("way", ["app", "flask"])
def test_a_request_keeps_the_id_that_it_came_with(service: Service, way: str) -> None:
    client = Client(getattr(service, way))
    answer = client.get("/items/a/full", headers={"X-Request-ID": "0123456789abcdef"})
    assert answer.headers["X-Request-ID"] == "0123456789abcdef"
    assert json.loads(answer.data)["request_id"] == "0123456789abcdef"


def test_what_an_answer_holds_is_given_back_when_the_server_refuses_its_head(service: Service) -> None:
    with own_server(service.app) as server:
        assert server.ask(b"GET /items/a/bad-header HTTP/1.1\r\nHost: h\r\n\r\n").status == 500
        wait_until(lambda: service.closed == ["a"], "the answer was closed")


def test_served_by_our_own_loop_both_ways_still_agree(service: Service) -> None:
    def answers(app: Any) -> list[Any]:
        with own_server(app) as server:
            caller = server.caller()
            return [_plain(caller, method, path) for method, path in _LOOP]

    assert answers(service.app) == answers(service.flask)


_LOOP = [
    ("GET", "/items/a/bytes"),
    ("HEAD", "/items/a/bytes"),
    ("GET", "/items/a?x=1"),
    ("HEAD", "/items/a"),
    ("DELETE", "/items/a"),
    ("GET", "/items/a/full"),
    ("GET", "/items/a/bug"),
    ("PUT", "/items/a"),
    ("GET", "/health"),
    ("GET", "//items/a"),
    ("GET", "/items//a"),
    ("GET", "/items/a%0A"),
]


def _plain(caller: Caller, method: str, path: str) -> tuple[int, dict[str, str], bytes]:
    reply = caller.ask(f"{method} {path} HTTP/1.1\r\nHost: h\r\n\r\n".encode(), method)
    fields = {name: value for name, value in reply.fields.items() if name not in ("x-request-id", "date")}
    return reply.status, fields, _without_id(reply.body)


# --- the guard of what only the cluster's own may call ---


DO_IT = '{"do": "it"}'


def _internal(secret: str) -> tuple[Flask, list[Any]]:
    log, _ = recording_log()
    app, calls = Flask("tests"), []
    edge = internal_edge(app, log, ClusterSecret(secret))

    @edge.route("POST", "/orders")
    def order(call: Call) -> Answer:
        calls.append(call.json())
        return json_answer({})

    return app, calls


def _order(*fields: str, body: str = "") -> bytes:
    lines = ["POST /orders HTTP/1.1", "Host: h", f"Content-Length: {len(body)}", *fields]
    return "\r\n".join([*lines, "", body]).encode()


def test_only_who_knows_the_secret_may_give_orders_and_anybody_asks_for_health() -> None:
    app, calls = _internal(SECRET)
    with own_server(app) as server:
        assert server.ask(_order()).status == 403
        assert server.ask(_order("X-DFS-Signature: " + "0" * 32)).status == 403
        assert server.ask(b"GET /health HTTP/1.1\r\nHost: h\r\n\r\n").status == 200
        assert server.ask(b"GET /nothing HTTP/1.1\r\nHost: h\r\n\r\n").status == 403
        assert server.ask(b"POST /session HTTP/1.1\r\nHost: h\r\n\r\n").status == 403
        assert calls == []
        ours = SignedCaller(server)
        for _ in range(2):
            assert ours.ask(_order(f"Content-Digest: {body_digest(DO_IT.encode())}", body=DO_IT)).status == 200
        assert calls == 2 * [{"do": "it"}]


def test_on_an_open_session_nothing_is_carried_out_that_is_unsigned_or_whose_body_was_changed() -> None:
    app, calls = _internal(SECRET)
    with own_server(app) as server:
        ours = SignedCaller(server)
        assert ours.ask(_order(body=DO_IT)).status == 403
        assert ours.ask(_order(f"Content-Digest: {body_digest(b'{}')}", body=DO_IT)).status == 403
        recorded = ours.session.sign(_order(f"Content-Digest: {body_digest(b'')}"))
        assert ours.caller.ask(recorded).status == 200
        assert ours.caller.ask(recorded).status == 403
        assert ours.caller.ask(_order()).status == 403
        assert calls == [{}]


def test_requests_that_need_no_signature_count_too() -> None:
    app, _ = _internal(SECRET)
    with own_server(app) as server:
        ours = SignedCaller(server)
        assert ours.ask(b"GET /health HTTP/1.1\r\nHost: h\r\n\r\n").status == 200
        assert ours.ask(_order()).status == 200


def test_an_order_whose_sender_has_given_up_is_not_carried_out() -> None:
    guard, call = internal_guard, {"REQUEST_METHOD": "POST", "PATH_INFO": "/orders"}
    with socket.create_server(("127.0.0.1", 0)) as listener:
        sender = socket.create_connection(listener.getsockname(), timeout=20)
        receiver, _ = listener.accept()
    with sender, receiver:
        receiver.settimeout(20)
        with pytest.raises(ClusterSecretRejected):
            guard(Call({**call, "dfs.socket": receiver}))
        sender.sendall(b"a part of the body")
        with pytest.raises(ClusterSecretRejected):
            guard(Call({**call, "dfs.socket": receiver}))
        assert receiver.recv(100) == b"a part of the body"
        sender.shutdown(socket.SHUT_WR)
        assert select.select([receiver], [], [], 20)[0]
        with pytest.raises(Unavailable):
            guard(Call({**call, "dfs.socket": receiver}))
        assert receiver.gettimeout() == 20


def test_what_is_asked_every_few_seconds_is_kept_in_the_log_only_when_it_fails() -> None:
    events, logger = Events(), logging.Logger("dfs.test", logging.INFO)
    logger.addHandler(events)
    app = Flask("tests")
    edge = Edge(app, EventLog(logger), lambda _: None, logs_all=True)
    answers = [200, 503, 200]
    edge.route("GET", "/cluster")(lambda _call: json_answer({}, answers.pop(0)))
    edge.route("GET", "/items")(lambda _call: json_answer({}))
    client = Client(app)
    for path in ("/cluster", "/cluster", "/cluster", "/items"):
        client.get(path)
    assert [fields["status"] for name, fields in events.entries if name == "request"] == [503, 200]
