"""mongomock as a server would be: one command at a time.

mongomock's conditional writes look and write in two steps, so threads can come between; a server runs each command on
one document atomically. The lock around each command stands for that, and for nothing more.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import mongomock

_COLLECTIONS_AND_CURSORS = ("find", "sort", "limit", "aggregate", "with_options")


class OneCommandAtATime:
    """A mongomock database whose commands never overlap."""

    def __init__(self) -> None:
        self._database = mongomock.MongoClient().db
        self._lock = threading.RLock()

    def __getitem__(self, name: str) -> _Locked:
        return _Locked(self._database[name], self._lock)


class _Locked:
    """A collection or a cursor; what a call gives back is locked too where it is one."""

    def __init__(self, inner: Any, lock: threading.RLock) -> None:
        self._inner = inner
        self._lock = lock

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._inner, name)

        def call(*arguments: Any, **options: Any) -> Any:
            with self._lock:
                result = method(*arguments, **options)
                return _Locked(result, self._lock) if name in _COLLECTIONS_AND_CURSORS else result

        return call

    def __iter__(self) -> Iterator[Any]:
        with self._lock:
            return iter(list(self._inner))
