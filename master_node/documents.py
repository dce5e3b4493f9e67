"""How the masters' values are written as documents of plain JSON types, the same for every store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from common.records import Checksum, Heartbeat
from master_node.model import Chunk, CommitTarget, File, Lease, OldVersion, Upload, Version, WorkerRecord

Document = dict[str, Any]


def file_to_document(file: File) -> Document:
    return asdict(file)


def file_from_document(source: Mapping[str, Any]) -> File:
    version = source["version"]
    return File(
        file_id=source["file_id"],
        path=source["path"],
        status=source["status"],
        revision=source["revision"],
        version=_version(version) if version is not None else None,
        old_versions=tuple(
            OldVersion(_version(old["version"]), old["expires_at"], old["superseded_at"], old["is_released"])
            for old in source["old_versions"]
        ),
        last_number=source["last_number"],
        created_at=source["created_at"],
        modified_at=source["modified_at"],
        expires_at=source["expires_at"],
    )


def chunk_from_document(source: Mapping[str, Any]) -> Chunk:
    return Chunk(
        source["version_id"],
        source["index"],
        source["size_bytes"],
        source["checksum"],
        tuple(source["replicas"]),
        source["owed"],
        tuple(source["doubtful"]),
    )


def upload_to_document(upload: Upload) -> Document:
    return asdict(upload)


def upload_from_document(source: Mapping[str, Any]) -> Upload:
    target = source["target"]
    return Upload(
        upload_id=source["upload_id"],
        state=source["state"],
        revision=source["revision"],
        chunk_size_bytes=source["chunk_size_bytes"],
        replication_factor=source["replication_factor"],
        recorded_count=source["recorded_count"],
        recorded_bytes=source["recorded_bytes"],
        placed_count=source["placed_count"],
        workers=tuple(source["workers"]),
        last_activity_at=source["last_activity_at"],
        target=CommitTarget(**target) if target is not None else None,
        file_id=source["file_id"],
        is_collected=source["is_collected"],
        refusal=source["refusal"],
    )


def worker_from_document(source: Mapping[str, Any]) -> WorkerRecord:
    return WorkerRecord(
        source["worker_id"],
        Heartbeat.from_json(source["heartbeat"]),
        source["heartbeat_count"],
        source.get("is_draining", False),
    )


def lease_from_document(source: Mapping[str, Any]) -> Lease:
    return Lease(source["holder"], source["epoch"], source["renewals"], source["clock_seconds"])


def _version(source: Mapping[str, Any]) -> Version:
    return Version(
        version_id=source["version_id"],
        number=source["number"],
        size_bytes=source["size_bytes"],
        chunk_count=source["chunk_count"],
        chunk_size_bytes=source["chunk_size_bytes"],
        replication_factor=source["replication_factor"],
        checksum=Checksum(source["checksum"]["algorithm"], source["checksum"]["value"]),
        content_type=source["content_type"],
        created_at=source["created_at"],
        restored_from=source["restored_from"],
    )
