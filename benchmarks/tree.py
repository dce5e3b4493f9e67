"""The files that a database is filled with: a tree as people make them, every part of which follows from a number.

File n stands at place n of the flat listing, so a measurement can name any file, and any place, without a list of them.
Folders hold 100 to 1000 files, paths have 40 characters, every file has one chunk of 4 KiB on three of five workers.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import xxhash

from common.checksums import block_digests, checksum_of
from common.records import Checksum
from common.settings import ClusterSettings
from master_node import file_changes, model
from master_node.model import Chunk, File, Upload, Version

FILE_BYTES = 4096
CREATED_AT = "2026-01-31T12:00:00.000Z"
WORKERS = ("worker_1", "worker_2", "worker_3", "worker_4", "worker_5")
# How each thousand of files is split into folders, in turn.
_FOLDER_SIZES = ((100,) * 10, (100, 200, 300, 400), (1000,))
_THOUSANDS_PER_TEAM = 60


@dataclass(frozen=True)
class Folder:
    """A folder of files; `first` is the number of its first file."""

    path: str
    first: int


@dataclass(frozen=True)
class Entry:
    """What distinguishes one file's records from another's."""

    file_id: str
    path: str
    sha256: str
    chunk_checksum: str
    replicas: tuple[str, str, str]


def folder_of(number: int) -> Folder:
    """The folder that holds file `number`."""
    thousand, rest = divmod(number, 1000)
    first = 0
    sizes = _FOLDER_SIZES[thousand % len(_FOLDER_SIZES)]
    for size in sizes:
        if rest < first + size:
            break
        first += size
    start = 1000 * thousand + first
    # Named after its first hundred: unique, and in the order of the numbers.
    return Folder(f"team-{thousand // _THOUSANDS_PER_TEAM:02d}/project-{start // 100:05d}/", start)


def path_of(number: int) -> str:
    return f"{folder_of(number).path}report-{number:07d}.txt"


def file_id_of(number: int) -> str:
    """32 hexadecimal digits in no order, as the masters' own ids are."""
    return xxhash.xxh3_128_hexdigest(b"file %d" % number)


def entry_of(number: int) -> Entry:
    first = number % len(WORKERS)
    a, b, c = (WORKERS[(first + step) % len(WORKERS)] for step in range(3))
    digest = hashlib.sha256(b"%d" % number).hexdigest()
    return Entry(file_id_of(number), path_of(number), digest, checksum_of(block_digests(b"%d" % number)), (a, b, c))


def records_of(entry: Entry) -> tuple[File, Chunk]:
    """The two records that the masters keep of such a file once its upload is committed."""
    settings = ClusterSettings()
    upload = Upload(
        upload_id=entry.file_id,
        state=model.OPEN,
        revision=1,
        chunk_size_bytes=settings.chunk_size_bytes,
        replication_factor=settings.replication_factor,
        recorded_count=1,
        recorded_bytes=FILE_BYTES,
        placed_count=1,
        workers=WORKERS,
        last_activity_at=0.0,
    )
    version = Version(
        version_id=entry.file_id,
        number=0,
        size_bytes=FILE_BYTES,
        chunk_count=1,
        chunk_size_bytes=settings.chunk_size_bytes,
        replication_factor=settings.replication_factor,
        checksum=Checksum("sha256", entry.sha256),
        content_type="application/octet-stream",
        created_at=CREATED_AT,
    )
    chunk = Chunk(entry.file_id, 0, FILE_BYTES, entry.chunk_checksum, entry.replicas, owed=0)
    return file_changes.new_file(upload, entry.path, version, CREATED_AT), chunk
