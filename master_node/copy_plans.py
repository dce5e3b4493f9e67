"""Which copy is to be made, from where and to whom: pure functions of a chunk's record and of the workers' views."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from common.records import Target
from master_node.membership import ALIVE, WorkerView
from master_node.model import Chunk
from master_node.placement import Candidate, choose_target


@dataclass(frozen=True)
class CopyPlan:
    """One more copy of a chunk.

    sources: workers to copy from, the most wanted first; none: the target is only asked whether its doubtful copy is
    good. leaving: the worker whose replica is given up for the new one, where the copy is a move. is_promise_new: the
    record names the target for this copy alone.
    """

    chunk: Chunk
    sources: tuple[Target, ...]
    target: Target
    leaving: str = ""
    is_promise_new: bool = True

    @property
    def chunk_id(self) -> str:
        return self.chunk.chunk_id


@dataclass(frozen=True)
class Site:
    """The workers as a plan sees them.

    pending_bytes: of copies that are on their way to a worker. may_take: whether a worker may be given an order to
    copy this chunk now; not where it refused one of late, or one may still be under way.
    """

    views: Mapping[str, WorkerView]
    pending_bytes: Callable[[str], int]
    may_take: Callable[[Chunk, str], bool]
    rng: random.Random

    def serves(self, worker_id: str) -> bool:
        return worker_id in self.views and self.views[worker_id].is_serving

    def target(self, worker_id: str) -> Target:
        return Target(worker_id, self.views[worker_id].url)

    def zones(self, worker_ids: Sequence[str]) -> set[str]:
        return {self.views[name].record.heartbeat.zone for name in worker_ids if name in self.views}


def plan_copy(chunk: Chunk, site: Site) -> CopyPlan | None:
    """One more copy of a chunk of which some are owed; None where none can be made now.

    A doubtful copy on a worker that serves comes first: where it is good nothing needs to be moved.
    """
    sources = _sources(chunk, site, leaving="")
    doubtful = [name for name in chunk.doubtful if site.serves(name) and site.may_take(chunk, name)]
    staying = [name for name in doubtful if site.views[name].state == ALIVE]
    if staying or (doubtful and not sources):
        # Any of them: one that cannot answer must not hide the others.
        return CopyPlan(chunk, sources, site.target(site.rng.choice(staying or doubtful)))
    target = _new_target(chunk, chunk.replicas, site) if sources else None
    return CopyPlan(chunk, sources, target) if target is not None else None


def plan_move(chunk: Chunk, leaving: str, site: Site) -> CopyPlan | None:
    """A copy of a whole chunk on another worker, for which the replica of `leaving` is given up; None: not now."""
    kept = [name for name in chunk.replicas if name != leaving]
    sources = _sources(chunk, site, leaving)
    doubtful = [
        name
        for name in chunk.doubtful
        if site.serves(name) and site.views[name].state == ALIVE and site.may_take(chunk, name)
    ]
    if not sources:
        return None
    target = site.target(doubtful[0]) if doubtful else _new_target(chunk, kept, site)
    return CopyPlan(chunk, sources, target, leaving) if target is not None else None


def plan_move_to(chunk: Chunk, leaving: str, worker_id: str, site: Site) -> CopyPlan | None:
    """The same with this worker as target; None also where it would bring copies closer together in zones."""
    kept = [name for name in chunk.replicas if name != leaving]
    zones, zone = site.zones(kept), site.views[worker_id].record.heartbeat.zone
    is_closer = zone in zones and not site.zones([leaving]) <= zones
    is_named = worker_id in chunk.replicas or worker_id in chunk.doubtful
    sources = _sources(chunk, site, leaving="")
    if is_closer or is_named or not sources or not site.may_take(chunk, worker_id):
        return None
    return CopyPlan(chunk, sources, site.target(worker_id), leaving)


def _sources(chunk: Chunk, site: Site, leaving: str) -> tuple[Target, ...]:
    """The replicas that can be read, in random order; the one that leaves last, as it serves its readers too."""
    names = [name for name in chunk.replicas if site.serves(name)]
    site.rng.shuffle(names)
    names.sort(key=lambda name: (name == leaving, site.views[name].state != ALIVE))
    return tuple(site.target(name) for name in names)


def _new_target(chunk: Chunk, kept: Sequence[str], site: Site) -> Target | None:
    """A worker that the record does not name."""
    candidates = [
        Candidate(
            site.target(name),
            view.record.heartbeat.zone,
            view.record.heartbeat.free_bytes - site.pending_bytes(name),
        )
        for name, view in site.views.items()
        if view.state == ALIVE
        and name not in chunk.replicas
        and name not in chunk.doubtful
        and site.may_take(chunk, name)
    ]
    chosen = choose_target(candidates, zones=site.zones(kept), size_bytes=chunk.size_bytes, rng=site.rng)
    return chosen.target if chosen is not None else None
