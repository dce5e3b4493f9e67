"""Which workers a chunk goes to: a pure function of what the heartbeat table says."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from common.errors import ClusterFull, NotEnoughWorkers
from common.records import Placement, Target


@dataclass(frozen=True)
class Candidate:
    """A worker that might take a chunk. `is_doubtful`: heard of late, to be used only where others do not suffice."""

    target: Target
    zone: str
    free_bytes: int
    is_doubtful: bool = False


def place_chunks(
    candidates: Sequence[Candidate],
    *,
    start: int,
    count: int,
    chunk_size_bytes: int,
    replication_factor: int,
    write_quorum: int,
    rng: random.Random,
) -> tuple[Placement, ...]:
    """Place the chunks `start` to `start + count - 1`.

    Each goes to `replication_factor` distinct workers, as far apart in zones as there are zones, chosen at random in
    proportion to their free space; all other workers with room follow as spares. `candidates` are those that are alive
    and not draining. Raises NotEnoughWorkers when fewer than `write_quorum` are, ClusterFull when fewer have room.
    """
    needed = min(write_quorum, replication_factor)
    if len(candidates) < needed:
        raise NotEnoughWorkers(
            f"{len(candidates)} workers are alive, a write needs {needed}", alive=len(candidates), needed=needed
        )
    with_room = [candidate for candidate in candidates if candidate.free_bytes >= 2 * chunk_size_bytes]
    if len(with_room) < needed:
        raise ClusterFull(
            f"{len(with_room)} workers have room for another chunk, a write needs {needed}",
            with_room=len(with_room),
            needed=needed,
        )
    return tuple(
        Placement(index, tuple(candidate.target for candidate in _order(with_room, rng)))
        for index in range(start, start + count)
    )


def choose_target(
    candidates: Sequence[Candidate], *, zones: Collection[str], size_bytes: int, rng: random.Random
) -> Candidate | None:
    """The worker for one more copy: of another zone than the copies that stay, then by chance, weighted by free space.

    zones: of the copies that stay. candidates: those that are alive, not draining, and hold no copy. None: nobody has
    room.
    """
    with_room = [candidate for candidate in candidates if candidate.free_bytes >= 2 * size_bytes]
    luck = {id(candidate): rng.expovariate(max(1, candidate.free_bytes)) for candidate in with_room}
    return min(with_room, key=lambda one: (one.zone in zones, luck[id(one)]), default=None)


def _order(candidates: Sequence[Candidate], rng: random.Random) -> list[Candidate]:
    """All candidates, most wanted first: trusted before doubtful, then from the zone used least, then by chance.

    The chance is weighted by free space: each draws an exponential variate with its weight as rate, and the least
    comes first (Efraimidis and Spirakis, "Weighted random sampling with a reservoir", 2006).
    """
    luck = {id(candidate): rng.expovariate(candidate.free_bytes) for candidate in candidates}
    waiting = sorted(candidates, key=lambda candidate: luck[id(candidate)])
    used_zones: Counter[str] = Counter()
    ordered: list[Candidate] = []
    while waiting:
        chosen = min(waiting, key=lambda candidate: (candidate.is_doubtful, used_zones[candidate.zone]))
        waiting.remove(chosen)
        used_zones[chosen.zone] += 1
        ordered.append(chosen)
    return ordered
