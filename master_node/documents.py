"""How the masters' values are written as documents of plain JSON types, the same for every store.

Field by field: dataclasses.asdict copies whatever it meets and takes ten times as long, on the way of every file.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from common.records import Checksum, Heartbeat, describe_checksum
from master_node.attempts import Loose, Resumable, Sealed
from master_node.model import Chunk, CommitTarget, File, Lease, OldVersion, Upload, Version, WorkerRecord
from master_node.quotas.model import Announcement, Part, Quota, Recount

Document = dict[str, Any]


def file_to_document(file: File) -> Document:
    version = file.version
    return {
        "file_id": file.file_id,
        "path": file.path,
        "status": file.status,
        "revision": file.revision,
        "version": _version_to_document(version) if version is not None else None,
        "old_versions": [
            {
                "version": _version_to_document(old.version),
                "expires_at": old.expires_at,
                "superseded_at": old.superseded_at,
                "is_released": old.is_released,
            }
            for old in file.old_versions
        ],
        "last_number": file.last_number,
        "created_at": file.created_at,
        "modified_at": file.modified_at,
        "expires_at": file.expires_at,
    }


def file_from_document(source: Mapping[str, Any]) -> File:
    version = source["version"]
    return File(
        file_id=source["file_id"],
        path=source["path"],
        status=source["status"],
        revision=source["revision"],
        version=_version_from_document(version) if version is not None else None,
        old_versions=tuple(
            OldVersion(
                _version_from_document(old["version"]), old["expires_at"], old["superseded_at"], old["is_released"]
            )
            for old in source["old_versions"]
        ),
        last_number=source["last_number"],
        created_at=source["created_at"],
        modified_at=source["modified_at"],
        expires_at=source["expires_at"],
    )


def chunk_to_document(chunk: Chunk) -> Document:
    return {
        "version_id": chunk.version_id,
        "index": chunk.index,
        "size_bytes": chunk.size_bytes,
        "checksum": chunk.checksum,
        "replicas": list(chunk.replicas),
        "owed": chunk.owed,
        "doubtful": list(chunk.doubtful),
        "revision": chunk.revision,
        "attempt": chunk.attempt,
    }


def chunk_from_document(source: Mapping[str, Any]) -> Chunk:
    return Chunk(
        source["version_id"],
        source["index"],
        source["size_bytes"],
        source["checksum"],
        tuple(source["replicas"]),
        source["owed"],
        tuple(source["doubtful"]),
        source.get("revision", 1),
        source.get("attempt", 0),
    )


def upload_to_document(upload: Upload) -> Document:
    target, resumable = upload.target, upload.resumable
    return {
        "upload_id": upload.upload_id,
        "state": upload.state,
        "revision": upload.revision,
        "chunk_size_bytes": upload.chunk_size_bytes,
        "replication_factor": upload.replication_factor,
        "recorded_count": upload.recorded_count,
        "recorded_bytes": upload.recorded_bytes,
        "placed_count": upload.placed_count,
        "workers": list(upload.workers),
        "last_activity_at": upload.last_activity_at,
        "target": _target_to_document(target) if target is not None else None,
        "file_id": upload.file_id,
        "is_collected": upload.is_collected,
        "refusal": upload.refusal,
        "write_quorum": upload.write_quorum,
        **({"resumable": _resumable_to_document(resumable)} if resumable is not None else {}),
    }


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
        # Written by an earlier release, which had no other quorum than the configured one.
        write_quorum=source.get("write_quorum", source["replication_factor"] // 2 + 1),
        resumable=_resumable_from_document(source["resumable"]) if source.get("resumable") is not None else None,
    )


def worker_from_document(source: Mapping[str, Any]) -> WorkerRecord:
    return WorkerRecord(
        source["worker_id"],
        Heartbeat.from_json(source["heartbeat"]),
        source["heartbeat_count"],
        source.get("is_draining", False),
        source.get("left_at"),
        source.get("inventory_wanted", 1),
        source.get("inventory_done", 0),
    )


def quota_to_document(quota: Quota) -> Document:
    recount = quota.recount
    return {
        "prefix": quota.prefix,
        "max_bytes": quota.max_bytes,
        "max_files": quota.max_files,
        "revision": quota.revision,
        "used_bytes": quota.used_bytes,
        "used_files": quota.used_files,
        "announced": [
            {
                "change_id": one.change_id,
                "parts": [[part.path, part.size_bytes, part.files] for part in one.parts],
                "announced_at": one.announced_at,
            }
            for one in quota.announced
        ],
        "is_counted": quota.is_counted,
        "changed_at": quota.changed_at,
        "counted_at": quota.counted_at,
        "recount": [recount.cursor, recount.used_bytes, recount.used_files] if recount is not None else None,
    }


def quota_from_document(source: Mapping[str, Any]) -> Quota:
    recount = source["recount"]
    return Quota(
        prefix=source["prefix"],
        max_bytes=source["max_bytes"],
        max_files=source["max_files"],
        revision=source["revision"],
        used_bytes=source["used_bytes"],
        used_files=source["used_files"],
        announced=tuple(
            Announcement(one["change_id"], tuple(Part(*part) for part in one["parts"]), one["announced_at"])
            for one in source["announced"]
        ),
        is_counted=source["is_counted"],
        changed_at=source["changed_at"],
        counted_at=source["counted_at"],
        recount=Recount(*recount) if recount is not None else None,
    )


def lease_from_document(source: Mapping[str, Any]) -> Lease:
    return Lease(source["holder"], source["epoch"], source["renewals"], source["clock_seconds"])


def _target_to_document(target: CommitTarget) -> Document:
    return {
        "file_id": target.file_id,
        "path": target.path,
        "revision": target.revision,
        "is_insert": target.is_insert,
    }


def _resumable_to_document(resumable: Resumable) -> Document:
    sealed = resumable.sealed
    return {
        "path": resumable.path,
        "length": resumable.length,
        "metadata": resumable.metadata,
        "content_type": resumable.content_type,
        "file_name": resumable.file_name,
        "is_partial": resumable.is_partial,
        "attempt": resumable.attempt,
        "session": resumable.session,
        "tail_attempt": resumable.tail_attempt,
        "loose": [[one.attempt, one.start, one.end] for one in resumable.loose],
        "sealed": _sealed_to_document(sealed) if sealed is not None else None,
    }


def _resumable_from_document(source: Mapping[str, Any]) -> Resumable:
    sealed = source["sealed"]
    return Resumable(
        path=source["path"],
        length=source["length"],
        metadata=source["metadata"],
        content_type=source["content_type"],
        file_name=source["file_name"],
        is_partial=source["is_partial"],
        attempt=source["attempt"],
        session=source["session"],
        tail_attempt=source["tail_attempt"],
        loose=tuple(Loose(*one) for one in source["loose"]),
        sealed=_sealed_from_document(sealed) if sealed is not None else None,
    )


def _sealed_to_document(sealed: Sealed) -> Document:
    return {
        "size_bytes": sealed.size_bytes,
        "chunk_count": sealed.chunk_count,
        "checksum": describe_checksum(sealed.checksum),
        "content_type": sealed.content_type,
        "if_match": sealed.if_match,
        "if_none_match": sealed.if_none_match,
    }


def _sealed_from_document(source: Mapping[str, Any]) -> Sealed:
    return Sealed(
        source["size_bytes"],
        source["chunk_count"],
        _checksum_from_document(source["checksum"]),
        source["content_type"],
        source["if_match"],
        source["if_none_match"],
    )


def _version_to_document(version: Version) -> Document:
    return {
        "version_id": version.version_id,
        "number": version.number,
        "size_bytes": version.size_bytes,
        "chunk_count": version.chunk_count,
        "chunk_size_bytes": version.chunk_size_bytes,
        "replication_factor": version.replication_factor,
        "checksum": describe_checksum(version.checksum),
        "content_type": version.content_type,
        "created_at": version.created_at,
        "restored_from": version.restored_from,
    }


def _version_from_document(source: Mapping[str, Any]) -> Version:
    return Version(
        version_id=source["version_id"],
        number=source["number"],
        size_bytes=source["size_bytes"],
        chunk_count=source["chunk_count"],
        chunk_size_bytes=source["chunk_size_bytes"],
        replication_factor=source["replication_factor"],
        checksum=_checksum_from_document(source["checksum"]),
        content_type=source["content_type"],
        created_at=source["created_at"],
        restored_from=source["restored_from"],
    )


def _checksum_from_document(source: Mapping[str, Any] | None) -> Checksum | None:
    return None if source is None else Checksum(source["algorithm"], source["value"])
