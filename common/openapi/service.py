"""What every service describes and answers the same way: its health and this document."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from common.auth import SESSION_PATH, SIGNATURE_HEADER
from common.calls import Answer, Call, json_answer
from common.edge import Edge
from common.errors import ClusterSecretRejected, DFSError, InvalidRequest, Unavailable
from common.openapi.model import Operation, Schema, json_reply
from common.openapi.schemas import HEALTH

DOCUMENT_PATH = "/openapi.json"
SERVICE_TAGS = {"service": "The service itself."}

SERVICE_OPERATIONS = (
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

# How the masters and workers know each other.
INTERNAL_SECURITY: Mapping[str, Schema] = {
    "signature": {
        "type": "apiKey",
        "in": "header",
        "name": SIGNATURE_HEADER,
        "description": (
            f"The request's signature with the key of its connection, which POST {SESSION_PATH} makes;"
            " see docs/security.md."
        ),
    }
}
INTERNAL_ERRORS: tuple[type[DFSError], ...] = (InvalidRequest, ClusterSecretRejected, Unavailable)


def add_document_route(edge: Edge, document: Mapping[str, Any]) -> None:
    """Make the edge answer with the document."""

    @edge.route("GET", DOCUMENT_PATH)
    def get_document(_call: Call) -> Answer:
        return json_answer(document)
