"""The gateway's Flask app: the common edge, who may come in, and the routes."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Executor
from functools import partial

from flask import Flask

from api_gateway.access.audit import Audit
from api_gateway.access.needs import require_complete
from api_gateway.cross_origin import CrossOrigin
from api_gateway.routes.answers import GatewayServices
from api_gateway.routes.archive import add_archive_routes
from api_gateway.routes.cluster import add_cluster_routes, describe_cluster
from api_gateway.routes.cluster_view import add_cluster_view
from api_gateway.routes.docs import add_docs_routes
from api_gateway.routes.file_changes import add_change_routes
from api_gateway.routes.files import add_file_routes
from api_gateway.routes.keys import AccessServices, add_key_routes, add_link_routes
from api_gateway.routes.page import add_page_routes, explain_error
from api_gateway.routes.paths import add_path_routes
from api_gateway.routes.quotas import add_quota_routes
from api_gateway.routes.sign_in import add_sign_in_routes
from api_gateway.routes.static_files import add_static_routes
from api_gateway.routes.uploads import add_upload_routes, explained_for_tus
from common.edge import Edge
from common.logs import EventLog
from common.monitoring import Monitoring


def create_app(
    services: GatewayServices,
    access: AccessServices,
    audit: Audit,
    master_urls: Mapping[str, str],
    executor: Executor,
    log: EventLog,
    monitoring: Monitoring | None = None,
    cross_origin: CrossOrigin | None = None,
) -> Flask:
    """Everything the gateway answers; nothing is started."""
    app = Flask(__name__, static_folder=None)
    explain = explained_for_tus(partial(explain_error, app))
    edge = Edge(app, log, access.gate.admit, explain, logs_all=True, monitoring=monitoring, audit=audit.note)
    add_file_routes(edge, services)
    add_change_routes(edge, services)
    add_path_routes(app, edge, services)
    add_upload_routes(edge, services.resumables, services.clock, services.max_file_bytes)
    add_archive_routes(edge, services)
    add_cluster_routes(edge, services.masters, master_urls, executor)
    add_cluster_view(app, edge, lambda: describe_cluster(services.masters, master_urls, executor))
    add_quota_routes(edge, services.masters)
    add_key_routes(edge, services.masters, access, services.clock)
    add_link_routes(edge, access.links)
    add_page_routes(app, edge, services.masters)
    add_sign_in_routes(app, edge, access.gate, access.sessions)
    add_docs_routes(app, edge)
    add_static_routes(edge)
    require_complete((method, rule.rule) for rule in app.url_map.iter_rules() for method in rule.methods or ())
    if cross_origin is not None:
        app.wsgi_app = cross_origin.around(app.wsgi_app)  # type: ignore[method-assign, assignment]
    return app
