"""A MongoDB database behind a bad network, or on a server that does not know all of the protocol."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pymongo.errors import AutoReconnect, OperationFailure

_WRITES = ("bulk_write", "insert_one", "replace_one", "update_one", "delete_one", "delete_many", "find_one_and_update")


class LosesAnswers:
    """A database of which the first answer to each kind of write is lost, though the write is made.

    meanwhile: what others do before the caller comes back.
    """

    def __init__(self, database: Any, meanwhile: Callable[[], object] = lambda: None) -> None:
        self._database = database
        self.meanwhile = meanwhile
        self.lost: list[str] = []

    def __getitem__(self, name: str) -> _Lossy:
        return _Lossy(self._database[name], self)


class _Lossy:
    def __init__(self, collection: Any, network: LosesAnswers) -> None:
        self._collection = collection
        self._network = network

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._collection, name)

        def call(*arguments: Any, **options: Any) -> Any:
            answer = method(*arguments, **options)
            if name in self._network.lost:
                return answer
            self._network.lost.append(name)
            self._network.meanwhile()
            raise AutoReconnect("the answer was lost")

        return call if name in _WRITES else method


class Refuses:
    """A database that refuses these levels of read concern with this code, and keeps what it was asked for."""

    def __init__(self, database: Any, levels: tuple[str, ...], code: int) -> None:
        self._database = database
        self.levels = levels
        self.code = code
        self.asked: list[tuple[str, str]] = []

    def __getitem__(self, name: str) -> Any:
        return _Choosy(self._database[name], self, ("default", "default"))


class _Choosy:
    def __init__(self, collection: Any, server: Refuses, asked: tuple[str, str]) -> None:
        self._collection = collection
        self._server = server
        self._asked = asked

    def with_options(self, *, read_concern: Any, read_preference: Any) -> _Choosy:
        return _Choosy(self._collection, self._server, (read_concern.level, read_preference.mongos_mode))

    def __getattr__(self, name: str) -> Any:
        if name in ("find", "find_one"):
            self._server.asked.append(self._asked)
            if self._asked[0] in self._server.levels:
                raise OperationFailure("no such read concern", self._server.code)
        return getattr(self._collection, name)
