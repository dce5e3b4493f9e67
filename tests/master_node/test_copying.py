"""Copies under way: how many at once, from which source, and what is told of each."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from common.errors import (
    ChunkCorrupt,
    ChunkMissing,
    DFSError,
    DiskFull,
    InternalError,
    PeerUnreachable,
    StaleEpoch,
    WorkerBusy,
)
from common.records import Target
from common.settings import MasterSettings
from master_node.copy_plans import CopyPlan
from master_node.copying import Copier, CopyOutcome
from tests.support.masters import ManualClock
from tests.support.metadata import CHUNK_SIZE, hex_id, make_chunk


class Workers:
    """Answers orders as the test says, and keeps what was asked."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.faults: dict[str, Exception] = {}
        self.is_intact = True

    def copy_chunk(
        self, url: str, chunk_id: str, source_url: str, *, size_bytes: int, checksum: str, epoch: int
    ) -> None:
        self.calls.append(f"{source_url}>{url} {epoch}")
        if fault := self.faults.get(source_url) or self.faults.get(url):
            raise fault

    def delete_chunks(self, url: str, chunk_ids: list[str], epoch: int) -> None:
        self.calls.append(f"order {url} {chunk_ids} {epoch}")

    def verify_chunk(self, url: str, chunk_id: str) -> bool:
        self.calls.append(f"verify {url}")
        return self.is_intact


class Bench:
    """A copier whose copies are carried out when the test says."""

    def __init__(self, at_once: int = 2) -> None:
        self.workers = Workers()
        self.waiting: list[Callable[[], None]] = []
        self.outcomes: list[CopyOutcome] = []
        settings = MasterSettings(copies_per_worker=at_once)
        self.copier = Copier(self.workers, settings, ManualClock(), self.waiting.append)  # type: ignore[arg-type]

    def submit(self, *spellings: str, epoch: int = 7) -> None:
        """Plans as sources>target, each of its own chunk."""
        self.copier.submit(
            [plan_of(text, number) for number, text in enumerate(spellings)], epoch, self.outcomes.append
        )

    def run(self) -> None:
        while self.waiting:
            self.waiting.pop(0)()


def test_a_copy_for_which_there_is_no_thread_ends_as_failed_and_frees_its_place() -> None:
    bench = Bench(at_once=1)
    start, failures = bench.copier._run, iter([True])

    def fail_once(work: Callable[[], None]) -> None:
        if next(failures, False):
            raise RuntimeError("can't start new thread")
        start(work)

    bench.copier._run = fail_once
    bench.submit("a>x", "a>x")
    bench.run()
    assert [type(outcome.error) for outcome in bench.outcomes] == [InternalError, type(None)]
    assert bench.copier.pending_bytes("x") == 0


def plan_of(spelling: str, number: int = 0) -> CopyPlan:
    sources, _, target = spelling.partition(">")
    chunk = make_chunk(hex_id(number), 0)
    return CopyPlan(chunk, tuple(Target(name, name) for name in sources), Target(target, target))


def test_no_worker_takes_or_gives_more_copies_at_once_than_it_may() -> None:
    bench = Bench(at_once=2)
    bench.submit("a>x", "a>y", "a>z", "b>x", "b>x")
    assert len(bench.waiting) == 3
    bench.run()
    assert sorted(bench.workers.calls) == ["a>x 7", "a>y 7", "a>z 7", "b>x 7", "b>x 7"]
    assert [outcome.error for outcome in bench.outcomes] == [None] * 5


def test_a_copy_takes_another_source_where_the_first_is_busy() -> None:
    bench = Bench(at_once=1)
    bench.submit("ab>x", "ab>y", "ab>z")
    assert len(bench.waiting) == 2
    bench.run()
    assert bench.workers.calls[:2] == ["a>x 7", "b>y 7"]


def test_a_free_worker_does_not_wait_behind_a_busy_one() -> None:
    bench = Bench(at_once=1)
    bench.submit("a>x", "b>x", "c>y")
    assert len(bench.waiting) == 2
    bench.waiting.pop(1)()
    assert bench.workers.calls == ["c>y 7"]


@pytest.mark.parametrize("fault", [ChunkMissing("gone"), ChunkCorrupt("bad"), PeerUnreachable("no answer", source="a")])
def test_where_a_source_fails_the_next_is_tried(fault: DFSError) -> None:
    bench = Bench()
    bench.workers.faults["a"] = fault
    bench.submit("ab>x")
    bench.run()
    assert bench.workers.calls == ["a>x 7", "b>x 7"]
    assert [outcome.error for outcome in bench.outcomes] == [None]


def test_the_last_source_s_fault_is_the_outcome() -> None:
    bench = Bench()
    bench.workers.faults = {"a": ChunkMissing("gone"), "b": ChunkCorrupt("bad")}
    bench.submit("ab>x")
    bench.run()
    assert [type(outcome.error) for outcome in bench.outcomes] == [ChunkCorrupt]


@pytest.mark.parametrize(
    "fault", [DiskFull("full"), WorkerBusy("busy"), StaleEpoch("over"), PeerUnreachable("no answer"), OSError("odd")]
)
def test_where_the_target_fails_no_other_source_is_bothered(fault: Exception) -> None:
    bench = Bench()
    bench.workers.faults["x"] = fault
    bench.submit("ab>x")
    bench.run()
    assert bench.workers.calls == ["a>x 7"]
    wanted = fault if isinstance(fault, DFSError) else None
    assert all(outcome.error is wanted or isinstance(outcome.error, InternalError) for outcome in bench.outcomes)
    assert len(bench.outcomes) == 1


@pytest.mark.parametrize(("is_intact", "error"), [(True, type(None)), (False, ChunkCorrupt)])
def test_without_a_source_the_target_is_asked_after_an_order_of_this_epoch(is_intact: bool, error: type) -> None:
    bench = Bench()
    bench.workers.is_intact = is_intact
    bench.submit(">x")
    bench.run()
    assert bench.workers.calls == ["order x [] 7", "verify x"]
    assert [type(outcome.error) for outcome in bench.outcomes] == [error]


def test_pending_bytes_are_those_that_are_on_their_way_or_wait() -> None:
    bench = Bench(at_once=1)
    bench.submit("a>x", "b>x")
    assert bench.copier.pending_bytes("x") == 2 * CHUNK_SIZE
    bench.waiting.pop(0)()
    assert bench.copier.pending_bytes("x") == CHUNK_SIZE
    bench.run()
    assert bench.copier.pending_bytes("x") == 0


def test_a_stopped_copier_orders_nothing_more() -> None:
    bench = Bench(at_once=1)
    bench.submit("a>x", "a>x")
    bench.copier.stop()
    bench.run()
    bench.submit("a>x")
    bench.run()
    assert bench.workers.calls == ["a>x 7"]
    assert bench.outcomes == []
