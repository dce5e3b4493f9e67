"""Worlds of racing masters: each seed is one schedule, run one store call at a time, and checked after its end.

What takes part, and what must hold, stands in the worlds themselves: tests/support/races.py and
tests/support/resumable_races.py.
"""

from __future__ import annotations

import abc
import contextlib
import random
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from common.settings import MasterSettings
from master_node.store.sqlite import SqliteStore
from tests.support.masters import WORKERS, ChunkHosts, ManualClock, Master
from tests.support.memory import memory_folder
from tests.support.scheduler import Actor, Scheduled, Scheduler

# Far longer than a schedule lasts, so that the leader may be made to wait for hours between two renewals.
LEASE_SECONDS = 1e7
MOST_ACTORS = 20
_TABLES = ("files", "chunks", "uploads", "workers", "jobs", "lease")


class Witness(abc.ABC):
    """Is told of every call to the store in the order in which they happen, and says at once when a promise breaks."""

    @abc.abstractmethod
    def note_coming(self, name: str, arguments: tuple[Any, ...]) -> None:
        """Before a call is made."""

    @abc.abstractmethod
    def note(self, name: str, arguments: tuple[Any, ...], result: Any) -> None:
        """After a call was made."""

    @abc.abstractmethod
    def note_freed(self, chunk_ids: Sequence[str]) -> None:
        """After a worker has freed these chunks."""


class World(abc.ABC):
    """One schedule: its masters, its actors, and the checks after it."""

    witness: Witness

    def __init__(
        self, store: SqliteStore, pool: ThreadPoolExecutor, rng: random.Random, settings: MasterSettings
    ) -> None:
        self.actors: list[Actor] = []
        self.hosts = ChunkHosts()
        self._store, self._pool, self._rng = store, pool, rng
        self._settings = settings
        self._clock = ManualClock()
        # Paused or dead actors have masters too, so each has one of its own.
        self._masters: list[Master] = []

    @abc.abstractmethod
    def add_actors(self) -> None:
        """Choose what takes part."""

    @abc.abstractmethod
    def check(self) -> None:
        """Raises AssertionError or LookupError where a promise was broken."""

    @abc.abstractmethod
    def _before_resuming(self) -> None:
        """When only paused actors are left."""

    def run(self) -> list[str]:
        """Returns the names of the actors in the order of their steps."""
        scheduler = Scheduler(self._pool, self._rng)
        scheduler.run(self.actors, self._before_resuming)
        return scheduler.order

    def let_time_pass(self, seconds: float) -> None:
        self._clock.advance(seconds)
        for number, master in enumerate(self._masters):
            master.look(() if number else WORKERS)

    def _master(self, actor: Actor | None = None, *, is_noted: bool = True) -> Master:
        """One more master; with an actor, each of its calls is a point at which the scheduler may switch."""
        store = _Noted(self._store, self) if is_noted else self._store
        master = Master(
            f"master_{len(self._masters) + 1}",
            store if actor is None else Scheduled(store, actor),
            self._clock,
            _Orders(self, actor),
            self._settings,
            watched=self._store,
            lease_seconds=LEASE_SECONDS,
        )
        # One receives the heartbeats, the others see them in the store.
        master.look(() if self._masters else WORKERS)
        self._masters.append(master)
        return master


class _Noted:
    """The store, with the world's witness told of every call."""

    def __init__(self, store: SqliteStore, world: World) -> None:
        self._store, self._world = store, world

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._store, name)

        def call(*arguments: Any, **options: Any) -> Any:
            self._world.witness.note_coming(name, arguments)
            result = method(*arguments, **options)
            self._world.witness.note(name, arguments, result)
            return result

        return call


class _Orders:
    """A master's calls to workers; an order is a point at which the scheduler may switch, too."""

    def __init__(self, world: World, actor: Actor | None) -> None:
        self._world, self._actor = world, actor

    def delete_chunks(self, url: str, chunk_ids: Sequence[str], epoch: int) -> None:
        if self._actor is not None:
            self._actor.turn("order")
        self._world.hosts.delete_chunks(url, chunk_ids, epoch)
        self._world.witness.note_freed(chunk_ids)


AnyWorld = TypeVar("AnyWorld", bound=World)


@contextlib.contextmanager
def schedules(
    make_world: Callable[[SqliteStore, ThreadPoolExecutor, int], AnyWorld],
) -> Iterator[Callable[[int], AnyWorld]]:
    """What runs the schedule of a seed on an empty database, in memory where the system has such a folder.

    It raises AssertionError with the seed, the order of the steps and what became of each actor.
    """
    with memory_folder() as folder, ThreadPoolExecutor(MOST_ACTORS) as pool:
        path = folder / "m.sqlite3"
        store = SqliteStore(path)
        wiper = sqlite3.connect(path, isolation_level=None)

        def run(seed: int) -> AnyWorld:
            _empty(wiper)
            world = make_world(store, pool, seed)
            _run(world, seed)
            return world

        yield run
        wiper.close()
        store.close()


def _empty(wiper: sqlite3.Connection) -> None:
    wiper.execute("BEGIN IMMEDIATE")
    for table in _TABLES:
        wiper.execute(f"DELETE FROM {table}")
    wiper.execute("COMMIT")


def _run(world: World, seed: int) -> None:
    world.add_actors()
    order: list[str] = []
    try:
        order = world.run()
        world.check()
    except (AssertionError, LookupError) as error:
        what = [f"{actor.name}: {actor.outcome!r} after {actor.trace}" for actor in world.actors]
        raise AssertionError("\n".join([f"seed {seed}: {error!r}", f"order {order}", *what])) from error
