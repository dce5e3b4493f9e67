"""The MongoDB store: for clusters on several hosts.

Writes wait for a majority and its journal, reads see majority-committed data unless told otherwise. Only
single-document operations and plain indexes are used, so a single mongod, a replica set and wire-compatible servers
all do. How lost answers are dealt with stands in mongo_calls.py, the indexes in mongo_schema.py.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import pymongo
from pymongo import DeleteOne, ReplaceOne, UpdateOne
from pymongo.errors import DuplicateKeyError

from common.api_keys import KeyRecord
from common.records import Heartbeat, chunk_id, slot_of
from master_node.documents import (
    Document,
    chunk_from_document,
    chunk_to_document,
    file_from_document,
    file_to_document,
    lease_from_document,
    quota_from_document,
    quota_to_document,
    upload_from_document,
    upload_to_document,
    worker_from_document,
)
from master_node.model import NEVER, Chunk, File, JobRecord, Lease, Upload, WorkerRecord
from master_node.quotas.model import Quota
from master_node.store.base import Holding, IdTaken, KeyTaken, Owed, Pending, ReadLevel
from master_node.store.mongo_calls import ask, new_change_id, repeat, replace_one, sum_of, with_change_id
from master_node.store.mongo_levels import Reads
from master_node.store.mongo_schema import SURPLUS, Schema, urgency_of

ANSWER_TIMEOUT_SECONDS = 5.0
# How many changes of a chunk its record remembers, for those who did not hear whether theirs was made.
REMEMBERED_CHANGES = 4
_LEASE_ID = "leader"
_HELD_FIELD = {Holding.REPLICA: "replicas", Holding.DOUBTFUL: "doubtful"}


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
        self._schema = Schema(database)
        self._levels = {level: Reads(level) for level in ReadLevel}
        self._reads = self._levels[ReadLevel.MAJORITY]

    # --- files ---

    def insert_file(self, file: File) -> None:
        document = _file_document(file)
        try:
            ask(lambda: self._files.insert_one(document))
        except DuplicateKeyError:
            found = ask(lambda: self._files.find_one({"_id": file.file_id}))
            if found is None:
                raise KeyTaken(file.key) from None
            if found.get("change_id") != document["change_id"]:
                raise IdTaken(file.file_id) from None

    def replace_file(self, file: File) -> bool:
        condition = {"_id": file.file_id, "revision": file.revision - 1}
        try:
            return replace_one(self._files, condition, _file_document(file))
        except DuplicateKeyError:
            raise KeyTaken(file.key) from None

    def delete_file(self, file_id: str, revision: int) -> bool:
        condition = {"_id": file_id, "revision": revision}
        result, was_repeated = repeat(lambda: self._files.delete_one(condition))
        return result.deleted_count == 1 or (was_repeated and self.find_file(file_id) is None)

    def find_file(self, file_id: str) -> File | None:
        return self._find_one_file({"_id": file_id})

    def find_file_by_key(self, key: str) -> File | None:
        return self._find_one_file({"key": key})

    def scan_files(
        self, after: str, before: str, limit: int, is_inclusive: bool = False, is_reverse: bool = False
    ) -> list[File]:
        condition = {"key": {"$gte" if is_inclusive else "$gt": after, "$lt": before}}
        order = -1 if is_reverse else 1
        find = lambda files: list(files.find(condition).sort("key", order).limit(limit))  # noqa: E731
        return [file_from_document(document) for document in ask(lambda: self._reads.many(self._files, find))]

    def find_due_files(self, clock_seconds: float, limit: int) -> list[File]:
        condition = {"due_at": {"$lte": min(clock_seconds, NEVER - 1)}}
        found = ask(lambda: list(self._files.find(condition).sort("due_at", 1).limit(limit)))
        return [file_from_document(document) for document in found]

    def pending(self, clock_seconds: float) -> Pending:
        due = sum_of(self._files, {"due_at": {"$lte": min(clock_seconds, NEVER - 1)}}, "pending_bytes")
        return Pending(sum_of(self._files, {"due_at": {"$lt": NEVER}}, "pending_bytes"), due)

    # --- chunks ---

    def insert_chunks(self, chunks: Sequence[Chunk]) -> None:
        documents = [_chunk_document(chunk) for chunk in chunks]
        writes = [UpdateOne({"_id": d["_id"]}, {"$setOnInsert": d}, upsert=True) for d in documents]
        if writes:
            ask(lambda: self._chunks.bulk_write(writes, ordered=False))

    def replace_chunks(self, chunks: Sequence[Chunk]) -> list[bool]:
        """All in one call. Where some were not written, or an answer was lost, the records themselves say which."""
        if not chunks:
            return []
        change_ids = [new_change_id() for _ in chunks]
        writes = [_chunk_change(chunk, change_id) for chunk, change_id in zip(chunks, change_ids, strict=True)]
        if ask(lambda: self._chunks.bulk_write(writes)).matched_count == len(chunks):
            return [True] * len(chunks)
        condition = {"_id": {"$in": [chunk.slot for chunk in chunks]}}
        found = ask(lambda: list(self._chunks.find(condition, {"change_ids": 1})))
        applied = {change_id for document in found for change_id in document.get("change_ids", ())}
        return [change_id in applied for change_id in change_ids]

    def delete_chunks(self, chunks: Sequence[Chunk]) -> list[bool]:
        if not chunks:
            return []
        deletes = [DeleteOne({"_id": chunk.slot, "revision": _stored_revision(chunk.revision)}) for chunk in chunks]
        if ask(lambda: self._chunks.bulk_write(deletes)).deleted_count == len(chunks):
            return [True] * len(chunks)
        condition = {"_id": {"$in": [chunk.slot for chunk in chunks]}}
        left = {document["_id"] for document in ask(lambda: list(self._chunks.find(condition, {"_id": 1})))}
        return [chunk.slot not in left for chunk in chunks]

    def list_chunks(self, version_id: str, start: int, limit: int) -> list[Chunk]:
        # "." follows "-" in the order of strings, so this bounds the chunks of one version.
        condition = {"_id": {"$gte": chunk_id(version_id, start), "$lt": f"{version_id}."}}
        find = lambda chunks: list(chunks.find(condition).sort("_id", 1).limit(limit))  # noqa: E731
        return [chunk_from_document(document) for document in ask(lambda: self._reads.many(self._chunks, find))]

    def find_chunks(self, chunk_ids: Sequence[str]) -> list[Chunk]:
        condition, wanted = {"_id": {"$in": [slot_of(one) for one in chunk_ids]}}, set(chunk_ids)
        found = [chunk_from_document(document) for document in ask(lambda: list(self._chunks.find(condition)))]
        return [chunk for chunk in found if chunk.chunk_id in wanted]

    def scan_chunks(self, after: str, limit: int) -> list[Chunk]:
        return self._find_chunks({}, after, limit)

    def find_held(self, worker_id: str, kind: Holding, after: str, limit: int) -> list[Chunk]:
        return self._find_chunks({_HELD_FIELD[kind]: worker_id}, after, limit)

    def find_owed(self, copies: int, after: str, limit: int) -> list[Chunk]:
        return self._find_chunks({"urgency": copies}, after, limit)

    def find_surplus(self, after: str, limit: int) -> list[Chunk]:
        return self._find_chunks({"urgency": SURPLUS}, after, limit)

    def owed(self) -> Owed:
        size = {"$sum": {"$multiply": ["$owed", "$size_bytes"]}}
        stages = [
            {"$match": {"urgency": {"$gt": SURPLUS}}},
            {"$group": {"_id": "$urgency", "chunks": {"$sum": 1}, "replicas": {"$sum": "$owed"}, "size": size}},
        ]
        found = ask(lambda: list(self._chunks.aggregate(stages)))
        chunks, replicas, size_bytes = (sum(int(row[name]) for row in found) for name in ("chunks", "replicas", "size"))
        lost = sum(int(row["size"]) for row in found if not row["_id"])
        return Owed(chunks, replicas, size_bytes, {int(row["_id"]): int(row["chunks"]) for row in found}, lost)

    # --- uploads ---

    def insert_upload(self, upload: Upload) -> None:
        document = _upload_document(upload)
        try:
            ask(lambda: self._uploads.insert_one(document))
        except DuplicateKeyError:
            found = ask(lambda: self._uploads.find_one({"_id": upload.upload_id}))
            if found is None or found.get("change_id") != document["change_id"]:
                raise IdTaken(upload.upload_id) from None

    def replace_upload(self, upload: Upload, is_relaxed: bool = False) -> bool:  # noqa: ARG002
        """is_relaxed changes nothing: below a journaled majority a write could be lost and a later one kept."""
        condition = {"_id": upload.upload_id, "revision": upload.revision - 1}
        return replace_one(self._uploads, condition, _upload_document(upload))

    def find_upload(self, upload_id: str) -> Upload | None:
        found = ask(lambda: self._uploads.find_one({"_id": upload_id}))
        return upload_from_document(found) if found is not None else None

    def find_uploads(self, upload_ids: Sequence[str]) -> list[Upload]:
        condition = {"_id": {"$in": list(upload_ids)}}
        return [upload_from_document(document) for document in ask(lambda: list(self._uploads.find(condition)))]

    def find_idle_uploads(self, state: str, idle_since: float, limit: int) -> list[Upload]:
        condition = {"state": state, "last_activity_at": {"$lte": idle_since}}
        found = ask(lambda: list(self._uploads.find(condition).sort("last_activity_at", 1).limit(limit)))
        return [upload_from_document(document) for document in found]

    def delete_uploads(self, upload_ids: Sequence[str]) -> None:
        ask(lambda: self._uploads.delete_many({"_id": {"$in": list(upload_ids)}}))

    # --- workers ---

    def record_heartbeat(self, worker_id: str, heartbeat: Heartbeat) -> WorkerRecord:
        """Two calls where the incarnation is another one; either is one step, so each change of it counts once."""
        incarnation = heartbeat.incarnation
        fields = {"worker_id": worker_id, "heartbeat": asdict(heartbeat), "incarnation": incarnation, "left_at": None}
        goes_on = {"$set": fields, "$inc": {"heartbeat_count": 1}}
        starts = {"$set": fields, "$inc": {"heartbeat_count": 1, "inventory_wanted": 1}}
        while True:
            found = self._change_worker({"_id": worker_id, "incarnation": incarnation}, goes_on)
            if found is not None:
                return worker_from_document(found)
            try:
                found = self._change_worker(
                    {"_id": worker_id, "incarnation": {"$ne": incarnation}}, starts, upsert=True
                )
            except DuplicateKeyError:
                # Another master received a heartbeat of this incarnation at the same time.
                continue
            return worker_from_document(found)

    def _change_worker(self, condition: Document, change: Document, **options: Any) -> Any:
        after = pymongo.ReturnDocument.AFTER
        return ask(lambda: self._workers.find_one_and_update(condition, change, return_document=after, **options))

    def change_worker(self, worker_id: str, *, is_draining: bool | None = None, left_at: float | None = None) -> bool:
        given = {"worker_id": worker_id, "is_draining": is_draining, "left_at": left_at}
        change = {"$set": {name: value for name, value in given.items() if value is not None}}
        return bool(ask(lambda: self._workers.update_one({"_id": worker_id}, change)).matched_count)

    def want_inventory(self, worker_id: str) -> None:
        ask(lambda: self._workers.update_one({"_id": worker_id}, {"$inc": {"inventory_wanted": 1}}))

    def finish_inventory(self, worker_id: str, wanted: int) -> None:
        ask(lambda: self._workers.update_one({"_id": worker_id}, {"$max": {"inventory_done": wanted}}))

    def forget_worker(self, worker_id: str) -> None:
        ask(lambda: self._workers.delete_one({"_id": worker_id}))

    def list_workers(self) -> list[WorkerRecord]:
        return [worker_from_document(document) for document in ask(lambda: list(self._workers.find().sort("_id", 1)))]

    # --- jobs ---

    def put_jobs(self, jobs: Sequence[JobRecord]) -> None:
        # As text: the names in it are the jobs' own, and not all are fit for names of fields.
        documents = [{"_id": job.name, "status": json.dumps(dict(job.status))} for job in jobs]
        writes = [ReplaceOne({"_id": document["_id"]}, document, upsert=True) for document in documents]
        if writes:
            ask(lambda: self._database["jobs"].bulk_write(writes, ordered=False))

    def list_jobs(self) -> list[JobRecord]:
        found = ask(lambda: list(self._database["jobs"].find().sort("_id", 1)))
        return [JobRecord(document["_id"], json.loads(document["status"])) for document in found]

    # --- quotas ---

    def insert_quota(self, quota: Quota) -> None:
        document = _quota_document(quota)
        try:
            ask(lambda: self._database["quotas"].insert_one(document))
        except DuplicateKeyError:
            found = ask(lambda: self._database["quotas"].find_one({"_id": quota.prefix}))
            if found is None or found.get("change_id") != document["change_id"]:
                raise IdTaken(quota.prefix) from None

    def replace_quota(self, quota: Quota) -> bool:
        condition = {"_id": quota.prefix, "revision": quota.revision - 1}
        return replace_one(self._database["quotas"], condition, _quota_document(quota))

    def delete_quota(self, prefix: str) -> bool:
        result, was_repeated = repeat(lambda: self._database["quotas"].delete_one({"_id": prefix}))
        return result.deleted_count == 1 or (was_repeated and self.find_quota(prefix) is None)

    def find_quota(self, prefix: str) -> Quota | None:
        found = ask(lambda: self._database["quotas"].find_one({"_id": prefix}))
        return quota_from_document(found) if found is not None else None

    def list_quotas(self) -> list[Quota]:
        found = ask(lambda: list(self._database["quotas"].find().sort("_id", 1)))
        return [quota_from_document(document) for document in found]

    # --- keys ---

    def put_key(self, key: KeyRecord) -> None:
        try:
            ask(lambda: self._database["keys"].insert_one({"_id": key.key_id, **key.to_json()}))
        except DuplicateKeyError:
            found = self.find_key(key.key_id)
            if found is None or found.digest != key.digest:
                raise IdTaken(key.key_id) from None

    def revoke_key(self, key_id: str, revoked_at: str) -> KeyRecord | None:
        condition, change = {"_id": key_id, "revoked_at": None}, {"$set": {"revoked_at": revoked_at}}
        ask(lambda: self._database["keys"].update_one(condition, change))
        return self.find_key(key_id)

    def find_key(self, key_id: str) -> KeyRecord | None:
        found = ask(lambda: self._database["keys"].find_one({"_id": key_id}))
        return KeyRecord.from_json(found) if found is not None else None

    def list_keys(self, after: str, limit: int, is_active_only: bool = False) -> list[KeyRecord]:
        condition: Document = {"_id": {"$gt": after}, **({"revoked_at": None} if is_active_only else {})}
        found = ask(lambda: list(self._database["keys"].find(condition).sort("_id", 1).limit(limit)))
        return [KeyRecord.from_json(document) for document in found]

    # --- lease ---

    def read_lease(self) -> Lease | None:
        found = ask(lambda: self._database["lease"].find_one({"_id": _LEASE_ID}))
        return lease_from_document(found) if found is not None else None

    def swap_lease(self, expected: Lease | None, lease: Lease) -> bool:
        leases = self._database["lease"]
        document = with_change_id({"_id": _LEASE_ID, **asdict(lease)})
        if expected is not None:
            condition = {"_id": _LEASE_ID, "epoch": expected.epoch, "renewals": expected.renewals}
            return replace_one(leases, condition, document)
        try:
            ask(lambda: leases.insert_one(document))
        except DuplicateKeyError:
            found = ask(lambda: leases.find_one({"_id": _LEASE_ID}))
            return found is not None and found.get("change_id") == document["change_id"]
        return True

    def reading(self, level: ReadLevel) -> MongoStore:
        view = copy.copy(self)
        view._reads = self._levels[level]
        return view

    def close(self) -> None:
        self._close()

    # --- how things are asked ---

    @property
    def _files(self) -> Any:
        self._schema.prepare()
        return self._database["files"]

    @property
    def _chunks(self) -> Any:
        self._schema.prepare()
        return self._database["chunks"]

    @property
    def _uploads(self) -> Any:
        self._schema.prepare()
        return self._database["uploads"]

    @property
    def _workers(self) -> Any:
        return self._database["workers"]

    def _find_one_file(self, condition: Mapping[str, Any]) -> File | None:
        found = ask(lambda: self._reads.one(self._files, lambda files: files.find_one(condition)))
        return file_from_document(found) if found is not None else None

    def _find_chunks(self, condition: Document, after: str, limit: int) -> list[Chunk]:
        condition = {**condition, "_id": {"$gt": slot_of(after)}}
        found = ask(lambda: list(self._chunks.find(condition).sort("_id", 1).limit(limit)))
        return [chunk_from_document(document) for document in found]


def _file_document(file: File) -> Document:
    fields = {"_id": file.file_id, "key": file.key, "due_at": min(file.due_at, NEVER)}
    return with_change_id({**file_to_document(file), **fields, "pending_bytes": file.pending_bytes})


def _chunk_document(chunk: Chunk) -> Document:
    return {"_id": chunk.slot, **chunk_to_document(chunk), **urgency_of(chunk)}


def _chunk_change(chunk: Chunk, change_id: str) -> UpdateOne:
    """Replaces the record, if it has the revision below, and notes the change among the last ones."""
    fields = {**chunk_to_document(chunk), **urgency_of(chunk)}
    remembered = {"change_ids": {"$each": [change_id], "$slice": -REMEMBERED_CHANGES}}
    change: Document = {"$set": fields, "$push": remembered}
    if "urgency" not in fields:
        change["$unset"] = {"urgency": ""}
    return UpdateOne({"_id": chunk.slot, "revision": _stored_revision(chunk.revision - 1)}, change)


def _stored_revision(revision: int) -> object:
    """What a chunk record of this revision has there: the first may have nothing, in records of an earlier release."""
    return {"$in": [1, None]} if revision == 1 else revision


def _quota_document(quota: Quota) -> Document:
    return with_change_id({"_id": quota.prefix, **quota_to_document(quota)})


def _upload_document(upload: Upload) -> Document:
    return with_change_id({"_id": upload.upload_id, **upload_to_document(upload)})
