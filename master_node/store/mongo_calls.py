"""Asking MongoDB so that an answer that gets lost does no harm.

A call without an answer is made again. Each conditional write carries a `change_id`, by which a repeat recognises that
the first copy had been applied. Knows nothing of what the documents mean.
"""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from pymongo.errors import AutoReconnect, BulkWriteError, DuplicateKeyError, NetworkTimeout, PyMongoError

from common.errors import MetadataUnavailable
from master_node.documents import Document

GIVE_UP_SECONDS = 8.0
Result = TypeVar("Result")


def repeat(operation: Callable[[], Result]) -> tuple[Result, bool]:
    """The operation's result, and whether an earlier try of it may have been applied without an answer.

    Raises DuplicateKeyError as it is, every other error of the database as MetadataUnavailable.
    """
    give_up_at = time.monotonic() + GIVE_UP_SECONDS
    was_repeated = False
    with database_errors():
        while True:
            try:
                return operation(), was_repeated
            except (AutoReconnect, NetworkTimeout):
                if time.monotonic() >= give_up_at:
                    raise
                was_repeated = True


def ask(operation: Callable[[], Result]) -> Result:
    """The result of an operation that may as well be done twice."""
    return repeat(operation)[0]


def replace_one(collection: Any, condition: Document, document: Document) -> bool:
    """A conditional write; true also when an earlier copy of it was the one that was applied.

    document: `with_change_id`.
    """
    result, was_repeated = repeat(lambda: collection.replace_one(condition, document))
    if result.matched_count == 1:
        return True
    if not was_repeated:
        return False
    found = ask(lambda: collection.find_one({"_id": condition["_id"]}))
    return found is not None and found.get("change_id") == document["change_id"]


def sum_of(collection: Any, condition: Mapping[str, Any], field: str) -> int:
    """The sum of a field over the documents that meet the condition."""
    stages = [{"$match": condition}, {"$group": {"_id": None, "total": {"$sum": f"${field}"}}}]
    found = ask(lambda: list(collection.aggregate(stages)))
    return int(found[0]["total"]) if found else 0


def with_change_id(document: Document) -> Document:
    return {**document, "change_id": new_change_id()}


def new_change_id() -> str:
    return secrets.token_hex(8)


@contextlib.contextmanager
def database_errors() -> Iterator[None]:
    try:
        yield
    except DuplicateKeyError:
        raise
    except BulkWriteError as error:
        raise MetadataUnavailable(f"MongoDB refused a write: {error.details}") from error
    except PyMongoError as error:
        raise MetadataUnavailable(f"MongoDB does not answer: {type(error).__name__}: {error}") from error
