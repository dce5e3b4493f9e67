"""The healing jobs on a cluster without processes: what is lost is made again, and what is too much goes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from common.errors import DFSError, PeerUnreachable, StaleEpoch, WorkerBusy
from common.settings import MasterSettings
from master_node import garbage, lost, pipeline
from master_node.copy_plans import plan_move
from master_node.jobs import Progress
from master_node.membership import ALIVE, DEAD, MAINTENANCE, SUSPECT, WorkerView
from master_node.model import ARRIVAL_SECONDS, Chunk, File, WorkerRecord
from master_node.obstacles import (
    COPIES_ARE_FREED,
    JOBS_COME_FIRST,
    MOST_ARE_SILENT,
    REPAIR_COMES_FIRST,
    UPLOADS_GO_ON,
)
from master_node.rebalance import Shift, plan_shifts
from master_node.replicas import struck
from master_node.store.base import Holding
from master_node.store.sqlite import SqliteStore
from tests.support.healing import FIVE, HealingCluster
from tests.support.masters import url_of
from tests.support.metadata import CHUNK_SIZE, make_heartbeat

DEAD_AND_GRACE = 46.0


@pytest.fixture
def cluster(store: SqliteStore) -> HealingCluster:
    """One in which nothing moves without need."""
    return HealingCluster(store, MasterSettings(repair_bytes_per_second=2**40, rebalance_bytes_per_second=0))


@pytest.fixture
def balanced(store: SqliteStore) -> HealingCluster:
    return HealingCluster(store)


def view(name: str, used: int, state: str = ALIVE, capacity: int = 1000) -> WorkerView:
    heartbeat = replace(make_heartbeat(), used_bytes=used, capacity_bytes=capacity)
    return WorkerView(WorkerRecord(name, heartbeat, 1), state, 0.0, is_lost=False)


def only(cluster: HealingCluster, file: File) -> Chunk:
    (chunk,) = cluster.chunks(file)
    return chunk


# --- strike ---


def test_within_the_grace_nothing_is_struck_and_nothing_copied(cluster: HealingCluster) -> None:
    before = cluster.chunks(cluster.put("a", 3, on=FIVE[:3]))
    cluster.kill("worker_1")
    cluster.pass_time(40.0)
    view = cluster.leader.membership.find("worker_1")
    assert view is not None
    assert view.state == DEAD
    cluster.run()
    cluster.bring_back("worker_1")
    cluster.heal(3)
    assert cluster.disks.copied == []
    assert [chunk.replicas for chunk in cluster.chunks()] == [chunk.replicas for chunk in before]


def test_a_lost_worker_s_replicas_are_made_again_and_its_return_leaves_exactly_the_factor(
    cluster: HealingCluster,
) -> None:
    for number in range(10):
        cluster.put(f"file {number}", 2)
    held = set(cluster.disks.chunks["worker_1"])
    cluster.kill("worker_1")
    cluster.pass_time(DEAD_AND_GRACE)
    cluster.heal(3)
    assert len(cluster.disks.copied) == len(held)
    assert all(chunk.owed == 0 and "worker_1" not in chunk.replicas for chunk in cluster.chunks())
    assert {chunk.chunk_id for chunk in cluster.chunks() if "worker_1" in chunk.doubtful} == held
    cluster.bring_back("worker_1")
    cluster.heal(20)
    assert cluster.faults() == []


def test_the_last_replica_is_not_struck_however_long_its_worker_is_away(cluster: HealingCluster) -> None:
    file = cluster.put("a", factor=1, on=["worker_1"])
    cluster.kill("worker_1")
    cluster.heal(30)
    assert only(cluster, file).replicas == ("worker_1",)


def test_a_worker_that_said_goodbye_is_not_struck(cluster: HealingCluster) -> None:
    cluster.put("a", on=FIVE[:3])
    cluster.leader.membership.receive_goodbye("worker_1", cluster.leader.election.clock_seconds())
    cluster.kill("worker_1")
    cluster.heal(20)
    assert cluster.disks.copied == []


def test_when_most_workers_vanish_at_once_nothing_happens(cluster: HealingCluster) -> None:
    before = cluster.chunks(cluster.put("a", on=FIVE[:3]), cluster.put("b", missing=1))
    for name in FIVE[1:4]:
        cluster.kill(name)
    cluster.pass_time(8.0)
    cluster.heal(30)
    assert cluster.chunks() == sorted(before, key=lambda chunk: chunk.version_id)
    assert cluster.disks.copied == []


# --- repair ---


def test_what_a_quorum_write_owes_is_repaired_without_any_grace(cluster: HealingCluster) -> None:
    file = cluster.put("a", 3, missing=1)
    cluster.run(cluster.leader.repair)
    assert [chunk.owed for chunk in cluster.chunks(file)] == [0, 0, 0]
    assert cluster.leader.repair.describe()["copied_chunks"] == 3


def test_chunks_with_one_copy_get_their_second_before_any_with_two_gets_its_third(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "DEPTH", 8)
    cluster = HealingCluster(store)
    for number in range(40):
        cluster.put(f"file {number}", 2)
    for name in ("worker_1", "worker_2"):
        cluster.kill(name)
    cluster.pass_time(DEAD_AND_GRACE)
    cluster.run(cluster.leader.strike)
    left = {chunk.chunk_id: len(chunk.replicas) for chunk in cluster.chunks()}
    assert {1, 2, 3} == set(left.values())
    cluster.run(cluster.leader.repair)
    had = []
    for chunk_id, _ in cluster.disks.copied:
        had.append(left[chunk_id])
        left[chunk_id] += 1
    assert had == sorted(had)
    assert set(left.values()) == {3}


def test_no_third_copy_is_made_while_the_replicas_of_another_lost_worker_still_count(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two workers die three seconds apart, and the jobs run beside each other, a unit each in turn."""
    monkeypatch.setattr(pipeline, "DEPTH", 8)
    monkeypatch.setattr(lost, "PAGE", 10)
    cluster = HealingCluster(store)
    for number in range(40):
        cluster.put(f"file {number}", 2)
    left = {chunk.chunk_id: len({*chunk.replicas} - {"worker_1", "worker_2"}) for chunk in cluster.chunks()}
    cluster.kill("worker_1")
    cluster.pass_time(3.0)
    cluster.kill("worker_2")
    for _ in range(200):
        cluster.pass_time(0.5)
        for job in (cluster.leader.strike, cluster.leader.repair):
            cluster.work(job)
    had = []
    for chunk_id, _ in cluster.disks.copied:
        had.append(left[chunk_id])
        left[chunk_id] += 1
    assert had == sorted(had)
    assert set(left.values()) == {3}


def test_a_good_doubtful_copy_is_adopted_and_no_byte_is_moved(cluster: HealingCluster) -> None:
    file = cluster.put("a", on=FIVE[:3])
    chunk = only(cluster, file)
    cluster.kill("worker_1")
    cluster.pass_time(DEAD_AND_GRACE)
    cluster.run(cluster.leader.strike)
    assert only(cluster, file).doubtful == ("worker_1",)
    cluster.bring_back("worker_1")
    cluster.pass_time(2.0)
    cluster.run(cluster.leader.repair)
    assert sorted(only(cluster, file).replicas) == sorted(chunk.replicas)
    assert cluster.disks.copied == []


def test_a_bad_doubtful_copy_is_made_good_where_it_is(cluster: HealingCluster) -> None:
    file = cluster.put("a", on=FIVE[:3])
    cluster.kill("worker_1")
    cluster.pass_time(DEAD_AND_GRACE)
    cluster.run(cluster.leader.strike)
    cluster.rot("worker_1", only(cluster, file).chunk_id)
    cluster.bring_back("worker_1")
    cluster.pass_time(2.0)
    cluster.run(cluster.leader.repair)
    assert cluster.disks.copied == [(only(cluster, file).chunk_id, "worker_1")]
    assert cluster.faults() == []


@pytest.mark.parametrize("answer", [WorkerBusy("no window is free"), StaleEpoch("over", highest=1)])
def test_who_is_asked_for_the_last_copy_and_does_not_say_that_it_has_none_stays_named(
    cluster: HealingCluster, monkeypatch: pytest.MonkeyPatch, answer: DFSError
) -> None:
    file = cluster.put("a", on=FIVE[:3])
    name = only(cluster, file).chunk_id
    cluster.kill("worker_1")
    cluster.pass_time(DEAD_AND_GRACE)
    cluster.run(cluster.leader.strike)
    for bad in FIVE[1:3]:
        del cluster.disks.chunks[bad][name]
        cluster.take_inventory(bad)
    cluster.bring_back("worker_1")
    cluster.pass_time(2.0)

    def refuse(_url: str, _chunk_id: str) -> bool:
        raise answer

    monkeypatch.setattr(cluster.disks, "verify_chunk", refuse)
    for _ in range(5):
        cluster.run(cluster.leader.repair)
        cluster.pass_time(35.0)
    assert "worker_1" in only(cluster, file).doubtful
    monkeypatch.undo()
    cluster.heal(20)
    assert cluster.faults() == []


def test_an_order_to_free_that_was_not_answered_keeps_a_move_from_its_target(cluster: HealingCluster) -> None:
    """The move was planned before the order was given."""
    file = cluster.put("a", on=FIVE[:4])
    cluster.run(cluster.leader.trim)
    cluster.pass_time(70.0)
    chunk = only(cluster, file)
    (doubtful,) = chunk.doubtful
    moves = cluster.leader.drain._pipeline
    plan = plan_move(chunk, chunk.replicas[0], moves.site(cluster.leader.membership.workers()))
    assert plan is not None
    assert plan.target.worker_id == doubtful
    delays = iter([True])
    cluster.disks.delays = lambda: next(delays, False)
    cluster.work(cluster.leader.release)
    assert len(cluster.disks.delayed) == 1
    epoch = cluster.leader.election.leading_epoch()
    assert epoch is not None
    assert moves.start([plan], epoch) == 0
    assert moves.is_untouched(chunk)


def test_a_damaged_source_is_passed_over_reported_and_made_again(cluster: HealingCluster) -> None:
    file = cluster.put("a", missing=1, on=["worker_1", "worker_2"])
    cluster.rot("worker_1", only(cluster, file).chunk_id)
    cluster.heal(5)
    assert cluster.faults() == []


def test_copies_that_all_are_damaged_but_one_come_from_that_one(cluster: HealingCluster) -> None:
    file = cluster.put("a", on=FIVE[:3])
    for name in FIVE[:2]:
        cluster.rot(name, only(cluster, file).chunk_id)
        with pytest.raises(Exception, match="damaged"):
            cluster.disks._read(name, only(cluster, file).chunk_id)
    cluster.heal(5)
    assert cluster.faults() == []


def test_a_full_worker_is_passed_over(cluster: HealingCluster) -> None:
    cluster.disks.full = {"worker_3", "worker_4"}
    files = [cluster.put(f"file {number}", missing=1, on=["worker_1", "worker_2"]) for number in range(10)]
    cluster.heal(20)
    assert all("worker_5" in only(cluster, file).replicas for file in files)
    assert all(chunk.owed == 0 and not chunk.doubtful for chunk in cluster.chunks())


def test_a_copy_whose_answer_was_lost_is_found_and_not_made_twice(cluster: HealingCluster) -> None:
    answers = iter([True])
    cluster.disks.loses_answer = lambda: next(answers, False)
    file = cluster.put("a", missing=1)
    cluster.run(cluster.leader.repair)
    assert only(cluster, file).owed == 1
    (promised,) = only(cluster, file).doubtful
    cluster.heal(30)
    assert cluster.faults() == []
    assert promised in {name for _, name in cluster.disks.copied}


def test_a_copy_that_ends_under_another_leader_is_not_counted_unasked(cluster: HealingCluster) -> None:
    file = cluster.put("a", missing=1)
    first = cluster.leader
    first.is_patient = True
    cluster.work(first.repair)
    (promised,) = only(cluster, file).doubtful
    cluster.change_leader()
    first.waiting.pop()()
    cluster.disks.chunks[promised].clear()
    cluster.change_leader()
    assert cluster.leader is first
    cluster.leader.repair._pipeline.settle(first.election.leading_epoch() or 0)
    assert only(cluster, file).owed == 1
    first.is_patient = False
    cluster.heal(5)
    assert cluster.faults() == []


def test_the_promise_is_written_before_the_copy_is_ordered(cluster: HealingCluster) -> None:
    file = cluster.put("a", missing=1)
    cluster.leader.is_patient = True
    cluster.work(cluster.leader.repair)
    assert len(only(cluster, file).doubtful) == 1
    assert cluster.disks.copied == []


def test_a_chunk_that_was_deleted_meanwhile_is_not_brought_back(cluster: HealingCluster) -> None:
    file = cluster.put("a", missing=1)
    leader = cluster.leader
    leader.is_patient = True
    cluster.work(leader.repair)
    cluster.delete(file)
    cluster.run(leader.garbage)
    leader.waiting.pop()()
    leader.is_patient = False
    cluster.heal(20)
    assert cluster.faults() == []
    assert all(not held for held in cluster.disks.chunks.values())


def test_chunks_without_any_copy_do_not_hold_up_the_others(cluster: HealingCluster) -> None:
    lost = cluster.put("lost", factor=1, on=["worker_1"])
    cluster.empty("worker_1")
    cluster.heal(2)
    file = cluster.put("a", missing=1)
    cluster.heal(10)
    assert only(cluster, lost).replicas == ()
    assert only(cluster, file).owed == 0
    assert cluster.work(cluster.leader.repair) is Progress.THROTTLED


def test_repair_goes_no_faster_than_it_may(store: SqliteStore) -> None:
    cluster = HealingCluster(store, MasterSettings(repair_bytes_per_second=65536 * 4))
    file = cluster.put("a", 41, missing=1)
    before = cluster.clock.now
    while cluster.work(cluster.leader.repair) is Progress.BUSY:
        cluster.pass_time(0.01)
    assert all(chunk.owed == 0 for chunk in cluster.chunks(file))
    assert 8.0 < cluster.clock.now - before < 11.0


def test_an_order_that_cannot_have_arrived_bars_no_worker(cluster: HealingCluster) -> None:
    cluster.put("a", missing=1, on=FIVE[:2])
    cluster.disks.closed = set(FIVE[2:])
    cluster.heal(5)
    assert cluster.disks.copied == []
    cluster.disks.closed = set()
    # Longer than anything is put off, shorter than an order may be under way.
    cluster.heal(9)
    (chunk,) = cluster.chunks()
    assert chunk.owed == 0


# --- trim and release ---


def test_surplus_replicas_are_trimmed_to_exactly_the_factor_and_freed(cluster: HealingCluster) -> None:
    file = cluster.put("a", on=FIVE)
    assert only(cluster, file).owed == -2
    cluster.heal(20)
    assert cluster.faults() == []
    assert len(cluster.disks.holders(only(cluster, file).chunk_id)) == 3


def test_nothing_is_trimmed_while_too_few_others_are_heard_of(cluster: HealingCluster) -> None:
    file = cluster.put("a", on=FIVE[:4])
    cluster.kill("worker_1")
    cluster.kill("worker_2")
    cluster.pass_time(10.0)
    cluster.run()
    assert only(cluster, file).owed == -1
    assert cluster.work(cluster.leader.trim) is Progress.BUSY
    assert cluster.work(cluster.leader.trim) is Progress.THROTTLED


@pytest.mark.parametrize("damage", ["rot", "loss"])
def test_a_doubtful_copy_stays_while_those_that_count_are_bad(cluster: HealingCluster, damage: str) -> None:
    file = cluster.put("a", on=FIVE[:4])
    cluster.run(cluster.leader.trim)
    chunk = only(cluster, file)
    for name in chunk.replicas:
        if damage == "rot":
            cluster.rot(name, chunk.chunk_id)
        else:
            del cluster.disks.chunks[name][chunk.chunk_id]
    cluster.run(cluster.leader.release)
    assert cluster.disks.good(chunk.chunk_id) == set(chunk.doubtful)
    cluster.heal(20)
    assert cluster.faults() == []


def test_what_changes_while_a_copy_that_stays_is_read_is_seen_before_the_other_goes(cluster: HealingCluster) -> None:
    file = cluster.put("a", on=FIVE[:4])
    cluster.run(cluster.leader.trim)
    cluster.pass_time(70.0)
    chunk = only(cluster, file)
    (doubtful,) = chunk.doubtful
    verify = cluster.disks.verify_chunk

    def lose_one_meanwhile(url: str, chunk_id: str) -> bool:
        (present,) = cluster.store.find_chunks([chunk_id])
        cluster.store.replace_chunks([struck(present, present.replicas[-1], is_proven=True)])
        return verify(url, chunk_id)

    cluster.disks.verify_chunk = lose_one_meanwhile  # type: ignore[method-assign]
    cluster.work(cluster.leader.release)
    assert doubtful in cluster.disks.good(chunk.chunk_id)


def test_a_worker_that_hangs_is_waited_for_once_and_not_for_every_copy(cluster: HealingCluster) -> None:
    for number in range(20):
        cluster.put(f"file {number}", on=FIVE[:4])
    cluster.run(cluster.leader.trim)
    cluster.pass_time(70.0)
    verify, asked = cluster.disks.verify_chunk, []
    silent = cluster.chunks()[0].replicas[0]

    def hang(url: str, chunk_id: str) -> bool:
        if url == url_of(silent):
            asked.append(chunk_id)
            raise PeerUnreachable("no answer")
        return verify(url, chunk_id)

    cluster.disks.verify_chunk = hang  # type: ignore[method-assign]
    cluster.work(cluster.leader.release)
    assert len(asked) <= 1


def test_nothing_is_released_before_the_worker_was_compared_with_the_records(cluster: HealingCluster) -> None:
    file = cluster.put("a", on=FIVE[:4])
    cluster.run(cluster.leader.trim)
    (surplus,) = only(cluster, file).doubtful
    cluster.store.want_inventory(surplus)
    cluster.pass_time(2.0)
    cluster.run(cluster.leader.release)
    assert only(cluster, file).doubtful == (surplus,)


def test_a_copy_that_may_still_be_arriving_is_not_released(cluster: HealingCluster) -> None:
    file = cluster.put("a", on=FIVE[:4])
    cluster.run(cluster.leader.trim)
    cluster.run(cluster.leader.release)
    assert len(only(cluster, file).doubtful) == 1
    cluster.heal(15)
    assert cluster.faults() == []


# --- drain ---


def test_a_drained_worker_is_empty_and_all_is_whole(cluster: HealingCluster) -> None:
    for number in range(20):
        cluster.put(f"file {number}", 2)
    cluster.put("too many", on=FIVE[:4])
    cluster.put("too few", missing=1, on=FIVE[:2])
    damaged = cluster.put("damaged", on=FIVE[:3])
    cluster.rot("worker_1", only(cluster, damaged).chunk_id)
    cluster.rot("worker_2", only(cluster, damaged).chunk_id)
    cluster.store.change_worker("worker_1", is_draining=True)
    cluster.heal(40)
    assert cluster.disks.chunks["worker_1"] == {}
    assert cluster.leader.drain.describe()["workers"] == {
        "worker_1": {"chunks_left": 0, "bytes_left": 0, "is_complete": True, "blocked": None, "waits_for": None}
    }
    for name, chunk_id in [(name, only(cluster, damaged).chunk_id) for name in FIVE]:
        assert cluster.disks.chunks[name].get(chunk_id, True)
    assert cluster.faults() == []


def test_a_worker_that_is_taken_back_keeps_what_it_has_left(cluster: HealingCluster) -> None:
    for number in range(20):
        cluster.put(f"file {number}")
    cluster.store.change_worker("worker_1", is_draining=True)
    cluster.pass_time(1.0)
    cluster.work(cluster.leader.drain)
    cluster.store.change_worker("worker_1", is_draining=False)
    cluster.heal(20)
    assert cluster.faults() == []
    assert cluster.leader.drain.describe()["workers"] == {}


def test_a_worker_that_nobody_can_stand_in_for_is_not_emptied(cluster: HealingCluster) -> None:
    for name in FIVE[3:]:
        cluster.kill(name)
    file = cluster.put("a", on=FIVE[:3])
    cluster.store.change_worker("worker_1", is_draining=True)
    cluster.heal(20)
    assert only(cluster, file).replicas == FIVE[:3]
    said = cluster.leader.drain.describe()["workers"]["worker_1"]
    assert not said["is_complete"]
    assert said["blocked"] == "3 other workers are needed that take chunks, and there are 2"
    assert cluster.work(cluster.leader.drain) is Progress.THROTTLED
    cluster.bring_back("worker_4")
    cluster.heal(20)
    assert cluster.leader.drain.describe()["workers"]["worker_1"] == {
        "chunks_left": 0,
        "bytes_left": 0,
        "is_complete": True,
        "blocked": None,
        "waits_for": None,
    }


def test_a_drain_says_what_it_waits_for(cluster: HealingCluster) -> None:
    def waits_for() -> str | None:
        cluster.pass_time(1.0)
        cluster.run(cluster.leader.drain)
        waiting: str | None = cluster.leader.drain.describe()["workers"]["worker_1"]["waits_for"]
        return waiting

    cluster.put("a", on=FIVE[:3])
    short = cluster.put("short", missing=1, on=FIVE[:2])
    upload_id = cluster.leader.uploads.open("on its way to all of them", 5, 1).upload_id
    cluster.store.change_worker("worker_1", is_draining=True)
    assert waits_for() == JOBS_COME_FIRST
    cluster.run(cluster.leader.repair)
    assert only(cluster, short).owed == 0
    assert waits_for() == COPIES_ARE_FREED
    cluster.pass_time(ARRIVAL_SECONDS)
    cluster.run(cluster.leader.release)
    assert cluster.disks.chunks["worker_1"] == {}
    assert waits_for() == UPLOADS_GO_ON
    cluster.leader.uploads.abort(upload_id)
    cluster.heal(20)
    assert waits_for() is None


def test_a_drain_says_why_nothing_moves_while_most_workers_are_silent(cluster: HealingCluster) -> None:
    cluster.put("a", on=FIVE[:3])
    cluster.store.change_worker("worker_1", is_draining=True)
    for name in FIVE[2:]:
        cluster.kill(name)
    cluster.pass_time(10.0)
    cluster.run(cluster.leader.drain)
    assert cluster.leader.drain.describe()["workers"]["worker_1"]["blocked"] == MOST_ARE_SILENT


def test_repair_tells_no_time_where_nobody_can_take_what_is_owed_and_says_why(cluster: HealingCluster) -> None:
    cluster.put("a", on=FIVE[:3])
    cluster.leader.repair._pipeline._meter.add(1000)
    for name in FIVE[2:4]:
        cluster.kill(name)
    cluster.store.change_worker("worker_5", is_draining=True)
    cluster.pass_time(DEAD_AND_GRACE)
    cluster.run(cluster.leader.strike)
    cluster.leader.repair._pipeline._meter.add(1000)
    cluster.run(cluster.leader.repair)
    said = cluster.leader.repair.describe()
    assert said["blocked"] == "3 workers are needed that take chunks, and there are 2"
    assert said["bytes_per_second"] > 0
    assert said["seconds_left"] is None


def test_what_has_no_copy_left_is_not_in_the_time_that_repair_needs(cluster: HealingCluster) -> None:
    lost, short = cluster.put("lost", 2, on=FIVE[:3]), cluster.put("short", missing=1, on=FIVE[:2])
    cluster.store.replace_chunks(
        [replace(chunk, replicas=(), owed=3, revision=chunk.revision + 1) for chunk in cluster.chunks(lost)]
    )
    repair = cluster.leader.repair
    repair._pipeline._meter.add(1000)
    said = repair.describe()
    assert said["bytes_owed"] > 3 * CHUNK_SIZE
    assert said["seconds_left"] == round(only(cluster, short).size_bytes / said["bytes_per_second"], 1)
    cluster.run(repair)
    assert only(cluster, short).owed == 0
    assert (repair.describe()["blocked"], repair.describe()["seconds_left"]) == ("no copy of it is left", None)


def test_nothing_is_emptied_while_chunks_with_one_copy_get_their_second(
    cluster: HealingCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "DEPTH", 4)
    for number in range(20):
        cluster.put(f"endangered {number}", factor=3, on=FIVE[:3])
        cluster.put(f"whole {number}", factor=2, on=("worker_3", "worker_5"))
    whole = {chunk.chunk_id for chunk in cluster.chunks() if chunk.factor == 2}
    cluster.store.change_worker("worker_5", is_draining=True)
    cluster.kill("worker_1")
    cluster.kill("worker_2")
    cluster.pass_time(DEAD_AND_GRACE)
    cluster.run(cluster.leader.strike)
    reasons = []
    for _ in range(200):
        cluster.pass_time(0.5)
        for job in (cluster.leader.repair, cluster.leader.drain):
            cluster.work(job)
        reasons.append(cluster.leader.drain.describe()["workers"]["worker_5"]["waits_for"])
    assert reasons[0] == REPAIR_COMES_FIRST
    assert reasons[-1] == COPIES_ARE_FREED
    is_move = [chunk_id in whole for chunk_id, _ in cluster.disks.copied]
    assert is_move == [False] * 20 + [True] * 20


# --- rebalance ---


@pytest.mark.parametrize(
    ("used", "wanted"),
    [
        ((0, 0, 0), []),
        ((100, 100, 100), []),
        ((100, 100, 91), []),
        ((120, 120, 60), [("a", "c", 20), ("b", "c", 20)]),
        ((300, 0, 30), [("a", "b", 110)]),
        ((130, 110, 0), [("a", "c", 50), ("b", "c", 30)]),
    ],
)
def test_a_shift_goes_to_whom_most_is_missing_and_crosses_nobody_s_share(
    used: tuple[int, ...], wanted: list[tuple[str, str, int]]
) -> None:
    views = [view(name, size) for name, size in zip("abc", used, strict=True)]
    assert [(shift.source, shift.target, shift.size_bytes) for shift in plan_shifts(views)] == wanted


@pytest.mark.parametrize("state", [SUSPECT, DEAD, MAINTENANCE])
def test_while_a_worker_is_away_that_may_come_back_nothing_is_shifted(state: str) -> None:
    assert plan_shifts([view("a", 100), view("b", 0), view("c", 0, state)]) == []


def test_a_share_goes_by_capacity() -> None:
    assert plan_shifts([view("a", 300, capacity=3000), view("b", 100)]) == []
    assert plan_shifts([view("a", 200, capacity=3000), view("b", 200)]) == [Shift("b", "a", 100)]


def test_an_empty_worker_is_filled_to_near_its_share_and_then_it_is_quiet(balanced: HealingCluster) -> None:
    for number in range(60):
        balanced.put(f"file {number}", 2, on=[FIVE[number % 4], FIVE[(number + 1) % 4], FIVE[(number + 2) % 4]])
    balanced.heal(60)
    held = {name: len(chunks) for name, chunks in balanced.disks.chunks.items()}
    assert sum(held.values()) == 360
    used = {view.worker_id: view.record.heartbeat.used_bytes for view in balanced.leader.membership.workers()}
    assert used["worker_5"] > 0.9 * sum(used.values()) / 5
    moved = len(balanced.disks.copied)
    balanced.heal(20)
    assert len(balanced.disks.copied) == moved
    assert balanced.faults() == []


def test_zones_stay_apart_when_a_worker_is_filled(balanced: HealingCluster) -> None:
    balanced.zones = {"worker_1": "x", "worker_2": "y", "worker_3": "z", "worker_4": "x", "worker_5": "x"}
    for number in range(30):
        balanced.put(f"file {number}", 2, on=FIVE[:3])
    balanced.heal(60)
    assert len(balanced.disks.chunks["worker_5"]) > 10
    for chunk in balanced.chunks():
        assert sorted(balanced.zones[name] for name in chunk.replicas) == ["x", "y", "z"]


def test_nothing_is_rebalanced_while_anything_is_owed(balanced: HealingCluster) -> None:
    for number in range(10):
        balanced.put(f"file {number}", 2, on=FIVE[:3])
    balanced.put("owed", missing=1, on=FIVE[:2])
    balanced.pass_time(1.0)
    assert balanced.work(balanced.leader.rebalance) is Progress.IDLE
    assert balanced.disks.copied == []


def test_without_a_rate_nothing_is_rebalanced(store: SqliteStore) -> None:
    cluster = HealingCluster(store, MasterSettings(rebalance_bytes_per_second=0))
    for number in range(10):
        cluster.put(f"file {number}", 2, on=FIVE[:3])
    cluster.heal(10)
    assert cluster.disks.copied == []


# --- beside each other ---


def test_an_aborted_upload_leaves_no_copy_that_repair_made(cluster: HealingCluster) -> None:
    upload_id = cluster.leader.uploads.open("a", 3, 2).upload_id
    upload = cluster.store.find_upload(upload_id)
    assert upload is not None
    chunk = cluster.put_open(upload_id, ["worker_1", "worker_2"])
    cluster.run(cluster.leader.repair)
    assert len(cluster.disks.holders(chunk)) == 3
    cluster.leader.uploads.abort(upload_id)
    cluster.heal(40)
    assert cluster.faults() == []
    assert cluster.disks.holders(chunk) == set()


def test_a_chunk_of_an_aborted_upload_is_not_freed_while_it_is_copied(cluster: HealingCluster) -> None:
    opened = cluster.leader.uploads.open("a", 3, 1)
    chunk_id = cluster.put_open(opened.upload_id, FIVE[:2])
    cluster.leader.is_patient = True
    cluster.work(cluster.leader.repair)
    cluster.leader.uploads.abort(opened.upload_id)
    cluster.pass_time(1.0)
    cluster.run(cluster.leader.garbage)
    # With its files gone and its record left it would be shown as lost.
    assert cluster.disks.good(chunk_id) == set(FIVE[:2])
    for work in cluster.leader.waiting:
        work()
    cluster.work(cluster.leader.repair)
    cluster.pass_time(garbage.BUSY_SECONDS + 1.0)
    cluster.run(cluster.leader.garbage)
    assert cluster.disks.holders(chunk_id) == set()
    assert cluster.store.find_chunks([chunk_id]) == []


def test_what_a_dead_worker_holds_of_a_freed_version_is_owed_to_nobody(cluster: HealingCluster) -> None:
    file = cluster.put("a", on=FIVE[:3])
    cluster.kill("worker_1")
    cluster.pass_time(20.0)
    cluster.delete(file)
    cluster.heal(10)
    (chunk,) = cluster.chunks(file)
    assert (chunk.replicas, chunk.doubtful, chunk.owed) == ((), ("worker_1",), 0)
    cluster.bring_back("worker_1")
    cluster.heal(20)
    assert cluster.faults() == []
    assert cluster.store.find_held("worker_1", Holding.DOUBTFUL, "", 1) == []
