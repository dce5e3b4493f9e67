"""Fill a metadata store with many files, fast, with exactly the records that a master writes.

The store itself writes one file of marks, through its own interface; every other record is a copy of what it wrote
with the marks replaced. So nothing here knows how a store lays out a record, and at the end some of the files are read
through the store and compared. Files go in in an order that has nothing to do with their paths, as from many clients:
the worst case for a page of a listing, whose rows then lie anywhere.
"""

from __future__ import annotations

import os
import random
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from benchmarks.tree import Entry, entry_of, records_of
from master_node.store.base import MetadataStore
from master_node.store.sqlite import SqliteStore

_MARKS = Entry("f" * 32, "marked-path", "5" * 64, "c" * 32, ("mark_a", "mark_b", "mark_c"))
_BATCH = 1000
_SAMPLES = 20
Replace = Callable[[str], str]


class RecordsDiffer(Exception):
    """A store gave back something else than was written: its layout cannot be copied in this way any more."""


def fill_sqlite(path: Path, size: int) -> None:
    """Make a SQLite database of `size` files at `path`, which must not exist yet; it is on the disk at the end."""
    store = SqliteStore(path)
    _write_marks(store)
    store.close()
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        # No crash has to be survived while filling; the store sets its own modes when it opens the file.
        for pragma in ("journal_mode = OFF", "synchronous = OFF", "cache_size = -400000"):
            connection.execute(f"PRAGMA {pragma}")
        connection.execute("BEGIN")
        for table in ("files", "chunks"):
            _fill_table(connection, table, size)
        connection.execute("COMMIT")
        connection.execute("PRAGMA journal_mode = WAL")
    finally:
        connection.close()
    with open(path, "rb") as file:
        os.fsync(file.fileno())
    store = SqliteStore(path)
    check(store, size)
    store.close()


def fill_mongo(store: MetadataStore, database: Any, size: int) -> None:
    """Fill an empty MongoDB database with `size` files. store: one on `database`, a pymongo database."""
    _write_marks(store)
    for name in ("files", "chunks"):
        template = database[name].find_one()
        database[name].delete_many({})
        copies = (_copy_document(template, replace) for replace in _replacements(size))
        while batch := list(islice(copies, _BATCH)):
            database[name].insert_many(batch, ordered=False)
    check(store, size)


def check(store: MetadataStore, size: int) -> None:
    """Raise RecordsDiffer unless files taken at random read exactly as if the store had written each of them."""
    for number in {0, size - 1, *random.sample(range(size), min(_SAMPLES, size))}:
        file, chunk = records_of(entry_of(number))
        found = (store.find_file(file.file_id), store.find_file_by_key(file.key), store.list_chunks(file.file_id, 0, 2))
        if found != (file, file, [chunk]):
            raise RecordsDiffer(f"file {number} should read {file}, {chunk}, not {found}")


def _write_marks(store: MetadataStore) -> None:
    file, chunk = records_of(_MARKS)
    store.insert_file(file)
    store.insert_chunks([chunk])


def _fill_table(connection: sqlite3.Connection, table: str, size: int) -> None:
    template = connection.execute(f"SELECT * FROM {table}").fetchone()
    connection.execute(f"DELETE FROM {table}")
    rows = (tuple(_copy(value, replace) for value in template) for replace in _replacements(size))
    connection.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * len(template))})", rows)


def _replacements(size: int) -> Iterator[Replace]:
    """For every file, what turns the marked texts into its own."""
    numbers = list(range(size))
    random.Random(size).shuffle(numbers)
    for number in numbers:
        pairs = list(_pairs(entry_of(number)))
        yield lambda text, pairs=pairs: _replaced(text, pairs)  # type: ignore[misc]


def _pairs(entry: Entry) -> Iterator[tuple[str, str]]:
    yield _MARKS.file_id, entry.file_id
    yield _MARKS.path, entry.path
    yield _MARKS.sha256, entry.sha256
    yield _MARKS.chunk_checksum, entry.chunk_checksum
    yield from zip(_MARKS.replicas, entry.replicas, strict=True)


def _replaced(text: str, pairs: Iterable[tuple[str, str]]) -> str:
    for mark, value in pairs:
        text = text.replace(mark, value)
    return text


def _copy(value: Any, replace: Replace) -> Any:
    return replace(value) if isinstance(value, str) else value


def _copy_document(value: Any, replace: Replace) -> Any:
    """The same document with its texts replaced, all the way down."""
    if isinstance(value, dict):
        return {name: _copy_document(item, replace) for name, item in value.items()}
    if isinstance(value, list):
        return [_copy_document(item, replace) for item in value]
    return _copy(value, replace)
