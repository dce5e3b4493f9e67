"""A backup on disk: a folder with a copy of the database and a manifest that says what must be in it."""

from __future__ import annotations

import contextlib
import hashlib
import json
import sqlite3
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from common.durable import StagedFile, move, sync_directory, write_durably
from common.errors import MetadataUnavailable
from common.version import VERSION
from master_node.store.sqlite_schema import SCHEMA_VERSION

SQLITE, MONGODB = "sqlite", "mongodb"
MANIFEST_NAME = "manifest.json"
DATABASE_NAME = "metadata.sqlite3"
COUNTED_TABLES = ("files", "chunks", "uploads", "workers")
# Beside a database in WAL mode.
COMPANIONS = ("", "-wal", "-shm")
_PIECE_BYTES = 1024 * 1024


class BackupUnusable(Exception):
    """The backup is not what its manifest says, or there is none."""


@dataclass(frozen=True)
class Manifest:
    """What a backup holds. counts: rows by table; epoch and clock_seconds: those of the lease in it."""

    made_at: str
    store: str
    release: str = VERSION
    schema: int = 0
    size_bytes: int = 0
    sha256: str = ""
    epoch: int = 0
    clock_seconds: float = 0.0
    counts: Mapping[str, int] | None = None

    def write(self, folder: Path) -> None:
        """Last of all: a folder without a manifest is no backup."""
        write_durably(folder / MANIFEST_NAME, json.dumps(asdict(self), indent=2).encode() + b"\n")


def read_manifest(folder: Path) -> Manifest:
    """Raises BackupUnusable."""
    try:
        fields: dict[str, Any] = json.loads((folder / MANIFEST_NAME).read_text(encoding="utf-8"))
        return Manifest(**{name: fields[name] for name in Manifest.__dataclass_fields__ if name in fields})
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise BackupUnusable(f"{folder} holds no backup: {error}") from error


def back_up_sqlite(database: Path, folder: Path, made_at: str) -> Manifest:
    """Copy the database as it is at one moment, while masters use it, and check the copy.

    The folder must be new or empty. Raises BackupUnusable, MetadataUnavailable.
    """
    if not database.is_file():
        raise MetadataUnavailable(f"there is no database at {database}")
    make_empty(folder)
    copy = folder / DATABASE_NAME
    try:
        with _open(database) as source, _open(copy) as target:
            # In one step: a reader of a WAL database sees one state however long it reads, and holds no writer up.
            source.backup(target, pages=-1)
            # One file is the whole copy.
            target.execute("PRAGMA journal_mode = DELETE")
    except sqlite3.Error as error:
        raise MetadataUnavailable(f"the SQLite database cannot be copied: {error}") from error
    manifest = _examine(copy, made_at)
    sync_directory(folder)
    manifest.write(folder)
    return manifest


def check_sqlite(folder: Path, manifest: Manifest) -> None:
    """Raise BackupUnusable unless the copy is whole and what the manifest says."""
    found = _examine(folder / DATABASE_NAME, manifest.made_at)
    for name in ("sha256", "size_bytes", "schema", "counts"):
        if getattr(found, name) != getattr(manifest, name):
            said, seen = getattr(manifest, name), getattr(found, name)
            raise BackupUnusable(f"the copy is not what its manifest says: {name} is {seen}, not {said}")
    if manifest.schema > SCHEMA_VERSION:
        raise BackupUnusable(f"the backup has schema {manifest.schema}; this release knows {SCHEMA_VERSION}")


def put_in_place(folder: Path, database: Path, set_aside_as: str) -> list[Path]:
    """Copy the backup to where the masters look for it; what was there is moved aside, and returned.

    set_aside_as: added to the names of what was there. No master may run.
    """
    database.parent.mkdir(parents=True, exist_ok=True)
    with StagedFile(database) as staged, (folder / DATABASE_NAME).open("rb") as source:
        while piece := source.read(_PIECE_BYTES):
            staged.write(piece)
        staged.sync()
        aside = set_aside(database, set_aside_as)
        staged.publish()
        staged.settle()
    return aside


def set_aside(database: Path, suffix: str) -> list[Path]:
    """Move a database out of the way, never to be deleted by us; returns where its files are now."""
    moved = []
    for companion in COMPANIONS:
        present = database.with_name(database.name + companion)
        if present.exists():
            # The companions keep their endings, so that the whole can be opened where it is.
            kept = database.with_name(f"{database.name}.{suffix}{companion}")
            move(present, kept)
            moved.append(kept)
    return moved


def make_empty(folder: Path) -> None:
    """The folder, made where missing; raises BackupUnusable where something is in it."""
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise BackupUnusable(f"{folder} is not empty; a backup wants a folder of its own")


def _examine(copy: Path, made_at: str) -> Manifest:
    """What the copy holds, every page of it read; raises BackupUnusable where it is damaged or missing."""
    if not copy.is_file():
        raise BackupUnusable(f"{copy} is missing")
    try:
        with _open(copy) as connection:
            problems = [row[0] for row in connection.execute("PRAGMA integrity_check(10)")]
            if problems != ["ok"]:
                raise BackupUnusable(f"{copy} is damaged: {'; '.join(problems)}")
            schema = connection.execute("PRAGMA user_version").fetchone()[0]
            counts = {name: _count(connection, name) for name in COUNTED_TABLES}
            lease = connection.execute("SELECT body FROM lease").fetchone()
    except sqlite3.Error as error:
        raise BackupUnusable(f"{copy} is no database of ours: {error}") from error
    body: dict[str, Any] = json.loads(lease[0]) if lease else {"epoch": 0, "clock_seconds": 0.0}
    return Manifest(
        made_at,
        SQLITE,
        schema=schema,
        size_bytes=copy.stat().st_size,
        sha256=_sha256(copy),
        epoch=body["epoch"],
        clock_seconds=body["clock_seconds"],
        counts=counts,
    )


def _count(connection: sqlite3.Connection, table: str) -> int:
    count: int = connection.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0]  # noqa: S608 - COUNTED_TABLES
    return count


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(_PIECE_BYTES):
            digest.update(piece)
    return digest.hexdigest()


@contextlib.contextmanager
def _open(path: Path) -> Any:
    connection = sqlite3.connect(path, timeout=10.0)
    try:
        yield connection
    finally:
        connection.close()
