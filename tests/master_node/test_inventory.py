"""The comparison of a worker's disk with the records: what is struck, noted, put aside and left alone, and when."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from common.errors import DiskFailed, MetadataUnavailable, PeerUnreachable
from common.records import chunk_id
from common.settings import MasterSettings
from master_node import inventory as module
from master_node.inventory import Inventory, is_familiar
from master_node.jobs import Progress
from master_node.model import ABORTED, COMMITTED, OPEN, Chunk
from master_node.replicas import adopted, promised
from master_node.store.base import Holding
from master_node.store.sqlite import SqliteStore
from tests.support.disks import WorkerDisks
from tests.support.logs import recording_log
from tests.support.masters import WORKERS, ManualClock, Master
from tests.support.metadata import hex_id, make_chunk, make_upload

SETTINGS = MasterSettings(inventory_seconds=1000.0, orphan_grace_seconds=100.0, lease_seconds=3.0)
MINE = "worker_1"


class Ring:
    """A master that leads, its inventory job, and the workers' disks; its database is older than the grace."""

    def __init__(self, store: SqliteStore, clock: ManualClock, age_seconds: float = 1e6) -> None:
        self.store, self.clock, self.disks = store, clock, WorkerDisks()
        self.master = Master("master_1", store, clock, self.disks, SETTINGS)
        self.job = self.new_job(self.master)
        self.epoch = 1
        self.disks.look(self.master)
        self.age_database(age_seconds)

    def new_job(self, master: Master) -> Inventory:
        log, self.events = recording_log()
        return Inventory(
            self.store,
            master.membership,
            master.election,
            self.disks,  # type: ignore[arg-type]
            SETTINGS,
            self.clock,
            log,
        )

    def age_database(self, seconds: float) -> None:
        lease = self.store.read_lease()
        assert lease is not None
        older = replace(lease, renewals=lease.renewals + 1, clock_seconds=lease.clock_seconds + seconds)
        assert self.store.swap_lease(lease, older)
        self.disks.look(self.master)

    def record(self, number: int, *replicas: str, on: tuple[str, ...] | None = None, **changes: Any) -> Chunk:
        """A chunk's record that counts these replicas, and its files (`on`: elsewhere than on those)."""
        chunk = make_chunk(hex_id(number), 0, replicas=replicas, owed=3 - len(replicas))
        chunk = replace(chunk, **changes)
        self.store.insert_chunks([chunk])
        self.disks.put(chunk.chunk_id, *(replicas if on is None else on))
        return chunk

    def stored(self, chunk: Chunk) -> Chunk:
        found = self.store.find_chunks([chunk.chunk_id])
        assert len(found) == 1
        return found[0]

    def step(self) -> Progress:
        self.epoch = self.master.election.leading_epoch() or self.epoch
        return self.job.work(self.epoch)

    def run(self, units: int = 5000) -> int:
        """Until there is nothing to do, heartbeats before and after; returns the number of units."""
        self.disks.look(self.master)
        for unit in range(units):
            if self.step() is Progress.IDLE:
                self.disks.look(self.master)
                return unit
        raise AssertionError(f"the inventory is not over after {units} units")

    def pass_time(self, seconds: float, workers: tuple[str, ...] = WORKERS) -> None:
        """In steps short enough that the master goes on leading."""
        for _ in range(int(seconds)):
            self.clock.advance(1.0)
            self.disks.look(self.master, workers)

    def worker(self, worker_id: str = MINE) -> dict[str, Any]:
        found: dict[str, Any] = self.job.describe()["workers"][worker_id]
        return found

    def is_reconciled(self, worker_id: str = MINE) -> bool:
        view = self.master.membership.find(worker_id)
        return view is not None and view.record.is_reconciled


@pytest.fixture
def ring(store: SqliteStore, clock: ManualClock) -> Ring:
    return Ring(store, clock)


# --- the records ---


def test_where_disks_and_records_agree_nothing_changes_and_every_worker_is_reconciled(ring: Ring) -> None:
    chunks = [ring.record(number, *WORKERS) for number in range(20)]
    assert not ring.is_reconciled()
    ring.run()
    assert [ring.stored(chunk) for chunk in chunks] == chunks
    assert all(ring.is_reconciled(worker_id) for worker_id in WORKERS)
    assert ring.worker()["records_checked"] == ring.worker()["files_checked"] == 20


def test_a_replica_that_the_worker_says_it_does_not_have_is_struck_by_proof(ring: Ring) -> None:
    whole, missing = ring.record(1, *WORKERS), ring.record(2, *WORKERS)
    ring.disks.remove(missing.chunk_id, MINE)
    ring.run()
    assert ring.stored(whole) == whole
    found = ring.stored(missing)
    assert (found.replicas, found.owed, found.doubtful) == (("worker_2", "worker_3"), 1, ())
    assert ring.worker()["missing"] == 1
    assert ring.worker()["records_checked"] == 1


def test_an_emptied_disk_is_proof_for_all_of_its_replicas(ring: Ring) -> None:
    chunks = [ring.record(number, *WORKERS) for number in range(30)]
    ring.disks.ages[MINE].clear()
    ring.disks.heartbeat(ring.master, MINE, "emptied")
    ring.run()
    assert ring.store.find_held(MINE, Holding.REPLICA, "", 100) == []
    assert {ring.stored(chunk).owed for chunk in chunks} == {1}


def test_the_last_replica_is_struck_too_where_the_worker_itself_says_that_it_is_gone(ring: Ring) -> None:
    chunk = ring.record(1, MINE, on=())
    ring.run()
    assert ring.stored(chunk).replicas == ()
    assert ring.stored(chunk).owed == 3


@pytest.mark.parametrize("error", [PeerUnreachable("no answer"), DiskFailed("input/output error")])
def test_an_error_is_no_proof(ring: Ring, error: PeerUnreachable | DiskFailed) -> None:
    chunk = ring.record(1, *WORKERS, on=())
    ring.disks.failing[MINE] = error
    ring.run()
    assert MINE in ring.stored(chunk).replicas
    assert not ring.is_reconciled()
    assert ring.is_reconciled("worker_2")
    assert ring.worker()["last_error"] == error.detail


def test_a_worker_that_could_not_be_asked_is_asked_again_from_the_same_place(
    ring: Ring, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PAGE_CHUNKS", 4)
    for number in range(20):
        ring.record(number, MINE, on=() if number % 2 else (MINE,))

    def fail_at(call: int) -> Callable[[str], None]:
        before = ring.disks.calls

        def on_call(_name: str) -> None:
            if ring.disks.calls - before == call:
                raise PeerUnreachable("the network is gone for a moment")

        return on_call

    ring.disks.on_call = fail_at(6)
    ring.run()
    ring.pass_time(module.RETRY_SECONDS)
    ring.run()
    assert ring.is_reconciled()
    assert (ring.worker()["records_checked"], ring.worker()["missing"]) == (10, 10)


def test_a_record_that_was_changed_meanwhile_is_looked_at_again_as_it_is_now(ring: Ring) -> None:
    chunk = ring.record(1, MINE, "worker_2", on=("worker_2",))

    def adopt_elsewhere(name: str) -> None:
        if name == "find_held":
            ring.disks.on_call = lambda _name: None
            assert ring.store.replace_chunks([adopted(ring.stored(chunk), "worker_3")]) == [True]
            ring.disks.put(chunk.chunk_id, "worker_3")

    ring.disks.on_call = adopt_elsewhere
    ring.run()
    assert ring.stored(chunk).replicas == ("worker_2", "worker_3")
    assert ring.worker()["missing"] == 1


def test_a_replica_made_again_between_two_looks_is_not_struck(ring: Ring) -> None:
    chunk = ring.record(1, MINE, "worker_2", on=("worker_2",))

    def make_again(name: str) -> None:
        if name == "list_inventory":
            return
        ring.disks.on_call = lambda _name: None
        present = ring.stored(chunk)
        # Somebody strikes it, and repair makes it again, while the worker's answer is on its way.
        without = replace(present, replicas=("worker_2",), owed=2, revision=present.revision + 1)
        again = promised(without, MINE)
        back = adopted(again, MINE)
        for record in (without, again, back):
            assert ring.store.replace_chunks([record]) == [True]

    held = ring.disks.find_held

    def answer_late(url: str, chunk_ids: list[str]) -> set[str]:
        answer = held(url, chunk_ids)
        ring.disks.put(chunk.chunk_id, MINE)
        return answer

    ring.disks.find_held = answer_late  # type: ignore[method-assign, assignment]
    ring.disks.on_call = make_again
    ring.run()
    assert MINE in ring.stored(chunk).replicas


def test_a_record_that_is_freed_meanwhile_is_nobody_s_loss(ring: Ring) -> None:
    chunk = ring.record(1, *WORKERS, on=())

    def free(_name: str) -> None:
        ring.disks.on_call = lambda _name: None
        ring.store.delete_chunks([chunk])

    ring.disks.on_call = free
    ring.run()
    assert ring.store.find_chunks([chunk.chunk_id]) == []
    assert ring.is_reconciled()


def test_nothing_is_compared_while_most_workers_are_gone(ring: Ring) -> None:
    chunk = ring.record(1, *WORKERS, on=())
    ring.master.configured |= {f"worker_{number}" for number in range(6, 9)}
    assert ring.run() == 0
    assert ring.stored(chunk) == chunk


@pytest.mark.parametrize("count", [0, 1, 3, 4, 5, 8, 9])
def test_all_records_are_compared_however_they_fill_the_pages(
    ring: Ring, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    monkeypatch.setattr(module, "PAGE_CHUNKS", 4)
    for number in range(count):
        ring.record(number, MINE, "worker_2")
        ring.record(100 + number, MINE, "worker_2", on=("worker_2",))
    ring.run()
    assert ring.store.find_held(MINE, Holding.REPLICA, "", 100) == [
        ring.stored(chunk) for chunk in ring.store.find_held("worker_2", Holding.REPLICA, "", 100) if chunk.owed == 1
    ]
    assert (ring.worker()["records_checked"], ring.worker()["missing"]) == (count, count)


# --- the disk ---


def test_a_file_whose_record_does_not_name_the_worker_is_noted_as_doubtful(ring: Ring) -> None:
    chunk = ring.record(1, "worker_2", "worker_3", on=WORKERS)
    ring.run()
    found = ring.stored(chunk)
    assert (found.replicas, found.doubtful, found.owed) == (("worker_2", "worker_3"), (MINE,), 1)
    assert ring.worker()["unnamed"] == 1
    assert chunk.chunk_id in ring.disks.ages[MINE]


def test_a_doubtful_copy_stays_as_it_is_for_the_release_job(ring: Ring) -> None:
    chunk = ring.record(1, "worker_2", on=(MINE, "worker_2"), doubtful=(MINE,))
    ring.run()
    assert ring.stored(chunk) == chunk


def test_an_old_file_that_nothing_knows_goes_into_quarantine(ring: Ring) -> None:
    kept = ring.record(1, *WORKERS)
    orphan = chunk_id(hex_id("orphan"), 7)
    ring.disks.put(orphan, MINE, age_seconds=SETTINGS.orphan_grace_seconds)
    ring.run()
    assert ring.disks.quarantine[MINE] == {orphan}
    assert set(ring.disks.ages[MINE]) == {kept.chunk_id}
    assert (ring.worker()["unknown"], ring.worker()["quarantined"]) == (1, 1)


def test_a_young_file_that_nothing_knows_waits(ring: Ring) -> None:
    ring.disks.put(chunk_id(hex_id("orphan"), 0), MINE, age_seconds=SETTINGS.orphan_grace_seconds - 1)
    ring.run()
    assert ring.disks.quarantine[MINE] == set()
    assert (ring.worker()["unknown"], ring.worker()["quarantined"]) == (1, 0)


@pytest.mark.parametrize("state", [OPEN, ABORTED, COMMITTED])
def test_files_of_an_upload_are_left_alone(ring: Ring, state: str) -> None:
    ring.store.insert_upload(make_upload("upload", state=state))
    ring.disks.put(chunk_id(hex_id("upload"), 0), MINE)
    ring.run()
    assert ring.disks.quarantine[MINE] == set()
    assert ring.worker()["unknown"] == 0


def test_a_chunk_whose_upload_ends_between_two_looks_is_left_alone(ring: Ring) -> None:
    """Its record was not there yet when it was listed, and its upload's document is gone soon after."""
    upload = make_upload("upload")
    chunk = make_chunk(upload.upload_id, 0, replicas=(MINE,), owed=2)
    ring.store.insert_upload(upload)
    ring.disks.put(chunk.chunk_id, MINE)
    find_uploads = ring.store.find_uploads

    def end_upload(upload_ids: list[str]) -> list[object]:
        ring.store.insert_chunks([chunk])
        ring.store.delete_uploads([upload.upload_id])
        return list(find_uploads(upload_ids))

    ring.store.find_uploads = end_upload  # type: ignore[method-assign, assignment]
    ring.run()
    assert ring.disks.quarantine[MINE] == set()
    assert chunk.chunk_id in ring.disks.ages[MINE]


def test_a_young_database_puts_nothing_aside(store: SqliteStore, clock: ManualClock) -> None:
    """It may be the wrong one: the files on the disks are not known to it because they belong to another."""
    ring = Ring(store, clock, age_seconds=1.0)
    ring.disks.put(chunk_id(hex_id("orphan"), 0), MINE)
    ring.run()
    assert ring.disks.quarantine[MINE] == set()
    assert ring.worker()["unknown"] == 1


def test_a_disk_full_of_unknown_files_is_not_touched_beyond_the_first_few(
    ring: Ring, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FEW_UNKNOWN", 5)
    for number in range(50):
        ring.disks.put(chunk_id(hex_id(number), 0), MINE)
    ring.run()
    assert len(ring.disks.quarantine[MINE]) <= 5
    assert ring.worker()["held_back"] == 50 - len(ring.disks.quarantine[MINE])
    assert "unknown_files_held_back" in ring.events.names


@pytest.mark.parametrize(
    ("files", "unknown", "expected"),
    [(0, 0, True), (1, 1, True), (100, 100, True), (150, 101, False), (202, 101, True), (1000, 501, False)],
)
def test_a_disk_is_familiar_while_few_or_less_than_half_of_its_files_are_unknown(
    files: int, unknown: int, expected: bool
) -> None:
    assert is_familiar(files, unknown) is expected


def test_an_order_of_an_epoch_that_is_over_moves_nothing_and_the_leader_goes_beyond_it(ring: Ring) -> None:
    orphan = chunk_id(hex_id("orphan"), 0)
    ring.disks.put(orphan, MINE)
    ring.disks.highest_epoch = 40
    ring.run()
    assert ring.disks.quarantine[MINE] == set()
    assert not ring.is_reconciled()
    ring.pass_time(2 * module.RETRY_SECONDS)
    ring.run()
    assert ring.disks.quarantine[MINE] == {orphan}
    assert ring.is_reconciled()


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5])
def test_all_files_of_a_folder_are_compared_however_they_fill_the_pages(
    ring: Ring, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    monkeypatch.setattr(module, "PAGE_CHUNKS", 2)
    monkeypatch.setattr("tests.support.disks.zlib.crc32", lambda _name: 255)
    orphans = {chunk_id(hex_id(number), 0) for number in range(count)}
    for orphan in orphans:
        ring.disks.put(orphan, MINE)
    ring.run()
    assert ring.disks.quarantine[MINE] == orphans
    assert ring.worker()["files_checked"] == count


# --- when ---


def test_a_start_of_the_worker_has_it_compared_again_and_the_passing_of_time_too(ring: Ring) -> None:
    ring.record(1, *WORKERS)
    ring.run()
    assert ring.run() == 0
    ring.disks.heartbeat(ring.master, MINE, "second")
    assert not ring.is_reconciled()
    assert ring.step() is Progress.BUSY
    while ring.step() is Progress.BUSY:
        pass
    ring.master.membership.refresh()
    assert ring.is_reconciled()
    ring.clock.advance(SETTINGS.inventory_seconds)
    for worker_id in WORKERS:
        ring.disks.heartbeat(ring.master, worker_id, "second" if worker_id == MINE else "first")
    assert ring.step() is Progress.BUSY


def test_a_worker_that_starts_anew_in_the_middle_is_compared_from_the_beginning(
    ring: Ring, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PAGE_CHUNKS", 2)
    chunks = [ring.record(number, MINE, "worker_2") for number in range(10)]
    while ring.worker().get("records_checked", 0) < 4 if ring.job.describe()["workers"] else True:
        ring.step()
    ring.disks.ages[MINE].clear()
    ring.disks.heartbeat(ring.master, MINE, "emptied")
    while ring.step() is Progress.BUSY:
        pass
    assert {ring.stored(chunk).replicas for chunk in chunks} == {("worker_2",)}
    ring.master.membership.refresh()
    assert ring.is_reconciled()


def test_what_is_wanted_while_a_comparison_runs_is_another_one(ring: Ring) -> None:
    ring.record(1, *WORKERS)
    ring.step()
    for worker_id in WORKERS:
        ring.store.want_inventory(worker_id)
    while ring.step() is Progress.BUSY:
        pass
    ring.master.membership.refresh()
    assert not ring.is_reconciled()
    ring.run()
    assert ring.is_reconciled()


def test_a_new_leader_begins_again(ring: Ring, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAGE_CHUNKS", 2)
    for number in range(10):
        ring.record(number, MINE)
    for _ in range(5):
        ring.job.work(1)
    assert ring.worker()["records_checked"] > 2
    ring.job.work(2)
    assert sum(found["records_checked"] for found in ring.job.describe()["workers"].values()) <= 2


def test_a_worker_that_is_away_does_not_hold_the_others_up(ring: Ring) -> None:
    ring.record(1, *WORKERS)
    ring.master.configured = set(WORKERS)
    ring.pass_time(20.0, ("worker_2", "worker_3"))
    while ring.step() is Progress.BUSY:
        pass
    ring.master.membership.refresh()
    assert [ring.is_reconciled(worker_id) for worker_id in WORKERS] == [False, True, True]


def test_a_database_that_does_not_answer_fails_the_unit_and_loses_no_place(ring: Ring) -> None:
    chunk = ring.record(1, *WORKERS)
    ring.disks.remove(chunk.chunk_id, MINE)
    replace_chunks = ring.store.replace_chunks

    def fail(_chunks: object) -> list[bool]:
        ring.store.replace_chunks = replace_chunks  # type: ignore[method-assign]
        raise MetadataUnavailable("no answer")

    ring.store.replace_chunks = fail  # type: ignore[method-assign, assignment]
    with pytest.raises(MetadataUnavailable):
        ring.run()
    ring.run()
    assert ring.stored(chunk).owed == 1
    assert ring.is_reconciled()


def test_a_comparison_whose_end_could_not_be_written_down_ends_at_the_next_try(ring: Ring) -> None:
    ring.record(1, *WORKERS)
    finish_inventory, failures = ring.store.finish_inventory, iter([True])

    def fail_once(worker_id: str, wanted: int) -> None:
        if next(failures, False):
            raise MetadataUnavailable("no answer")
        finish_inventory(worker_id, wanted)

    ring.store.finish_inventory = fail_once  # type: ignore[method-assign]
    with pytest.raises(MetadataUnavailable):
        ring.run()
    ring.run()
    assert all(ring.is_reconciled(worker_id) for worker_id in WORKERS)
    assert "inventory_put_off" not in ring.events.names


def test_a_worker_that_was_forgotten_and_comes_again_is_compared_again(ring: Ring) -> None:
    ring.master.configured = {"worker_2", "worker_3"}
    ring.run()
    ring.store.forget_worker(MINE)
    ring.pass_time(1.0, ("worker_2", "worker_3"))
    assert ring.step() is Progress.IDLE
    ring.master.configured = set(WORKERS)
    ring.run()
    assert ring.is_reconciled()


def test_the_description_shows_each_worker_and_the_age_of_its_last_comparison(ring: Ring) -> None:
    ring.record(1, *WORKERS)
    ring.run()
    ring.clock.advance(12.0)
    described = ring.worker()
    assert (described["state"], described["last_age_seconds"]) == ("done", 12.0)
    assert set(ring.job.describe()["workers"]) == set(WORKERS)
