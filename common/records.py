"""The values that services exchange as JSON, and how they are written.

`from_json` trusts nothing, see common/fields.py. `to_json` names its fields one by one, in the order in which they are
sent: every answer is made by it, and dataclasses.asdict takes ten times as long.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from common.errors import InvalidRequest
from common.fields import take, take_objects, take_or
from common.paths import file_name

_VERSION_ID = re.compile(r"[0-9a-f]{32}")
_CHUNK_ID = re.compile(r"[0-9a-f]{32}-[0-9a-f]{8}(-(?!00000000)[0-9a-f]{8})?")
_CHECKSUM = re.compile(r"[0-9a-f]{32}")
MAX_CHUNK_INDEX = MAX_ATTEMPT = 0xFFFFFFFF
_SLOT_LENGTH = 41


def chunk_id(version_id: str, index: int, attempt: int = 0) -> str:
    """The name of a chunk on every worker: which version it belongs to, its place in it, from 0, and the attempt.

    attempt: by which resumption of a resumable upload it was sent; 0 for all other chunks. Each writes chunks of its
    own, so that an id never comes to name other bytes.
    """
    return f"{version_id}-{index:08x}-{attempt:08x}" if attempt else f"{version_id}-{index:08x}"


def version_of(chunk_id: str) -> str:
    """The version that a chunk belongs to, which is the id of its upload too."""
    return chunk_id.partition("-")[0]


def slot_of(chunk_id: str) -> str:
    """The id without its attempt: the place in a version that all attempts share, and that has one record."""
    return chunk_id[:_SLOT_LENGTH]


def place_of(chunk_id: str) -> tuple[str, int, int]:
    """The version, the index and the attempt that an id is made of."""
    version_id, index, attempt = (*chunk_id.split("-"), "0")[:3]
    return version_id, int(index, 16), int(attempt, 16)


def is_chunk_id(text: str) -> bool:
    return _CHUNK_ID.fullmatch(text) is not None


def is_version_id(text: str) -> bool:
    """Whether this is the id of a version, of an upload or of a file: all are 32 hexadecimal digits."""
    return _VERSION_ID.fullmatch(text) is not None


def _attempt_to_json(attempt: int) -> dict[str, int]:
    """Left out where it is 0, as it is for all but resumable uploads; an earlier release does not know it."""
    return {"attempt": attempt} if attempt else {}


def _take_attempt(source: Mapping[str, Any]) -> int:
    attempt = take_or(source, "attempt", 0)
    if attempt > MAX_ATTEMPT:
        raise InvalidRequest(f"an attempt is at most {MAX_ATTEMPT}")
    return attempt


@dataclass(frozen=True)
class Target:
    """A worker that a replica can be sent to or read from."""

    worker_id: str
    url: str

    def to_json(self) -> dict[str, Any]:
        return {"worker_id": self.worker_id, "url": self.url}

    @classmethod
    def from_json(cls, source: Mapping[str, Any]) -> Target:
        return cls(take(source, "worker_id", str), take(source, "url", str))


@dataclass(frozen=True)
class Placement:
    """Where one chunk goes: the first `replication_factor` targets, then spares in order of preference."""

    index: int
    targets: tuple[Target, ...]

    def to_json(self) -> dict[str, Any]:
        return {"index": self.index, "targets": [target.to_json() for target in self.targets]}

    @classmethod
    def from_json(cls, source: Mapping[str, Any]) -> Placement:
        return cls(
            take(source, "index", int), tuple(Target.from_json(item) for item in take_objects(source, "targets"))
        )


@dataclass(frozen=True)
class StoredChunk:
    """A chunk that `replicas` (worker ids) have on disk, and that `doubtful`, which were broken off, may have."""

    index: int
    size_bytes: int
    checksum: str
    replicas: tuple[str, ...]
    doubtful: tuple[str, ...] = ()
    attempt: int = 0

    def to_json(self) -> dict[str, Any]:
        return {
            "index": self.index,
            "size_bytes": self.size_bytes,
            "checksum": self.checksum,
            "replicas": list(self.replicas),
            "doubtful": list(self.doubtful),
            **_attempt_to_json(self.attempt),
        }

    @classmethod
    def from_json(cls, source: Mapping[str, Any]) -> StoredChunk:
        replicas = take(source, "replicas", list)
        doubtful: list[Any] = take_or(source, "doubtful", [])
        checksum = take(source, "checksum", str)
        index = take(source, "index", int)
        if not replicas or not all(isinstance(item, str) for item in replicas) or len(set(replicas)) != len(replicas):
            raise InvalidRequest("the field 'replicas' must list distinct worker ids")
        if not all(isinstance(item, str) for item in doubtful):
            raise InvalidRequest("the field 'doubtful' must list worker ids")
        if not _CHECKSUM.fullmatch(checksum) or index > MAX_CHUNK_INDEX:
            raise InvalidRequest("a chunk needs an index and a checksum of 32 hexadecimal digits")
        size_bytes, attempt = take(source, "size_bytes", int), _take_attempt(source)
        return cls(index, size_bytes, checksum, tuple(replicas), tuple(doubtful), attempt)


@dataclass(frozen=True)
class ChunkLocation:
    """A chunk and the workers that hold it."""

    index: int
    size_bytes: int
    checksum: str
    replicas: tuple[Target, ...]
    attempt: int = 0

    def to_json(self) -> dict[str, Any]:
        return {
            "index": self.index,
            "size_bytes": self.size_bytes,
            "checksum": self.checksum,
            "replicas": [target.to_json() for target in self.replicas],
            **_attempt_to_json(self.attempt),
        }

    @classmethod
    def from_json(cls, source: Mapping[str, Any]) -> ChunkLocation:
        return cls(
            take(source, "index", int),
            take(source, "size_bytes", int),
            take(source, "checksum", str),
            tuple(Target.from_json(item) for item in take_objects(source, "replicas")),
            _take_attempt(source),
        )


@dataclass(frozen=True)
class OpenUpload:
    """An upload that takes chunks, with the placements asked for."""

    upload_id: str
    chunk_size: int
    replication_factor: int
    write_quorum: int
    placements: tuple[Placement, ...]

    def to_json(self) -> dict[str, Any]:
        return {
            "upload_id": self.upload_id,
            "chunk_size": self.chunk_size,
            "replication_factor": self.replication_factor,
            "write_quorum": self.write_quorum,
            "placements": [placement.to_json() for placement in self.placements],
        }

    @classmethod
    def from_json(cls, source: Mapping[str, Any]) -> OpenUpload:
        return cls(
            take(source, "upload_id", str),
            take(source, "chunk_size", int),
            take(source, "replication_factor", int),
            take(source, "write_quorum", int),
            tuple(Placement.from_json(item) for item in take_objects(source, "placements")),
        )


@dataclass(frozen=True)
class Checksum:
    """The checksum of a whole file, such as `sha256sum` prints it."""

    algorithm: str
    value: str

    def to_json(self) -> dict[str, Any]:
        return {"algorithm": self.algorithm, "value": self.value}

    @classmethod
    def from_json(cls, source: Mapping[str, Any]) -> Checksum:
        return cls(take(source, "algorithm", str), take(source, "value", str))


def describe_checksum(checksum: Checksum | None) -> dict[str, Any] | None:
    """As JSON: null where none was made."""
    return None if checksum is None else checksum.to_json()


def take_checksum(source: Mapping[str, Any]) -> Checksum | None:
    """The field "checksum", which must be there; None where it says that none was made."""
    if "checksum" in source and source["checksum"] is None:
        return None
    return Checksum.from_json(take(source, "checksum", dict))


@dataclass(frozen=True)
class FileInfo:
    """One file as clients see it: the names of the fields are the REST's own. Sizes in bytes, times RFC 3339 UTC.

    checksum: None where the gateway that received it makes none.
    """

    file_id: str
    path: str
    status: str
    version: int
    version_id: str
    size: int
    content_type: str
    checksum: Checksum | None
    chunk_size: int
    chunk_count: int
    replication_factor: int
    created_at: str
    modified_at: str
    old_versions: tuple[Mapping[str, Any], ...] = ()

    @property
    def etag(self) -> str:
        """A strong validator: it changes exactly when the content is replaced."""
        return f'"{self.version_id}"'

    def to_json(self) -> dict[str, Any]:
        return {
            "file_id": self.file_id,
            "path": self.path,
            "status": self.status,
            "version": self.version,
            "version_id": self.version_id,
            "size": self.size,
            "content_type": self.content_type,
            "checksum": describe_checksum(self.checksum),
            "chunk_size": self.chunk_size,
            "chunk_count": self.chunk_count,
            "replication_factor": self.replication_factor,
            "created_at": self.created_at,
            "modified_at": self.modified_at,
            "old_versions": list(self.old_versions),
            "file_name": file_name(self.path),
            "etag": self.etag,
        }

    @classmethod
    def from_json(cls, source: Mapping[str, Any]) -> FileInfo:
        return cls(
            file_id=take(source, "file_id", str),
            path=take(source, "path", str),
            status=take(source, "status", str),
            version=take(source, "version", int),
            version_id=take(source, "version_id", str),
            size=take(source, "size", int),
            content_type=take(source, "content_type", str),
            checksum=take_checksum(source),
            chunk_size=take(source, "chunk_size", int),
            chunk_count=take(source, "chunk_count", int),
            replication_factor=take(source, "replication_factor", int),
            created_at=take(source, "created_at", str),
            modified_at=take(source, "modified_at", str),
            old_versions=tuple(take_objects({"old_versions": [], **source}, "old_versions")),
        )


@dataclass(frozen=True)
class Heartbeat:
    """What a worker says of itself. Sizes in bytes.

    incarnation: another one with every start of the worker, and when it finds its disk emptied. wants_inventory: it
    knows of damage that it could not report one by one. scrub: how far it is with re-reading its chunks, for people.
    """

    url: str
    zone: str
    capacity_bytes: int
    used_bytes: int
    free_bytes: int
    chunk_count: int
    version: str
    incarnation: str = ""
    quarantined_count: int = 0
    wants_inventory: bool = False
    scrub: Mapping[str, Any] = field(default_factory=dict)
    # Of its software, see common/version.py; a release that says nothing of it spoke the first.
    protocol: int = 1

    @classmethod
    def from_json(cls, source: Mapping[str, Any]) -> Heartbeat:
        return cls(
            url=take(source, "url", str),
            zone=take(source, "zone", str),
            capacity_bytes=take(source, "capacity_bytes", int),
            used_bytes=take(source, "used_bytes", int),
            free_bytes=take(source, "free_bytes", int),
            chunk_count=take(source, "chunk_count", int),
            version=take(source, "version", str),
            incarnation=take_or(source, "incarnation", ""),
            quarantined_count=take_or(source, "quarantined_count", 0),
            wants_inventory=take_or(source, "wants_inventory", False),
            scrub=take_or(source, "scrub", {}),
            protocol=take_or(source, "protocol", 1),
        )
