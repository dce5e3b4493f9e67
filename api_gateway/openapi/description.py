"""The gateway's whole description."""

from __future__ import annotations

from api_gateway.access.credentials import SECURE_SESSION_COOKIE, SESSION_COOKIE
from api_gateway.access.links import SIGNATURE
from api_gateway.openapi import access, cluster, files, uploads
from api_gateway.openapi.parts import HEADERS, HTML, HTML_PAGE, VARIABLES
from common.errors import (
    InvalidRequest,
    LinkRefused,
    MetadataUnavailable,
    NoMasterAnswers,
    OutsidePrefix,
    RightMissing,
    TooManySignIns,
    Unauthorized,
    Unavailable,
)
from common.openapi.model import Description
from common.openapi.service import SERVICE_OPERATIONS, SERVICE_TAGS

_TEXT = """\
A replicated file store. Sizes are in bytes, times RFC 3339 in UTC.

Errors are `application/problem+json` (RFC 9457) with a stable `code`; a browser that waits for a page gets one. An
answer 503 comes with `Retry-After`. What is no valid HTTP is refused before any operation is reached: 400 or 431 with
the code `malformed_request`. Every GET can be asked as HEAD, every address for its methods with OPTIONS. An address
that is not described answers 404, another method 405. `X-Request-ID` may be given with any request and comes back with
the answer.
"""

_TAGS = {
    "files": "Files by their id, which stays over new versions and renames.",
    "paths": "Files by their path, as raw bytes.",
    "uploads": "Resumable uploads, tus 1.0.0.",
    "access": "API keys, presigned links, and the session of a browser.",
    "cluster": "The state of every part, and what an operator does.",
    "pages": "For a browser.",
    **SERVICE_TAGS,
}

_SECURITY = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "An API key."},
    "basic": {"type": "http", "scheme": "basic", "description": "An API key as password, with any name."},
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": SESSION_COOKIE,
        "description": f"Of a browser that signed in; over TLS its name is {SECURE_SESSION_COOKIE}.",
    },
    "link": {"type": "apiKey", "in": "query", "name": SIGNATURE, "description": "Of a presigned link, for one file."},
}

DESCRIPTION = Description(
    title="Distributed File System: gateway",
    text=_TEXT,
    operations=(
        *files.FILE_OPERATIONS,
        *files.PATH_OPERATIONS,
        *uploads.UPLOAD_OPERATIONS,
        *access.ACCESS_OPERATIONS,
        *cluster.CLUSTER_OPERATIONS,
        *cluster.PAGE_OPERATIONS,
        *SERVICE_OPERATIONS,
    ),
    schemas={**files.SCHEMAS, **uploads.SCHEMAS, **access.SCHEMAS, **cluster.SCHEMAS},
    variables=VARIABLES,
    headers=HEADERS,
    errors=(
        InvalidRequest,
        Unauthorized,
        RightMissing,
        OutsidePrefix,
        LinkRefused,
        TooManySignIns,
        Unavailable,
        MetadataUnavailable,
        NoMasterAnswers,
    ),
    security=_SECURITY,
    tags=_TAGS,
    error_media={HTML_PAGE: HTML},
)
