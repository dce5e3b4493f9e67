"""`/fs/<path>`: raw bytes by path, as in `curl -T big.iso host:5000/fs/isos/big.iso`."""

from __future__ import annotations

from flask import Flask
from werkzeug.routing import BaseConverter

from api_gateway.receiving import receive_body
from api_gateway.redundancy import read_redundancy
from api_gateway.request_path import requested_path
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


class AnyPathConverter(BaseConverter):
    """Everything behind /fs/, slashes and line breaks included; what it may be is decided by the path rules."""

    regex = "(?s:.*)"
    part_isolating = False


def add_path_routes(app: Flask, edge: Edge, services: GatewayServices) -> None:
    app.url_map.converters["anypath"] = AnyPathConverter
    masters = services.masters

    @edge.route("PUT", "/fs/<anypath:path>")
    def put_path(call: Call, _: str) -> Answer:
        if "Content-Range" in call.headers:
            # RFC 9110, 14.4: a server that does not take partial PUTs must not take the part for the whole.
            raise InvalidRequest("a part of a file cannot be put; send the whole file, without Content-Range")
        path = requested_path(call)
        call.permit(path)
        options = CommitOptions(
            path=path,
            content_type=call.headers.get("Content-Type", ""),
            if_match=call.headers.get("If-Match"),
            if_none_match=call.headers.get("If-None-Match"),
        )
        return committed_answer(receive_body(services.uploads, call.body, options, read_redundancy(call.headers)))

    @edge.route("GET", "/fs/<anypath:path>")
    def get_path(call: Call, _: str) -> Answer:
        path = requested_path(call)
        call.permit(path)
        located = masters.find_path(path, wanted_map(services, call), wanted_level(call))
        return bytes_answer(services, call, located)

    @edge.route("DELETE", "/fs/<anypath:path>")
    def delete_path(call: Call, _: str) -> Answer:
        path, is_permanent = requested_path(call), call.flag("permanent")
        call.permit(path)
        call.about = {"is_permanent": is_permanent}
        found = masters.find_path(path).file
        return file_answer(masters.delete_file(found.file_id, is_permanent, call.headers.get("If-Match"), path))
