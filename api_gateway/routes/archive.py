"""`/archive`: several files and folders as one ZIP, streamed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import ExitStack
from urllib.parse import parse_qsl

from api_gateway.archive.selection import MAX_PATHS, choose
from api_gateway.disposition import attachment
from api_gateway.routes.answers import GatewayServices, wanted_level
from common.calls import Answer, Call, Started
from common.edge import Edge
from common.errors import InvalidForm, InvalidRequest, TooLarge
from common.fields import take

MAX_FORM_BYTES = 4 * 1024 * 1024
# A line of the audit log is no longer than some other lines; who asks for more can be found by the request's id.
_MAX_AUDITED = 100
_FORM = "application/x-www-form-urlencoded"


def add_archive_routes(edge: Edge, services: GatewayServices) -> None:
    archives = services.archives

    @edge.route("GET", "/archive")
    def get_archive(call: Call) -> Answer:
        with ExitStack() as stack:
            stack.enter_context(archives.admitted())
            return archive(call, _paths_of_query(call), stack)

    @edge.route("POST", "/archive")
    def post_archive(call: Call) -> Answer:
        """The same for many paths: as a form, which makes a browser save the answer, or as JSON."""
        with ExitStack() as stack:
            stack.enter_context(archives.admitted())
            return archive(call, _paths_of_body(call), stack)

    def archive(call: Call, paths: Sequence[str], stack: ExitStack) -> Answer:
        """The answer, which takes over what is on the stack; so nothing larger than a place is held without one."""
        selection, level = choose(paths), wanted_level(call)
        call.permit(*selection.paths)
        call.subjects = call.subjects[:_MAX_AUDITED]
        headers = [
            ("Content-Type", "application/zip"),
            ("Content-Disposition", attachment(selection.archive_name)),
            ("X-Content-Type-Options", "nosniff"),
        ]
        if call.method == "HEAD":
            archives.check(selection, level)
            return Answer(200, headers)
        pieces = Started(archives.stream(selection, level))
        stack.callback(pieces.close)
        return Answer(200, headers, pieces, stack.pop_all().close)


def _paths_of_query(call: Call) -> list[str]:
    return _paths_of_fields(call.environ.get("QUERY_STRING", ""))


def _paths_of_body(call: Call) -> list[str]:
    if call.headers.get("Content-Type", "").partition(";")[0].strip().lower() != _FORM:
        return _strings(take(call.json(), "paths", list))
    text = call.body.read_all(MAX_FORM_BYTES + 1)
    if len(text) > MAX_FORM_BYTES:
        raise TooLarge(f"a form must not be larger than {MAX_FORM_BYTES} bytes")
    if not text.isascii():
        raise InvalidForm("a form of this type is written in ASCII, all else escaped")
    return _paths_of_fields(text.decode("ascii"))


def _paths_of_fields(text: str) -> list[str]:
    """The fields "path"; or one field "paths", a JSON array, for forms: a browser makes CR LF of the LF in a field."""
    try:
        fields = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=MAX_PATHS + 10)
        listed = [item for name, value in fields if name == "paths" for item in _strings(json.loads(value))]
    except (ValueError, RecursionError):
        raise InvalidForm(f'at most {MAX_PATHS} fields "path", in UTF-8, or "paths", a JSON array') from None
    return listed + [value for name, value in fields if name == "path"]


def _strings(items: object) -> list[str]:
    if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
        raise InvalidRequest("the field 'paths' must list paths")
    return items
