"""`/fs/<path>`: raw bytes by path, as in `curl -T big.iso host:5000/fs/isos/big.iso`."""

from __future__ import annotations

from urllib.parse import unquote_to_bytes

from flask import Flask
from werkzeug.routing import BaseConverter

from api_gateway.receiving import receive_body
from api_gateway.redundancy import read_redundancy
from api_gateway.routes.answers import (
    GatewayServices,
    bytes_answer,
    committed_answer,
    file_answer,
    wanted_level,
    wanted_map,
)
from api_gateway.uploads import CommitOptions
from common.calls import Answer, Call
from common.edge import Edge
from common.errors import InvalidRequest
from common.paths import decode_path

_PREFIX = b"/fs/"


class AnyPathConverter(BaseConverter):
    """Everything behind /fs/, slashes and line breaks included; what it may be is decided by the path rules."""

    regex = "(?s:.*)"
    part_isolating = False


def add_path_routes(app: Flask, edge: Edge, services: GatewayServices) -> None:
    app.url_map.converters["anypath"] = AnyPathConverter
    masters = services.masters

    @edge.route("PUT", "/fs/<anypath:_>")
    def put_path(call: Call, _: str) -> Answer:
        if "Content-Range" in call.headers:
            # RFC 9110, 14.4: a server that does not take partial PUTs must not take the part for the whole.
            raise InvalidRequest("a part of a file cannot be put; send the whole file, without Content-Range")
        options = CommitOptions(
            path=_path(call),
            content_type=call.headers.get("Content-Type", ""),
            if_match=call.headers.get("If-Match"),
            if_none_match=call.headers.get("If-None-Match"),
        )
        return committed_answer(receive_body(services.uploads, call.body, options, read_redundancy(call.headers)))

    @edge.route("GET", "/fs/<anypath:_>")
    def get_path(call: Call, _: str) -> Answer:
        located = masters.find_path(_path(call), wanted_map(services, call), wanted_level(call))
        return bytes_answer(services, call, located)

    @edge.route("DELETE", "/fs/<anypath:_>")
    def delete_path(call: Call, _: str) -> Answer:
        path, is_permanent = _path(call), call.flag("permanent")
        found = masters.find_path(path).file
        return file_answer(masters.delete_file(found.file_id, is_permanent, call.headers.get("If-Match"), path))


def _path(call: Call) -> str:
    """The path exactly as the client sent it, unescaped once: PATH_INFO would do, were it not for a "%2F"."""
    target: str = call.environ.get("RAW_URI") or call.environ["REQUEST_URI"]
    if not target.startswith("/"):
        # The absolute form, http://host/path, is what proxies send (RFC 9112, 3.2.2).
        target = "/" + target.partition("://")[2].partition("/")[2]
    escaped = target.partition("?")[0].encode("latin-1")
    return decode_path(unquote_to_bytes(escaped).removeprefix(_PREFIX))
