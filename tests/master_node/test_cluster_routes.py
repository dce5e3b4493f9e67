"""The masters' routes about workers, leader, jobs and the check: what any of them answers."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from common.edge import Edge, internal_guard
from common.settings import ClusterSettings
from common.version import PROTOCOL, VERSION
from master_node.bad_replicas import BadReplicas
from master_node.cluster_routes import ClusterServices, add_cluster_routes
from master_node.job_board import JobBoard
from master_node.jobs import JobRunner
from master_node.membership import Membership
from master_node.model import JobRecord
from master_node.obstacles import NOBODY_LEADS, ORDER_IS_NEW
from master_node.report import ClusterReport
from master_node.roster import Roster
from master_node.store.base import MetadataStore, Pending
from tests.support.logs import recording_log
from tests.support.masters import Master
from tests.support.metadata import CHUNK_SIZE, hex_id, make_chunk, make_heartbeat, make_upload
from tests.support.rosters import make_roster
from tests.support.signing import signed_open

V = hex_id("v")


class Routes:
    """The routes of one master, called without a network."""

    def __init__(self, master: Master) -> None:
        log, _ = recording_log()
        self.roster: Roster = make_roster()
        board = JobBoard(master.store, master.membership)
        membership: Membership = master.membership
        report = ClusterReport(
            self.roster.worker_ids, master.store, membership, master.election, board, ClusterSettings(), master.clock
        )
        runner = JobRunner([], master.store, master.election, master.clock, log, 1.0)
        services = ClusterServices(
            self.roster, membership, BadReplicas(master.store, log), master.election, runner, board, report
        )
        app = Flask("master")
        add_cluster_routes(Edge(app, log, internal_guard), services)
        self._client: FlaskClient = app.test_client()

    def call(self, method: str, path: str, body: Any = None, status: int = 200) -> dict[str, Any]:
        answer = signed_open(self._client, path, method=method, json=body)
        assert answer.status_code == status, answer.text
        found: dict[str, Any] = answer.json
        return found

    def worker(self, worker_id: str) -> dict[str, Any]:
        workers = self.call("GET", "/cluster")["workers"]
        found: dict[str, Any] = next(worker for worker in workers if worker["worker_id"] == worker_id)
        return found


@pytest.fixture
def routes(master: Master) -> Routes:
    return Routes(master)


@pytest.mark.parametrize("verb", ["goodbye", "bad_replicas", "drain", "undrain"])
def test_a_stranger_is_refused(routes: Routes, verb: str) -> None:
    answer = routes.call("POST", f"/workers/worker_9/{verb}", {"chunk_ids": []}, 404)
    assert answer["code"] == "worker_not_found"


def test_a_stranger_s_heartbeat_is_refused_and_leaves_nothing(routes: Routes, store: MetadataStore) -> None:
    routes.call("POST", "/heartbeat/worker_9", asdict(make_heartbeat(9)), 404)
    assert "worker_9" not in {record.worker_id for record in store.list_workers()}


def test_every_master_says_who_leads(routes: Routes, store: MetadataStore, master: Master) -> None:
    other = Master("master_2", store, master.clock, None)
    other.look([])
    said = {"leader": "master_1", "epoch": 1, "version": VERSION, "protocol": PROTOCOL}
    assert routes.call("GET", "/current_leader") == {**said, "is_self": True}
    assert Routes(other).call("GET", "/current_leader") == {**said, "is_self": False}


def test_a_worker_whose_release_does_not_understand_ours_is_refused_and_leaves_nothing(
    routes: Routes, store: MetadataStore
) -> None:
    strange = replace(make_heartbeat(1), version="9.9", protocol=PROTOCOL + 1)
    before = store.list_workers()
    answer = routes.call("POST", "/heartbeat/worker_1", asdict(strange), 409)
    assert (answer["code"], answer["version"], answer["protocol"]) == ("incompatible_release", VERSION, PROTOCOL)
    assert store.list_workers() == before


def test_a_goodbye_shows_until_the_next_heartbeat(routes: Routes) -> None:
    routes.call("POST", "/workers/worker_1/goodbye")
    assert routes.worker("worker_1")["state"] == "maintenance"
    routes.call("POST", "/heartbeat/worker_1", asdict(make_heartbeat(1)))
    assert routes.worker("worker_1")["state"] == "alive"


def test_bad_replicas_are_struck(routes: Routes, store: MetadataStore) -> None:
    store.insert_chunks([make_chunk(V, 0, replicas=("worker_1", "worker_2"))])
    chunk_id = store.list_chunks(V, 0, 1)[0].chunk_id
    assert routes.call("POST", "/workers/worker_1/bad_replicas", {"chunk_ids": [chunk_id]})["struck"] == 1
    replication = routes.call("GET", "/cluster")["replication"]
    assert (replication["under_replicated_chunks"], replication["owed_bytes"]) == (1, 65536)
    assert replication["under_replicated_by_copies"] == {"1": 1}


def test_a_report_without_chunk_ids_is_refused(routes: Routes) -> None:
    assert routes.call("POST", "/workers/worker_1/bad_replicas", {}, 400)["code"] == "invalid_request"


def test_drain_tells_how_far_it_is_until_no_record_names_the_worker(routes: Routes, store: MetadataStore) -> None:
    store.insert_chunks([make_chunk(V, 0, replicas=("worker_1", "worker_2"))])
    for _ in range(2):
        drained = routes.call("POST", "/workers/worker_1/drain")
    assert (drained["state"], drained["is_draining"]) == ("draining", True)
    left = {"chunks_left": 0, "bytes_left": 0, "is_complete": False}
    assert drained["drain"] == {**left, "blocked": None, "waits_for": ORDER_IS_NEW}
    assert routes.worker("worker_1") == drained
    (chunk,) = store.list_chunks(V, 0, 1)
    assert store.delete_chunks([chunk]) == [True]
    assert routes.worker("worker_1")["drain"]["is_complete"]
    taken_back = routes.call("POST", "/workers/worker_1/undrain")
    assert (taken_back["state"], taken_back["is_draining"], taken_back["drain"]) == ("alive", False, None)


def test_a_drain_without_a_leader_says_that_it_waits_for_one(
    routes: Routes, store: MetadataStore, master: Master
) -> None:
    store.insert_chunks([make_chunk(V, 0, replicas=("worker_1", "worker_2"))])
    master.clock.advance(3 * master.settings.lease_seconds)
    assert routes.call("POST", "/workers/worker_1/drain")["drain"]["waits_for"] == NOBODY_LEADS


def test_every_master_says_why_nothing_can_leave_a_worker_as_the_leader_wrote_it_down(
    routes: Routes, store: MetadataStore, master: Master
) -> None:
    store.insert_chunks([make_chunk(V, 0, replicas=("worker_1", "worker_2"))])
    routes.call("POST", "/workers/worker_1/drain")
    progress = {"workers": {"worker_1": {"blocked": "no room"}}}
    store.put_jobs([JobRecord("drain", {"name": "drain", "state": "waiting", "progress": progress})])
    other = Master("master_2", store, master.clock, None)
    other.look([])
    for one in (routes, Routes(other)):
        assert one.worker("worker_1")["drain"]["blocked"] == "no room"
        assert one.worker("worker_1")["drain"]["waits_for"] is None
    progress = {"workers": {"worker_1": {"blocked": None, "waits_for": "better times"}}}
    store.put_jobs([JobRecord("drain", {"name": "drain", "state": "waiting", "progress": progress})])
    assert routes.worker("worker_1")["drain"]["waits_for"] == "better times"
    (chunk,) = store.list_chunks(V, 0, 1)
    store.delete_chunks([chunk])
    drain = routes.worker("worker_1")["drain"]
    assert (drain["blocked"], drain["waits_for"]) == (None, None)


def test_a_drain_is_not_complete_while_an_open_upload_may_bring_chunks(routes: Routes, master: Master) -> None:
    upload = master.begin("a", chunks=1)
    assert not routes.call("POST", "/workers/worker_1/drain")["drain"]["is_complete"]
    master.uploads.abort(upload)
    assert routes.worker("worker_1")["drain"]["is_complete"]


def test_a_worker_that_was_never_heard_of_cannot_be_drained(master: Master, store: MetadataStore) -> None:
    store.insert_upload(make_upload("u"))
    routes = Routes(master)
    routes.roster._workers = {**routes.roster._workers, "worker_5": next(iter(routes.roster._workers.values()))}
    assert "never" in routes.call("POST", "/workers/worker_5/drain", status=404)["detail"]
    assert routes.worker("worker_5")["state"] == "dead"


def test_the_report_says_when_nothing_is_repaired_because_most_workers_are_gone(routes: Routes, master: Master) -> None:
    master.configured = {"worker_1", "worker_2", "worker_3"}
    assert not routes.call("GET", "/cluster")["replication"]["is_held_back"]
    master.pass_time(10.0, ["worker_1"])
    assert routes.call("GET", "/cluster")["replication"]["is_held_back"]


def test_what_repair_says_of_itself_stands_beside_what_is_owed(routes: Routes, store: MetadataStore) -> None:
    progress = {"bytes_per_second": 5000, "seconds_left": 12.5}
    store.put_jobs([JobRecord("repair", {"name": "repair", "state": "busy", "progress": progress})])
    assert routes.call("GET", "/cluster")["replication"]["repair_seconds_left"] == 0
    store.insert_chunks([make_chunk(V, 0, owed=2)])
    replication = routes.call("GET", "/cluster")["replication"]
    assert (replication["repair_bytes_per_second"], replication["repair_seconds_left"]) == (5000, 12.5)
    assert replication["repair_blocked"] is None
    assert routes.call("GET", "/jobs")["jobs"] == routes.call("GET", "/cluster")["jobs"]


def test_no_time_is_told_while_nothing_of_what_is_owed_can_be_made(
    routes: Routes, store: MetadataStore, master: Master
) -> None:
    store.insert_chunks([make_chunk(V, 0, owed=2)])
    progress = {"bytes_per_second": 5000, "seconds_left": None, "blocked": "no room"}
    store.put_jobs([JobRecord("repair", {"name": "repair", "state": "waiting", "progress": progress})])
    replication = routes.call("GET", "/cluster")["replication"]
    assert (replication["repair_seconds_left"], replication["repair_blocked"]) == (None, "no room")
    master.configured = {"worker_1", "worker_2", "worker_3"}
    master.pass_time(10.0, ["worker_1"])
    assert "silent" in routes.call("GET", "/cluster")["replication"]["repair_blocked"]


def test_what_takes_long_to_sum_up_is_summed_up_the_more_rarely(
    master: Master, store: MetadataStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    routes, sum_up = Routes(master), store.pending

    def sum_up_slowly(clock_seconds: float) -> Pending:
        master.clock.advance(0.1)
        return sum_up(clock_seconds)

    def pending() -> int:
        found: int = routes.call("GET", "/cluster")["replication"]["pending_free_bytes"]
        return found

    monkeypatch.setattr(store, "pending", sum_up_slowly)
    assert pending() == 0
    file = master.put("a", 2)
    master.catalog.delete(file.file_id, is_permanent=False)
    master.clock.advance(1.8)
    assert pending() == 0
    master.clock.advance(0.2)
    assert pending() == CHUNK_SIZE + 1


def test_a_check_can_be_asked_for_and_looked_at_at_any_master(
    routes: Routes, store: MetadataStore, master: Master
) -> None:
    other = Routes(Master("master_2", store, master.clock, None))
    assert not other.call("GET", "/fsck")["is_requested"]
    assert routes.call("POST", "/fsck?verify=true", status=202)["is_requested"]
    assert other.call("GET", "/fsck")["is_requested"]
    assert routes.call("POST", "/fsck?verify=perhaps", status=400)["code"] == "invalid_request"


def test_a_worker_s_json_has_every_name_also_before_its_first_heartbeat(routes: Routes, master: Master) -> None:
    routes.roster._workers = {**routes.roster._workers, "worker_5": next(iter(routes.roster._workers.values()))}
    workers = routes.call("GET", "/cluster")["workers"]
    assert [set(worker) for worker in workers] == [set(workers[0])] * 4
