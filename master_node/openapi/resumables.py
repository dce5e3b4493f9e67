"""Resumable uploads: what other uploads do not have."""

from __future__ import annotations

from common.errors import (
    ClusterFull,
    LargerThanQuota,
    NotEnoughWorkers,
    OffsetConflict,
    QuotaExceeded,
    TooManyRequests,
    UploadClosed,
    UploadSealed,
    UploadTakenOver,
    UploadUnknown,
)
from common.openapi.model import Operation, Schema, array, json_body, json_reply, nullable, record, ref
from common.openapi.schemas import COUNT, FLAG, ID, NUMBER, TEXT
from common.resumables import COMMITTED, RESUMABLE, SEALED

_SAID: dict[str, Schema] = {
    "length": nullable(COUNT),
    "metadata": TEXT,
    "content_type": TEXT,
    "file_name": TEXT,
    "is_partial": FLAG,
}

RESUMABLE_SCHEMAS = {
    "NewResumable": record(_SAID, optional=tuple(_SAID), text="What a client says of a resumable upload."),
    "Resumable": record(
        {
            "upload_id": ID,
            "state": {"enum": [RESUMABLE, SEALED, COMMITTED]},
            "offset": COUNT,
            **_SAID,
            "path": TEXT,
            "chunk_size": COUNT,
            "expires_in_seconds": NUMBER,
            "file_id": TEXT,
        },
        text="A resumable upload. offset: how many bytes are safe.",
    ),
    "ResumedUpload": record(
        {
            "upload_id": ID,
            "chunk_size": COUNT,
            "replication_factor": COUNT,
            "write_quorum": COUNT,
            "placements": array(ref("Placement")),
            "attempt": {"type": "integer", "minimum": 1},
            "tail": nullable(ref("Chunk")),
            "info": ref("Resumable"),
        },
        text="Leave to go on with an upload. tail: the short chunk that the first one is to begin with.",
    ),
}

RESUMABLE_OPERATIONS = (
    Operation(
        "GET",
        "/uploads/{upload_id}",
        "findUpload",
        "uploads",
        "A resumable upload as it stands",
        {200: json_reply("The upload.", ref("Resumable"))},
        (UploadUnknown, UploadClosed),
    ),
    Operation(
        "POST",
        "/uploads/{upload_id}/resume",
        "resumeUpload",
        "uploads",
        "Take a resumable upload over",
        {200: json_reply("It takes what follows.", ref("ResumedUpload"))},
        (
            UploadUnknown,
            UploadClosed,
            UploadSealed,
            OffsetConflict,
            UploadTakenOver,
            TooManyRequests,
            NotEnoughWorkers,
            ClusterFull,
            LargerThanQuota,
            QuotaExceeded,
        ),
        body=json_body(
            "offset: where to go on. length: of the whole, if it is known by now. session: the same in every copy.",
            record(
                {
                    "offset": COUNT,
                    "length": nullable(COUNT),
                    "place": {**COUNT, "maximum": 1000},
                    "session": {"type": "string", "minLength": 1, "maxLength": 64},
                },
                optional=("length",),
            ),
        ),
    ),
)
