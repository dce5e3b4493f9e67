"""How long each operation of a metadata store takes, its waiting for others included, and which ones failed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, cast

from common.errors import MetadataUnavailable
from common.metrics import Counts, Timing
from master_node.store.base import MetadataStore, ReadLevel


class Operations:
    """The durations of a store's operations by their names, and how many the database did not answer."""

    def __init__(self) -> None:
        self.failures = Counts()
        self._lock = threading.Lock()
        self._timings: dict[str, Timing] = {}

    def timing(self, name: str) -> Timing:
        with self._lock:
            if name not in self._timings:
                self._timings[name] = Timing()
            return self._timings[name]

    def timings(self) -> dict[str, Timing]:
        with self._lock:
            return dict(self._timings)


def timed(store: MetadataStore, operations: Operations) -> MetadataStore:
    """The same store; each of its operations is noted in `operations`."""
    return cast(MetadataStore, _Timed(store, operations))


class _Timed:
    """Stands before a store. A method is wrapped when it is first asked for, and from then on is a plain attribute."""

    def __init__(self, store: MetadataStore, operations: Operations) -> None:
        self._store = store
        self._operations = operations
        self._levels: dict[ReadLevel, MetadataStore] = {}

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = _timed_call(getattr(self._store, name), name, self._operations)
        self.__dict__[name] = method
        return method

    def reading(self, level: ReadLevel) -> MetadataStore:
        if level not in self._levels:
            self._levels[level] = timed(self._store.reading(level), self._operations)
        return self._levels[level]

    def close(self) -> None:
        self._store.close()


def _timed_call(method: Callable[..., Any], name: str, operations: Operations) -> Callable[..., Any]:
    timing = operations.timing(name)

    def call(*arguments: Any, **named: Any) -> Any:
        began_at = time.monotonic()
        try:
            return method(*arguments, **named)
        except MetadataUnavailable:
            operations.failures.add(name)
            raise
        finally:
            timing.note(time.monotonic() - began_at)

    return call
