"""`/`: a plain page with an upload form, the folder's list, download and delete. It needs no script."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from flask import Flask, Response, render_template, request

from api_gateway.routes.answers import is_html_form
from common.calls import Answer, Call, problem_answer
from common.errors import DFSError
from common.master_client import MasterClient
from common.security_headers import PAGE_HEADERS

PAGE_LIMIT = 100
HTML_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self';"
        " base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
    **PAGE_HEADERS,
}


def add_page_routes(app: Flask, masters: MasterClient) -> None:
    @app.get("/")
    def page() -> Response:
        prefix, cursor = request.args.get("prefix", ""), request.args.get("cursor", "")
        query = {"prefix": prefix, "delimiter": "/", "limit": str(PAGE_LIMIT), "cursor": cursor}
        listing = masters.list_files({name: value for name, value in query.items() if value})
        text = render_template(
            "index.html",
            prefix=prefix,
            folders=[(folder, folder[len(prefix) :], _link(folder)) for folder in listing["prefixes"]],
            files=[file for file in listing["files"] if file["path"] != prefix],
            crumbs=_crumbs(prefix),
            next_link=_link(prefix, listing["next_cursor"]) if listing["next_cursor"] else None,
        )
        return Response(text, headers=HTML_HEADERS, mimetype="text/html")


def explain_error(app: Flask, error: DFSError, call: Call, request_id: str) -> Answer:
    """A browser that waits for a page gets the error as one; everybody else gets problem+json."""
    answer = problem_answer(error, request_id)
    if is_html_form(call):
        with app.request_context(dict(call.environ)):
            text = render_template("error.html", error=error, request_id=request_id).encode()
        kept = [header for header in answer.headers if header[0] not in ("Content-Type", "Content-Length")]
        own = {"Content-Type": "text/html; charset=utf-8", "Content-Length": str(len(text)), **HTML_HEADERS}
        answer = Answer(error.status, [*kept, *own.items()], (text,))
    if error.status == 401:
        answer.headers.append(("WWW-Authenticate", 'Basic realm="Distributed File System", charset="UTF-8"'))
    return answer


def _link(prefix: str, cursor: str | None = None) -> str:
    parameters: dict[str, Any] = {"prefix": prefix, **({"cursor": cursor} if cursor else {})}
    return "/?" + urlencode(parameters)


def _crumbs(prefix: str) -> list[tuple[str, str]]:
    """The folders above, as (name, link)."""
    crumbs, path = [], ""
    for name in prefix.split("/")[:-1]:
        path += name + "/"
        crumbs.append((name, _link(path)))
    return crumbs
