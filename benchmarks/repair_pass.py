"""What the look-ups of one repair pass cost, by the number of chunk records: `python -m benchmarks.repair_pass`.

The same number of chunks is owed at every size, so every figure must be the same at every size. Counted are steps of
SQLite's virtual machine, which are the same on every machine; the time beside them is the median of some turns here.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

from benchmarks.listing import CountingStore
from common.records import chunk_id
from master_node.model import Chunk
from master_node.store.base import Holding
from master_node.store.sqlite import SqliteStore

SIZES = (10_000, 100_000, 1_000_000)
OWED, SURPLUS = 1_000, 100
PAGE, BATCH = 500, 2_000
CHUNKS_PER_VERSION = 8
TURNS = 21
WORKERS = tuple(f"worker_{number}" for number in range(1, 6))
MIDDLE = chunk_id("8" + "0" * 31, 0)
Page = Callable[[str], list[Chunk]]
LOOK_UPS: dict[str, Callable[[SqliteStore], object]] = {
    "owed, one copy left": lambda store: _all(lambda after: store.find_owed(1, after, PAGE)),
    "owed, two copies left": lambda store: _all(lambda after: store.find_owed(2, after, PAGE)),
    "surplus": lambda store: _all(lambda after: store.find_surplus(after, PAGE)),
    "how much is owed": lambda store: store.owed(),
    "a page of a worker": lambda store: store.find_held(WORKERS[0], Holding.REPLICA, MIDDLE, PAGE),
    "a worker's doubtful": lambda store: store.find_held(WORKERS[1], Holding.DOUBTFUL, "", PAGE),
}


def main() -> None:
    print(f"{OWED:,} chunks owed and {SURPLUS:,} surplus at every size; pages of {PAGE}")
    print(f"{'look-up':<24}" + "".join(f"{size:>20,} chunks" for size in SIZES))
    table: dict[str, list[str]] = {name: [] for name in LOOK_UPS}
    for size in SIZES:
        for name, (steps, milliseconds) in measure(size).items():
            table[name].append(f"{steps:>9,} steps {milliseconds:>6.2f} ms")
    for name, cells in table.items():
        print(f"{name:<24}" + "".join(f"{cell:>27}" for cell in cells))


def measure(size: int) -> dict[str, tuple[int, float]]:
    """Steps and milliseconds of each look-up among `size` chunk records."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "metadata.sqlite3"
        with closing(SqliteStore(path)) as store:
            _fill(store, size)
            times = {name: _milliseconds(lambda look_up=look_up: look_up(store)) for name, look_up in LOOK_UPS.items()}  # type: ignore[misc]
        with closing(CountingStore(path)) as counting:
            return {name: (_steps(counting, look_up), times[name]) for name, look_up in LOOK_UPS.items()}


def _all(page: Page) -> None:
    """Every page of a look-up, as a job goes through them."""
    after = ""
    while found := page(after):
        after = found[-1].chunk_id


def _milliseconds(look_up: Callable[[], object]) -> float:
    taken = []
    for _ in range(TURNS):
        started = time.perf_counter()
        look_up()
        taken.append(time.perf_counter() - started)
    return 1000 * statistics.median(taken)


def _steps(store: CountingStore, look_up: Callable[[SqliteStore], object]) -> int:
    store.steps = 0
    look_up(store)
    return store.steps


def _fill(store: SqliteStore, size: int) -> None:
    batch: list[Chunk] = []
    for chunk in _chunks(size):
        batch.append(chunk)
        if len(batch) == BATCH:
            store.insert_chunks(batch)
            batch = []
    store.insert_chunks(batch)


def _chunks(size: int) -> Iterator[Chunk]:
    """Records spread evenly over all ids; those that are owed or surplus spread evenly among them."""
    versions = -(-size // CHUNKS_PER_VERSION)
    for number in range(size):
        version_id = f"{number // CHUNKS_PER_VERSION * (16**32 // versions):032x}"
        turn = number * OWED // size
        is_owed = turn != (number + 1) * OWED // size
        # Half a stride away from those that are owed.
        place = number + size // OWED // 2
        is_surplus = place * SURPLUS // size != (place + 1) * SURPLUS // size
        copies = 1 + turn % 2 if is_owed else 4 if is_surplus else 3
        replicas = tuple(WORKERS[(number + step) % len(WORKERS)] for step in range(copies))
        doubtful = (WORKERS[(number + 2 + turn % 3) % len(WORKERS)],) if is_owed else ()
        index = number % CHUNKS_PER_VERSION
        yield Chunk(version_id, index, 4194304, "c" * 32, replicas, 3 - copies, doubtful)


if __name__ == "__main__":
    main()
