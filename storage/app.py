"""The worker's Flask app."""

from __future__ import annotations

from flask import Flask

from common.auth import ClusterSecret
from common.edge import internal_edge
from common.logs import EventLog
from common.monitoring import Monitoring
from storage.chunk_store import ChunkStore
from storage.copying import ReplicaCopier
from storage.epoch import EpochGate
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
    app = Flask(node_id)
    edge = internal_edge(app, log, secret, monitoring)
    add_chunk_routes(edge, store, reports, log)
    add_inventory_routes(edge, store)
    add_order_routes(edge, store, epochs, copier, log)
    return app
