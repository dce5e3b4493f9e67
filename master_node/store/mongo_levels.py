"""Reading MongoDB at a level of freshness, or at the next stronger one that the server offers.

Servers that only speak MongoDB's protocol, and a single mongod, refuse some levels: a refusal is remembered. The
strongest level that is left is a majority's data from the primary, which on a single server is all there is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from pymongo import ReadPreference
from pymongo.errors import OperationFailure
from pymongo.read_concern import ReadConcern

from master_node.store.base import ReadLevel

Result = TypeVar("Result")
# BadValue, FailedToParse, InvalidOptions, CommandNotSupported, NotAReplicaSet, ReadConcernMajorityNotEnabled,
# NotImplemented: what servers say of a read concern that they do not have.
_REFUSALS = {2, 9, 72, 115, 123, 148, 238}
_LINEARIZABLE = {"read_concern": ReadConcern("linearizable"), "read_preference": ReadPreference.PRIMARY}
_PRIMARY = {"read_concern": ReadConcern("majority"), "read_preference": ReadPreference.PRIMARY}
_NEAREST = {"read_concern": ReadConcern("local"), "read_preference": ReadPreference.SECONDARY_PREFERRED}
# As the client was opened.
_DEFAULT: dict[str, Any] = {}


class Reads:
    """How the reads of one level are made."""

    def __init__(self, level: ReadLevel) -> None:
        # MongoDB reads single documents linearizably, and nothing else.
        self._of_one, self._of_many = {
            ReadLevel.LINEARIZABLE: ([_LINEARIZABLE, _PRIMARY], [_PRIMARY]),
            ReadLevel.MAJORITY: ([_DEFAULT], [_DEFAULT]),
            ReadLevel.EVENTUAL: ([_NEAREST, _DEFAULT], [_NEAREST, _DEFAULT]),
        }[level]

    def one(self, collection: Any, find: Callable[[Any], Result]) -> Result:
        """What `find` finds; it asks for at most one document, by its `_id` or another unique key."""
        return _read(self._of_one, collection, find)

    def many(self, collection: Any, find: Callable[[Any], Result]) -> Result:
        return _read(self._of_many, collection, find)


def _read(ways: list[dict[str, Any]], collection: Any, find: Callable[[Any], Result]) -> Result:
    """By the first of the ways that the server knows; those that it refuses are taken out of the list."""
    while len(ways) > 1:
        try:
            return _by(ways[0], collection, find)
        except OperationFailure as error:
            if error.code not in _REFUSALS:
                raise
            ways[:] = ways[-1:]
    return _by(ways[0], collection, find)


def _by(way: dict[str, Any], collection: Any, find: Callable[[Any], Result]) -> Result:
    return find(collection.with_options(**way) if way else collection)
