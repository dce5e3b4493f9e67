"""`/` and `/trash`: a folder's list and the trash, as whole pages; scripts make more of them, and none is needed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from flask import Flask, render_template

from api_gateway.routes.answers import HTML_HEADERS, is_html_form, page_answer
from api_gateway.routes.search import other_case
from api_gateway.routes.shown import crumbs, folder_link, folder_rows, span_text, trash_rows
from api_gateway.routes.sign_in import redirect, to_sign_in
from api_gateway.routes.visitor import visitor_of
from common.actors import ADMIN
from common.calls import Answer, Call, problem_answer
from common.edge import Edge
from common.errors import DFSError, RightMissing
from common.master_client import MasterClient

# Enough to fill a tall screen; scripts read on.
PAGE_LIMIT = 32
# Whoever has no session is led from these to the sign-in page, and back.
_VIEWS = ("/", "/trash", "/cluster-view")


def add_page_routes(app: Flask, edge: Edge, masters: MasterClient) -> None:
    @edge.route("GET", "/")
    def folder_page(call: Call) -> Answer:
        """A folder; with `search` what begins so in it, with `everywhere` in the folders below too."""
        prefix, search = _place(call)
        is_everywhere = call.flag("everywhere")
        call.permit(prefix + search)
        delimiter = "" if is_everywhere else "/"
        listing = masters.list_files(_query(call, prefix=prefix + search, delimiter=delimiter))
        following = folder_link(
            prefix, search=search, everywhere="1" if is_everywhere else "", cursor=listing["next_cursor"]
        )
        return render(
            call,
            "index.html",
            view="files",
            prefix=prefix,
            search=search,
            is_everywhere=is_everywhere,
            rows=folder_rows(listing, prefix),
            other=other_link(call, listing, prefix, search, is_everywhere=is_everywhere),
            crumbs=crumbs(prefix, _bound(call)),
            next_link=following if listing["next_cursor"] else None,
            address=f"{call.environ['wsgi.url_scheme']}://{call.headers.get('Host', '')}",
        )

    @edge.route("GET", "/trash")
    def trash_page(call: Call) -> Answer:
        prefix = _within(call, call.query.get("prefix", ""))
        call.permit(prefix)
        listing = masters.list_files(_query(call, prefix=prefix, status="deleted"))
        following = f"/trash?{urlencode({'prefix': prefix, 'cursor': listing['next_cursor']})}"
        return render(
            call,
            "trash.html",
            view="trash",
            prefix=prefix,
            rows=trash_rows(listing["files"]),
            kept=span_text(listing.get("retention_seconds") or 0),
            next_link=following if listing["next_cursor"] else None,
        )

    def other_link(
        call: Call, listing: Mapping[str, Any], prefix: str, search: str, *, is_everywhere: bool
    ) -> tuple[str, str] | None:
        """Where nothing was found, the same search in another case that finds something: what, and the link to it."""
        if not search or listing["files"] or listing["prefixes"] or "cursor" in call.query:
            return None

        def begins(text: str) -> bool:
            found = call.may(prefix + text) and masters.list_files({"prefix": prefix + text, "limit": "1"})
            return bool(found and found["files"])

        found = other_case(search, begins)
        return (found, folder_link(prefix, search=found, everywhere="1" if is_everywhere else "")) if found else None

    def render(call: Call, template: str, **values: Any) -> Answer:
        with app.app_context():
            return page_answer(render_template(template, visitor=visitor_of(call), **values))


def explain_error(app: Flask, error: DFSError, call: Call, request_id: str) -> Answer:
    """A browser that waits for a page gets the error as one; everybody else gets problem+json."""
    answer = problem_answer(error, request_id)
    if is_html_form(call):
        if call.rule in _VIEWS and "sign_in" in error.context:
            return to_sign_in(call)
        if call.rule == "/" and isinstance(error, RightMissing) and call.actor and ADMIN in call.actor.rights:
            # Who looks after the cluster need not see the files in it.
            return redirect("/cluster-view")
        with app.app_context():
            text = render_template("error.html", error=error, request_id=request_id, visitor=visitor_of(call)).encode()
        kept = [header for header in answer.headers if header[0] not in ("Content-Type", "Content-Length")]
        own = {"Content-Type": "text/html; charset=utf-8", "Content-Length": str(len(text)), **HTML_HEADERS}
        answer = Answer(error.status, [*kept, *own.items()], (text,))
    if error.status == 401:
        answer.headers.append(("WWW-Authenticate", _challenge(call)))
    return answer


def _challenge(call: Call) -> str:
    """Of the ways to show a key, one of which every 401 names (RFC 9110, 15.5.2), the one that suits who asks.

    A browser that is offered Basic asks for a password by itself, and the script of the page waits for as long.
    """
    mode = call.headers.get("Sec-Fetch-Mode", "navigate")
    # Without TLS browsers do not say the mode.
    is_script = mode != "navigate" or call.headers.get("X-Requested-With") == "XMLHttpRequest"
    if is_script:
        return 'Bearer realm="Distributed File System"'
    return 'Basic realm="Distributed File System", charset="UTF-8"'


def _bound(call: Call) -> str:
    """The beginning of all paths that whoever asks may see."""
    return call.actor.prefix if call.actor is not None else ""


def _place(call: Call) -> tuple[str, str]:
    """The folder and what is searched in it. static/js/files/place.js does the same."""
    prefix, search = call.query.get("prefix", ""), call.query.get("search", "")
    wanted = _within(call, prefix + search)
    if wanted != prefix + search:
        # A beginning of names that is no folder is what a search for it finds.
        prefix = wanted[: wanted.rfind("/") + 1]
    return prefix, wanted[len(prefix) :]


def _within(call: Call, wanted: str) -> str:
    """Of a beginning of paths, what whoever asks may see: where it holds more than that, only that."""
    bound = _bound(call)
    return bound if bound.startswith(wanted) else wanted


def _query(call: Call, **values: str) -> dict[str, str]:
    """One page of a listing, as the masters are asked for it."""
    query = {**values, "limit": str(PAGE_LIMIT), "cursor": call.query.get("cursor", "")}
    return {name: value for name, value in query.items() if value}
