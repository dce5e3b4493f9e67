"""Uploads and files, as the gateway asks for them."""

from __future__ import annotations

from common.errors import (
    ChunkConflict,
    ClusterFull,
    Conflict,
    DFSError,
    FileDeleted,
    FileUnknown,
    InvalidPath,
    LargerThanQuota,
    NotEnoughWorkers,
    PathTaken,
    PreconditionFailed,
    QuotaExceeded,
    TooLarge,
    TooManyVersions,
    UploadClosed,
    UploadSealed,
    UploadTakenOver,
    UploadUnknown,
    VersionUnknown,
)
from common.openapi.model import Operation, Parameter, Schema, array, json_body, json_reply, nullable, record, ref
from common.openapi.schemas import CHUNK_CHECKSUM, CHUNK_SCHEMAS, COUNT, FILE_SCHEMAS, FLAG, ID, TEXT, WORKER_ID
from master_node.openapi.resumables import RESUMABLE_SCHEMAS

_LEVEL = Parameter(
    "consistency", "query", "How fresh the answer is to be.", {"enum": ["linearizable", "majority", "eventual"]}
)
_MAP_PART = (
    Parameter("start", "query", "The first chunk wanted.", {**COUNT, "maximum": 2**32}),
    Parameter("chunks", "query", "How much of the chunk map.", {**COUNT, "maximum": 1000}),
    _LEVEL,
)
_PRECONDITIONS: dict[str, Schema] = {"if_match": nullable(TEXT), "if_none_match": nullable(TEXT)}
_STORED_CHUNKS = array(ref("StoredChunk"))
_QUOTA_ERRORS = (QuotaExceeded, LargerThanQuota)
_CHANGE_ERRORS: tuple[type[DFSError], ...] = (
    FileUnknown,
    Conflict,
    PathTaken,
    PreconditionFailed,
    TooManyVersions,
    *_QUOTA_ERRORS,
)
_ATTEMPT_ERRORS = (UploadTakenOver, UploadSealed, ChunkConflict)
_PLACE_ERRORS: tuple[type[DFSError], ...] = (NotEnoughWorkers, ClusterFull, TooLarge, *_QUOTA_ERRORS)

SCHEMAS = {
    **FILE_SCHEMAS,
    **CHUNK_SCHEMAS,
    "Located": record({"file": ref("File"), "chunks": array(ref("Chunk"))}, text="A file and a part of its chunk map."),
    "StoredChunk": record(
        {
            "index": {**COUNT, "maximum": 2**32 - 1},
            "size_bytes": COUNT,
            "checksum": CHUNK_CHECKSUM,
            "replicas": {**array(WORKER_ID), "minItems": 1, "uniqueItems": True},
            "doubtful": array(WORKER_ID),
            "attempt": {**COUNT, "maximum": 2**32 - 1},
        },
        optional=("doubtful", "attempt"),
        text="A chunk that these workers have on disk; the doubtful ones may have it.",
    ),
    "OpenUpload": record(
        {
            "upload_id": ID,
            "chunk_size": COUNT,
            "replication_factor": COUNT,
            "write_quorum": COUNT,
            "placements": array(ref("Placement")),
        },
        text="An upload that takes chunks.",
    ),
    **RESUMABLE_SCHEMAS,
    "Placement": record(
        {"index": COUNT, "targets": array(ref("Replica"))}, text="Where a chunk goes: the first ones, then spares."
    ),
}

_FILE = json_reply("The file.", ref("File"))
_LOCATED = json_reply("The file.", ref("Located"))

_COMMIT = record(
    {
        "path": TEXT,
        "content_type": TEXT,
        "size": COUNT,
        "chunk_count": COUNT,
        "checksum": nullable(ref("Checksum")),
        "chunks": _STORED_CHUNKS,
        **_PRECONDITIONS,
        "attempt": nullable(COUNT),
    },
    optional=(*_PRECONDITIONS, "attempt"),
)

UPLOAD_OPERATIONS = (
    Operation(
        "POST",
        "/uploads",
        "openUpload",
        "uploads",
        "Open an upload and place its first chunks",
        {201: json_reply("It takes chunks.", ref("OpenUpload"))},
        (*_PLACE_ERRORS, InvalidPath),
        body=json_body(
            "path: where it will be committed. place: how many chunks.",
            record(
                {
                    "path": nullable(TEXT),
                    "replication_factor": nullable(COUNT),
                    "place": {**COUNT, "maximum": 1000},
                    "consistency": nullable(TEXT),
                    "size_bytes": nullable(COUNT),
                    "resumable": nullable(ref("NewResumable")),
                },
                optional=("path", "replication_factor", "consistency", "size_bytes", "resumable"),
            ),
        ),
    ),
    Operation(
        "POST",
        "/uploads/{upload_id}/chunks",
        "recordChunks",
        "uploads",
        "Record finished chunks and place the next",
        {200: json_reply("It takes more.", ref("OpenUpload"))},
        (*_PLACE_ERRORS, *_ATTEMPT_ERRORS, UploadUnknown, UploadClosed, Conflict),
        body=json_body(
            "The chunks follow on those recorded before. attempt: of a resumable upload.",
            record(
                {"chunks": _STORED_CHUNKS, "place_from": COUNT, "place": COUNT, "attempt": nullable(COUNT)},
                optional=("attempt",),
            ),
        ),
    ),
    Operation(
        "POST",
        "/uploads/{upload_id}/commit",
        "commitUpload",
        "uploads",
        "Make an upload a file, in one step",
        {200: json_reply("The file.", record({"file": ref("File"), "is_new": FLAG}))},
        (
            *_ATTEMPT_ERRORS,
            UploadUnknown,
            UploadClosed,
            Conflict,
            PathTaken,
            *_QUOTA_ERRORS,
            InvalidPath,
            PreconditionFailed,
            TooLarge,
            TooManyVersions,
        ),
        body=json_body(
            "The file, and the chunks not yet recorded; or, of a resumable upload that is sealed, just that.",
            {"anyOf": [_COMMIT, record({"sealed": {"const": True}})]},
        ),
    ),
    Operation(
        "DELETE",
        "/uploads/{upload_id}",
        "abortUpload",
        "uploads",
        "Give an upload up",
        {200: json_reply("It takes no more.", record({"upload_id": TEXT}))},
        (UploadSealed, Conflict),
    ),
)

FILE_OPERATIONS = (
    Operation(
        "GET",
        "/files",
        "listFiles",
        "files",
        "One page of the files",
        {200: json_reply("The page.", ref("Listing"))},
        parameters=(
            Parameter("prefix", "query", "Only paths that start with this.", TEXT),
            Parameter("delimiter", "query", "Fold what lies behind it.", TEXT),
            Parameter("limit", "query", "Of one page.", {"type": "integer", "minimum": 1, "maximum": 1000}),
            Parameter("cursor", "query", "From the page before.", TEXT),
            Parameter("status", "query", "Of the files.", {"enum": ["active", "deleted"]}),
            Parameter("order", "query", "By path.", {"enum": ["asc", "desc"]}),
            Parameter("until", "query", "A cursor at which to end.", TEXT),
            _LEVEL,
        ),
    ),
    Operation(
        "GET",
        "/paths",
        "findPath",
        "files",
        "The file at a path",
        {200: _LOCATED},
        (FileUnknown, InvalidPath),
        (Parameter("path", "query", "The file's path.", TEXT, is_required=True), *_MAP_PART),
    ),
    Operation(
        "GET",
        "/files/{file_id}",
        "findFile",
        "files",
        "The file with an id",
        {200: _LOCATED},
        (FileUnknown, VersionUnknown),
        (Parameter("version", "query", "With this content; default: the present one.", COUNT), *_MAP_PART),
    ),
    Operation(
        "DELETE",
        "/files/{file_id}",
        "deleteFile",
        "files",
        "To the trash, or for good",
        {200: _FILE},
        _CHANGE_ERRORS,
        (
            Parameter("permanent", "query", "For good.", FLAG),
            Parameter("if_match", "query", "Only with this ETag.", TEXT),
            Parameter("path", "query", "Only at this path.", TEXT),
        ),
    ),
    Operation(
        "POST",
        "/files/{file_id}/restore",
        "restoreFile",
        "files",
        "Out of the trash, or an old version",
        {200: _FILE},
        (*_CHANGE_ERRORS, FileDeleted, InvalidPath, TooLarge, VersionUnknown),
        body=json_body(
            "What to restore, and where.",
            record({"version": nullable(COUNT), "path": nullable(TEXT)}, optional=("version", "path")),
            is_required=False,
        ),
    ),
    Operation(
        "PATCH",
        "/files/{file_id}",
        "renameFile",
        "files",
        "Another path",
        {200: _FILE},
        (*_CHANGE_ERRORS, FileDeleted, InvalidPath, TooLarge),
        body=json_body("The new path.", record({"path": TEXT, "if_match": nullable(TEXT)}, optional=("if_match",))),
    ),
    Operation(
        "POST",
        "/files/{file_id}/checksum",
        "recordChecksum",
        "files",
        "Put down the checksum of a version that has none",
        {200: _FILE},
        (FileUnknown, VersionUnknown, Conflict),
        body=json_body("Of which version.", record({"version_id": TEXT, "checksum": ref("Checksum")})),
    ),
    Operation(
        "POST",
        "/trash/empty",
        "emptyTrash",
        "files",
        "Delete some of the trash for good",
        {200: json_reply("How many, and whether some are left.", ref("Emptied"))},
        (TooLarge,),
        body=json_body("Only paths that start with this.", record({"prefix": TEXT})),
    ),
    Operation(
        "GET",
        "/versions/{version_id}/chunks",
        "listChunks",
        "files",
        "One page of a version's chunk map",
        {200: json_reply("The page.", record({"chunks": array(ref("Chunk"))}))},
        (VersionUnknown,),
        (
            Parameter("start", "query", "The first chunk wanted.", {**COUNT, "maximum": 2**32}),
            Parameter("limit", "query", "Of one page.", {"type": "integer", "minimum": 1, "maximum": 1000}),
            _LEVEL,
        ),
    ),
)
