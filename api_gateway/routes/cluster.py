"""`/cluster`: the state of every part, as one master sees the workers and as this gateway sees the masters."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Executor
from typing import Any

from common.calls import Answer, Call, json_answer
from common.edge import Edge
from common.errors import DFSError
from common.master_client import MasterClient


def add_cluster_routes(edge: Edge, masters: MasterClient, master_urls: Mapping[str, str], executor: Executor) -> None:
    @edge.route("GET", "/cluster")
    def get_cluster(_call: Call) -> Answer:
        return json_answer(describe_cluster(masters, master_urls, executor))


def describe_cluster(masters: MasterClient, master_urls: Mapping[str, str], executor: Executor) -> dict[str, Any]:
    """Leader, masters, workers, replication; where no master answers, that and the reason."""
    is_alive = dict(zip(master_urls, executor.map(masters.is_alive, master_urls.values()), strict=True))
    try:
        report = masters.cluster() if any(is_alive.values()) else None
        problem = None if report is not None else "no master answers"
    except DFSError as error:
        report, problem = None, error.detail
    report = report or {"leader": None, "workers": [], "replication": {}, "jobs": []}
    leader = report.pop("leader")
    described = [
        {
            "master_id": master_id,
            "state": "alive" if is_alive[master_id] else "dead",
            "url": url,
            "is_leader": master_id == leader,
        }
        for master_id, url in master_urls.items()
    ]
    return {"leader": leader, "masters": described, **report, **({"problem": problem} if problem else {})}
