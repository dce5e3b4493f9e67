"""`/cluster`: what an operator sees and does; and the pages for people."""

from __future__ import annotations

from api_gateway.openapi.parts import HTML, HTML_PAGE
from api_gateway.verdict import LEVELS
from common.errors import CrossSiteRequest, WorkerUnknown
from common.openapi.model import Operation, Parameter, Reply, array, json_reply, nullable, record, ref
from common.openapi.quotas import quota_operations
from common.openapi.schemas import CLUSTER_SCHEMAS, COUNT, FLAG, TEXT

SCHEMAS = {
    **CLUSTER_SCHEMAS,
    "Master": record(
        {"master_id": TEXT, "state": {"enum": ["alive", "dead"]}, "url": TEXT, "is_leader": FLAG, "version": TEXT}
    ),
    "Summary": record(
        {"level": {"enum": list(LEVELS)}, "text": TEXT, "notes": array(TEXT)},
        text="How the cluster fares, for people: the most pressing in one sentence, the rest as notes.",
    ),
    "Cluster": record(
        {
            "leader": nullable(TEXT),
            "epoch": COUNT,
            "masters": array(ref("Master")),
            "workers": array(ref("Worker")),
            "replication": {"anyOf": [ref("Replication"), {"type": "object", "maxProperties": 0}]},
            "jobs": array(ref("Job")),
            "problem": TEXT,
            "summary": ref("Summary"),
        },
        optional=("epoch", "problem"),
        text="The masters as the gateway sees them, the rest as one master does. problem: why nothing of the rest is.",
    ),
}

CLUSTER_OPERATIONS = (
    Operation(
        "GET",
        "/cluster",
        "getCluster",
        "cluster",
        "Leader, masters, workers, replication, jobs",
        {200: json_reply("The state of every part.", ref("Cluster"))},
    ),
    Operation(
        "GET",
        "/cluster/jobs",
        "getJobs",
        "cluster",
        "The background work",
        {200: json_reply("Every job.", ref("Jobs"))},
    ),
    Operation(
        "POST",
        "/cluster/fsck",
        "startFsck",
        "cluster",
        "Have all records compared with all disks",
        {202: json_reply("The leader does it.", ref("Fsck"))},
        (CrossSiteRequest,),
        (Parameter("verify", "query", "Read every byte, too.", FLAG),),
    ),
    Operation(
        "GET",
        "/cluster/fsck",
        "getFsck",
        "cluster",
        "How far that is, and what it found",
        {200: json_reply("The last comparison.", ref("Fsck"))},
    ),
    *(
        Operation(
            "POST",
            f"/cluster/workers/{{worker_id}}/{verb}",
            f"{verb}Worker",
            "cluster",
            summary,
            {200: json_reply("The worker.", ref("Worker"))},
            (CrossSiteRequest, WorkerUnknown),
        )
        for verb, summary in (("drain", "Start to empty a worker"), ("undrain", "Take it back"))
    ),
    *quota_operations((CrossSiteRequest,)),
)

PAGE_OPERATIONS = (
    Operation(
        "GET",
        "/",
        "getPage",
        "pages",
        "A folder's files, for a browser",
        {
            200: Reply("The page.", {HTML_PAGE: HTML}),
            303: Reply(
                "To the sign-in page; of a key that has the right `admin` alone, to the cluster view.",
                headers=("Location",),
            ),
        },
        parameters=(
            Parameter("prefix", "query", "The folder.", TEXT),
            Parameter("search", "query", "Only names in it that begin so.", TEXT),
            Parameter("everywhere", "query", "With what lies in the folders below.", FLAG),
            Parameter("cursor", "query", "The next page of it.", TEXT),
        ),
    ),
    Operation(
        "GET",
        "/trash",
        "getTrash",
        "pages",
        "The trash, for a browser",
        {200: Reply("The page.", {HTML_PAGE: HTML}), 303: Reply("To the sign-in page.", headers=("Location",))},
        parameters=(
            Parameter("prefix", "query", "Only what was below this folder.", TEXT),
            Parameter("cursor", "query", "The next page of it.", TEXT),
        ),
    ),
    Operation(
        "GET",
        "/cluster-view",
        "getClusterView",
        "pages",
        "The state of the cluster, for a browser",
        {200: Reply("The page.", {HTML_PAGE: HTML}), 303: Reply("To the sign-in page.", headers=("Location",))},
    ),
    Operation(
        "GET", "/docs", "getDocs", "pages", "This document, to be read", {200: Reply("The page.", {HTML_PAGE: HTML})}
    ),
    Operation(
        "GET",
        "/static/{filename}",
        "getStatic",
        "pages",
        "What the pages look like",
        {200: Reply("The file.", {"*/*": {"type": "string", "format": "binary"}}), 304: Reply("Unchanged.")},
        is_open=True,
    ),
)
