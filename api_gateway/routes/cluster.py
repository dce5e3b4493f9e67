"""`/cluster`: the state of every part, as one master sees the workers and as this gateway sees the masters.

Below it what an operator does: empty a worker, see the background jobs, have all records compared with all disks.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Executor
from typing import Any

from api_gateway.verdict import summarise
from common.calls import Answer, Call, json_answer
from common.edge import Edge
from common.errors import DFSError
from common.master_client import MasterClient


def add_cluster_routes(edge: Edge, masters: MasterClient, master_urls: Mapping[str, str], executor: Executor) -> None:
    @edge.route("GET", "/cluster")
    def get_cluster(_call: Call) -> Answer:
        return json_answer(describe_cluster(masters, master_urls, executor))

    @edge.route("POST", "/cluster/workers/<worker_id>/drain")
    def drain_worker(_call: Call, worker_id: str) -> Answer:
        """Start to empty a worker; /cluster shows how far it is. Repeating it changes nothing."""
        return json_answer(masters.set_draining(worker_id, is_draining=True))

    @edge.route("POST", "/cluster/workers/<worker_id>/undrain")
    def undrain_worker(_call: Call, worker_id: str) -> Answer:
        return json_answer(masters.set_draining(worker_id, is_draining=False))

    @edge.route("GET", "/cluster/jobs")
    def get_jobs(_call: Call) -> Answer:
        return json_answer(masters.jobs())

    @edge.route("POST", "/cluster/fsck")
    def start_fsck(call: Call) -> Answer:
        """202: the leader does it, GET says how far it is. verify=true: the bytes are read, too."""
        is_verifying = call.flag("verify")
        call.about = {"is_verifying": is_verifying}
        return json_answer(masters.start_fsck(is_verifying), 202)

    @edge.route("GET", "/cluster/fsck")
    def get_fsck(_call: Call) -> Answer:
        return json_answer(masters.fsck())


def describe_cluster(masters: MasterClient, master_urls: Mapping[str, str], executor: Executor) -> dict[str, Any]:
    """Leader, masters, workers, replication, how all fares in a sentence; where no master answers, that and why."""
    releases = dict(zip(master_urls, executor.map(masters.release_of, master_urls.values()), strict=True))
    try:
        report = masters.cluster() if any(release is not None for release in releases.values()) else None
        problem = None if report is not None else "no master answers"
    except DFSError as error:
        report, problem = None, error.detail
    report = report or {"leader": None, "workers": [], "replication": {}, "jobs": []}
    leader = report.pop("leader")
    described = [
        {
            "master_id": master_id,
            "state": "alive" if releases[master_id] is not None else "dead",
            "url": url,
            "is_leader": master_id == leader,
            "version": releases[master_id] or "",
        }
        for master_id, url in master_urls.items()
    ]
    cluster = {"leader": leader, "masters": described, **report, **({"problem": problem} if problem else {})}
    return {**cluster, "summary": summarise(cluster)}
