"""How the masters' values are written as rows of the SQLite store, and read back."""

from __future__ import annotations

import json
from typing import Any

from common.api_keys import KeyRecord
from common.records import Heartbeat, place_of
from master_node.documents import file_to_document, upload_to_document
from master_node.model import NEVER, Chunk, File, Upload, WorkerRecord

Row = tuple[Any, ...]
decode = json.JSONDecoder().decode
encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode

SELECT_WORKERS = (
    "SELECT worker_id, heartbeat_count, heartbeat, is_draining, left_at, inventory_wanted, inventory_done FROM workers"
)
CHUNK_COLUMNS = "version_id, chunk_index, size_bytes, checksum, replicas, owed, doubtful, revision, attempt"
# Every insert names its columns: a later release may have added one, with a default, while masters of this one run.
INSERT_FILE = "INSERT INTO files (file_id, key, revision, due_at, pending_bytes, body) VALUES (?, ?, ?, ?, ?, ?)"
INSERT_CHUNK = (
    "INSERT OR IGNORE INTO chunks (version_id, chunk_index, revision, size_bytes, checksum, replicas, copies, owed,"
    " doubtful, attempt) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
INSERT_UPLOAD = "INSERT INTO uploads (upload_id, revision, state, last_activity_at, body) VALUES (?, ?, ?, ?, ?)"
INSERT_KEY = "INSERT OR IGNORE INTO keys (key_id, revoked_at, body) VALUES (?, ?, ?)"
INSERT_QUOTA = "INSERT OR IGNORE INTO quotas (prefix, revision, body) VALUES (?, ?, ?)"
INSERT_LEASE = "INSERT OR IGNORE INTO lease (name, epoch, renewals, body) VALUES ('leader', ?, ?, ?)"
PUT_JOB = "INSERT INTO jobs (name, status) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET status = excluded.status"


def file_row(file: File) -> Row:
    body = encode(file_to_document(file))
    due_at = min(file.due_at, NEVER)
    return file.file_id, file.key, file.revision, due_at, file.pending_bytes, body


def chunk_row(chunk: Chunk) -> Row:
    replicas, doubtful = encode(chunk.replicas), encode(chunk.doubtful)
    return (
        chunk.version_id,
        chunk.index,
        chunk.revision,
        chunk.size_bytes,
        chunk.checksum,
        replicas,
        len(chunk.replicas),
        chunk.owed,
        doubtful,
        chunk.attempt,
    )


def chunk_from_row(row: Row) -> Chunk:
    version_id, index, size, checksum, replicas, owed, doubtful, revision, attempt = row
    lists = tuple(decode(replicas)), tuple(decode(doubtful))
    return Chunk(version_id, index, size, checksum, lists[0], owed, lists[1], revision, attempt)


def chunk_key(chunk_id: str) -> tuple[str, int]:
    """The primary key of a chunk, which all attempts share; of "", one that is below all others."""
    return place_of(chunk_id)[:2] if chunk_id else ("", -1)


def worker_from_row(row: Row) -> WorkerRecord:
    worker_id, count, heartbeat, is_draining, left_at, wanted, done = row
    return WorkerRecord(
        worker_id, Heartbeat.from_json(decode(heartbeat)), count, bool(is_draining), left_at, wanted, done
    )


def upload_row(upload: Upload) -> Row:
    body = encode(upload_to_document(upload))
    return upload.upload_id, upload.revision, upload.state, upload.last_activity_at, body


def key_row(key: KeyRecord) -> Row:
    return key.key_id, key.revoked_at, encode(key.to_json())


def key_from_row(row: Row) -> KeyRecord:
    revoked_at, body = row
    return KeyRecord.from_json({**decode(body), "revoked_at": revoked_at})
