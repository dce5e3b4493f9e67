"""A worker that was taken out of the configuration is forgotten once no record names it."""

from __future__ import annotations

from dataclasses import replace

from master_node.departed import Departed
from master_node.jobs import Progress
from master_node.store.base import MetadataStore
from tests.support.logs import recording_log
from tests.support.masters import WORKERS, Master
from tests.support.metadata import hex_id, make_chunk

V = hex_id("v")


def departed(master: Master) -> Departed:
    return Departed(master.store, master.membership, recording_log()[0])


def known(store: MetadataStore) -> set[str]:
    return {record.worker_id for record in store.list_workers()}


def test_a_worker_of_the_configuration_is_never_forgotten(store: MetadataStore, master: Master) -> None:
    master.pass_time(100.0, WORKERS[:2])
    job = departed(master)
    assert master.membership.find("worker_3").is_lost  # type: ignore[union-attr]
    assert job.work(1) is Progress.IDLE
    assert known(store) == set(WORKERS)


def test_a_departed_worker_is_forgotten_when_it_is_lost_and_no_record_names_it(
    store: MetadataStore, master: Master
) -> None:
    job = departed(master)
    master.configured.discard("worker_3")
    assert job.work(1) is Progress.IDLE
    master.pass_time(100.0, WORKERS[:2])
    assert job.work(1) is Progress.BUSY
    assert job.work(1) is Progress.IDLE
    assert known(store) == set(WORKERS[:2])
    assert master.membership.find("worker_3") is None


def test_what_a_departed_worker_may_hold_is_given_up(store: MetadataStore, master: Master) -> None:
    store.insert_chunks(
        [replace(make_chunk(V, index, replicas=WORKERS[:2], owed=1), doubtful=("worker_3",)) for index in range(450)]
    )
    master.configured.discard("worker_3")
    master.pass_time(100.0, WORKERS[:2])
    job = departed(master)
    units = 0
    while job.work(1) is Progress.BUSY:
        units += 1
    assert units == 4
    assert not any(chunk.doubtful for chunk in store.list_chunks(V, 0, 1000))
    assert known(store) == set(WORKERS[:2])


def test_a_departed_worker_that_has_the_last_replica_is_remembered(store: MetadataStore, master: Master) -> None:
    store.insert_chunks([make_chunk(V, 0, replicas=("worker_3",), owed=2)])
    master.configured.discard("worker_3")
    master.pass_time(100.0, WORKERS[:2])
    job = departed(master)
    assert job.work(1) is Progress.IDLE
    assert job.describe() == {"waiting": ["worker_3"]}
    assert known(store) == set(WORKERS)
