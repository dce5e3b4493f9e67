"""The check as a job that any master can ask for, and the command that waits for it and prints what it found."""

from __future__ import annotations

import io
from typing import Any

import pytest

from common.errors import Unavailable
from master_node.fsck.__main__ import PATIENCE_SECONDS, report_lines, run_check
from master_node.fsck.differences import MAX_LISTED
from master_node.fsck.job import Fsck
from master_node.job_board import JobBoard, RequestedFsck
from master_node.jobs import JobRunner, Progress
from master_node.store.sqlite import SqliteStore
from tests.support.disks import WorkerDisks
from tests.support.logs import recording_log
from tests.support.masters import ManualClock, Master
from tests.support.metadata import hex_id, make_chunk, make_upload


class Leader:
    """A master that leads with the check as its only job; stands where the command's calls reach the masters."""

    def __init__(self, store: SqliteStore, clock: ManualClock) -> None:
        self.clock, self.disks = clock, WorkerDisks()
        # The lease outlasts a check, which moves the clock and has no thread beside it that renews.
        self.master = Master("master_1", store, clock, self.disks, lease_seconds=60.0)
        self.disks.look(self.master)
        log, _ = recording_log()
        workers: Any = self.disks
        job = RequestedFsck(Fsck(store, self.master.membership, workers, clock, log), store)
        self.runner = JobRunner([job], store, self.master.election, clock, log, 1.0)
        self.board = JobBoard(store, self.master.membership)
        self.leads = True

    def start_fsck(self, is_verifying: bool = False) -> dict[str, Any]:
        return self.board.request_fsck(is_verifying)

    def fsck(self) -> dict[str, Any]:
        """The answer of a master some seconds later; the leader has gone on meanwhile, if it still does."""
        self.disks.look(self.master)
        if self.leads:
            self.runner.run_once()
            self.runner.write_statuses()
        return self.board.fsck()

    def run_command(self, *, is_verifying: bool = False) -> dict[str, Any]:
        self.notes = io.StringIO()
        masters: Any = self
        return dict(run_check(masters, self.clock, is_verifying=is_verifying, notes=self.notes))


@pytest.fixture
def leader(store: SqliteStore, clock: ManualClock) -> Leader:
    return Leader(store, clock)


def lose_replicas(leader: Leader, count: int) -> None:
    leader.master.store.insert_upload(make_upload("a"))
    chunks = [make_chunk(hex_id("a"), index, replicas=("worker_1",)) for index in range(count)]
    leader.master.store.insert_chunks(chunks)


def test_nothing_is_checked_until_it_is_asked_for(leader: Leader) -> None:
    for _ in range(3):
        assert leader.fsck()["progress"]["stage"] == "none"
    assert leader.fsck()["units_done"] == 0


def test_the_command_gets_what_the_check_that_it_asked_for_found(leader: Leader) -> None:
    assert leader.run_command()["found"] == {}
    lose_replicas(leader, 1)
    found = leader.run_command()
    assert found["found"] == {"replica_missing": 1}
    assert found["finished_at"] > found["started_at"]
    assert "waiting for the leader to begin" in leader.notes.getvalue()


def test_the_command_can_have_the_bytes_read(leader: Leader) -> None:
    lose_replicas(leader, 2)
    for index in range(2):
        leader.disks.put(make_chunk(hex_id("a"), index).chunk_id, "worker_1")
    assert leader.run_command()["replicas_verified"] == 0
    found = leader.run_command(is_verifying=True)
    assert (found["replicas_verified"], found["is_verifying"]) == (2, True)


def test_the_bytes_are_read_also_where_a_check_that_does_not_was_just_asked_for(leader: Leader) -> None:
    lose_replicas(leader, 1)
    leader.disks.put(make_chunk(hex_id("a"), 0).chunk_id, "worker_1")
    leader.start_fsck()
    found = leader.run_command(is_verifying=True)
    assert (found["replicas_verified"], found["is_verifying"]) == (1, True)


def test_the_command_gives_up_when_no_master_leads(leader: Leader) -> None:
    leader.leads = False
    began = leader.clock.now
    with pytest.raises(Unavailable, match="no progress"):
        leader.run_command()
    assert leader.clock.now - began >= PATIENCE_SECONDS


def test_a_check_that_stands_still_and_goes_on_is_waited_for(leader: Leader) -> None:
    leader.leads = False
    asked = leader.fsck
    answers = 0

    def answer() -> dict[str, Any]:
        nonlocal answers
        answers += 1
        leader.leads = answers > 5
        return asked()

    leader.fsck = answer  # type: ignore[method-assign]
    assert leader.run_command()["found"] == {}


def test_the_list_of_jobs_does_not_carry_every_difference(leader: Leader) -> None:
    lose_replicas(leader, 3)
    assert len(leader.run_command()["differences"]) == 3
    (job,) = leader.board.jobs()
    assert (job["name"], "differences" in job["progress"]) == ("fsck", False)


def test_each_difference_is_one_line_and_the_sums_follow(leader: Leader) -> None:
    lose_replicas(leader, 2)
    lines = list(report_lines(leader.run_command()))
    first = make_chunk(hex_id("a"), 0).chunk_id
    assert lines[0].startswith(f"replica_missing {first} worker_1: worker_1 has no file of this replica; ")
    assert len([line for line in lines if line.startswith("replica_missing")]) == 2
    assert "2 records checked" in lines[2]
    assert lines[2].endswith(": 2 differences")
    assert "  replica_missing: 2" in lines


def test_what_is_not_listed_is_counted(leader: Leader) -> None:
    lose_replicas(leader, MAX_LISTED + 7)
    lines = list(report_lines(leader.run_command()))
    assert "... and 7 more" in lines
    assert any(line.endswith(f": {MAX_LISTED + 7} differences") for line in lines)


def test_a_job_without_a_request_is_idle(leader: Leader) -> None:
    log, _ = recording_log()
    workers: Any = leader.disks
    job = Fsck(leader.master.store, leader.master.membership, workers, leader.clock, log)
    assert job.work(1) is Progress.IDLE
    job.request(False)
    assert job.work(1) is Progress.BUSY
