"""What the cluster view writes: workers, jobs and figures as text. The page's script writes the same.

The words for states and jobs stand here alone: the page has them all, and its script takes them from there.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from api_gateway.routes.shown import show_bytes
from api_gateway.verdict import BAD, BUSY, GOOD, WARN, count_text, duration_text

_SCRUB = "scrub "


@dataclass(frozen=True)
class State:
    """What a worker can be. level: see verdict.py; icon: a symbol of the templates."""

    key: str
    word: str
    level: str
    icon: str
    meaning: str


WORKER_STATES = (
    State("alive", "Alive", GOOD, "check", "It is heard of, holds chunks and takes new ones."),
    State("draining", "Draining", BUSY, "drain", "It serves what it has, takes nothing new, and is being emptied."),
    State("empty", "Empty", BUSY, "check", "It was drained, and may be stopped and taken out of config.json."),
    State("maintenance", "Stopped", BUSY, "pause", "It was stopped on purpose; for a while its return is waited for."),
    State("suspect", "Silent", WARN, "warning", "It was not heard of for some seconds, and is asked last."),
    State("dead", "Dead", BAD, "alert", "It was not heard of for longer: nothing is asked of it."),
    State("lost", "Lost", BAD, "alert", "It was dead for so long that its chunks are made again on other workers."),
    State("never", "Not seen", WARN, "warning", "config.json names it, and it has never reported: start it."),
)


@dataclass(frozen=True)
class Field:
    """One number of a job's progress that is told while it is not zero. unit: count, bytes, rate or seconds.

    one: the words for a count of one, where they are others.
    """

    name: str
    unit: str
    words: str = ""
    one: str = ""


_COPIES = (
    Field("under_way", "count", "copies under way", "copy under way"),
    Field("bytes_per_second", "rate"),
    Field("copied_chunks", "count", "chunks copied", "chunk copied"),
    Field("failed", "count", "copies failed", "copy failed"),
)
_JOBS: dict[str, tuple[str, tuple[Field, ...]]] = {
    "strike": (
        "Stops counting the replicas of lost workers",
        (Field("struck", "count", "replicas struck", "replica struck"),),
    ),
    "repair": (
        "Makes missing replicas again, the most endangered chunks first",
        (*_COPIES, Field("seconds_left", "seconds", "left")),
    ),
    "trim": (
        "Chooses which of too many replicas go",
        (Field("trimmed", "count", "replicas given up", "replica given up"),),
    ),
    "release": (
        "Has copies freed that do not count any more",
        (Field("freed", "count", "copies freed", "copy freed"),),
    ),
    "inventory": ("Compares the workers' disks with the records", ()),
    "drain": ("Empties workers by order", _COPIES),
    "rebalance": ("Moves chunks to workers that have less than their share", _COPIES),
    "garbage_collection": (
        "Frees what nobody can reach any more",
        (Field("freed_versions", "count", "versions freed", "version freed"), Field("freed_bytes", "bytes", "freed")),
    ),
    "forget": ("Drops workers that left the configuration", ()),
    "quotas": (
        "Counts what lies below paths with a quota",
        (Field("recounted", "count", "counts made", "count made"),),
    ),
    "fsck": (
        "Compares all records with all disks, on request",
        (
            Field("records_checked", "count", "records", "record"),
            Field("replicas_checked", "count", "replicas checked", "replica checked"),
        ),
    ),
    "recovery": ("Nothing is freed until the restored records are rebuilt", ()),
}


def view_of(cluster: Mapping[str, Any]) -> dict[str, Any]:
    """Everything that the template writes, as text."""
    jobs = cluster["jobs"]
    scrubs = {job["name"].removeprefix(_SCRUB): job for job in jobs if job["name"].startswith(_SCRUB)}
    return {
        "is_known": bool(cluster["replication"]),
        "summary": cluster["summary"],
        "numbers": _numbers(cluster["workers"], cluster["replication"]),
        "workers": [_worker_row(worker, scrubs.get(worker["worker_id"])) for worker in cluster["workers"]],
        "masters": cluster["masters"],
        "jobs": [_job_row(job) for job in jobs if not job["name"].startswith(_SCRUB)],
    }


def _worker_row(worker: Mapping[str, Any], scrub: Mapping[str, Any] | None = None) -> dict[str, Any]:
    used, capacity, age = worker["used_bytes"], worker["capacity_bytes"], worker["last_heartbeat_age_seconds"]
    share = 100 * used / capacity if capacity else 0.0
    checked = (scrub or {}).get("progress", {}).get("progress")
    return {
        "worker_id": worker["worker_id"],
        "state": _state_key(worker),
        "note": "; ".join(_worker_notes(worker)),
        "share": round(share, 1),
        "used": f"{show_bytes(used)} of {show_bytes(capacity)}, {_percent(share)}" if capacity else "",
        "chunks": f"{worker['chunk_count']:,}",
        "age": "never" if age is None else f"{duration_text(age)} ago",
        "verified": "" if checked is None else _percent(100 * checked),
        "version": worker["version"],
        "is_draining": worker["is_draining"],
        "is_seen": bool(worker["url"]),
    }


def _state_key(worker: Mapping[str, Any]) -> str:
    """Which of WORKER_STATES it is in."""
    if not worker["url"]:
        return "never"
    if worker["is_lost"]:
        return "lost"
    if worker["state"] == "draining" and (worker["drain"] or {}).get("is_complete"):
        return "empty"
    return str(worker["state"])


def _worker_notes(worker: Mapping[str, Any]) -> Iterator[str]:
    """What else there is to know of it. static/js/cluster/workers.js says the same."""
    drain = worker["drain"]
    if worker["zone"]:
        yield f"zone {worker['zone']}"
    if drain and not drain["is_complete"]:
        yield f"{count_text(drain['chunks_left'], 'chunk')} left"
        if drain.get("blocked"):
            yield f"cannot go on: {drain['blocked']}"
        elif drain.get("waits_for"):
            yield f"waiting: {drain['waits_for']}"
    if worker["url"] and not worker["is_reconciled"]:
        yield "its disk is yet to be compared with the records"
    if worker["quarantined_count"]:
        yield f"{count_text(worker['quarantined_count'], 'file')} in quarantine"
    if not worker["is_configured"]:
        yield "taken out of config.json"


def _job_row(job: Mapping[str, Any]) -> dict[str, Any]:
    what, fields = _JOBS.get(job["name"], ("", ()))
    told = [_told(field, job["progress"].get(field.name)) for field in fields]
    return {
        "name": job["name"],
        "what": what,
        "state": job["state"],
        "now": ", ".join(text for text in told if text),
        "error": job["last_error"] if job["state"] == "failed" else "",
        "fields": json.dumps([[field.name, field.unit, field.words, field.one] for field in fields]),
    }


def _told(field: Field, value: Any) -> str:
    if not isinstance(value, (int, float)) or not value:
        return ""
    texts: dict[str, Callable[[Any], str]] = {
        "bytes": show_bytes,
        "rate": lambda rate: f"{show_bytes(rate)}/s",
        "seconds": duration_text,
    }
    return f"{texts.get(field.unit, '{:,}'.format)(value)} {_words(field, value)}".strip()


def _words(field: Field, value: Any) -> str:
    return (field.one or field.words) if value == 1 else field.words


def _numbers(workers: Sequence[Mapping[str, Any]], replication: Mapping[str, Any]) -> dict[str, str]:
    """The figures at the top. static/js/cluster/numbers.js writes the same."""
    if not replication:
        return dict.fromkeys(("used", "owed", "pending"), "unknown")
    used, capacity = (sum(worker[name] for worker in workers) for name in ("used_bytes", "capacity_bytes"))
    pending, due = replication["pending_free_bytes"], replication["due_free_bytes"]
    return {
        "used": _percent(100 * used / (capacity or 1)),
        "used_note": f"{show_bytes(used)} of {show_bytes(capacity)} on all workers",
        "owed": count_text(replication["owed_replicas"], "replica"),
        "owed_note": _owed_note(replication),
        "pending": show_bytes(pending),
        "pending_note": f"{show_bytes(due)} now, the rest after its time in the trash" if pending else "",
    }


def _owed_note(replication: Mapping[str, Any]) -> str:
    if not replication["owed_replicas"]:
        return f"every chunk has its {replication['replication_factor']} copies"
    copies = replication["under_replicated_by_copies"]
    left = ", ".join(f"{count_text(copies[key], 'chunk')} with {key}" for key in sorted(copies, key=int))
    rate = round(replication["repair_bytes_per_second"])
    return f"{show_bytes(replication['owed_bytes'])}; copies left: {left}" + (f"; {show_bytes(rate)}/s" if rate else "")


def _percent(share: float) -> str:
    if 0 < share < 0.05:
        return "under 0.1 %"
    return f"{share:.1f} %" if 0 < share < 9.95 else f"{share:.0f} %"
