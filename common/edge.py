"""What every Flask app of the system does the same way at its HTTP edge.

Request ids, problem+json errors, the access log, /health, and on internal services the check of the cluster's secret.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping
from typing import Any

from flask import Flask, Request, Response, g, json, jsonify, request
from werkzeug.exceptions import HTTPException

from common.auth import HEADER as SECRET_HEADER
from common.auth import ClusterSecret
from common.errors import (
    DFSError,
    InternalError,
    InvalidRequest,
    MethodNotAllowed,
    NotFound,
    RangeNotSatisfiable,
    TooLarge,
    Unavailable,
)
from common.logs import EventLog
from common.request_ids import HEADER as REQUEST_ID_HEADER
from common.request_ids import begin_request

HEALTH = {"status": "ok"}
RETRY_AFTER_SECONDS = 2
MAX_JSON_BODY_BYTES = 1024 * 1024


def install_edge(app: Flask, log: EventLog, silence_seconds: float, secret: ClusterSecret | None = None) -> None:
    """Give `app` the common behaviour. secret: required of every request but /health; None on the gateway."""
    app.url_map.merge_slashes = False
    app.json.sort_keys = False  # type: ignore[attr-defined]

    @app.before_request
    def begin() -> None:
        g.started = time.monotonic()
        # gunicorn waits for ever for a silent client; cheroot has a time-out of its own.
        connection = request.environ.get("gunicorn.socket")
        is_abandoned = connection is not None and secret is not None and _is_abandoned(connection)
        if connection is not None:
            connection.settimeout(silence_seconds)
        g.request_id = begin_request(request.headers.get(REQUEST_ID_HEADER))
        if is_abandoned:
            raise Unavailable("the sender has given up; nothing is done")
        if secret is not None and request.path != "/health":
            secret.verify(request.headers.get(SECRET_HEADER))

    @app.after_request
    def finish(response: Response) -> Response:
        response.headers[REQUEST_ID_HEADER] = g.get("request_id", "")
        level = log.debug if request.path == "/health" else log.info
        level(
            "request",
            method=request.method,
            path=request.path,
            status=response.status_code,
            client=request.remote_addr,
            milliseconds=round(1000 * (time.monotonic() - g.get("started", time.monotonic())), 1),
        )
        return response

    @app.errorhandler(DFSError)
    def answer_dfs_error(error: DFSError) -> Response:
        return problem_response(error)

    @app.errorhandler(HTTPException)
    def answer_http_exception(error: HTTPException) -> Response:
        response = problem_response(_translate(error))
        for name, value in error.get_headers():
            if name in ("Allow", "Location"):
                response.headers[name] = value
        return response

    @app.errorhandler(Exception)
    def answer_unexpected(_error: Exception) -> Response:
        log.exception("unexpected_error", method=request.method, path=request.path)
        return problem_response(InternalError())

    @app.get("/health")
    def health() -> Response:
        return jsonify(HEALTH)


def _is_abandoned(connection: socket.socket) -> bool:
    """Whether the peer has closed its end.

    A service that was stopped for a while finds requests in its sockets whose senders have long turned to another
    one; carrying them out now would, say, delete again what has been restored since.
    """
    connection.settimeout(0)
    try:
        return connection.recv(1, socket.MSG_PEEK) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


def problem_response(error: DFSError) -> Response:
    """An error as application/problem+json. Where a body may be left unread the server is asked to close; gunicorn
    does not need to be asked, it reads the rest for a while and closes if there is more.
    """
    problem = {**error.to_problem(), "request_id": g.get("request_id", "")}
    response = Response(json.dumps(problem) + "\n", status=error.status, content_type="application/problem+json")
    if isinstance(error, RangeNotSatisfiable) and "size" in error.context:
        response.headers["Content-Range"] = f"bytes */{error.context['size']}"
    if error.is_retryable:
        response.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    if request.content_length or "Transfer-Encoding" in request.headers:
        response.headers["Connection"] = "close"
    return response


def json_body(incoming: Request) -> Mapping[str, Any]:
    """The JSON object that a request carries; InvalidRequest when it carries something else."""
    text = incoming.stream.read(MAX_JSON_BODY_BYTES + 1)
    if len(text) > MAX_JSON_BODY_BYTES:
        raise TooLarge(f"a JSON body must not be larger than {MAX_JSON_BODY_BYTES} bytes")
    try:
        value = json.loads(text or b"{}")
    except (ValueError, RecursionError):
        raise InvalidRequest("the body is not valid JSON") from None
    if not isinstance(value, dict):
        raise InvalidRequest("the body must be a JSON object")
    return value


def query_flag(incoming: Request, name: str) -> bool:
    """A query parameter that is true or false; false when absent."""
    text = incoming.args.get(name, "false").lower()
    if text not in ("true", "false", "1", "0"):
        raise InvalidRequest(f"the parameter {name!r} must be true or false, not {text!r}")
    return text in ("true", "1")


def query_number(incoming: Request, name: str, default: int, maximum: int, minimum: int = 0) -> int:
    """A query parameter that is a whole number within limits."""
    text = incoming.args.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= 15 and minimum <= int(text) <= maximum):
        raise InvalidRequest(f"the parameter {name!r} must be a whole number from {minimum} to {maximum}, not {text!r}")
    return int(text)


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
