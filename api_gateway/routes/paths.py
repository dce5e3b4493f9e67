"""`/fs/<path>`: raw bytes by path, as in `curl -T big.iso host:5000/fs/isos/big.iso`."""

from __future__ import annotations

from urllib.parse import unquote_to_bytes

from flask import Flask, Response, request
from werkzeug.routing import BaseConverter

from api_gateway.receiving import receive_body
from api_gateway.routes.answers import (
    FIRST_MAP_PAGE,
    GatewayServices,
    bytes_response,
    committed_response,
    file_response,
    receive,
)
from api_gateway.uploads import CommitOptions
from common.bodies import BodyReader
from common.edge import query_flag
from common.errors import InvalidRequest
from common.paths import decode_path

_PREFIX = b"/fs/"


class AnyPathConverter(BaseConverter):
    """Everything behind /fs/, slashes and line breaks included; what it may be is decided by the path rules."""

    regex = "(?s:.*)"
    part_isolating = False


def add_path_routes(app: Flask, services: GatewayServices) -> None:
    app.url_map.converters["anypath"] = AnyPathConverter
    masters = services.masters

    @app.put("/fs/<anypath:_>")
    def put_path(_: str) -> Response:
        if "Content-Range" in request.headers:
            # RFC 9110, 14.4: a server that does not take partial PUTs must not take the part for the whole.
            raise InvalidRequest("a part of a file cannot be put; send the whole file, without Content-Range")
        options = CommitOptions(
            path=_path(),
            content_type=request.headers.get("Content-Type", ""),
            if_match=request.headers.get("If-Match"),
            if_none_match=request.headers.get("If-None-Match"),
        )

        def task(body: BodyReader) -> Response:
            return committed_response(receive_body(services.uploads, body, options))

        return receive(task)

    @app.get("/fs/<anypath:_>")
    def get_path(_: str) -> Response:
        return bytes_response(services, masters.find_path(_path(), FIRST_MAP_PAGE))

    @app.delete("/fs/<anypath:_>")
    def delete_path(_: str) -> Response:
        path, is_permanent = _path(), query_flag(request, "permanent")
        found = masters.find_path(path).file
        if_match = request.headers.get("If-Match")
        return file_response(masters.delete_file(found.file_id, is_permanent, if_match, path))


def _path() -> str:
    """The path exactly as the client sent it, unescaped once.

    Taken from the request line, which gunicorn and cheroot hand over under different names: PATH_INFO has %2F
    unescaped with the one and not with the other.
    """
    target = request.environ.get("RAW_URI") or request.environ["REQUEST_URI"]
    if not target.startswith("/"):
        # The absolute form, http://host/path, is what proxies send (RFC 9112, 3.2.2).
        target = "/" + target.partition("://")[2].partition("/")[2]
    return decode_path(unquote_to_bytes(target.partition("?")[0]).removeprefix(_PREFIX))
