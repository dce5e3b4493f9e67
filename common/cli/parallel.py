"""Many files at once: a bounded number under way, each failure told and counted, and a clean end."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import TypeVar

from common.cli.context import Context
from common.cli.failures import Failure, common_status

WAIT_STEP_SECONDS = 0.5
Item = TypeVar("Item")


@dataclass
class Tally:
    """How the files of one command went."""

    done: int = 0
    failed: int = 0
    statuses: set[int] = field(default_factory=set)

    def add_failure(self, failure: Failure) -> None:
        self.failed += 1
        self.statuses.add(failure.exit_status)

    def exit_status(self) -> int:
        return common_status(self.statuses)


def run_all(
    context: Context,
    items: Iterable[Item],
    work: Callable[[Item], None],
    name: Callable[[Item], str],
    parallel: int,
) -> Tally:
    """Do the work for every item, `parallel` at once; the items are drawn as there is room for them.

    A failed item is told of and the others go on, unless it failed in a way in which all others would; then, and when
    the listing itself fails, the failure is raised.
    """
    tally = Tally()
    pool = ThreadPoolExecutor(parallel, "file")
    under_way: dict[Future[None], Item] = {}
    try:
        for item in items:
            under_way[pool.submit(work, item)] = item
            if len(under_way) >= parallel:
                _settle(context, under_way, name, tally)
        while under_way:
            _settle(context, under_way, name, tally)
    except BaseException:
        # Also on Ctrl-C: nobody waits here for a thread that waits for the network.
        context.stop.set()
        raise
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
    return tally


def wait_for_any(futures: Iterable[Future[None]]) -> set[Future[None]]:
    """Wait until one of them has ended; returns all that have.

    In steps: Python sees a Ctrl-C that comes just before it begins to wait only once the wait has ended.
    """
    while True:
        ended, _ = wait(futures, timeout=WAIT_STEP_SECONDS, return_when=FIRST_COMPLETED)
        if ended:
            return ended


def _settle(context: Context, under_way: dict[Future[None], Item], name: Callable[[Item], str], tally: Tally) -> None:
    """Wait for an end and count all that have ended."""
    for future in wait_for_any(under_way):
        item = under_way.pop(future)
        try:
            future.result()
        except Failure as failure:
            if failure.ends_everything:
                raise
            tally.add_failure(failure)
            context.console.fail(name(item), failure)
        else:
            tally.done += 1
