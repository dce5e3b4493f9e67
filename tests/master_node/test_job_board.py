"""Every master shows the leader's jobs and the workers' scrubs; a check is asked for at any and made by the leader."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from master_node.job_board import FSCK, JobBoard, RequestedFsck
from master_node.jobs import IDLE, WORKING, JobStatus, Progress
from master_node.model import JobRecord
from master_node.store.base import MetadataStore
from tests.support.masters import Master
from tests.support.metadata import make_heartbeat


class Check:
    """A check that takes as many units as it is told."""

    def __init__(self, units: int = 2) -> None:
        self.units = units
        self.left = 0
        self.requests: list[bool] = []

    def request(self, is_verifying: bool) -> None:
        self.requests.append(is_verifying)
        self.left = self.units

    def work(self, epoch: int) -> Progress:
        self.left -= self.left > 0
        return Progress.BUSY if self.left else Progress.IDLE

    def describe(self) -> Mapping[str, Any]:
        return {"checked": 7, "differences": [{"kind": "missing"}]}


class FinishedCheck(Check):
    """One that says when it was over, and whose it was."""

    def __init__(self, name: str) -> None:
        super().__init__(units=1)
        self.name = name

    def describe(self) -> Mapping[str, Any]:
        return {"by": self.name, "finished_at": "then"} if self.requests else {"stage": "none"}


class VerifyingCheck(Check):
    """One that says whether it reads the bytes."""

    def describe(self) -> Mapping[str, Any]:
        return {"is_verifying": bool(self.requests and self.requests[-1])}


def write(store: MetadataStore, job: RequestedFsck, state: str = IDLE) -> None:
    """What the runner does every other second."""
    store.put_jobs([JobRecord(FSCK, JobStatus(FSCK, state, job.describe()).to_json())])


def test_a_cluster_without_a_leader_yet_has_no_jobs(store: MetadataStore, master: Master) -> None:
    board = JobBoard(store, master.membership)
    assert board.jobs() == []
    assert (board.fsck()["state"], board.fsck()["is_requested"]) == (IDLE, False)


def test_jobs_are_shown_without_the_long_list_of_differences(store: MetadataStore, master: Master) -> None:
    board, job = JobBoard(store, master.membership), RequestedFsck(Check(), store)
    write(store, job)
    (shown,) = board.jobs()
    assert (shown["name"], shown["progress"]) == (FSCK, {"checked": 7, "request": 0})
    assert board.fsck()["progress"]["differences"] == [{"kind": "missing"}]


def test_the_scrub_of_each_worker_is_listed_beside_the_jobs(store: MetadataStore, master: Master) -> None:
    heartbeat = replace(make_heartbeat(2), scrub={"state": "busy", "checked": 3})
    master.membership.receive("worker_2", heartbeat)
    (shown,) = JobBoard(store, master.membership).jobs()
    assert shown["name"] == "scrub worker_2"
    assert (shown["state"], shown["progress"]) == ("busy", {"state": "busy", "checked": 3})


def test_a_check_runs_when_it_is_asked_for_and_only_then(store: MetadataStore, master: Master) -> None:
    check = Check()
    board, job = JobBoard(store, master.membership), RequestedFsck(check, store)
    assert job.work(1) is Progress.IDLE
    assert board.request_fsck(is_verifying=True)["is_requested"]
    assert job.work(1) is Progress.BUSY
    write(store, job, WORKING)
    assert not board.fsck()["is_requested"]
    assert job.work(1) is Progress.IDLE
    assert job.work(1) is Progress.IDLE
    assert check.requests == [True]


def test_asking_twice_for_a_check_makes_one(store: MetadataStore, master: Master) -> None:
    check = Check(units=5)
    board, job = JobBoard(store, master.membership), RequestedFsck(check, store)
    board.request_fsck(is_verifying=False)
    board.request_fsck(is_verifying=False)
    job.work(1)
    write(store, job, WORKING)
    board.request_fsck(is_verifying=False)
    while job.work(1) is Progress.BUSY:
        pass
    write(store, job)
    job.work(1)
    assert check.requests == [False]
    board.request_fsck(is_verifying=True)
    job.work(1)
    assert check.requests == [False, True]


def test_a_check_that_reads_the_bytes_follows_on_one_that_does_not(store: MetadataStore, master: Master) -> None:
    check = VerifyingCheck(units=3)
    board, job = JobBoard(store, master.membership), RequestedFsck(check, store)
    board.request_fsck(is_verifying=False)
    job.work(1)
    write(store, job, WORKING)
    for is_verifying in (True, True, False):
        assert board.request_fsck(is_verifying)["is_requested"]
    for _ in range(4):
        job.work(1)
    write(store, job, WORKING)
    assert check.requests == [False, True]
    for is_verifying in (True, False):
        assert not board.request_fsck(is_verifying)["is_requested"], "it joins the one that runs"


def test_a_new_leader_takes_up_a_request_that_the_old_one_had_not_written_down(
    store: MetadataStore, master: Master
) -> None:
    board, old, check = JobBoard(store, master.membership), RequestedFsck(Check(), store), Check()
    board.request_fsck(is_verifying=False)
    old.work(1)
    RequestedFsck(check, store).work(2)
    assert check.requests == [False]


def test_a_new_leader_begins_anew_the_check_that_the_old_one_did_not_finish(
    store: MetadataStore, master: Master
) -> None:
    board, old, check = JobBoard(store, master.membership), RequestedFsck(Check(), store), Check()
    board.request_fsck(is_verifying=True)
    old.work(1)
    write(store, old, WORKING)
    RequestedFsck(check, store).work(2)
    assert check.requests == [True]


def test_a_new_leader_does_not_repeat_a_check_that_is_done(store: MetadataStore, master: Master) -> None:
    board, old, check = JobBoard(store, master.membership), RequestedFsck(Check(units=1), store), Check()
    board.request_fsck(is_verifying=False)
    old.work(1)
    write(store, old)
    RequestedFsck(check, store).work(2)
    assert check.requests == []


def test_what_a_check_has_found_is_still_shown_under_the_next_leader(store: MetadataStore, master: Master) -> None:
    board = JobBoard(store, master.membership)
    old, new = (RequestedFsck(FinishedCheck(name), store) for name in ("old", "new"))
    board.request_fsck(is_verifying=False)
    old.work(1)
    write(store, old)
    # Its status may be written down before it has looked for the first time.
    write(store, new)
    new.work(2)
    write(store, new)
    assert board.fsck()["progress"] == {"by": "old", "finished_at": "then", "request": 1}
    board.request_fsck(is_verifying=False)
    new.work(2)
    write(store, new)
    assert board.fsck()["progress"] == {"by": "new", "finished_at": "then", "request": 2}


def test_a_leader_that_leads_again_does_not_show_its_own_check_for_a_later_one(
    store: MetadataStore, master: Master
) -> None:
    board = JobBoard(store, master.membership)
    first, second = (RequestedFsck(FinishedCheck(name), store) for name in ("first", "second"))
    for epoch, job in ((1, first), (2, second)):
        board.request_fsck(is_verifying=False)
        job.work(epoch)
        write(store, job)
    first.work(3)
    write(store, first)
    assert board.fsck()["progress"] == {"by": "second", "finished_at": "then", "request": 2}
