"""Which chunks a job of this master works on now, so that no two jobs give orders about one chunk at once.

It holds within one master. Between a leader and the next the epoch decides, and the conditional writes of the records.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable

from common.clock import Clock

# Longer than a call to a worker can last, and what the worker does after it.
UNANSWERED_SECONDS = 90.0


class Claims:
    """Claims on chunks, and the orders whose outcome is not known. Any thread may call."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._claimed: set[str] = set()
        self._unanswered: OrderedDict[tuple[str, str], float] = OrderedDict()

    def claim(self, chunk_ids: Iterable[str]) -> set[str]:
        """Those of these chunks that nobody works on; they are the caller's until given back."""
        # Before the lock is taken: what makes the ids may ask for claims itself.
        wanted = set(chunk_ids)
        with self._lock:
            free = wanted - self._claimed
            self._claimed |= free
        return free

    def give_back(self, chunk_ids: Iterable[str]) -> None:
        finished = set(chunk_ids)
        with self._lock:
            self._claimed -= finished

    def is_claimed(self, chunk_id: str) -> bool:
        with self._lock:
            return chunk_id in self._claimed

    def note_unanswered(self, chunk_ids: Iterable[str], worker_id: str) -> None:
        """An order about these was not answered: the worker may still carry it out, for a while."""
        now, asked = self._clock.monotonic(), list(chunk_ids)
        with self._lock:
            while self._unanswered and next(iter(self._unanswered.values())) <= now:
                self._unanswered.popitem(last=False)
            for chunk_id in asked:
                self._unanswered[chunk_id, worker_id] = now + UNANSWERED_SECONDS
                self._unanswered.move_to_end((chunk_id, worker_id))

    def is_unanswered(self, chunk_id: str, worker_id: str) -> bool:
        """Whether an order may still be under way that would change what the worker holds of this chunk."""
        with self._lock:
            return self._unanswered.get((chunk_id, worker_id), 0.0) > self._clock.monotonic()
