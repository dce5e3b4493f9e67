"""A folder of very many files, written into a metadata store at once: what listings and pages of it cost.

The files are empty, so that no worker has to hold anything of them, and they are as the masters write them otherwise.
"""

from __future__ import annotations

import hashlib
import random
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from common.records import Checksum
from master_node.model import ACTIVE, File, Version
from master_node.store.sqlite import SqliteStore
from master_node.store.sqlite_rows import file_row

_MARK_ID, _MARK_PATH = "f" * 32, "marked-path"
_CREATED_AT = "2026-01-31T12:00:00.000Z"


def fill_folder(database: Path, folder: str, count: int) -> None:
    """Write `count` files `<folder>file-000000.txt` ... into a SQLite store, which is made where there is none."""
    database.parent.mkdir(parents=True, exist_ok=True)

    def insert(connection: sqlite3.Connection) -> None:
        connection.executemany("INSERT INTO files VALUES (?, ?, ?, ?, ?, ?)", _rows(folder, count))

    store = SqliteStore(database)
    try:
        store._write(insert)
    finally:
        store.close()


def _rows(folder: str, count: int) -> Iterator[tuple[object, ...]]:
    """Copies of one row with its marks replaced: a thousand times faster than to make each of a file."""
    template = file_row(_marked_file())
    numbers = list(range(count))
    # As many clients would have stored them: not in the order of their names.
    random.Random(count).shuffle(numbers)
    for number in numbers:
        path, file_id = f"{folder}file-{number:06d}.txt", hashlib.md5(b"%d" % number, usedforsecurity=False).hexdigest()
        yield tuple(
            value.replace(_MARK_PATH, path).replace(_MARK_ID, file_id) if isinstance(value, str) else value
            for value in template
        )


def _marked_file() -> File:
    empty = Checksum("sha256", hashlib.sha256().hexdigest())
    version = Version(_MARK_ID, 1, 0, 0, 4 * 1024 * 1024, 3, empty, "text/plain", _CREATED_AT)
    return File(_MARK_ID, _MARK_PATH, ACTIVE, 1, version, (), 1, version.created_at, version.created_at)
