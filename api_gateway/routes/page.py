"""`/`: a plain page with an upload form, the folder's list, download and delete. It needs no script."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from flask import Flask, render_template

from api_gateway.routes.answers import HTML_HEADERS, is_html_form, page_answer
from api_gateway.routes.sign_in import to_sign_in
from common.calls import Answer, Call, problem_answer
from common.edge import Edge
from common.errors import DFSError
from common.master_client import MasterClient

PAGE_LIMIT = 100


def add_page_routes(app: Flask, edge: Edge, masters: MasterClient) -> None:
    @edge.route("GET", "/")
    def page(call: Call) -> Answer:
        actor = call.actor
        # Whoever may see some folders only begins there.
        prefix = call.query.get("prefix", "") or (actor.prefix if actor is not None else "")
        call.permit(prefix)
        query = {"prefix": prefix, "delimiter": "/", "limit": str(PAGE_LIMIT), "cursor": call.query.get("cursor", "")}
        listing = masters.list_files({name: value for name, value in query.items() if value})
        with app.app_context():
            text = render_template(
                "index.html",
                prefix=prefix,
                folders=[(folder, folder[len(prefix) :], _link(folder)) for folder in listing["prefixes"]],
                files=[file for file in listing["files"] if file["path"] != prefix],
                crumbs=_crumbs(prefix),
                next_link=_link(prefix, listing["next_cursor"]) if listing["next_cursor"] else None,
                address=f"{call.environ['wsgi.url_scheme']}://{call.headers.get('Host', '')}",
                is_signed_in=actor is not None and actor.is_session,
            )
        return page_answer(text)


def explain_error(app: Flask, error: DFSError, call: Call, request_id: str) -> Answer:
    """A browser that waits for a page gets the error as one; everybody else gets problem+json."""
    answer = problem_answer(error, request_id)
    if is_html_form(call):
        if call.rule == "/" and "sign_in" in error.context:
            return to_sign_in(call)
        with app.app_context():
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
