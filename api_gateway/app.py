"""The gateway's Flask app: the common edge, who may come in, and the routes."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Executor
from functools import partial

from flask import Flask

from api_gateway.access import Access
from api_gateway.routes.answers import GatewayServices
from api_gateway.routes.cluster import add_cluster_routes
from api_gateway.routes.docs import add_docs_routes
from api_gateway.routes.files import add_file_routes
from api_gateway.routes.page import add_page_routes, explain_error
from api_gateway.routes.paths import add_path_routes
from api_gateway.routes.quotas import add_quota_routes
from common.calls import Call
from common.edge import Edge
from common.logs import EventLog
from common.monitoring import Monitoring


def create_app(
    services: GatewayServices,
    access: Access,
    master_urls: Mapping[str, str],
    executor: Executor,
    log: EventLog,
    monitoring: Monitoring | None = None,
) -> Flask:
    """Everything the gateway answers; nothing is started."""
    app = Flask(__name__)

    def guard(call: Call) -> None:
        if call.path == "/health" or call.path.startswith("/static/"):
            return
        access.check(call.method, call.headers, call.client, _local_address(call), call.headers.get("Host", ""))

    edge = Edge(app, log, guard, partial(explain_error, app), logs_all=True, monitoring=monitoring)
    add_file_routes(edge, services)
    add_path_routes(app, edge, services)
    add_cluster_routes(edge, services.masters, master_urls, executor)
    add_quota_routes(edge, services.masters)
    add_page_routes(app, services.masters)
    add_docs_routes(app, edge)
    return app


def _local_address(call: Call) -> str | None:
    """Our end of the client's connection; a client with the same address is on this machine."""
    connection = call.environ.get("dfs.socket")
    return str(connection.getsockname()[0]) if connection is not None else None
