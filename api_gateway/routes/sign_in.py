"""`/sign-in`, `/sign-out`: a browser shows a key once and gets a session for it. Plain forms, no script."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, quote

from flask import Flask, render_template

from api_gateway.access.credentials import came_by_tls
from api_gateway.access.gate import SIGN_IN_PATH, Gate
from api_gateway.access.sessions import Sessions
from api_gateway.routes.answers import is_html_form, page_answer
from common.calls import Answer, Call
from common.edge import Edge
from common.errors import InvalidForm, Unauthorized

MAX_FORM_BYTES = 16 * 1024
# A path of our own: a second slash, or what browsers take for one, would name another host; line breaks they drop.
_LOCAL = re.compile(r"/(?:(?![/\\])[!-\[\]-~]+)?")


def add_sign_in_routes(app: Flask, edge: Edge, gate: Gate, sessions: Sessions) -> None:
    def form(next_path: str, problem: str = "", status: int = 200) -> Answer:
        with app.app_context():
            return page_answer(render_template("sign_in.html", next=next_path, problem=problem), status)

    @edge.route("GET", SIGN_IN_PATH)
    def show_form(call: Call) -> Answer:
        return form(local_path(call.query.get("next", "/")))

    @edge.route("POST", SIGN_IN_PATH)
    def sign_in(call: Call) -> Answer:
        fields = _read_form(call)
        next_path = local_path(fields.get("next", "/"))
        try:
            session = gate.sign_in(call, fields.get("key", "").strip())
        except Unauthorized:
            if not is_html_form(call):
                raise
            return form(next_path, "This key is not known, or was revoked.", 401)
        return redirect(next_path, sessions.cookie(session, is_secure=came_by_tls(call.headers, call.environ)))

    @edge.route("POST", "/sign-out")
    def sign_out(call: Call) -> Answer:
        return redirect(SIGN_IN_PATH, sessions.cookie("", is_secure=came_by_tls(call.headers, call.environ)))


def to_sign_in(call: Call) -> Answer:
    """Send a browser to the form, and back to where it was afterwards."""
    query: str = call.environ.get("QUERY_STRING", "")
    wanted = call.path + (f"?{query}" if query else "")
    return redirect(f"{SIGN_IN_PATH}?next={quote(local_path(wanted), safe='')}")


def local_path(text: str) -> str:
    """The path, if it surely is one of this gateway; else the page's."""
    return text if _LOCAL.fullmatch(text) is not None else "/"


def redirect(location: str, cookie: str = "") -> Answer:
    """Lead a browser to another page, by GET."""
    headers = [("Location", location), ("Content-Length", "0"), ("Cache-Control", "no-store")]
    return Answer(303, [*headers, ("Set-Cookie", cookie)] if cookie else headers)


def _read_form(call: Call) -> dict[str, str]:
    text = call.body.read_all(MAX_FORM_BYTES + 1)
    try:
        if len(text) > MAX_FORM_BYTES:
            raise ValueError
        return dict(reversed(parse_qsl(text.decode("ascii"), keep_blank_values=True, max_num_fields=10)))
    except ValueError:
        raise InvalidForm("this is not the form of the sign-in page") from None
