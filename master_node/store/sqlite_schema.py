"""The tables of the SQLite store, and how a database of an earlier release is brought up to date."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

from common.errors import MetadataUnavailable

SCHEMA_VERSION = 6
_FILES = """
CREATE TABLE files (file_id TEXT NOT NULL UNIQUE, key TEXT PRIMARY KEY NOT NULL, revision INTEGER NOT NULL,
                    due_at REAL NOT NULL, pending_bytes INTEGER NOT NULL, body TEXT NOT NULL) WITHOUT ROWID;
CREATE INDEX files_due ON files (due_at, pending_bytes) WHERE due_at < 1e15;
"""
# `holdings` turns the workers of each chunk record into rows, so that what one worker holds is found by an index.
# Triggers keep it: they cost a new record as much as statements would, and no statement can forget it. A change
# touches the rows of those workers alone that came or went: of many records, the rows lie all over the table.
_CHUNKS = """
CREATE TABLE chunks (version_id TEXT NOT NULL, chunk_index INTEGER NOT NULL, revision INTEGER NOT NULL,
                     size_bytes INTEGER NOT NULL, checksum TEXT NOT NULL, replicas TEXT NOT NULL,
                     copies INTEGER NOT NULL, owed INTEGER NOT NULL, doubtful TEXT NOT NULL, attempt INTEGER NOT NULL DEFAULT 0,
                     PRIMARY KEY (version_id, chunk_index)) WITHOUT ROWID;
CREATE INDEX chunks_owed ON chunks (copies, version_id, chunk_index, owed, size_bytes) WHERE owed > 0;
CREATE INDEX chunks_surplus ON chunks (version_id, chunk_index) WHERE owed < 0;
CREATE TABLE holdings (worker_id TEXT NOT NULL, kind TEXT NOT NULL, version_id TEXT NOT NULL,
                       chunk_index INTEGER NOT NULL,
                       PRIMARY KEY (worker_id, kind, version_id, chunk_index)) WITHOUT ROWID;
"""  # noqa: E501 - word for word what ALTER TABLE makes of an earlier one
_HOLDINGS_OF_A_LIST = """
CREATE TRIGGER {kind}_inserted AFTER INSERT ON chunks WHEN NEW.{column} <> '[]' BEGIN
    INSERT OR IGNORE INTO holdings
        SELECT value, '{kind}', NEW.version_id, NEW.chunk_index FROM json_each(NEW.{column});
END;
CREATE TRIGGER {kind}_updated AFTER UPDATE OF {column} ON chunks WHEN NEW.{column} <> OLD.{column} BEGIN
    DELETE FROM holdings WHERE kind = '{kind}' AND version_id = OLD.version_id AND chunk_index = OLD.chunk_index
        AND worker_id IN (SELECT value FROM json_each(OLD.{column}) EXCEPT SELECT value FROM json_each(NEW.{column}));
    INSERT OR IGNORE INTO holdings
        SELECT value, '{kind}', NEW.version_id, NEW.chunk_index FROM json_each(NEW.{column})
        WHERE value NOT IN (SELECT value FROM json_each(OLD.{column}));
END;
CREATE TRIGGER {kind}_deleted AFTER DELETE ON chunks WHEN OLD.{column} <> '[]' BEGIN
    DELETE FROM holdings WHERE kind = '{kind}' AND version_id = OLD.version_id AND chunk_index = OLD.chunk_index
        AND worker_id IN (SELECT value FROM json_each(OLD.{column}));
END;
"""
_HOLDINGS = "".join(
    _HOLDINGS_OF_A_LIST.format(kind=kind, column=column)
    for kind, column in (("replica", "replicas"), ("doubtful", "doubtful"))
)
_WORKERS = """
CREATE TABLE workers (worker_id TEXT PRIMARY KEY, heartbeat_count INTEGER NOT NULL, heartbeat TEXT NOT NULL,
                      incarnation TEXT NOT NULL, is_draining INTEGER NOT NULL DEFAULT 0, left_at REAL,
                      inventory_wanted INTEGER NOT NULL DEFAULT 1, inventory_done INTEGER NOT NULL DEFAULT 0);
CREATE TABLE jobs (name TEXT PRIMARY KEY, status TEXT NOT NULL);
"""
_REST = """
CREATE TABLE uploads (upload_id TEXT PRIMARY KEY, revision INTEGER NOT NULL, state TEXT NOT NULL,
                      last_activity_at REAL NOT NULL, body TEXT NOT NULL);
CREATE INDEX uploads_idle ON uploads (state, last_activity_at);
CREATE TABLE lease (name TEXT PRIMARY KEY, epoch INTEGER NOT NULL, renewals INTEGER NOT NULL, body TEXT NOT NULL);
"""
_QUOTAS = """
CREATE TABLE quotas (prefix TEXT PRIMARY KEY, revision INTEGER NOT NULL, body TEXT NOT NULL);
"""
_KEYS = """
CREATE TABLE keys (key_id TEXT PRIMARY KEY NOT NULL, revoked_at TEXT, body TEXT NOT NULL) WITHOUT ROWID;
"""


# Schema 1 kept files in the order in which they came, so that a page of a listing read a disk page for each file.
_OLD_FILES = "ALTER TABLE files RENAME TO files_1; DROP INDEX files_due;"
_COPY_FILES = "INSERT INTO files SELECT * FROM files_1 ORDER BY key; DROP TABLE files_1;"
# Schema 2 did not know which chunks a worker holds. The rows of `holdings` are made in the order of their key, which
# is many times faster than by the triggers. The workers' rows come back with their next heartbeats.
_OLD_CHUNKS = "ALTER TABLE chunks RENAME TO chunks_2; DROP INDEX chunks_owed; DROP TABLE workers;"
_COPY_CHUNKS = """
INSERT INTO chunks SELECT version_id, chunk_index, 1, size_bytes, checksum, replicas, json_array_length(replicas), owed,
                          doubtful, 0 FROM chunks_2 ORDER BY version_id, chunk_index;
DROP TABLE chunks_2;
INSERT OR IGNORE INTO holdings
    SELECT value, 'replica', version_id, chunk_index FROM chunks, json_each(replicas)
    UNION ALL
    SELECT value, 'doubtful', version_id, chunk_index FROM chunks, json_each(doubtful)
    ORDER BY 1, 2, 3, 4;
"""
# Schema 5 knew no attempts, schema 4 no quotas either, schema 3 no keys. No row is touched by a column with a default.
_ATTEMPTS = "ALTER TABLE chunks ADD COLUMN attempt INTEGER NOT NULL DEFAULT 0;"
_FROM_SCHEMA_5 = (_ATTEMPTS,)
_FROM_SCHEMA_4 = (_QUOTAS, *_FROM_SCHEMA_5)
_FROM_SCHEMA_3 = (_KEYS, *_FROM_SCHEMA_4)
_FROM_SCHEMA_2 = (_OLD_CHUNKS, _CHUNKS, _COPY_CHUNKS, _HOLDINGS, _WORKERS, _KEYS, _QUOTAS)
_FROM_SCHEMA_1 = (_OLD_FILES, _FILES, _COPY_FILES, *_FROM_SCHEMA_2)
_STEPS = {
    0: (_FILES, _CHUNKS, _HOLDINGS, _WORKERS, _REST, _KEYS, _QUOTAS),
    1: _FROM_SCHEMA_1,
    2: _FROM_SCHEMA_2,
    3: _FROM_SCHEMA_3,
    4: _FROM_SCHEMA_4,
    5: _FROM_SCHEMA_5,
    SCHEMA_VERSION: (),
}


def prepare(connection: sqlite3.Connection, name: str) -> None:
    """Make the tables, or bring those of an earlier release up to date; inside a transaction of the caller's.

    Raises MetadataUnavailable, with the database's name, where that is of a release that is not known.
    """
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version not in _STEPS:
        raise MetadataUnavailable(f"{name} has schema {version}; this release knows schema {SCHEMA_VERSION}")
    for script in _STEPS[version]:
        for statement in _statements(script):
            connection.execute(statement)
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def _statements(script: str) -> Iterator[str]:
    """The statements of a script one by one; `executescript` would end the transaction."""
    statement = ""
    for part in script.split(";"):
        statement += part + ";"
        # Within a trigger a semicolon ends nothing.
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
