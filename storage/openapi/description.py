"""A worker's whole description."""

from __future__ import annotations

from common.openapi.model import Description, Parameter
from common.openapi.schemas import CHUNK_ID
from common.openapi.service import (
    INTERNAL_ERRORS,
    INTERNAL_HEADERS,
    INTERNAL_OPERATIONS,
    INTERNAL_SECURITY,
    SERVICE_TAGS,
)
from storage.openapi.chunks import CHUNK_OPERATIONS, HEADERS, INVENTORY_OPERATIONS, ORDER_OPERATIONS, SCHEMAS

_VARIABLES = (
    Parameter("chunk_id", "path", "The version's id, the chunk's index, and the attempt if it is not 0.", CHUNK_ID),
    Parameter("folder", "path", "Two hexadecimal digits.", {"type": "string", "pattern": "^[0-9a-f]{2}$"}),
)

DESCRIPTION = Description(
    title="Distributed File System: worker",
    text="Chunks on one disk. For the cluster's own services only: a release may change it.",
    operations=(*CHUNK_OPERATIONS, *INVENTORY_OPERATIONS, *ORDER_OPERATIONS, *INTERNAL_OPERATIONS),
    schemas=SCHEMAS,
    variables={parameter.name: parameter for parameter in _VARIABLES},
    headers={**HEADERS, **INTERNAL_HEADERS},
    errors=INTERNAL_ERRORS,
    security=INTERNAL_SECURITY,
    tags={
        "chunks": "One chunk.",
        "inventory": "What lies on the disk.",
        "orders": "What the leader orders; each carries its epoch.",
        **SERVICE_TAGS,
    },
)
