"""The indexes of the MongoDB store, and how the records of an earlier release come into them.

Chunk records are found by what has to be done about them. `urgency` is what stands in for that: how many replicas are
left where some are owed, SURPLUS where there are too many, and no field at all where the number is right. So the index
of it holds only what there is to do, and its cost is that of what is owed.
"""

from __future__ import annotations

from typing import Any

from pymongo import UpdateOne
from pymongo.errors import OperationFailure

from master_node.documents import Document
from master_node.model import Chunk
from master_node.store.mongo_calls import ask, database_errors

SURPLUS = -1
BATCH_DOCUMENTS = 500
# The index of the release before, which knew no urgency. It goes when every record has one.
_OLD_INDEX = "owed_1"


def urgency_of(chunk: Chunk) -> Document:
    """The field, or nothing."""
    if chunk.owed == 0:
        return {}
    return {"urgency": len(chunk.replicas) if chunk.owed > 0 else SURPLUS}


class Schema:
    """Makes the indexes of a database, once."""

    def __init__(self, database: Any) -> None:
        self._database = database
        self._is_prepared = False

    def prepare(self) -> None:
        """Before the first use of a collection, so that uniqueness never has a gap. Repeating it changes nothing.

        Raises MetadataUnavailable.
        """
        if self._is_prepared:
            return
        files, chunks, uploads = (self._database[name] for name in ("files", "chunks", "uploads"))
        with database_errors():
            files.create_index([("key", 1)], unique=True)
            files.create_index([("due_at", 1)])
            # The conditions are worded so that a query for one number, or one worker, is seen to meet them.
            has_urgency = {"urgency": {"$gte": SURPLUS}}
            chunks.create_index([("urgency", 1), ("_id", 1)], partialFilterExpression=has_urgency)
            chunks.create_index([("replicas", 1), ("_id", 1)])
            is_doubtful = {"doubtful": {"$gt": ""}}
            chunks.create_index([("doubtful", 1), ("_id", 1)], partialFilterExpression=is_doubtful)
            uploads.create_index([("state", 1), ("last_activity_at", 1)])
            if _OLD_INDEX in chunks.index_information():
                _bring_up_to_date(chunks)
        self._is_prepared = True


def _bring_up_to_date(chunks: Any) -> None:
    """Give what the old index holds its urgency, a bounded number at a time. Several masters may do so at once."""
    condition = {"owed": {"$gt": 0}, "urgency": {"$exists": False}}
    while found := ask(lambda: list(chunks.find(condition, {"replicas": 1}).limit(BATCH_DOCUMENTS))):
        # Where the replicas have changed meanwhile, whoever changed them has written the urgency too.
        writes = [
            UpdateOne(
                {"_id": document["_id"], "replicas": document["replicas"], "urgency": {"$exists": False}},
                {"$set": {"urgency": len(document["replicas"])}},
            )
            for document in found
        ]
        ask(lambda writes=writes: chunks.bulk_write(writes, ordered=False))  # type: ignore[misc]
    try:
        chunks.drop_index(_OLD_INDEX)
    except OperationFailure:
        # Another master was first, or it is still there and something is wrong.
        if _OLD_INDEX in chunks.index_information():
            raise
