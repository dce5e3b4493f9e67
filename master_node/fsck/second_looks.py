"""What looked wrong is looked at a second time a while later, and meanwhile the check goes on with the next pages."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterator

from common.clock import Clock
from master_node.fsck.differences import Difference

# How long the second look waits, so that a chunk on its way is recorded, or an order carried out.
SECOND_LOOK_SECONDS = 1.0
# Of so many pages the differences are kept meanwhile; with more the check waits.
MAX_WAITING_PAGES = 100
Look = Callable[[], Collection[Difference]]


class SecondLooks:
    """The looks that are still to be taken, one for each page, in the order of the first ones."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._waiting: deque[tuple[float, Look]] = deque()

    def add(self, look: Look) -> None:
        """look: gives those differences that are still there."""
        self._waiting.append((self._clock.monotonic() + SECOND_LOOK_SECONDS, look))

    def take(self, *, is_last: bool = False) -> Iterator[Difference]:
        """What the looks find whose time has come; is_last: all of them, whose time is waited for.

        One that raises is taken again the next time.
        """
        while self._waiting:
            wait_seconds = self._waiting[0][0] - self._clock.monotonic()
            if wait_seconds > 0:
                if not is_last and len(self._waiting) <= MAX_WAITING_PAGES:
                    return
                self._clock.sleep(wait_seconds)
            found = self._waiting[0][1]()
            self._waiting.popleft()
            yield from sorted(found)
