"""The worker's Flask app."""

from __future__ import annotations

from flask import Flask

from common.auth import ClusterSecret
from common.edge import internal_edge
from common.logs import EventLog
from common.monitoring import Monitoring
from common.openapi.build import build_document
from common.openapi.service import add_document_route
from storage.chunk_store import ChunkStore
from storage.copying import ReplicaCopier
from storage.epoch import EpochGate
from storage.openapi.description import DESCRIPTION
from storage.reports import BadReplicaReports
from storage.routes.chunks import add_chunk_routes
from storage.routes.inventory import add_inventory_routes
from storage.routes.orders import add_order_routes


def create_app(
    node_id: str,
    store: ChunkStore,
    epochs: EpochGate,
    copier: ReplicaCopier,
    reports: BadReplicaReports,
    secret: ClusterSecret,
    log: EventLog,
    monitoring: Monitoring | None = None,
) -> Flask:
    """Everything the worker answers; nothing is started."""
    # No files: Flask would serve a folder named "static" below the present one.
    app = Flask(node_id, static_folder=None)
    edge = internal_edge(app, log, secret, monitoring)
    add_chunk_routes(edge, store, reports, log)
    add_inventory_routes(edge, store)
    add_order_routes(edge, store, epochs, copier, log)
    add_document_route(edge, build_document(DESCRIPTION))
    return app
