"""The MongoDB store: for clusters on several hosts.

Writes wait for a majority and its journal, reads see majority-committed data. Only single-document operations and
plain indexes are used, so a single mongod, a replica set and wire-compatible servers all do. When an answer is lost
the write is repeated: each conditional write carries a `change_id`, by which a repeat recognises that the first copy
had been applied.
"""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any, TypeVar

import pymongo
from pymongo import ReplaceOne, UpdateOne
from pymongo.errors import AutoReconnect, BulkWriteError, DuplicateKeyError, NetworkTimeout, PyMongoError

from common.errors import MetadataUnavailable
from common.records import Heartbeat, chunk_id
from master_node.documents import (
    Document,
    chunk_from_document,
    chunk_to_document,
    file_from_document,
    file_to_document,
    lease_from_document,
    upload_from_document,
    upload_to_document,
    worker_from_document,
)
from master_node.model import NEVER, Chunk, File, Lease, Upload, WorkerRecord
from master_node.store.base import IdTaken, KeyTaken, Owed, Pending

ANSWER_TIMEOUT_SECONDS = 5.0
GIVE_UP_SECONDS = 8.0
_LEASE_ID = "leader"
Result = TypeVar("Result")


def open_mongo_store(uri: str, database_name: str) -> MongoStore:
    """Connect lazily to the server or replica set at `uri`; the write guarantees here win over the URI's."""
    client: pymongo.MongoClient[Document] = pymongo.MongoClient(
        uri,
        w="majority",
        journal=True,
        readConcernLevel="majority",
        retryWrites=True,
        retryReads=True,
        serverSelectionTimeoutMS=int(1000 * ANSWER_TIMEOUT_SECONDS),
        connectTimeoutMS=int(1000 * ANSWER_TIMEOUT_SECONDS),
        socketTimeoutMS=int(1000 * ANSWER_TIMEOUT_SECONDS),
        appname="dfs-master",
    )
    return MongoStore(client[database_name], close=client.close)


class MongoStore:
    """A MetadataStore in one MongoDB database."""

    def __init__(self, database: Any, close: Callable[[], None] = lambda: None) -> None:
        """database: a pymongo database, or one that behaves alike. Its indexes are made on first use."""
        self._database = database
        self._close = close
        self._has_indexes = False

    # --- files ---

    def insert_file(self, file: File) -> None:
        document = _file_document(file)
        try:
            self._repeat(lambda: self._files.insert_one(document))
        except DuplicateKeyError:
            found = self._repeat(lambda: self._files.find_one({"_id": file.file_id}))[0]
            if found is None:
                raise KeyTaken(file.key) from None
            if found.get("change_id") != document["change_id"]:
                raise IdTaken(file.file_id) from None

    def replace_file(self, file: File) -> bool:
        document = _file_document(file)
        condition = {"_id": file.file_id, "revision": file.revision - 1}
        try:
            return self._replace(self._files, condition, document)
        except DuplicateKeyError:
            raise KeyTaken(file.key) from None

    def delete_file(self, file_id: str, revision: int) -> bool:
        condition = {"_id": file_id, "revision": revision}
        result, was_repeated = self._repeat(lambda: self._files.delete_one(condition))
        return result.deleted_count == 1 or (was_repeated and self.find_file(file_id) is None)

    def find_file(self, file_id: str) -> File | None:
        return self._find_one_file({"_id": file_id})

    def find_file_by_key(self, key: str) -> File | None:
        return self._find_one_file({"key": key})

    def scan_files(self, after: str, before: str, limit: int, is_inclusive: bool = False) -> list[File]:
        condition = {"key": {"$gte" if is_inclusive else "$gt": after, "$lt": before}}
        return self._find_files(condition, "key", limit)

    def find_due_files(self, clock_seconds: float, limit: int) -> list[File]:
        return self._find_files({"due_at": {"$lte": min(clock_seconds, NEVER - 1)}}, "due_at", limit)

    def pending(self, clock_seconds: float) -> Pending:
        due = self._sum(self._files, {"due_at": {"$lte": min(clock_seconds, NEVER - 1)}}, "pending_bytes")[1]
        return Pending(self._sum(self._files, {"due_at": {"$lt": NEVER}}, "pending_bytes")[1], due)

    # --- chunks ---

    def insert_chunks(self, chunks: Sequence[Chunk]) -> None:
        documents = [_chunk_document(chunk) for chunk in chunks]
        self._write_chunks([UpdateOne({"_id": d["_id"]}, {"$setOnInsert": d}, upsert=True) for d in documents])

    def put_chunks(self, chunks: Sequence[Chunk]) -> None:
        documents = [_chunk_document(chunk) for chunk in chunks]
        self._write_chunks([ReplaceOne({"_id": d["_id"]}, d, upsert=True) for d in documents])

    def _write_chunks(self, writes: Sequence[UpdateOne | ReplaceOne[Document]]) -> None:
        if writes:
            self._repeat(lambda: self._chunks.bulk_write(writes, ordered=False))

    def list_chunks(self, version_id: str, start: int, limit: int) -> list[Chunk]:
        # "." follows "-" in the order of strings, so this bounds the chunks of one version.
        condition = {"_id": {"$gte": chunk_id(version_id, start), "$lt": f"{version_id}."}}
        found = self._repeat(lambda: list(self._chunks.find(condition).sort("_id", 1).limit(limit)))[0]
        return [chunk_from_document(document) for document in found]

    def delete_chunks(self, version_id: str, indexes: Sequence[int]) -> None:
        condition = {"_id": {"$in": [chunk_id(version_id, index) for index in indexes]}}
        self._repeat(lambda: self._chunks.delete_many(condition))

    def owed(self) -> Owed:
        return Owed(*self._sum(self._chunks, {"owed": {"$gt": 0}}, "owed"))

    # --- uploads ---

    def insert_upload(self, upload: Upload) -> None:
        document = _upload_document(upload)
        try:
            self._repeat(lambda: self._uploads.insert_one(document))
        except DuplicateKeyError:
            found = self._repeat(lambda: self._uploads.find_one({"_id": upload.upload_id}))[0]
            if found is None or found.get("change_id") != document["change_id"]:
                raise IdTaken(upload.upload_id) from None

    def replace_upload(self, upload: Upload, is_relaxed: bool = False) -> bool:  # noqa: ARG002
        """is_relaxed changes nothing: below a journaled majority a write could be lost and a later one kept."""
        condition = {"_id": upload.upload_id, "revision": upload.revision - 1}
        return self._replace(self._uploads, condition, _upload_document(upload))

    def find_upload(self, upload_id: str) -> Upload | None:
        found = self._repeat(lambda: self._uploads.find_one({"_id": upload_id}))[0]
        return upload_from_document(found) if found is not None else None

    def find_idle_uploads(self, state: str, idle_since: float, limit: int) -> list[Upload]:
        condition = {"state": state, "last_activity_at": {"$lte": idle_since}}
        cursor = lambda: list(self._uploads.find(condition).sort("last_activity_at", 1).limit(limit))  # noqa: E731
        return [upload_from_document(document) for document in self._repeat(cursor)[0]]

    def delete_uploads(self, upload_ids: Sequence[str]) -> None:
        self._repeat(lambda: self._uploads.delete_many({"_id": {"$in": list(upload_ids)}}))

    # --- workers ---

    def record_heartbeat(self, worker_id: str, heartbeat: Heartbeat) -> int:
        change = {"$set": {"worker_id": worker_id, "heartbeat": asdict(heartbeat)}, "$inc": {"heartbeat_count": 1}}
        options = {"upsert": True, "return_document": pymongo.ReturnDocument.AFTER}
        workers = self._database["workers"]
        found = self._repeat(lambda: workers.find_one_and_update({"_id": worker_id}, change, **options))[0]
        return int(found["heartbeat_count"])

    def list_workers(self) -> list[WorkerRecord]:
        found = self._repeat(lambda: list(self._database["workers"].find().sort("_id", 1)))[0]
        return [worker_from_document(document) for document in found]

    # --- lease ---

    def read_lease(self) -> Lease | None:
        found = self._repeat(lambda: self._database["lease"].find_one({"_id": _LEASE_ID}))[0]
        return lease_from_document(found) if found is not None else None

    def swap_lease(self, expected: Lease | None, lease: Lease) -> bool:
        leases = self._database["lease"]
        document = _with_change_id({"_id": _LEASE_ID, **asdict(lease)})
        if expected is not None:
            condition = {"_id": _LEASE_ID, "epoch": expected.epoch, "renewals": expected.renewals}
            return self._replace(leases, condition, document)
        try:
            self._repeat(lambda: leases.insert_one(document))
        except DuplicateKeyError:
            found = self._repeat(lambda: leases.find_one({"_id": _LEASE_ID}))[0]
            return found is not None and found.get("change_id") == document["change_id"]
        return True

    def close(self) -> None:
        self._close()

    # --- how things are asked ---

    @property
    def _files(self) -> Any:
        self._make_indexes()
        return self._database["files"]

    @property
    def _chunks(self) -> Any:
        self._make_indexes()
        return self._database["chunks"]

    @property
    def _uploads(self) -> Any:
        self._make_indexes()
        return self._database["uploads"]

    def _make_indexes(self) -> None:
        """Before the first use of a collection, so that uniqueness never has a gap. Repeating it changes nothing."""
        if self._has_indexes:
            return
        with _database_errors():
            self._database["files"].create_index([("key", 1)], unique=True)
            self._database["files"].create_index([("due_at", 1)])
            self._database["chunks"].create_index([("owed", 1)])
            self._database["uploads"].create_index([("state", 1), ("last_activity_at", 1)])
        self._has_indexes = True

    def _find_one_file(self, condition: Mapping[str, Any]) -> File | None:
        found = self._repeat(lambda: self._files.find_one(condition))[0]
        return file_from_document(found) if found is not None else None

    def _find_files(self, condition: Mapping[str, Any], order: str, limit: int) -> list[File]:
        found = self._repeat(lambda: list(self._files.find(condition).sort(order, 1).limit(limit)))[0]
        return [file_from_document(document) for document in found]

    def _replace(self, collection: Any, condition: Document, document: Document) -> bool:
        """A conditional write; true also when an earlier copy of it was the one that was applied."""
        result, was_repeated = self._repeat(lambda: collection.replace_one(condition, document))
        if result.matched_count == 1:
            return True
        if not was_repeated:
            return False
        found = self._repeat(lambda: collection.find_one({"_id": condition["_id"]}))[0]
        return found is not None and found.get("change_id") == document["change_id"]

    def _sum(self, collection: Any, condition: Document, field: str) -> tuple[int, int]:
        """How many documents meet the condition, and the sum of a field of theirs."""
        stages = [
            {"$match": condition},
            {"$group": {"_id": None, "count": {"$sum": 1}, "total": {"$sum": f"${field}"}}},
        ]
        found = self._repeat(lambda: list(collection.aggregate(stages)))[0]
        return (int(found[0]["count"]), int(found[0]["total"])) if found else (0, 0)

    def _repeat(self, operation: Callable[[], Result]) -> tuple[Result, bool]:
        """The operation's result, and whether an earlier try of it may have been applied without an answer."""
        give_up_at = time.monotonic() + GIVE_UP_SECONDS
        was_repeated = False
        with _database_errors():
            while True:
                try:
                    return operation(), was_repeated
                except (AutoReconnect, NetworkTimeout):
                    if time.monotonic() >= give_up_at:
                        raise
                    was_repeated = True


def _file_document(file: File) -> Document:
    fields = {"_id": file.file_id, "key": file.key, "due_at": min(file.due_at, NEVER)}
    return _with_change_id({**file_to_document(file), **fields, "pending_bytes": file.pending_bytes})


def _chunk_document(chunk: Chunk) -> Document:
    return {"_id": chunk_id(chunk.version_id, chunk.index), **chunk_to_document(chunk)}


def _upload_document(upload: Upload) -> Document:
    return _with_change_id({"_id": upload.upload_id, **upload_to_document(upload)})


def _with_change_id(document: Document) -> Document:
    return {**document, "change_id": secrets.token_hex(8)}


@contextlib.contextmanager
def _database_errors() -> Iterator[None]:
    try:
        yield
    except DuplicateKeyError:
        raise
    except BulkWriteError as error:
        raise MetadataUnavailable(f"MongoDB refused a write: {error.details}") from error
    except PyMongoError as error:
        raise MetadataUnavailable(f"MongoDB does not answer: {type(error).__name__}: {error}") from error
