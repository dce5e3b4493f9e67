"""The scrub finds all damage within its period, at its pace, and goes on where it was."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from storage.chunk_store import ChunkStore
from storage.scrub import Scrubber, pause_seconds
from tests.support.chunks import BLOCK, chunk_files, make_chunk, open_store, put, quarantined_files
from tests.support.clocks import StepClock
from tests.support.logs import recording_log
from tests.support.waiting import wait_until

PERIOD = 1000.0
FAST = 2**40
CHUNKS = 20


@pytest.mark.parametrize(
    ("progress", "elapsed_seconds", "expected"),
    [
        (0.0, 0.0, 0.0),
        (0.5, 450.0, 0.0),
        (0.5, 400.0, 50.0),
        (0.5, 0.0, 450.0),
        (0.5, 5000.0, 0.0),
        (1.0, 0.0, 900.0),
        (1.0, 900.0, 0.0),
    ],
)
def test_a_round_is_spread_over_nine_tenths_of_the_period(
    progress: float, elapsed_seconds: float, expected: float
) -> None:
    assert pause_seconds(progress, elapsed_seconds, PERIOD) == expected


class Run:
    """A scrubber whose time the test moves."""

    def __init__(self, store: ChunkStore, root: Path, bytes_per_second: int = FAST, period: float = PERIOD) -> None:
        self.clock = StepClock()
        self.log, self.events = recording_log()
        self.place_file = root / "scrub.json"
        self.scrubber = Scrubber(
            store, self.place_file, self.clock, self.log, period_seconds=period, bytes_per_second=bytes_per_second
        )
        self.scrubber.recover()

    def round(self) -> float:
        """Step until a round is complete; returns how long that took."""
        began_at = self.clock.now
        before = self.events.names.count("scrub_round_completed")
        while self.events.names.count("scrub_round_completed") == before:
            self.clock.sleep(self.scrubber.step())
        return self.clock.now - began_at

    def counters(self) -> tuple[int, int, int, int, int]:
        status = self.scrubber.status()
        return tuple(status[name] for name in ("checked", "intact", "quarantined", "missing", "failed"))  # type: ignore[return-value]


@pytest.fixture
def filled(store: ChunkStore) -> ChunkStore:
    for number in range(CHUNKS):
        put(store, make_chunk(BLOCK, number))
    return store


def flip(path: Path, position: int) -> None:
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)


def test_every_chunk_is_verified_in_a_round_that_takes_no_longer_than_the_period(
    filled: ChunkStore, root: Path
) -> None:
    run = Run(filled, root)
    for _ in range(3):
        assert run.round() <= PERIOD
        assert run.counters() == (CHUNKS, CHUNKS, 0, 0, 0)
    assert run.scrubber.status()["last_round_completed_at"] == run.clock.timestamp()


def test_every_damaged_chunk_is_found_and_put_aside_and_told(root: Path) -> None:
    told: list[str] = []
    store = open_store(root, on_damage=told.append)
    for number in range(CHUNKS):
        put(store, make_chunk(BLOCK, number))
    damaged = chunk_files(root)[::4]
    for number, path in enumerate(damaged):
        flip(path, [0, BLOCK - 1, -1, BLOCK // 2, -30][number % 5])
    run = Run(store, root)
    run.round()
    assert run.counters() == (CHUNKS, CHUNKS - len(damaged), len(damaged), 0, 0)
    assert sorted(told) == sorted(path.name for path in damaged)
    assert len(quarantined_files(root)) == len(damaged)
    assert run.events.names.count("chunk_quarantined") == len(damaged)


def test_damage_that_only_the_disk_has_is_found_past_the_page_cache(tmp_path: Path) -> None:
    """A direct read sees what was written through another one; where the file system has none, through the cache."""
    store = open_store(tmp_path)
    chunk = make_chunk(4 * 1024 * 1024)
    put(store, chunk)
    (file,) = chunk_files(tmp_path)
    assert store.verify(chunk.chunk_id, is_suspect=False)
    flip(file, 3 * 1024 * 1024 + 5)
    assert not store.verify(chunk.chunk_id, is_suspect=False)


def test_the_rate_is_never_above_its_limit_also_when_the_period_asks_for_more(filled: ChunkStore, root: Path) -> None:
    size = sum(path.stat().st_size for path in chunk_files(root))
    run = Run(filled, root, bytes_per_second=size // 100, period=1.0)
    assert run.round() >= 95


def test_a_chunk_freed_before_its_turn_is_missing_and_no_failure(filled: ChunkStore, root: Path) -> None:
    run = Run(filled, root)
    while run.scrubber.status()["checked"] < 3:
        run.clock.sleep(run.scrubber.step())
    filled.delete([path.name for path in chunk_files(root)])
    run.round()
    checked, intact, quarantined, missing, failed = run.counters()
    assert checked == intact + quarantined + missing + failed
    assert (quarantined, failed) == (0, 0)


def test_a_restart_goes_on_where_the_last_run_was(filled: ChunkStore, root: Path) -> None:
    first = Run(filled, root)
    while first.scrubber.status()["checked"] < CHUNKS // 2:
        first.clock.sleep(first.scrubber.step())
    first.scrubber.stop()
    second = Run(filled, root)
    assert second.counters() == first.counters()
    assert second.round() <= PERIOD * 0.7
    assert second.counters() == (CHUNKS, CHUNKS, 0, 0, 0)


def test_the_place_is_not_written_for_each_chunk(filled: ChunkStore, root: Path) -> None:
    run = Run(filled, root, period=10.0)
    while run.scrubber.status()["checked"] < CHUNKS - 1:
        run.clock.sleep(run.scrubber.step())
    assert not run.place_file.exists()
    run.round()
    assert json.loads(run.place_file.read_text())["checked"] == CHUNKS


@pytest.mark.parametrize(
    "written", [b"", b"x", b"[]", b"{}", b'{"folder": -1}', b'{"folder": "a"}', bytes(100), b"\xff"]
)
def test_a_place_that_cannot_be_read_is_the_beginning(filled: ChunkStore, root: Path, written: bytes) -> None:
    (root / "scrub.json").write_bytes(written)
    run = Run(filled, root)
    run.round()
    assert run.counters()[0] == CHUNKS


def test_an_empty_store_and_one_that_is_filled_later_are_scrubbed(store: ChunkStore, root: Path) -> None:
    run = Run(store, root)
    run.round()
    assert run.counters() == (0, 0, 0, 0, 0)
    put(store, make_chunk())
    run.round()
    assert run.counters()[0] == 1


def test_the_thread_finds_damage_by_itself_and_status_says_how_far_it_is(filled: ChunkStore, root: Path) -> None:
    flip(chunk_files(root)[0], 5)
    run = Run(filled, root)
    scrubber = Scrubber(filled, root / "scrub.json", run.clock, run.log, period_seconds=1.0, bytes_per_second=FAST)
    run.clock.now += 5000
    scrubber.start()
    try:
        wait_until(lambda: _moved(run, scrubber)["quarantined"] == 1, "the damage is found")
    finally:
        scrubber.stop()
    assert len(quarantined_files(root)) == 1


def _moved(run: Run, scrubber: Scrubber) -> dict[str, Any]:
    run.clock.now += 1.0
    return scrubber.status()


def test_a_scrub_that_is_switched_off_reads_nothing(filled: ChunkStore, root: Path) -> None:
    run = Run(filled, root, bytes_per_second=0)
    run.scrubber.start()
    run.scrubber.stop()
    assert run.scrubber.status()["state"] == "off"
    assert not run.place_file.exists()
