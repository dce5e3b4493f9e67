"""A master's whole description."""

from __future__ import annotations

from common.errors import MetadataUnavailable
from common.openapi.model import Description, Parameter
from common.openapi.schemas import ID, KEY_ID, WORKER_ID
from common.openapi.service import (
    INTERNAL_ERRORS,
    INTERNAL_HEADERS,
    INTERNAL_OPERATIONS,
    INTERNAL_SECURITY,
    SERVICE_TAGS,
)
from master_node.openapi import cluster, files, keys, resumables

_VARIABLES = (
    Parameter("file_id", "path", "Stays over new versions and renames.", ID),
    Parameter("upload_id", "path", "Becomes the version's id.", ID),
    Parameter("version_id", "path", "Of a file's version.", ID),
    Parameter("key_id", "path", "Of an API key.", KEY_ID),
    Parameter("worker_id", "path", "As in config.json.", WORKER_ID),
)

DESCRIPTION = Description(
    title="Distributed File System: master",
    text="Files, versions, chunks, workers, the leader. For the cluster's own services only: a release may change it.",
    operations=(
        *files.UPLOAD_OPERATIONS,
        *resumables.RESUMABLE_OPERATIONS,
        *files.FILE_OPERATIONS,
        *cluster.CLUSTER_OPERATIONS,
        *keys.KEY_OPERATIONS,
        *INTERNAL_OPERATIONS,
    ),
    schemas={**files.SCHEMAS, **cluster.SCHEMAS, **keys.SCHEMAS},
    variables={parameter.name: parameter for parameter in _VARIABLES},
    headers=INTERNAL_HEADERS,
    errors=(*INTERNAL_ERRORS, MetadataUnavailable),
    security=INTERNAL_SECURITY,
    tags={
        "uploads": "Files that are being written.",
        "files": "Files and their chunk maps.",
        "keys": "The API keys of the gateway's clients.",
        "workers": "What workers say, and orders about them.",
        "cluster": "Leader, jobs, state.",
        **SERVICE_TAGS,
    },
)
