"""How far the whole-file checksums of uploads under way have come in this process.

An upload that one gateway receives from its beginning to its end is hashed beside its transfer, whatever number of
requests it comes in. Where a state is missing (another gateway received a part, this one was started anew, too many
uploads at once), the bytes are read back from the workers instead; so forgetting one costs time and nothing else.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hashlib import _Hash

MAX_UPLOADS = 64


@dataclass(frozen=True)
class HashState:
    """The checksum of an upload's first `covered_bytes`, all of them recorded; `hasher` belongs to the holder."""

    hasher: _Hash
    covered_bytes: int

    def copy(self) -> HashState:
        return HashState(self.hasher.copy(), self.covered_bytes)


class HashTable:
    """States by upload id, the latest `most`."""

    def __init__(self, most: int = MAX_UPLOADS) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._states: OrderedDict[str, HashState] = OrderedDict()

    def take(self, upload_id: str, offset: int) -> HashState:
        """What is known of the bytes below `offset`, at worst nothing; the caller's own until given back by `keep`."""
        with self._lock:
            state = self._states.pop(upload_id, None)
        if state is None or state.covered_bytes > offset:
            return HashState(hashlib.sha256(), 0)
        return state

    def keep(self, upload_id: str, state: HashState) -> None:
        """Remember a state, unless one that covers more is known."""
        if not state.covered_bytes:
            return
        with self._lock:
            known = self._states.pop(upload_id, state)
            self._states[upload_id] = max(known, state, key=lambda one: one.covered_bytes)
            while len(self._states) > self._most:
                self._states.popitem(last=False)

    def forget(self, upload_id: str) -> None:
        """The upload is over."""
        with self._lock:
            self._states.pop(upload_id, None)
