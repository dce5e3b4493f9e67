"""What one page of a listing costs, counted in steps of SQLite's virtual machine: `python -m benchmarks.listing`.

Steps, unlike seconds, are the same on every machine. A page of 10 entries must cost the same at any number of files.
"""

from __future__ import annotations

import sqlite3
import tempfile
from pathlib import Path

from common.records import Checksum
from master_node.listing import ListingQuery, list_page
from master_node.model import ACTIVE, File, Version
from master_node.store.sqlite import SqliteStore
from master_node.store.sqlite_rows import file_row

SIZES = (100, 10_000, 100_000)
QUERIES = {
    "flat, first page": ListingQuery(prefix="flat/", limit=10),
    "folders, first page": ListingQuery(prefix="", delimiter="/", limit=10),
    "inside a folder": ListingQuery(prefix="folder-00/", delimiter="/", limit=10),
}


class CountingStore(SqliteStore):
    """Counts the virtual machine's steps of everything it is asked."""

    steps = 0

    def _connect(self) -> sqlite3.Connection:
        connection = super()._connect()
        connection.set_progress_handler(self._count, 1)
        return connection

    def _count(self) -> int:
        self.steps += 1
        return 0


def main() -> None:
    print(f"{'query':<22}" + "".join(f"{size:>12,} files" for size in SIZES))
    table: dict[str, list[int]] = {name: [] for name in QUERIES}
    for size in SIZES:
        with tempfile.TemporaryDirectory() as folder:
            store = CountingStore(Path(folder) / "metadata.sqlite3")
            fill(store, size)
            for name, query in QUERIES.items():
                store.steps = 0
                list_page(store.scan_files, query)
                table[name].append(store.steps)
            store.close()
    for name, counts in table.items():
        print(f"{name:<22}" + "".join(f"{count:>12,} steps" for count in counts))


def fill(store: SqliteStore, size: int) -> None:
    """Half of the files in one folder, half spread over five others."""

    def insert(connection: sqlite3.Connection) -> None:
        for number in range(size):
            path = f"flat/{number:08d}" if number % 2 else f"folder-{number // 2 % 5:02d}/{number:08d}"
            row = file_row(_file(f"{number:032x}", path))
            connection.execute("INSERT INTO files VALUES (?, ?, ?, ?, ?, ?)", row)

    store._write(insert)


def _file(file_id: str, path: str) -> File:
    version = Version(
        file_id, 1, 0, 0, 4194304, 3, Checksum("sha256", "0" * 64), "text/plain", "2026-01-01T00:00:00.000Z"
    )
    return File(file_id, path, ACTIVE, 1, version, (), 1, version.created_at, version.created_at)


if __name__ == "__main__":
    main()
