"""What the masters said of keys a moment ago, so that no request needs to ask.

A record counts for `seconds`; that is how long a revoked key may still be taken. While no master answers, what is known
goes on to count: nothing can be read or changed without a master anyway. What is not known is never let in.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass

from common.api_keys import KeyRecord
from common.clock import Clock
from common.errors import DFSError, KeyUnknown, Unavailable
from common.master_client import MasterClient

MAX_KEYS = 4096


@dataclass
class _Known:
    """A record, None for a key that there is not, and until when it counts; one thread at a time asks again."""

    record: KeyRecord | None
    fresh_until: float
    is_being_asked: bool = False


class KeyCache:
    """The keys of the cluster, as the masters have them or had them lately."""

    def __init__(self, masters: MasterClient, clock: Clock, seconds: float, max_keys: int = MAX_KEYS) -> None:
        self._masters = masters
        self._clock = clock
        self._seconds = seconds
        self._max_keys = max_keys
        self._lock = threading.Lock()
        self._keys: OrderedDict[str, _Known] = OrderedDict()
        # Whether there is any key, as a record that is there or not.
        self._any: _Known | None = None

    def known(self, key_id: str) -> KeyRecord | None:
        """The record, if it need not be asked for; None says nothing."""
        with self._lock:
            known = self._keys.get(key_id)
            return known.record if known is not None and self._is_usable(known) else None

    def find(self, key_id: str) -> KeyRecord | None:
        """The record, also of a revoked key; None where there is no such key. Raises Unavailable where none knows."""
        with self._lock:
            known = self._keys.get(key_id)
            if known is not None:
                self._keys.move_to_end(key_id)
                if self._is_usable(known):
                    return known.record
                known.is_being_asked = True
        try:
            record: KeyRecord | None = self._masters.find_key(key_id)
        except KeyUnknown:
            record = None
        except DFSError as error:
            return self._go_on(known, error)
        finally:
            _end_asking(known)
        if record is None:
            # Not remembered: whoever makes up ids must not push out those that are in use.
            self._drop(key_id)
        else:
            record = self.note(record)
        return record

    def is_any(self) -> bool:
        """Whether there is a key that is not revoked. Raises Unavailable where no master has ever said."""
        with self._lock:
            known = self._any
            if known is not None:
                if self._is_usable(known):
                    return known.record is not None
                known.is_being_asked = True
        try:
            found = self._masters.list_keys("", 1, is_active_only=True)
        except DFSError as error:
            return self._go_on(known, error) is not None
        finally:
            _end_asking(known)
        with self._lock:
            if self._any is not known:
                # A key was made or revoked here while the master was asked, which may have said how it was before.
                return bool(found) or (self._any is not None and self._any.record is not None)
            self._any = self._fresh(found[0] if found else None)
        return bool(found)

    def note(self, record: KeyRecord) -> KeyRecord:
        """What a master has just said of a key; returns what counts."""
        with self._lock:
            known = self._keys.get(record.key_id)
            if known is not None and known.record is not None and known.record.revoked_at is not None:
                # For good: a master that was asked before may have answered after.
                record = known.record
            self._keys[record.key_id] = self._fresh(record)
            self._keys.move_to_end(record.key_id)
            if len(self._keys) > self._max_keys:
                self._keys.popitem(last=False)
            if record.revoked_at is None:
                self._any = self._fresh(record)
            elif self._any is not None:
                # It may have been the last one.
                self._any = _Known(self._any.record, 0.0)
            return record

    def _fresh(self, record: KeyRecord | None) -> _Known:
        return _Known(record, self._clock.monotonic() + self._seconds)

    def _is_usable(self, known: _Known) -> bool:
        return known.is_being_asked or self._clock.monotonic() < known.fresh_until

    def _go_on(self, known: _Known | None, error: DFSError) -> KeyRecord | None:
        if known is None:
            raise Unavailable("no master answers, so it is not known who may come in") from error
        known.fresh_until = self._clock.monotonic() + self._seconds
        return known.record

    def _drop(self, key_id: str) -> None:
        with self._lock:
            self._keys.pop(key_id, None)


def _end_asking(known: _Known | None) -> None:
    if known is not None:
        known.is_being_asked = False
