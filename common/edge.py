"""What every service does the same way at its HTTP edge, and how its handlers are reached.

Request ids, problem+json errors, the access log, the metrics of each route, /health, /ready and /metrics, and the check
of who may come in. A handler registered by
`Edge.route` is a route of the Flask app like any other; besides, a plain request for it is dispatched before Flask,
which would cost several times as much as the handlers that carry the load. Both ways run the same handler between the
same checks; whatever the short way does not recognise (escaped paths, other methods) goes the long way.
"""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from http import HTTPStatus
from typing import Any

from flask import Flask, Response, g, request
from werkzeug.exceptions import HTTPException

from common.auth import DIGEST_HEADER, SESSION_HEADER, SESSION_PATH, ClusterSecret, verify_signature
from common.calls import Answer, Call, json_answer, problem_answer
from common.errors import (
    ChecksumMismatch,
    DFSError,
    InternalError,
    InvalidRequest,
    MethodNotAllowed,
    NotFound,
    TooLarge,
    Unavailable,
)
from common.logs import EventLog
from common.metrics import Metrics, RouteTally
from common.monitoring import METRICS_PATH, READY_PATH, Monitoring
from common.request_ids import HEADER as REQUEST_ID_HEADER
from common.request_ids import begin_request
from common.silence import peek

HEALTH = {"status": "ok"}
# What an internal service tells anybody, and the way to come in.
UNSIGNED_PATHS = frozenset({"/health", "/ready", "/metrics", SESSION_PATH})
Handler = Callable[..., Answer]
Guard = Callable[[Call], None]
Explain = Callable[[DFSError, Call, str], Answer]
Audit = Callable[[Call, int], None]
# Asked every few seconds by whoever watches: not worth keeping while they go well.
_WATCHED = frozenset({"/health", READY_PATH, METRICS_PATH, "/cluster"})
_STATUS_LINES = {
    **{status.value: f"{status.value} {status.phrase}" for status in HTTPStatus},
    ChecksumMismatch.status: f"{ChecksumMismatch.status} Checksum Mismatch",
}
_VARIABLE = re.compile(r"<(?:(\w+):)?\w+>")
# What a path variable may be for the short way: nothing that needs unescaping or could be understood differently.
_PLAIN = r"([0-9A-Za-z_-]+)"
_ANYTHING = r"((?s:.*))"


class Edge:
    """The edge of one service."""

    def __init__(
        self,
        app: Flask,
        log: EventLog,
        guard: Guard,
        explain: Explain | None = None,
        *,
        logs_all: bool = False,
        monitoring: Monitoring | None = None,
        audit: Audit | None = None,
    ) -> None:
        """guard: raises when the call may not come in; asked for every request, whichever way it goes.

        explain: makes the answer to an error; default: problem+json. logs_all: requests that went well are events
        worth keeping, too; else they are only logged for debugging. monitoring: what the service shows of itself.
        audit: told of every request and its status.
        """
        monitoring = monitoring or Monitoring(Metrics(app.name))
        self._metrics = monitoring.metrics
        self._explain = explain or _explain_as_problem
        self._audit = audit
        self._logs_all = logs_all
        self._log = log
        self._guard = monitoring.guarded(guard)
        self._flask = app.wsgi_app
        self._app = app
        self._direct: dict[tuple[str, str], list[tuple[re.Pattern[str], Handler, str, RouteTally]]] = {}
        app.wsgi_app = self._serve  # type: ignore[method-assign]
        app.url_map.merge_slashes = False
        app.json.sort_keys = False  # type: ignore[attr-defined]
        self._prepare_flask(app)
        self.route("GET", "/health")(lambda _call: json_answer(HEALTH))
        self.route("GET", READY_PATH)(monitoring.answer_ready)
        self.route("GET", METRICS_PATH)(monitoring.answer_metrics)

    def route(self, method: str, rule: str) -> Callable[[Handler], Handler]:
        """Register a handler, which gets the call and the path's variables in their order."""

        def register(handler: Handler) -> Handler:
            self._app.add_url_rule(rule, f"{method} {rule}", _flask_view(handler), methods=[method])
            pattern = _VARIABLE.sub(lambda match: _ANYTHING if match[1] else _PLAIN, re.escape(rule))
            entries = self._direct.setdefault((method, _first_segment(rule)), [])
            entries.append((re.compile(pattern), handler, rule, self._metrics.route(method, rule)))
            # As Flask does it: a fixed path goes before one with a variable.
            entries.sort(key=lambda entry: entry[0].groups)
            return handler

        return register

    def _serve(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[Any]:
        """The WSGI app: the short way where the request is plain, else Flask's."""
        path = environ["PATH_INFO"]
        for pattern, handler, rule, tally in self._direct.get((environ["REQUEST_METHOD"], _first_segment(path)), ()):
            if (found := pattern.fullmatch(path)) is not None:
                call = Call(environ)
                call.rule = rule
                return self._serve_directly(call, handler, found.groups(), tally, start_response)
        pieces = self._flask(environ, start_response)
        tally = environ.get("dfs.tally") or self._metrics.route(environ["REQUEST_METHOD"], None)
        return _Counting(pieces, getattr(pieces, "close", None), tally)

    def _serve_directly(
        self,
        call: Call,
        handler: Handler,
        variables: tuple[str, ...],
        tally: RouteTally,
        start_response: Callable[..., Any],
    ) -> Iterable[Any]:
        started = time.monotonic()
        request_id = begin_request(call.headers.get(REQUEST_ID_HEADER))
        try:
            self._guard(call)
            answer = handler(call, *variables)
        except DFSError as error:
            answer = self._explain(error, call, request_id)
        except Exception:  # noqa: BLE001 - a failsafe at the edge: it logs
            self._log.exception("unexpected_error", method=call.method, path=call.path)
            answer = self._explain(InternalError(), call, request_id)
        try:
            is_whole = isinstance(answer.body, tuple)
            self._note(call, answer.status, started, tally, sum(map(len, answer.body)) if is_whole else 0)
            answer.headers.append((REQUEST_ID_HEADER, request_id))
            start_response(_STATUS_LINES[answer.status], answer.headers)
        except BaseException:
            # The server refuses a header, say; nobody else would give back what the answer holds.
            if answer.close is not None:
                answer.close()
            raise
        return _pieces(answer, call.environ, None if is_whole else tally)

    def _note(self, call: Call, status: int, started: float, tally: RouteTally, sent_bytes: int) -> None:
        seconds = time.monotonic() - started
        tally.note_answer(status, seconds, call.received_bytes, sent_bytes)
        is_kept = status >= 400 or (self._logs_all and call.path not in _WATCHED)
        note = self._log.info if is_kept else self._log.debug
        note(
            "request",
            method=call.method,
            path=call.path,
            status=status,
            client=call.client,
            milliseconds=round(1000 * seconds, 1),
        )
        if self._audit is not None:
            self._audit(call, status)

    def _explained(self, error: DFSError) -> Response:
        return to_response(self._explain(error, _current_call(), g.get("request_id", "")))

    def _prepare_flask(self, app: Flask) -> None:
        """The same around the handlers that only Flask reaches."""

        @app.before_request
        def begin() -> None:
            g.started = time.monotonic()
            call = _current_call()
            g.request_id = begin_request(call.headers.get(REQUEST_ID_HEADER))
            if call.method != request.method:
                # Flask takes "delete" for DELETE, which it is not (RFC 9110, 9.1), and which no guard takes it for.
                raise MethodNotAllowed("methods are written in capital letters")
            self._guard(call)

        @app.after_request
        def finish(response: Response) -> Response:
            response.headers[REQUEST_ID_HEADER] = g.get("request_id", "")
            rule = request.url_rule.rule if request.url_rule is not None else None
            tally = self._metrics.route(request.method, rule)
            request.environ["dfs.tally"] = tally
            self._note(_current_call(), response.status_code, g.get("started", time.monotonic()), tally, 0)
            return response

        @app.errorhandler(DFSError)
        def answer_dfs_error(error: DFSError) -> Response:
            return self._explained(error)

        @app.errorhandler(HTTPException)
        def answer_http_exception(error: HTTPException) -> Response:
            response = self._explained(_translate(error))
            for name, value in error.get_headers():
                if name in ("Allow", "Location"):
                    response.headers[name] = value
            return response

        @app.errorhandler(Exception)
        def answer_unexpected(_error: Exception) -> Response:
            self._log.exception("unexpected_error", method=request.method, path=request.path)
            return self._explained(InternalError())


def internal_edge(app: Flask, log: EventLog, secret: ClusterSecret, monitoring: Monitoring | None = None) -> Edge:
    """The edge of a service that only the cluster's own may call; anybody may ask for its health."""
    edge = Edge(app, log, internal_guard, monitoring=monitoring)

    @edge.route("POST", SESSION_PATH)
    def open_session(call: Call) -> Answer:
        """Both ends prove that they know the secret; what follows on the connection is signed."""
        answer, key = secret.accept(call.headers.get(SESSION_HEADER, ""))
        call.connection["key"] = key
        return Answer(200, [("Content-Length", "0"), (SESSION_HEADER, answer)])

    return edge


def internal_guard(call: Call) -> None:
    """Let in what was signed with the key of its connection; raises ClusterSecretRejected, Unavailable."""
    _refuse_abandoned(call.environ.get("dfs.socket"))
    if call.path not in UNSIGNED_PATHS:
        verify_signature(call.connection.get("key"), call.sequence, call.environ.get("dfs.head", b""))
        call.environ["dfs.digest"] = call.headers.get(DIGEST_HEADER, "")


def to_response(answer: Answer) -> Response:
    """An answer as Flask has it."""
    # `close` goes with the pieces: what is passed through directly makes Flask forget its own call_on_close.
    pieces: Any = _pieces(answer, request.environ)
    response = Response(pieces, status=answer.status, direct_passthrough=True)
    response.headers.clear()
    response.headers.extend(answer.headers)
    return response


def _pieces(answer: Answer, environ: Mapping[str, Any], tally: RouteTally | None = None) -> Iterable[Any]:
    """The pieces for a server. Our own is done with one before it asks for the next; others may keep them.

    tally: told of their length, where given.
    """
    pieces: Iterable[Any] = answer.body if "dfs.socket" in environ else map(bytes, answer.body)
    if tally is not None:
        return _Counting(pieces, answer.close, tally)
    return pieces if answer.close is None else _Closing(pieces, answer.close)


class _Counting:
    """The pieces of an answer whose length nobody has counted, and what is to be done at its end."""

    def __init__(self, pieces: Iterable[Any], close: Callable[[], None] | None, tally: RouteTally) -> None:
        self._pieces = pieces
        self._close = close
        self._tally = tally
        self._sent_bytes = 0

    def __iter__(self) -> Iterator[Any]:
        for piece in self._pieces:
            self._sent_bytes += len(piece)
            yield piece

    def close(self) -> None:
        self._tally.note_sent(self._sent_bytes)
        if self._close is not None:
            self._close()


class _Closing:
    """The pieces of an answer, with what is to be done at its end."""

    def __init__(self, pieces: Iterable[Any], close: Callable[[], None]) -> None:
        self._pieces = pieces
        self.close = close

    def __iter__(self) -> Iterator[Any]:
        return iter(self._pieces)


def _explain_as_problem(error: DFSError, _call: Call, request_id: str) -> Answer:
    return problem_answer(error, request_id)


def _flask_view(handler: Handler) -> Callable[..., Response]:
    def view(**variables: str) -> Response:
        return to_response(handler(_current_call(), *variables.values()))

    return view


def _current_call() -> Call:
    """The request that Flask is serving: one value from the guard to the logs."""
    if "call" not in g:
        g.call = Call(request.environ)
        g.call.rule = request.url_rule.rule if request.url_rule is not None else ""
    call: Call = g.call
    return call


def _first_segment(path: str) -> str:
    return path[1:].partition("/")[0]


def _refuse_abandoned(connection: socket.socket | None) -> None:
    """Raise Unavailable when the peer has closed its end.

    A service that was stopped for a while finds requests in its sockets whose senders have long turned to another
    one; carrying them out now would, say, delete again what has been restored since.
    """
    if connection is None:
        return
    try:
        is_abandoned = peek(connection) == b""
    except OSError:
        is_abandoned = True
    if is_abandoned:
        raise Unavailable("the sender has given up; nothing is done")


def _translate(error: HTTPException) -> DFSError:
    """Flask's own errors as ours."""
    detail = error.description or ""
    if error.code == 404:
        return NotFound(detail)
    if error.code == 405:
        return MethodNotAllowed(detail)
    if error.code == 413:
        return TooLarge(detail)
    if error.code is not None and error.code < 500:
        return InvalidRequest(detail)
    return InternalError(detail)
