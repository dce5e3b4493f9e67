"""`report`, `jobs`, `drain` and `undrain`: the state of the cluster in a readable form, and emptying a worker."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

from common.cli.console import count_text, shown, size_text
from common.cli.context import Context
from common.cli.failures import FAILED, OK, Failure

POLL_SECONDS = 1.0
# How long a drain may stand still before that is said.
PATIENCE_SECONDS = 60.0
# A worker with less than this share of its capacity left will soon take no more chunks.
LOW_SHARE = 0.05
_WELL = ("alive", "draining", "maintenance")


def report(context: Context, options: Namespace) -> int:  # noqa: ARG001 - every command has options
    """Leader, masters, workers, what is owed; the exit status says whether something needs attention."""
    state = context.gateway.ask("/cluster")
    attention = list(needs_attention(state))
    lines = [*_overview(state), "", *_worker_table(state["workers"]), *_drain_lines(state["workers"]), ""]
    lines += _attention_lines(attention)
    context.console.emit({**state, "attention": attention}, *lines)
    return FAILED if attention else OK


def needs_attention(state: Mapping[str, Any]) -> Iterator[str]:
    """What an operator should look at, one line each."""
    if state.get("problem"):
        yield str(state["problem"])
    if not state["leader"]:
        yield "no master leads"
    for master in state["masters"]:
        if master["state"] != "alive":
            yield f"{master['master_id']} is {master['state']}"
    for worker in state["workers"]:
        yield from _about_worker(worker)
    replication = state["replication"]
    if replication.get("is_held_back"):
        yield "most workers are gone, so nothing is repaired, moved or freed"
    if replication.get("under_replicated_chunks"):
        yield (
            f"{count_text(replication['owed_replicas'], 'replica')} ({size_text(replication['owed_bytes'])})"
            f" of {count_text(replication['under_replicated_chunks'], 'chunk')} are owed"
            + (f", and cannot be made again now: {blocked}" if (blocked := replication.get("repair_blocked")) else "")
        )
    for job in state["jobs"]:
        if job["state"] == "failed":
            yield f"the job {job['name']} failed: {job['last_error']}"


def jobs(context: Context, options: Namespace) -> int:  # noqa: ARG001
    """What the background jobs are doing."""
    for job in context.gateway.ask("/cluster/jobs")["jobs"]:
        numbers = ", ".join(
            f"{name.replace('_', ' ')} {value}"
            for name, value in job["progress"].items()
            if isinstance(value, (int, float)) and not isinstance(value, bool) and value
        )
        error = f"  last error: {job['last_error']}" if job["last_error"] else ""
        context.console.emit(job, shown(f"{job['name']:<20} {job['state']:<8} {numbers}{error}"))
    return OK


def drain(context: Context, options: Namespace) -> int:
    """Empty a worker; with --wait until that is done."""
    return _set_draining(context, options, "drain")


def undrain(context: Context, options: Namespace) -> int:
    """Take a worker back."""
    return _set_draining(context, options, "undrain")


def _set_draining(context: Context, options: Namespace, verb: str) -> int:
    worker = context.gateway.send("POST", f"/cluster/workers/{quote(options.worker_id, safe='')}/{verb}")
    context.console.how_to_go_on = "the worker is being emptied all the same; undrain takes the order back"
    if verb == "drain" and options.wait:
        worker = _wait_until_empty(context, worker)
    context.console.emit(worker, _describe_drain(worker))
    return OK


def _wait_until_empty(context: Context, worker: Mapping[str, Any]) -> Mapping[str, Any]:
    """Raises Failure when the order is taken back; says it, and goes on, when nothing leaves the worker any more."""
    if _has_news(worker, None):
        context.console.note(_describe_drain(worker))
    before, moved_at = worker["drain"], context.clock.monotonic()
    while not (worker["drain"] or {}).get("is_complete"):
        if not worker["is_draining"]:
            raise Failure("somebody took the order back")
        context.clock.sleep(POLL_SECONDS)
        workers = context.gateway.ask("/cluster")["workers"]
        worker = next((one for one in workers if one["worker_id"] == worker["worker_id"]), worker)
        now = context.clock.monotonic()
        if worker["drain"] != before:
            if _has_news(worker, before):
                context.console.note(_describe_drain(worker))
            before, moved_at = worker["drain"], now
        elif now - moved_at >= PATIENCE_SECONDS:
            reason = (
                ""
                if any(map((worker["drain"] or {}).get, _REASONS))
                else f", and nothing has left it for a minute; {_STUCK}"
            )
            context.console.note(_describe_drain(worker) + reason)
            moved_at = now
    return worker


# Why nothing leaves a worker: what somebody has to do something about, and what comes by itself.
_REASONS = ("blocked", "waits_for")
_STUCK = "are as many other workers alive, and have they room, as some file has replicas?"


def _describe_drain(worker: Mapping[str, Any]) -> str:
    drain = worker["drain"]
    if not drain:
        return f"{worker['worker_id']} is not being emptied"
    if drain["is_complete"]:
        return f"{worker['worker_id']} is empty and may be taken away"
    left = f"{count_text(drain['chunks_left'], 'chunk')} ({size_text(drain['bytes_left'])}) left"
    reason = ""
    if blocked := _why_blocked(worker):
        reason = f"; nothing can leave it now: {blocked}"
    elif waits_for := drain.get("waits_for"):
        reason = f"; it waits: {waits_for}"
    return f"{worker['worker_id']} is being emptied: {left}{reason}"


def _has_news(worker: Mapping[str, Any], before: Mapping[str, Any] | None) -> bool:
    """Whether there is a reason now, of the one kind or the other, that was not there before."""
    drain = worker["drain"] or {}
    return any(drain.get(name) and drain[name] != (before or {}).get(name) for name in _REASONS)


def _why_blocked(worker: Mapping[str, Any]) -> str | None:
    """Masters of an earlier release do not say it."""
    reason: str | None = (worker["drain"] or {}).get("blocked")
    return reason


def _about_worker(worker: Mapping[str, Any]) -> Iterator[str]:
    name, state = worker["worker_id"], worker["state"]
    if state not in _WELL:
        yield f"{name} is {state}" + (", and its replicas are made again elsewhere" if worker["is_lost"] else "")
    elif worker["capacity_bytes"] and worker["free_bytes"] < LOW_SHARE * worker["capacity_bytes"]:
        yield f"{name} has only {size_text(worker['free_bytes'])} left"
    if blocked := _why_blocked(worker):
        yield f"{name} cannot be emptied now: {blocked}"
    if worker["quarantined_count"]:
        yield f"{name} has {count_text(worker['quarantined_count'], 'chunk file')} in quarantine"


def _overview(state: Mapping[str, Any]) -> Iterator[str]:
    masters = ", ".join(f"{master['master_id']} {master['state']}" for master in state["masters"])
    yield f"Leader: {state['leader'] or 'none'}. Masters: {masters}."
    replication = state["replication"]
    if replication:
        yield (
            f"Owed: {count_text(replication['owed_replicas'], 'replica')}, {size_text(replication['owed_bytes'])}."
            f" Waiting to be freed: {size_text(replication['pending_free_bytes'])}."
        )
    busy = [f"{job['name']} ({job['state']})" for job in state["jobs"] if job["state"] != "idle"]
    yield "Jobs at work: " + (", ".join(busy) if busy else "none") + "."


def _worker_table(workers: list[Mapping[str, Any]]) -> Iterator[str]:
    yield f"{'worker':<16} {'state':<12} {'used':>10} {'free':>10} {'chunks':>10}  heartbeat"
    for worker in workers:
        age = worker["last_heartbeat_age_seconds"]
        state = "draining" if worker["is_draining"] and worker["state"] == "alive" else worker["state"]
        yield shown(
            f"{worker['worker_id']:<16} {state:<12} {size_text(worker['used_bytes']):>10}"
            f" {size_text(worker['free_bytes']):>10} {worker['chunk_count']:>10,}"
            f"  {'never' if age is None else f'{age:.1f} s ago'}"
        )


def _drain_lines(workers: list[Mapping[str, Any]]) -> Iterator[str]:
    """Of those that are being emptied; what cannot go on stands where attention is asked for."""
    for worker in workers:
        if worker["drain"] and not _why_blocked(worker):
            yield shown(_describe_drain(worker))


def _attention_lines(attention: list[str]) -> Iterator[str]:
    if not attention:
        yield "Nothing needs attention."
        return
    yield "Needs attention:"
    for line in attention:
        yield shown(f"  {line}")
