"""Why no copy of a chunk can be made now, and what a drain waits for, in words for whoever looks after the cluster.

Pure, as the plans are. An obstacle stays until somebody does something; what is waited for comes by itself.
"""

from __future__ import annotations

from master_node.copy_plans import Site
from master_node.membership import ALIVE
from master_node.model import Chunk

MOST_ARE_SILENT = "most workers are silent, so it looks like the network, and nothing is moved"
FAILED_OF_LATE = "copies failed of late, and are tried again; the leader's log says why"
WORKER_IS_SILENT = "the worker itself is silent, so what is left on it cannot be freed"

# What a drain waits for.
ORDER_IS_NEW = "the leader takes the order up within seconds"
NOBODY_LEADS = "no master leads now, and the leader is who empties workers"
REPAIR_COMES_FIRST = "chunks of which one copy is left are copied first"
JOBS_COME_FIRST = "other jobs are at its chunks, and make missing copies first"
COPIES_ARE_FREED = (
    "all of it is copied elsewhere, and freed here: what was stored in the last minute, a minute after that"
)
UPLOADS_GO_ON = "uploads that are under way may still bring it chunks"


def obstacle(chunk: Chunk, site: Site, leaving: str = "") -> str | None:
    """What stands in the way of one more copy; None: nothing that will not pass by itself.

    leaving: the worker whose replica is to be given up for it.
    """
    if not chunk.replicas:
        return "no copy of it is left"
    if not any(site.serves(name) for name in chunk.replicas):
        return f"no worker that has a copy answers: {', '.join(chunk.replicas)}"
    takers = {name for name, view in site.views.items() if view.state == ALIVE and name != leaving}
    if len(takers) < chunk.factor:
        others = "other workers" if leaving else "workers"
        return f"{chunk.factor} {others} are needed that take chunks, and there are {len(takers)}"
    free = takers - {*chunk.replicas, *chunk.doubtful}
    if free and not any(_has_room(name, chunk, site) for name in free):
        return f"no other worker has room: {', '.join(sorted(free))}"
    return None


def _has_room(worker_id: str, chunk: Chunk, site: Site) -> bool:
    """As placement.py wants it, without the copies that are on their way."""
    return site.views[worker_id].record.heartbeat.free_bytes >= 2 * chunk.size_bytes
