"""The shapes that more than one service sends: files, chunks, workers, jobs, problems.

Each stands for one `to_json`, mostly of `common/records.py`; the tests compare every answer they see with it.
"""

from __future__ import annotations

from common.errors import error_codes
from common.openapi.model import Schema, array, nullable, record, ref

TEXT: Schema = {"type": "string"}
FLAG: Schema = {"type": "boolean"}
COUNT: Schema = {"type": "integer", "minimum": 0}
NUMBER: Schema = {"type": "number", "minimum": 0}
TIME: Schema = {"type": "string", "format": "date-time", "description": "RFC 3339, UTC."}
ID: Schema = {"type": "string", "pattern": "^[0-9a-f]{32}$"}
CHUNK_ID: Schema = {"type": "string", "pattern": "^[0-9a-f]{32}-[0-9a-f]{8}(-(?!0{8})[0-9a-f]{8})?$"}
CHUNK_CHECKSUM: Schema = {"type": "string", "pattern": "^[0-9a-f]{32}$"}
WORKER_ID: Schema = {"type": "string", "examples": ["worker_1"]}
# What a job says of itself is each job's own.
FREE: Schema = {"type": "object", "additionalProperties": True}

PROBLEM: Schema = {
    "description": "An error, RFC 9457. Further members say what it is about.",
    "type": "object",
    "properties": {
        "title": TEXT,
        "status": {"type": "integer", "minimum": 400, "maximum": 599},
        "detail": TEXT,
        "code": {"type": "string", "description": "Stable: for programs. Known: " + ", ".join(sorted(error_codes()))},
        "request_id": TEXT,
    },
    "required": ["title", "status", "code"],
    "additionalProperties": True,
}

HEALTH: Schema = {"type": "object", "properties": {"status": {"const": "ok"}}, "required": ["status"]}

READY = record(
    {"status": {"enum": ["ready", "not_ready"]}, "checks": {"type": "object", "additionalProperties": FLAG}},
    text="What the service depends on, by name.",
)

CHECKSUM = record({"algorithm": {"const": "sha256"}, "value": {"type": "string", "pattern": "^[0-9a-f]{64}$"}})

FILE = record(
    {
        "file_id": ID,
        "path": {"type": "string", "description": "UTF-8, at most 1,024 bytes, exactly as it was given."},
        "status": {"enum": ["active", "deleted", "purged"]},
        "version": {"type": "integer", "minimum": 1},
        "version_id": ID,
        "size": {**COUNT, "description": "In bytes."},
        "content_type": TEXT,
        "checksum": nullable(ref("Checksum")),
        "chunk_size": COUNT,
        "chunk_count": COUNT,
        "replication_factor": COUNT,
        "created_at": TIME,
        "modified_at": TIME,
        "old_versions": array(ref("OldVersion")),
        "file_name": {"type": "string", "description": "The path's last segment."},
        "etag": TEXT,
    },
    text="One file. Its id stays over new versions and renames. checksum: null where none was made.",
)

OLD_VERSION = record(
    {
        "version": COUNT,
        "size": COUNT,
        "checksum": nullable(ref("Checksum")),
        "created_at": TIME,
        "superseded_at": TIME,
        "is_restorable": FLAG,
    },
    text="A version that was replaced. It can be restored until its bytes are freed.",
)

LISTED_FILE = record(
    {
        **{name: schema for name, schema in FILE["properties"].items() if name != "old_versions"},
        "expires_in_seconds": {**COUNT, "description": "In the trash: how long it can still be restored, at least."},
    },
    optional=("expires_in_seconds",),
    text="A file as a listing has it, without its old versions.",
)

LISTING = record(
    {
        "files": array(ref("ListedFile")),
        "prefixes": array(TEXT),
        "next_cursor": nullable(TEXT),
        "retention_seconds": {**COUNT, "description": "Of the trash: how long what is deleted now is kept in it."},
    },
    optional=("retention_seconds",),
    text="One page, in the order of the paths. next_cursor: null on the last page.",
)

EMPTIED = record(
    {"deleted": COUNT, "more": FLAG}, text="How many files are gone for good now, and whether some are left."
)

REPLICA = record({"worker_id": WORKER_ID, "url": TEXT}, text="A worker that holds a chunk, or shall hold it.")

CHUNK = record(
    {
        "index": COUNT,
        "size_bytes": COUNT,
        "checksum": CHUNK_CHECKSUM,
        "replicas": array(ref("Replica")),
        "attempt": COUNT,
    },
    optional=("attempt",),
    text="A chunk of a file and the workers that hold it. attempt: part of its id, where it is not 0.",
)

WORKER = record(
    {
        "worker_id": WORKER_ID,
        "state": {"enum": ["alive", "suspect", "dead", "draining", "maintenance"]},
        "url": TEXT,
        "zone": TEXT,
        "capacity_bytes": COUNT,
        "used_bytes": COUNT,
        "free_bytes": COUNT,
        "chunk_count": COUNT,
        "version": TEXT,
        "protocol": COUNT,
        "last_heartbeat_age_seconds": nullable(NUMBER),
        "quarantined_count": COUNT,
        "is_configured": FLAG,
        "is_lost": FLAG,
        "is_reconciled": FLAG,
        "is_draining": FLAG,
        "drain": nullable(ref("Drain")),
    },
    text="A worker as one master sees it.",
)

DRAIN = record(
    {
        "chunks_left": COUNT,
        "bytes_left": COUNT,
        "is_complete": FLAG,
        "blocked": nullable(TEXT),
        "waits_for": nullable(TEXT),
    },
    text=(
        "How far a worker is emptied. blocked: why nothing more can leave it now. waits_for: what comes first, by"
        " itself, where nothing leaves it at the moment."
    ),
)

REPLICATION = record(
    {
        "replication_factor": COUNT,
        "write_quorum": COUNT,
        "workers_alive": COUNT,
        "under_replicated_chunks": COUNT,
        "under_replicated_by_copies": {"type": "object", "additionalProperties": COUNT},
        "owed_replicas": COUNT,
        "owed_bytes": COUNT,
        "repair_bytes_per_second": NUMBER,
        "repair_seconds_left": nullable(NUMBER),
        "repair_blocked": nullable(TEXT),
        "is_held_back": FLAG,
        "pending_free_bytes": COUNT,
        "due_free_bytes": COUNT,
    },
    text=(
        "How well everything is replicated, and what waits to be freed. repair_seconds_left: null while that is not"
        " known. repair_blocked: why nothing of what is owed can be made now."
    ),
)

_JOB = {
    "name": TEXT,
    "state": TEXT,
    "progress": FREE,
    "units_done": COUNT,
    "failures": {**COUNT, "description": "Missing where an earlier release wrote it down."},
    "last_error": TEXT,
    "last_error_at": TEXT,
    "updated_at": TEXT,
}

JOB = record(_JOB, optional=("failures",), text="A background job as the leader last wrote it down.")
JOBS = record({"jobs": array(ref("Job"))})
FSCK = record(
    {**_JOB, "is_requested": FLAG}, optional=("failures",), text="The comparison of all records with all disks."
)

KEY_ID: Schema = {"type": "string", "pattern": "^[0-9a-f]{16}$"}
KEY = record(
    {
        "key_id": KEY_ID,
        "name": TEXT,
        "rights": array({"enum": ["read", "write", "delete", "admin"]}),
        "prefix": TEXT,
        "created_at": TIME,
        "revoked_at": nullable(TIME),
    },
    text="What is kept of an API key, without its secret.",
)

QUOTA = record(
    {
        "prefix": TEXT,
        "max_bytes": nullable(COUNT),
        "max_files": nullable(COUNT),
        "used_bytes": COUNT,
        "used_files": COUNT,
        "is_counted": FLAG,
    },
    text="What may lie below a prefix, and what does. Nothing is refused until that is counted.",
)
QUOTA_LIMITS = record({"max_bytes": nullable(COUNT), "max_files": nullable(COUNT)}, optional=("max_bytes", "max_files"))

FILE_SCHEMAS = {
    "File": FILE,
    "OldVersion": OLD_VERSION,
    "Checksum": CHECKSUM,
    "ListedFile": LISTED_FILE,
    "Listing": LISTING,
    "Emptied": EMPTIED,
}
CHUNK_SCHEMAS = {"Chunk": CHUNK, "Replica": REPLICA}
CLUSTER_SCHEMAS = {
    "Worker": WORKER,
    "Drain": DRAIN,
    "Replication": REPLICATION,
    "Job": JOB,
    "Jobs": JOBS,
    "Fsck": FSCK,
    "Quota": QUOTA,
}
