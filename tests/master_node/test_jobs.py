"""Jobs run side by side while a master leads, are woken, pause when they can do nothing, and are written down."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from common.errors import PeerUnreachable
from master_node import jobs as jobs_module
from master_node.election import Election
from master_node.jobs import (
    FAILED,
    IDLE,
    MAX_FAILED_SECONDS,
    MAX_WAITING_SECONDS,
    WAITING,
    WORKING,
    JobRunner,
    Progress,
)
from master_node.model import Lease
from master_node.store.base import MetadataStore
from tests.support.logs import Events, recording_log
from tests.support.masters import ManualClock
from tests.support.waiting import wait_until

LEASE = 3.0


class Task:
    """A job whose units a test tells beforehand; with none left it is idle."""

    def __init__(self, name: str, *units: Progress | Exception | Callable[[], Progress]) -> None:
        self.name = name
        self.units = list(units)
        self.epochs: list[int] = []

    def work(self, epoch: int) -> Progress:
        self.epochs.append(epoch)
        unit = self.units.pop(0) if self.units else Progress.IDLE
        if isinstance(unit, Exception):
            raise unit
        return unit if isinstance(unit, Progress) else unit()

    def describe(self) -> Mapping[str, Any]:
        return {"looks": len(self.epochs)}


class Runners:
    """Makes runners on one store, and stops those that were started."""

    def __init__(self, store: MetadataStore) -> None:
        self.store = store
        self.clock = ManualClock()
        self.election = Election("master_1", store, self.clock, LEASE)
        self.started: list[JobRunner] = []
        self.events: Events

    def make(self, *jobs: Task, interval_seconds: float = 0.01) -> JobRunner:
        log, self.events = recording_log()
        return JobRunner(jobs, self.store, self.election, self.clock, log, interval_seconds)

    def start(self, *jobs: Task, interval_seconds: float = 0.01) -> JobRunner:
        runner = self.make(*jobs, interval_seconds=interval_seconds)
        self.started.append(runner)
        runner.start()
        return runner


@pytest.fixture
def runners(store: MetadataStore) -> Iterator[Runners]:
    made = Runners(store)
    yield made
    for runner in made.started:
        runner.stop()


def states(runner: JobRunner) -> dict[str, str]:
    return {status.name: status.state for status in runner.statuses()}


def written(store: MetadataStore) -> dict[str, Mapping[str, Any]]:
    return {record.name: record.status for record in store.list_jobs()}


def test_only_the_leader_works_and_gives_its_epoch_to_the_job(runners: Runners) -> None:
    task = Task("one", Progress.BUSY, Progress.BUSY)
    runner = runners.make(task)
    runner.run_once()
    assert task.epochs == []
    runners.election.step()
    runner.run_once()
    assert task.epochs == [1, 1, 1]
    assert [(status.state, status.units_done) for status in runner.statuses()] == [(IDLE, 2)]


def test_a_job_ends_its_round_when_the_leadership_ends(runners: Runners) -> None:
    def lose() -> Progress:
        runners.clock.advance(LEASE)
        return Progress.BUSY

    runners.election.step()
    task = Task("one", lose, Progress.BUSY)
    runner = runners.make(task)
    runner.run_once()
    assert task.epochs == [1]
    assert states(runner) == {"one": IDLE}


@pytest.mark.parametrize("error", [PeerUnreachable("no answer"), ValueError("a bug")])
def test_a_job_that_fails_says_why_and_works_again_later(runners: Runners, error: Exception) -> None:
    runners.election.step()
    task, other = Task("one", Progress.BUSY, error), Task("two", Progress.BUSY)
    runner = runners.make(task, other)
    runner.run_once()
    status = runner.statuses()[0]
    assert (status.state, status.units_done) == (FAILED, 1)
    assert str(error) in status.last_error
    assert status.last_error_at
    assert "job_failed" in runners.events.names
    assert states(runner)["two"] == IDLE
    runner.run_once()
    assert states(runner)["one"] == IDLE
    assert runner.statuses()[0].last_error == status.last_error


def test_a_job_that_can_do_nothing_waits_twice_as_long_each_time_until_it_can(runners: Runners) -> None:
    runners.election.step()
    task = Task("one", *[Progress.THROTTLED] * 12, Progress.BUSY)
    runner = runners.make(task, interval_seconds=1.0)
    (loop,) = runner._loops
    pauses = []
    for _ in range(7):
        runner.run_once()
        pauses.append(loop._pause_seconds)
    assert states(runner) == {"one": WAITING}
    assert pauses == [2.0, 4.0, 8.0, *(MAX_WAITING_SECONDS,) * 4]
    del task.units[:-1]
    runner.run_once()
    assert loop._pause_seconds == 1.0


def test_a_job_that_goes_on_failing_is_tried_every_few_seconds(runners: Runners) -> None:
    runners.election.step()
    task = Task("one", *[PeerUnreachable("no answer") for _ in range(9)])
    runner = runners.make(task, interval_seconds=1.0)
    for _ in range(9):
        runner.run_once()
    assert runner._loops[0]._pause_seconds == MAX_FAILED_SECONDS


def test_a_long_unit_of_one_job_does_not_hold_another_up(runners: Runners) -> None:
    gate = threading.Event()

    def wait() -> Progress:
        gate.wait(30)
        return Progress.BUSY

    runners.election.step()
    slow, quick = Task("slow", wait), Task("quick", Progress.BUSY)
    runner = runners.start(slow, quick)
    try:
        wait_until(lambda: len(quick.epochs) > 5, "the quick job works")
        assert len(slow.epochs) == 1
    finally:
        gate.set()
    wait_until(lambda: runner.statuses()[0].units_done == 1, "the slow unit is done")


def test_a_job_that_pauses_for_long_is_woken_by_news(runners: Runners) -> None:
    runners.election.step()
    task = Task("one")
    runner = runners.start(task, interval_seconds=1000.0)
    wait_until(lambda: len(task.epochs) == 1, "the first look")
    task.units.append(Progress.BUSY)
    runner.wake()
    wait_until(lambda: runner.statuses()[0].units_done == 1, "the job looks again")


def test_a_stopped_runner_does_nothing_more(runners: Runners) -> None:
    runners.election.step()
    task = Task("one")
    runner = runners.start(task)
    wait_until(lambda: task.epochs, "the first look")
    runner.stop()
    runner.run_once()
    looks = len(task.epochs)
    runner.run_once()
    assert len(task.epochs) == looks


def test_the_leader_writes_down_what_has_changed_and_only_that(runners: Runners) -> None:
    runners.election.step()
    one, two = Task("one", Progress.BUSY), Task("two", Progress.THROTTLED)
    runner = runners.make(one, two)
    runner.run_once()
    runner.write_statuses()
    first = written(runners.store)
    assert (first["one"]["state"], first["one"]["units_done"], first["one"]["progress"]) == (IDLE, 1, {"looks": 2})
    assert (first["two"]["state"], first["two"]["units_done"]) == (WAITING, 0)
    one.units.append(Progress.BUSY)
    runner._loops[0].work_off()
    runner.write_statuses()
    second = written(runners.store)
    assert second["one"]["units_done"] == 2
    assert second["one"]["updated_at"] != first["one"]["updated_at"]
    assert second["two"] == first["two"]


def test_a_unit_under_way_shows_as_busy(runners: Runners) -> None:
    runners.election.step()
    seen: list[str] = []
    task = Task("one", Progress.BUSY, lambda: seen.append(states(runner)["one"]) or Progress.IDLE)
    runner = runners.make(task)
    runner.run_once()
    assert seen == [WORKING]


def test_a_master_that_does_not_lead_writes_nothing_and_a_new_leader_everything(runners: Runners) -> None:
    runner = runners.make(Task("one"))
    runner.write_statuses()
    assert written(runners.store) == {}
    runners.election.step()
    runner.write_statuses()
    assert set(written(runners.store)) == {"one"}
    assert runners.store.swap_lease(runners.store.read_lease(), Lease("master_2", 2, 0, 0.0))
    runners.election.step()
    runner.write_statuses()
    other = Election("master_2", runners.store, runners.clock, LEASE)
    runners.clock.advance(LEASE)
    other.step()
    runners.clock.advance(LEASE)
    other.step()
    log, _ = recording_log()
    later = JobRunner([Task("one")], runners.store, other, runners.clock, log, 1.0)
    before = written(runners.store)["one"]["updated_at"]
    later.write_statuses()
    assert written(runners.store)["one"]["updated_at"] > before


def test_the_statuses_are_written_while_the_jobs_run(runners: Runners, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs_module, "STATUS_SECONDS", 0.01)
    runners.election.step()
    runners.start(Task("one", Progress.BUSY))
    wait_until(lambda: written(runners.store).get("one", {}).get("units_done") == 1, "the status is written")
