"""What every service describes and answers the same way: its health and this document."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from common.auth import DIGEST_HEADER, SESSION_HEADER, SESSION_PATH, SIGNATURE_HEADER
from common.calls import Answer, Call, json_answer
from common.edge import Edge
from common.errors import ClusterSecretRejected, DFSError, InvalidRequest, TooManySignIns, Unauthorized, Unavailable
from common.monitoring import METRICS_PATH, READY_PATH
from common.openapi.model import Operation, Parameter, Reply, Schema, json_reply
from common.openapi.schemas import HEALTH, READY, TEXT

DOCUMENT_PATH = "/openapi.json"
SERVICE_TAGS = {"service": "The service itself."}

_OWN_OPERATIONS = (
    Operation(
        "GET",
        "/health",
        "getHealth",
        "service",
        "Whether the service lives",
        {200: json_reply("It does.", HEALTH)},
        is_open=True,
    ),
    Operation(
        "GET",
        DOCUMENT_PATH,
        "getDocument",
        "service",
        "This document",
        {200: json_reply("OpenAPI 3.1.", {"type": "object", "additionalProperties": True})},
    ),
)

MONITORING_OPERATIONS = (
    Operation(
        "GET",
        READY_PATH,
        "getReady",
        "service",
        "Whether the service and what it needs are there",
        {200: json_reply("All of it.", READY), 503: json_reply("Not all of it.", READY)},
        is_open=True,
    ),
    Operation(
        "GET",
        METRICS_PATH,
        "getMetrics",
        "service",
        "Counters and gauges for Prometheus",
        {200: Reply("As Prometheus reads them.", {"text/plain": TEXT, "application/openmetrics-text": TEXT})},
        (TooManySignIns, Unauthorized),
        detail=(
            "Also for whoever shows the token of DFS_METRICS_TOKEN as bearer token; a master's or a worker's for any"
            " caller on the same machine."
        ),
    ),
)

SERVICE_OPERATIONS = (*_OWN_OPERATIONS, *MONITORING_OPERATIONS)

# How the masters and workers know each other.
INTERNAL_SECURITY: Mapping[str, Schema] = {
    "signature": {
        "type": "apiKey",
        "in": "header",
        "name": SIGNATURE_HEADER,
        "description": (
            "Of the request's head, made with the key of the connection, which `POST /session` has opened before; the"
            f" digest of a JSON body stands in {DIGEST_HEADER}. See docs/security.md."
        ),
    }
}
INTERNAL_HEADERS = {
    SESSION_HEADER: Parameter(SESSION_HEADER, "header", "A nonce, and the proof of the secret.", {"type": "string"})
}
INTERNAL_OPERATIONS = (
    *SERVICE_OPERATIONS,
    Operation(
        "POST",
        SESSION_PATH,
        "openSession",
        "service",
        "Open a session on this connection",
        {200: Reply("What follows on the connection is signed.", headers=(SESSION_HEADER,))},
        (ClusterSecretRejected, Unavailable),
        (Parameter(SESSION_HEADER, "header", "A nonce, and a proof for each secret.", {"type": "string"}, True),),
        is_open=True,
    ),
)
INTERNAL_ERRORS: tuple[type[DFSError], ...] = (InvalidRequest, ClusterSecretRejected, Unavailable)


def add_document_route(edge: Edge, document: Mapping[str, Any]) -> None:
    """Make the edge answer with the document."""

    @edge.route("GET", DOCUMENT_PATH)
    def get_document(_call: Call) -> Answer:
        return json_answer(document)
