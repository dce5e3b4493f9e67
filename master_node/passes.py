"""How jobs go through the records: pages of an index, and what is put off."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from typing import TypeVar

from common.clock import Clock
from master_node.membership import WorkerView
from master_node.model import Chunk

PAGE = 200
FIRST_PAUSE_SECONDS, LAST_PAUSE_SECONDS = 1.0, 30.0
# What went well for so long after a pause begins anew; longer than a job that can do nothing waits for its next try.
FORGIVEN_SECONDS = 300.0
Choice = TypeVar("Choice")
Read = Callable[[str, int], list[Chunk]]


class Walk:
    """Looks through an index for chunks to work on, which leave it when they are done.

    A look begins where the last one found something; at the beginning after one that came to the end. It is bounded
    also where many stay in the index that nothing can be done about.
    """

    def __init__(self, max_pages: int = 10) -> None:
        self._max_pages = max_pages
        self._after = ""
        # Whether the last look met any chunk.
        self.has_found = False

    def choose(self, read: Read, choose: Callable[[Chunk], Choice | None], limit: int) -> list[Choice]:
        """What `choose` makes of the chunks, but for None; `limit` at most. read: a page, from an id on."""
        chosen: list[Choice] = []
        self.has_found = False
        for _ in range(self._max_pages):
            page = read(self._after, PAGE)
            self.has_found |= bool(page)
            for chunk in page:
                choice = choose(chunk)
                if choice is not None:
                    chosen.append(choice)
                if len(chosen) >= limit:
                    return chosen
            self._after = page[-1].chunk_id if len(page) == PAGE else ""
            if not self._after:
                break
        return chosen


class PutOff:
    """What something failed with: each is left alone for a while, longer with each time. Bounded in number."""

    def __init__(self, clock: Clock, max_count: int = 10_000) -> None:
        self._clock = clock
        self._max_count = max_count
        self._until: OrderedDict[Hashable, tuple[float, float]] = OrderedDict()

    def add(self, key: Hashable) -> None:
        now = self._clock.monotonic()
        until, pause = self._until.pop(key, (now, FIRST_PAUSE_SECONDS / 2))
        pause = min(2 * pause, LAST_PAUSE_SECONDS) if now - until < FORGIVEN_SECONDS else FIRST_PAUSE_SECONDS
        self._until[key] = (now + pause, pause)
        if len(self._until) > self._max_count:
            self._until.popitem(last=False)

    def has(self, key: Hashable) -> bool:
        return self._until.get(key, (float("-inf"), 0.0))[0] > self._clock.monotonic()

    def forget(self, key: Hashable) -> None:
        """It went well after all."""
        self._until.pop(key, None)

    def clear(self) -> None:
        self._until.clear()


def states_of(views: Sequence[WorkerView]) -> Hashable:
    """What the jobs' decisions depend on."""
    return tuple((view.worker_id, view.state, view.is_lost, view.record.is_reconciled, view.url) for view in views)
