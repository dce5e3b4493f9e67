"""Heartbeats, workers, leader and jobs."""

from __future__ import annotations

from common.errors import IncompatibleRelease, TooLarge, WorkerUnknown
from common.openapi.model import Operation, Parameter, Reply, array, json_body, json_reply, nullable, record, ref
from common.openapi.quotas import quota_operations
from common.openapi.schemas import CHUNK_ID, CLUSTER_SCHEMAS, COUNT, FLAG, FREE, TEXT

_RELEASE = {"version": TEXT, "protocol": COUNT}

SCHEMAS = {
    **CLUSTER_SCHEMAS,
    "Leadership": record(
        {"leader": nullable(TEXT), "epoch": COUNT, "is_self": FLAG, **_RELEASE}, text="is_self: this master leads."
    ),
    "Cluster": record(
        {
            "leader": nullable(TEXT),
            "epoch": COUNT,
            "workers": array(ref("Worker")),
            "replication": ref("Replication"),
            "jobs": array(ref("Job")),
        },
        text="The cluster as this master sees it.",
    ),
    "Heartbeat": record(
        {
            "url": TEXT,
            "zone": TEXT,
            "capacity_bytes": COUNT,
            "used_bytes": COUNT,
            "free_bytes": COUNT,
            "chunk_count": COUNT,
            "version": TEXT,
            "incarnation": TEXT,
            "quarantined_count": COUNT,
            "wants_inventory": FLAG,
            "scrub": FREE,
            "protocol": COUNT,
        },
        optional=("incarnation", "quarantined_count", "wants_inventory", "scrub", "protocol"),
        text="What a worker says of itself.",
    ),
}

_NAMED = record({"worker_id": TEXT})


def _of_worker(rule: str, name: str, summary: str, reply: Reply) -> Operation:
    return Operation("POST", rule, name, "workers", summary, {200: reply}, (WorkerUnknown,))


CLUSTER_OPERATIONS = (
    Operation(
        "POST",
        "/heartbeat/{worker_id}",
        "receiveHeartbeat",
        "workers",
        "A worker lives",
        {200: json_reply("epoch: that of the leader.", record({"worker_id": TEXT, "epoch": COUNT, **_RELEASE}))},
        (WorkerUnknown, TooLarge, IncompatibleRelease),
        body=json_body("The heartbeat.", ref("Heartbeat")),
    ),
    _of_worker("/workers/{worker_id}/goodbye", "receiveGoodbye", "A worker is stopped", json_reply("Noted.", _NAMED)),
    Operation(
        "POST",
        "/workers/{worker_id}/bad_replicas",
        "receiveBadReplicas",
        "workers",
        "A worker lacks chunks, or had bad ones",
        {200: json_reply("struck: how many records changed.", record({"worker_id": TEXT, "struck": COUNT}))},
        (WorkerUnknown, TooLarge),
        body=json_body("Which.", record({"chunk_ids": array(CHUNK_ID)})),
    ),
    _of_worker(
        "/workers/{worker_id}/drain", "drainWorker", "Start to empty it", json_reply("The worker.", ref("Worker"))
    ),
    _of_worker(
        "/workers/{worker_id}/undrain", "undrainWorker", "Take it back", json_reply("The worker.", ref("Worker"))
    ),
    Operation(
        "GET",
        "/current_leader",
        "getLeader",
        "cluster",
        "Who leads, as far as this master knows",
        {200: json_reply("The leadership.", ref("Leadership"))},
    ),
    Operation(
        "GET",
        "/cluster",
        "getCluster",
        "cluster",
        "Leader, workers, replication, jobs",
        {200: json_reply("The cluster.", ref("Cluster"))},
    ),
    Operation("GET", "/jobs", "getJobs", "cluster", "The jobs", {200: json_reply("Every job.", ref("Jobs"))}),
    Operation(
        "POST",
        "/fsck",
        "startFsck",
        "cluster",
        "Have all records compared with all disks",
        {202: json_reply("The leader does it.", ref("Fsck"))},
        parameters=(Parameter("verify", "query", "Read every byte, too.", FLAG),),
    ),
    Operation(
        "GET",
        "/fsck",
        "getFsck",
        "cluster",
        "How far that is, and what it found",
        {200: json_reply("The last comparison.", ref("Fsck"))},
    ),
    *quota_operations(),
)
