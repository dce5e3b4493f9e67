"""The gateway's Flask app: the common edge, who may come in, and the routes."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Executor

from flask import Flask, request

from api_gateway.access import Access
from api_gateway.routes.answers import GatewayServices
from api_gateway.routes.cluster import add_cluster_routes
from api_gateway.routes.files import add_file_routes
from api_gateway.routes.page import add_page_routes
from api_gateway.routes.paths import add_path_routes
from common.edge import install_edge
from common.logs import EventLog

_OPEN_ENDPOINTS = ("health", "static")


def create_app(
    services: GatewayServices,
    access: Access,
    master_urls: Mapping[str, str],
    executor: Executor,
    log: EventLog,
    silence_seconds: float,
) -> Flask:
    """Everything the gateway answers; nothing is started."""
    app = Flask(__name__)
    install_edge(app, log, silence_seconds)

    @app.before_request
    def check_access() -> None:
        if request.endpoint not in _OPEN_ENDPOINTS:
            host = request.headers.get("Host", "")
            access.check(
                request.method,
                dict(request.headers),
                request.remote_addr,
                _local_address(),
                host,
            )

    add_file_routes(app, services)
    add_path_routes(app, services)
    add_cluster_routes(app, services.masters, master_urls, executor)
    add_page_routes(app, services.masters)
    return app


def _local_address() -> str | None:
    """Our end of the client's connection; a client with the same address is on this machine. gunicorn tells it."""
    connection = request.environ.get("gunicorn.socket")
    return str(connection.getsockname()[0]) if connection is not None else None
