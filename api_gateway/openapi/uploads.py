"""`/uploads`: resumable uploads, tus 1.0.0."""

from __future__ import annotations

from api_gateway.openapi.parts import FILE_BYTES, REDUNDANCY, WRITE_ERRORS
from api_gateway.resumable.protocol import CONTENT_TYPE, METHOD_OVERRIDE
from common.errors import (
    ChecksumMismatch,
    ChunkLost,
    ChunkUnavailable,
    CrossSiteRequest,
    MethodNotAllowed,
    OffsetConflict,
    PreconditionFailed,
    TooLarge,
    TooManyRequests,
    TusVersionUnsupported,
    UnsupportedMediaType,
    UploadFinished,
    UploadGone,
    UploadTakenOver,
    UploadUnknown,
)
from common.openapi.model import Body, Operation, Parameter, Reply, json_reply, nullable, record
from common.openapi.schemas import COUNT, FLAG, ID, NUMBER, TEXT

SCHEMAS = {
    "Upload": record(
        {
            "upload_id": ID,
            "state": {"enum": ["resumable", "committed"]},
            "offset": {**COUNT, "description": "How many bytes are safe."},
            "length": nullable(COUNT),
            "path": TEXT,
            "content_type": TEXT,
            "is_partial": FLAG,
            "expires_in_seconds": NUMBER,
            "file_id": {**TEXT, "description": "Of the file that it has become, else empty."},
            "file": {
                **nullable({"$ref": "#/components/schemas/File"}),
                "description": "That file with these bytes; null where they are gone, or the file was moved.",
            },
        },
        text="A resumable upload as it stands.",
    )
}

_VERSION = Parameter("Tus-Resumable", "header", "The version of tus.", {"const": "1.0.0"}, True, "1.0.0")
_OFFSET = Parameter("Upload-Offset", "header", "Where these bytes begin.", COUNT, True, 0)
_LENGTH = Parameter("Upload-Length", "header", "Of the whole upload, in bytes.", COUNT)
_CHECKSUM = Parameter("Upload-Checksum", "header", "An algorithm, a blank, and what it gives in base64.", TEXT)
_CREATION = (
    _VERSION,
    _LENGTH,
    Parameter("Upload-Defer-Length", "header", "1: a later request says Upload-Length.", {"const": 1}),
    Parameter(
        "Upload-Metadata",
        "header",
        "`path` or `filename`, and `filetype`; `if_none_match` of `*`: only if there is no such file yet.",
        TEXT,
        example="filename aGkudHh0",
    ),
    Parameter("Upload-Concat", "header", "`partial`, or `final;` and URLs of partial uploads.", TEXT),
    _CHECKSUM,
    *REDUNDANCY,
)
_STATE_HEADERS = (
    "Upload-Length",
    "Upload-Defer-Length",
    "Upload-Expires",
    "Upload-Metadata",
    "Upload-Concat",
    "X-DFS-File-Id",
    "X-DFS-Path",
    "Tus-Max-Size",
)
_PROGRESS_HEADERS = ("Upload-Expires", "X-DFS-File-Id", "X-DFS-Path")
_BYTES = Body("The bytes.", {CONTENT_TYPE: FILE_BYTES}, is_required=False)
_STATE_ERRORS = (TusVersionUnsupported, UploadUnknown, UploadGone)
_APPEND_ERRORS = (
    *WRITE_ERRORS,
    *_STATE_ERRORS,
    ChecksumMismatch,
    ChunkLost,
    ChunkUnavailable,
    OffsetConflict,
    PreconditionFailed,
    TooLarge,
    TooManyRequests,
    UnsupportedMediaType,
    UploadFinished,
    UploadTakenOver,
)
_LOOK_ERRORS = (*_STATE_ERRORS, *_APPEND_ERRORS)
_ABILITIES = Reply(
    "What this server can do of tus.",
    headers=("Tus-Resumable", "Tus-Version", "Tus-Extension", "Tus-Checksum-Algorithm"),
    optional_headers=("Tus-Max-Size",),
)
_APPENDED = Reply(
    "So much is safe; with the last byte the upload has become a file.",
    headers=("Tus-Resumable", "Upload-Offset"),
    optional_headers=_PROGRESS_HEADERS,
)
_TERMINATED = Reply("It is given up, and its bytes are freed.", headers=("Tus-Resumable",))

UPLOAD_OPERATIONS = (
    *(
        Operation("OPTIONS", rule, name, "uploads", "What this server can do of tus", {204: _ABILITIES})
        for rule, name in (("/uploads", "describeUploads"), ("/uploads/{upload_id}", "describeUpload"))
    ),
    Operation(
        "POST",
        "/uploads",
        "createUpload",
        "uploads",
        "Begin a resumable upload, also with its first bytes",
        {
            201: Reply(
                "It is at Location. `Upload-Offset`: where bytes came with it, or none are to come.",
                headers=("Location", "Tus-Resumable"),
                optional_headers=("Upload-Offset", *_PROGRESS_HEADERS),
            )
        },
        _APPEND_ERRORS,
        _CREATION,
        _BYTES,
    ),
    Operation(
        "HEAD",
        "/uploads/{upload_id}",
        "peekUpload",
        "uploads",
        "How far an upload is",
        {200: Reply("So much is safe.", headers=("Tus-Resumable", "Upload-Offset"), optional_headers=_STATE_HEADERS)},
        _LOOK_ERRORS,
        (_VERSION,),
        detail=(
            "An upload that has all its bytes and lacks room to become a file is 507 with `Retry-After`, not 200: its"
            " client would take itself for done."
        ),
    ),
    Operation(
        "GET",
        "/uploads/{upload_id}",
        "getUpload",
        "uploads",
        "The same as JSON",
        {
            200: json_reply(
                "The upload.",
                {"$ref": "#/components/schemas/Upload"},
                ("Tus-Resumable", "Upload-Offset"),
                _STATE_HEADERS,
            )
        },
        _LOOK_ERRORS,
    ),
    Operation(
        "PATCH",
        "/uploads/{upload_id}",
        "appendToUpload",
        "uploads",
        "Add bytes",
        {204: _APPENDED},
        _APPEND_ERRORS,
        (_VERSION, _OFFSET, _LENGTH, _CHECKSUM),
        _BYTES,
    ),
    Operation(
        "DELETE",
        "/uploads/{upload_id}",
        "terminateUpload",
        "uploads",
        "Give an upload up",
        {204: _TERMINATED},
        (*_STATE_ERRORS, CrossSiteRequest, UploadFinished),
        (_VERSION,),
    ),
    Operation(
        "POST",
        "/uploads/{upload_id}",
        "overrideMethod",
        "uploads",
        "PATCH or DELETE, for clients that cannot send them",
        {
            204: Reply(
                "As of that method.", headers=("Tus-Resumable",), optional_headers=("Upload-Offset", *_PROGRESS_HEADERS)
            )
        },
        (*_APPEND_ERRORS, MethodNotAllowed),
        (
            _VERSION,
            Parameter(METHOD_OVERRIDE, "header", "The method.", {"enum": ["PATCH", "DELETE"]}, True, "PATCH"),
            Parameter("Upload-Offset", "header", "Where these bytes begin.", COUNT),
            _LENGTH,
            _CHECKSUM,
        ),
        _BYTES,
    ),
)
