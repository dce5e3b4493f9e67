"""The master's routes about the cluster itself: heartbeats, workers, leader, jobs."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from common.calls import Answer, Call, json_answer
from common.edge import Edge
from common.errors import WorkerUnknown
from common.fields import take
from common.records import Heartbeat
from common.version import PROTOCOL, VERSION, require_compatible
from master_node.bad_replicas import BadReplicas
from master_node.election import Election
from master_node.job_board import JobBoard
from master_node.jobs import JobRunner
from master_node.membership import Membership
from master_node.report import ClusterReport
from master_node.roster import Roster

_RELEASE = {"version": VERSION, "protocol": PROTOCOL}


@dataclass(frozen=True)
class ClusterServices:
    """Everything that these routes call."""

    roster: Roster
    membership: Membership
    bad_replicas: BadReplicas
    election: Election
    runner: JobRunner
    jobs: JobBoard
    report: ClusterReport


def add_cluster_routes(edge: Edge, services: ClusterServices) -> None:
    _add_worker_routes(edge, services)

    @edge.route("GET", "/current_leader")
    def current_leader(_call: Call) -> Answer:
        return json_answer({**asdict(services.election.leadership()), **_RELEASE})

    @edge.route("GET", "/cluster")
    def cluster(_call: Call) -> Answer:
        return json_answer(services.report.to_json())

    @edge.route("GET", "/jobs")
    def list_jobs(_call: Call) -> Answer:
        return json_answer({"jobs": services.jobs.jobs()})

    @edge.route("POST", "/fsck")
    def start_fsck(call: Call) -> Answer:
        return json_answer(services.jobs.request_fsck(is_verifying=call.flag("verify")), 202)

    @edge.route("GET", "/fsck")
    def get_fsck(_call: Call) -> Answer:
        return json_answer(services.jobs.fsck())


def _add_worker_routes(edge: Edge, services: ClusterServices) -> None:
    def require_known(worker_id: str) -> None:
        if worker_id not in services.roster:
            raise WorkerUnknown(f"{worker_id} is not in this master's configuration", worker_id=worker_id)

    def set_draining(worker_id: str, is_draining: bool) -> dict[str, Any]:
        require_known(worker_id)
        view = services.membership.set_draining(worker_id, is_draining)
        services.runner.wake()
        return services.report.drained_worker(view)

    @edge.route("POST", "/heartbeat/<worker_id>")
    def receive_heartbeat(call: Call, worker_id: str) -> Answer:
        require_known(worker_id)
        heartbeat = Heartbeat.from_json(call.json())
        require_compatible(worker_id, heartbeat.version, heartbeat.protocol)
        services.membership.receive(worker_id, heartbeat)
        return json_answer({"worker_id": worker_id, "epoch": services.election.leadership().epoch, **_RELEASE})

    @edge.route("POST", "/workers/<worker_id>/goodbye")
    def receive_goodbye(_call: Call, worker_id: str) -> Answer:
        require_known(worker_id)
        services.membership.receive_goodbye(worker_id, services.election.clock_seconds())
        return json_answer({"worker_id": worker_id})

    @edge.route("POST", "/workers/<worker_id>/bad_replicas")
    def receive_bad_replicas(call: Call, worker_id: str) -> Answer:
        require_known(worker_id)
        count = services.bad_replicas.strike(worker_id, take(call.json(), "chunk_ids", list))
        if count:
            services.runner.wake()
        return json_answer({"worker_id": worker_id, "struck": count})

    @edge.route("POST", "/workers/<worker_id>/drain")
    def drain(_call: Call, worker_id: str) -> Answer:
        return json_answer(set_draining(worker_id, True))

    @edge.route("POST", "/workers/<worker_id>/undrain")
    def undrain(_call: Call, worker_id: str) -> Answer:
        return json_answer(set_draining(worker_id, False))
