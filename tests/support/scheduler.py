"""Runs several actors one store call at a time, in an order that a seed decides, so that every race can be repeated.

An actor is a function on a thread of its own; whatever it does to the store goes through a `Scheduled` proxy, which
hands the turn back to the scheduler before every call. So exactly one actor runs at any moment. An actor can meet a
fault at a call of its: it dies before or after the call, its answer is lost, or it pauses until all others are done.
"""

from __future__ import annotations

import enum
import random
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from common.errors import MetadataUnavailable


class Fault(enum.Enum):
    """What happens to an actor at one of its calls."""

    DIE_BEFORE = "dies before the call"
    DIE_AFTER = "dies when the call is made"
    LOSE_ANSWER = "gets an error although the call is made"
    PAUSE = "pauses before the call until all others are done"


class Died(BaseException):
    """Ends an actor as the end of its process would: nothing in the code under test catches it."""


class Actor:
    """One function on one thread. `outcome`: what it returned or raised, None if it died."""

    def __init__(self, name: str, run: Callable[[Actor], Any], faults: dict[int, Fault] | None = None) -> None:
        self.name = name
        self.outcome: Any = None
        self.is_done = False
        self.is_paused = False
        self.was_paused = False
        self.is_lost = False
        self._run = run
        self._faults = dict(faults or {})
        self._calls = 0
        self._go = threading.Lock()
        self._arrived = threading.Lock()
        self._go.acquire()
        self._arrived.acquire()
        self.trace: list[str] = []

    def turn(self, call: str) -> Fault | None:
        """On the actor's thread, before a call: wait until it is this actor's turn."""
        fault = self._faults.pop(self._calls, None)
        self._calls += 1
        if fault is Fault.PAUSE:
            self.is_paused = self.was_paused = True
            fault = None
        self._arrived.release()
        self._go.acquire()
        self.trace.append(call)
        if fault is Fault.DIE_BEFORE:
            self.is_lost = True
            raise Died
        return fault

    def step(self) -> None:
        """On the scheduler's thread: let the actor run up to its next call or its end."""
        self._go.release()
        self._arrived.acquire()

    def main(self) -> None:
        self._go.acquire()
        try:
            self.outcome = self._run(self)
        except Died:
            self.outcome = None
        except Exception as error:  # noqa: BLE001 - what an actor raised is looked at by whoever started it
            self.outcome = error
        finally:
            self.is_done = True
            self._arrived.release()


class Scheduled:
    """A store as one actor sees it."""

    def __init__(self, store: Any, actor: Actor) -> None:
        self._store = store
        self._actor = actor

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._store, name)

        def call(*arguments: Any, **options: Any) -> Any:
            fault = self._actor.turn(name)
            result = method(*arguments, **options)
            if fault is Fault.DIE_AFTER:
                self._actor.is_lost = True
                raise Died
            if fault is Fault.LOSE_ANSWER:
                self._actor.is_lost = True
                raise MetadataUnavailable("the answer was lost")
            return result

        return call


class Scheduler:
    """Runs actors on the threads of a pool, which must have at least as many as there are actors."""

    def __init__(self, pool: ThreadPoolExecutor, rng: random.Random) -> None:
        self._pool = pool
        self._rng = rng
        self.order: list[str] = []

    def run(self, actors: Iterable[Actor], before_resuming: Callable[[], None]) -> None:
        """Until all actors have ended; `before_resuming` is called when only paused ones are left."""
        waiting = list(actors)
        futures: list[Future[None]] = [self._pool.submit(actor.main) for actor in waiting]
        choose = self._by_priority(waiting) if self._rng.random() < 0.5 else self._rng.choice
        while any(not actor.is_done for actor in waiting):
            ready = [actor for actor in waiting if not actor.is_done and not actor.is_paused]
            if not ready:
                before_resuming()
                for actor in waiting:
                    actor.is_paused = False
                continue
            actor = choose(ready)
            actor.step()
            self.order.append(actor.name)
        for future in futures:
            future.result()

    def _by_priority(self, actors: list[Actor]) -> Callable[[list[Actor]], Actor]:
        """Long runs with few changes: the actor with the highest priority goes on until it is put last.

        Finds with few schedules what needs a few well-placed switches (Burckhardt et al., "A randomized scheduler
        with probabilistic guarantees of finding bugs", 2010).
        """
        priority = {actor.name: self._rng.random() for actor in actors}
        change_chance = self._rng.choice((0.02, 0.05, 0.15))

        def choose(ready: list[Actor]) -> Actor:
            actor = max(ready, key=lambda one: priority[one.name])
            if self._rng.random() < change_chance:
                priority[actor.name] = min(priority.values()) - 1
                actor = max(ready, key=lambda one: priority[one.name])
            return actor

        return choose
