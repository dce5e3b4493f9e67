"""How the cluster fares, in sentences for people: the most pressing first. Pure; it knows what `/cluster` says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

GOOD, BUSY, WARN, BAD = "good", "busy", "warn", "bad"
LEVELS = (GOOD, BUSY, WARN, BAD)
_TIMES = {1: "once", 2: "twice"}
_NAMED = 3


@dataclass(frozen=True)
class Finding:
    """One thing to know. level: one of LEVELS, from "all is well" to "somebody must act"."""

    level: str
    text: str


def summarise(cluster: Mapping[str, Any]) -> dict[str, Any]:
    """The first sentence with its level, and the others as notes."""
    first, *others = _findings(cluster)
    return {"level": first.level, "text": first.text, "notes": [other.text for other in others]}


def count_text(count: int, noun: str) -> str:
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def duration_text(seconds: float) -> str:
    """Such as "8 s", "3 min 20 s", "2 h 5 min", "4 days"; as static/js/common/format.js has it."""
    whole = max(0, int(seconds + 0.5))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min" if whole < 172800 else f"{whole // 86400} days"


def _findings(cluster: Mapping[str, Any]) -> list[Finding]:
    if cluster.get("problem"):
        return [Finding(BAD, _about_masters_lost(str(cluster["problem"])))]
    workers, replication = cluster["workers"], cluster["replication"]
    if not any(worker["url"] for worker in workers):
        return [Finding(WARN, "No worker has reported yet: nothing can be stored until some do"), *_masters(cluster)]
    is_owed = bool(replication["owed_replicas"])
    found = [
        *_replication(replication),
        *_masters(cluster),
        *_workers(workers, is_repairing=is_owed),
        *_jobs(cluster["jobs"]),
    ]
    # What is as bad stays in this order.
    found.sort(key=lambda finding: -LEVELS.index(finding.level))
    if not is_owed and not replication["is_held_back"] and not _silent(workers):
        found.append(Finding(GOOD, _all_is_well(workers, replication["replication_factor"])))
    return found


def _about_masters_lost(problem: str) -> str:
    if problem == "no master answers":
        return "No master answers: nothing can be listed, stored or read until one does. What is stored stays"
    return f"The masters cannot say how the cluster fares: {problem}"


def _replication(replication: Mapping[str, Any]) -> Iterator[Finding]:
    is_held_back = replication["is_held_back"]
    if is_held_back:
        yield Finding(
            BAD, "Held back: most workers are silent, which looks like the network; nothing is copied or freed"
        )
    lost = replication["under_replicated_by_copies"].get("0", 0)
    if lost:
        yield Finding(BAD, f"{count_text(lost, 'chunk')} {_have(lost)} no copy left: fsck names the files")
    short = replication["under_replicated_chunks"] - lost
    if short <= 0:
        return
    chunks, blocked = count_text(short, "chunk"), replication.get("repair_blocked")
    if is_held_back:
        yield Finding(WARN, f"{chunks} {_have(short)} too few copies")
    elif blocked:
        yield Finding(WARN, f"{chunks} {_have(short)} too few copies, and none can be made now: {blocked}")
    else:
        left = replication["repair_seconds_left"]
        time_left = "" if left is None else f", about {duration_text(left)} left"
        yield Finding(BUSY, f"{chunks} {'is' if short == 1 else 'are'} being copied again{time_left}")


def _masters(cluster: Mapping[str, Any]) -> Iterator[Finding]:
    if not cluster["leader"]:
        yield Finding(WARN, "No master leads just now: nothing is repaired or freed until one does")
    dead = [master["master_id"] for master in cluster["masters"] if master["state"] != "alive"]
    if dead:
        verb = "does" if len(dead) == 1 else "do"
        yield Finding(WARN, f"{_listed(dead)} {verb} not answer: the other masters do the work")


def _workers(workers: Sequence[Mapping[str, Any]], *, is_repairing: bool) -> Iterator[Finding]:
    if silent := _silent(workers):
        verb, its = ("is", "its") if len(silent) == 1 else ("are", "their")
        yield Finding(WARN, f"{_listed(silent)} {verb} silent: if that lasts, {its} chunks are copied again elsewhere")
    if lost := [worker["worker_id"] for worker in workers if worker["is_lost"]]:
        verb, it = ("is", "it") if len(lost) == 1 else ("are", "they")
        level, becomes = (BUSY, "is being") if is_repairing else (WARN, "was")
        yield Finding(level, f"{_listed(lost)} {verb} gone: what {it} held {becomes} made again on the others")
    if unseen := [worker["worker_id"] for worker in workers if not worker["url"]]:
        yield Finding(WARN, f"{_listed(unseen)} {'has' if len(unseen) == 1 else 'have'} never reported")
    if away := [worker["worker_id"] for worker in workers if worker["state"] == "maintenance"]:
        text = "was stopped on purpose: its" if len(away) == 1 else "were stopped on purpose: their"
        yield Finding(BUSY, f"{_listed(away)} {text} return is waited for")
    for worker in workers:
        if worker["drain"] and worker["drain"].get("blocked"):
            yield Finding(WARN, f"{worker['worker_id']} cannot be emptied now: {worker['drain']['blocked']}")


def _silent(workers: Sequence[Mapping[str, Any]]) -> list[str]:
    """Those that may be back before anything is copied."""
    silent = (one for one in workers if one["state"] in ("suspect", "dead") and not one["is_lost"])
    return [one["worker_id"] for one in silent if one["url"]]


def _jobs(jobs: Sequence[Mapping[str, Any]]) -> Iterator[Finding]:
    for job in jobs:
        if job["state"] == "failed":
            yield Finding(WARN, f"The job {job['name']} failed, and is tried again: {job['last_error']}")


def _all_is_well(workers: Sequence[Mapping[str, Any]], factor: int) -> str:
    if not any(worker["chunk_count"] for worker in workers):
        return "All is well: nothing is stored yet"
    return f"Everything is stored {_TIMES.get(factor, _number_word(factor) + ' times')}"


def _number_word(number: int) -> str:
    return {3: "three", 4: "four", 5: "five"}.get(number, str(number))


def _listed(names: Sequence[str]) -> str:
    """Such as "worker_1, worker_2 and 4 more"."""
    named, more = list(names[:_NAMED]), len(names) - _NAMED
    if more > 0:
        return f"{', '.join(named)} and {more} more"
    return " and ".join([", ".join(named[:-1]), named[-1]]) if len(named) > 1 else named[0]


def _have(count: int) -> str:
    return "has" if count == 1 else "have"
