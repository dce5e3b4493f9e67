"""Values of the masters' model, made with as few words as a test needs."""

from __future__ import annotations

import random
from dataclasses import replace

from common.records import Checksum, Heartbeat, StoredChunk
from master_node import model
from master_node.model import Chunk, File, OldVersion, Upload, Version

NOW = "2026-01-31T12:00:00.000Z"
CHUNK_SIZE = 65536
# Strings that databases order, match or escape wrongly; every one is a valid path.
AWKWARD = (
    "a",
    "A",
    "a ",
    "a.b",
    "a0",
    "a/",
    "a/b",
    "a/b/c",
    "a\x01b",
    "a\x1f",
    "a\nb",
    "a\tb",
    "a\x7f",
    "a\x80",
    "%",
    "a%",
    "a_",
    "_",
    "*",
    "a*",
    "?",
    "[a]",
    "\\",
    "a\\b",
    "'",
    '"',
    "a'b\"c",
    "$where",
    "a.$b",
    "é",
    "e\u0301",
    "ﬁ",
    "\ud7ff",
    "\ue000",
    "\ufffd",
    "\uffff",
    "\U00010000",
    "😀",
    "\U0010ffff",
    "日本語",
    "עברית",
)


def hex_id(seed: object) -> str:
    """32 hexadecimal digits, the same for the same seed."""
    return f"{random.Random(str(seed)).getrandbits(128):032x}"


def make_version(seed: object, *, size_bytes: int = 0, number: int = 1, chunk_count: int | None = None) -> Version:
    return Version(
        version_id=hex_id(seed),
        number=number,
        size_bytes=size_bytes,
        chunk_count=-(-size_bytes // CHUNK_SIZE) if chunk_count is None else chunk_count,
        chunk_size_bytes=CHUNK_SIZE,
        replication_factor=3,
        checksum=Checksum("sha256", "00" * 32),
        content_type="text/plain",
        created_at=NOW,
    )


def make_old(seed: object, *, expires_at: float = 100.0, size_bytes: int = 0, number: int = 1) -> OldVersion:
    return OldVersion(make_version(seed, size_bytes=size_bytes, number=number), expires_at, NOW)


def make_file(
    path: str,
    *,
    seed: object = None,
    status: str = model.ACTIVE,
    size_bytes: int = 0,
    old_versions: tuple[OldVersion, ...] = (),
    expires_at: float = model.NEVER,
) -> File:
    """A file at `path` whose id comes from `seed`, else from the path."""
    source = path if seed is None else seed
    return File(
        file_id=hex_id(source),
        path=path,
        status=status,
        revision=1,
        version=make_version(source, size_bytes=size_bytes, number=len(old_versions) + 1),
        old_versions=old_versions,
        last_number=len(old_versions) + 1,
        created_at=NOW,
        modified_at=NOW,
        expires_at=expires_at,
    )


def next_revision(file: File, **changes: object) -> File:
    return replace(file, revision=file.revision + 1, **changes)  # type: ignore[arg-type]


def make_chunk(
    version_id: str,
    index: int,
    *,
    replicas: tuple[str, ...] = ("worker_1",),
    owed: int = 0,
    doubtful: tuple[str, ...] = (),
    revision: int = 1,
) -> Chunk:
    return Chunk(version_id, index, CHUNK_SIZE, hex_id((version_id, index)), replicas, owed, doubtful, revision)


def next_chunk(chunk: Chunk, **changes: object) -> Chunk:
    return replace(chunk, revision=chunk.revision + 1, **changes)  # type: ignore[arg-type]


def stored(index: int, replicas: tuple[str, ...], size_bytes: int = CHUNK_SIZE) -> StoredChunk:
    """A chunk as the gateway reports it."""
    return StoredChunk(index, size_bytes, hex_id(index), replicas)


def make_upload(seed: object, *, state: str = model.OPEN, last_activity_at: float = 0.0) -> Upload:
    return Upload(
        upload_id=hex_id(seed),
        state=state,
        revision=1,
        chunk_size_bytes=CHUNK_SIZE,
        replication_factor=3,
        recorded_count=0,
        recorded_bytes=0,
        placed_count=0,
        workers=(),
        last_activity_at=last_activity_at,
    )


def make_heartbeat(number: int = 1, *, zone: str = "", free_bytes: int = 10**12) -> Heartbeat:
    return Heartbeat(
        url=f"http://127.0.0.1:{5000 + number}",
        zone=zone,
        capacity_bytes=10**12,
        used_bytes=0,
        free_bytes=free_bytes,
        chunk_count=0,
        version="test",
    )
