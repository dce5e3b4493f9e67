"""Every change that a chunk's record can undergo, as pure functions.

Each gives the next record, with `revision` one higher, or the very same object where there is nothing to change. The
number of replicas that the version wants, `chunk.factor`, never changes: what leaves `replicas` is owed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from master_node.membership import DRAINING, WorkerView
from master_node.model import Chunk

Views = Mapping[str, WorkerView]


def struck(chunk: Chunk, worker_id: str, *, is_proven: bool) -> Chunk:
    """The record when a worker's replica does not count any more.

    is_proven: the worker itself says that it has no usable file; else it was only not heard of for long, keeps a
    doubtful copy, and the last replica is never struck. The last one stays doubtful also when it is proven gone: the
    proof may be older than a copy made since, and who had it last is where to look.
    """
    if worker_id not in chunk.replicas:
        return chunk
    kept = tuple(name for name in chunk.replicas if name != worker_id)
    if not kept and not is_proven:
        return chunk
    return _changed(chunk, kept, chunk.doubtful if is_proven and kept else (*chunk.doubtful, worker_id))


def adopted(chunk: Chunk, worker_id: str) -> Chunk:
    """The record when a worker has shown that its copy is good; from here on it counts."""
    if worker_id in chunk.replicas:
        return chunk
    return _changed(chunk, (*chunk.replicas, worker_id), chunk.doubtful)


def promised(chunk: Chunk, worker_id: str) -> Chunk:
    """The record before a worker is ordered to make a copy, so that nobody loses sight of it however that ends."""
    if worker_id in (*chunk.replicas, *chunk.doubtful):
        return chunk
    return _changed(chunk, chunk.replicas, (*chunk.doubtful, worker_id))


def moved(chunk: Chunk, source: str, target: str) -> Chunk:
    """The record when the target's copy is good and the source's is to go: in one step, so the number stays."""
    if source not in chunk.replicas or target in chunk.replicas:
        return chunk
    kept = tuple(name for name in chunk.replicas if name != source)
    return _changed(chunk, (*kept, target), (*chunk.doubtful, source))


def released(chunk: Chunk, worker_id: str) -> Chunk:
    """The record when a worker is known to have no copy that does not count."""
    if worker_id not in chunk.doubtful:
        return chunk
    return _changed(chunk, chunk.replicas, tuple(name for name in chunk.doubtful if name != worker_id))


def choose_surplus(chunk: Chunk, views: Views) -> str | None:
    """The replica to give up where there are too many; None where there are not, or not enough others are safe.

    First one that is not safe itself, then one on a draining worker, then one whose zone has another, then the one on
    the fullest worker.
    """
    if chunk.owed >= 0:
        return None
    safe = safe_replicas(chunk, views)
    choices = [name for name in chunk.replicas if len(safe) - (name in safe) >= chunk.factor]
    zones = [_zone(views, name) for name in chunk.replicas]

    def harm(name: str) -> tuple[bool, bool, bool, float]:
        is_draining = name in views and views[name].state == DRAINING
        is_alone = zones.count(_zone(views, name)) == 1
        return name in safe, not is_draining, is_alone, -_fullness(views, name)

    return min(choices, key=harm, default=None)


def safe_replicas(chunk: Chunk, views: Views) -> tuple[str, ...]:
    """The replicas on workers that are heard of, and whose disks have been compared with the records."""
    return tuple(
        name for name in chunk.replicas if name in views and views[name].is_serving and views[name].record.is_reconciled
    )


def _changed(chunk: Chunk, replicas: tuple[str, ...], doubtful: tuple[str, ...]) -> Chunk:
    return replace(
        chunk,
        replicas=replicas,
        owed=chunk.factor - len(replicas),
        # A worker stands in one of the lists at most, and once.
        doubtful=tuple(dict.fromkeys(name for name in doubtful if name not in replicas)),
        revision=chunk.revision + 1,
    )


def _zone(views: Views, worker_id: str) -> str:
    return views[worker_id].record.heartbeat.zone if worker_id in views else ""


def _fullness(views: Views, worker_id: str) -> float:
    if worker_id not in views:
        return 1.0
    heartbeat = views[worker_id].record.heartbeat
    return heartbeat.used_bytes / max(1, heartbeat.capacity_bytes)
