"""`fsck`: have the leader compare all records with all disks, wait for the end, and show what differs."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator, Mapping
from typing import Any

from common.cli.console import shown
from common.cli.context import Context
from common.cli.failures import FAILED, OK, Failure

POLL_SECONDS = 0.5
# How long the check may stand still, such as between two leaders.
PATIENCE_SECONDS = 120.0


def fsck(context: Context, options: Namespace) -> int:
    """Exit status 1 when something differs."""
    query = {"verify": "true"} if options.verify else None
    context.console.how_to_go_on = "the check goes on; fsck without --verify joins it"
    progress = _wait(context, context.gateway.send("POST", "/cluster/fsck", query=query))
    context.console.emit(progress, *map(shown, _report_lines(progress)))
    return FAILED if progress["found"] else OK


def _wait(context: Context, answer: Mapping[str, Any]) -> Mapping[str, Any]:
    before: Mapping[str, Any] = {}
    moved_at = context.clock.monotonic()
    while answer["is_requested"] or not answer["progress"].get("finished_at"):
        if answer["progress"] != before:
            before, moved_at = answer["progress"], context.clock.monotonic()
        elif context.clock.monotonic() - moved_at >= PATIENCE_SECONDS:
            reason = answer.get("last_error") or "does a master lead?"
            raise Failure(f"the check made no progress for {PATIENCE_SECONDS:g} s; {reason}")
        context.clock.sleep(POLL_SECONDS)
        answer = context.gateway.ask("/cluster/fsck")
    progress: Mapping[str, Any] = answer["progress"]
    return progress


def _report_lines(found: Mapping[str, Any]) -> Iterator[str]:
    for one in found["differences"]:
        subject = " ".join(one[name] for name in ("file_id", "chunk_id", "worker_id") if one[name])
        yield f"{one['kind']} {subject}: {one['explanation']}"
    total = sum(found["found"].values())
    if total > len(found["differences"]):
        yield f"... and {total - len(found['differences'])} more"
    checked = (f"{value} {name.replace('_', ' ')}" for name, value in found.items() if name.endswith(_COUNTED))
    yield f"{', '.join(checked)}: {total} differences"
    for kind, number in found["found"].items():
        yield f"  {kind}: {number}"
    if not found["is_verifying"]:
        yield "The replicas' bytes were not read; --verify does that."


_COUNTED = ("_checked", "_verified")
