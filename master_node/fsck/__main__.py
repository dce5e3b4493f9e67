"""The command `python3 -m master_node.fsck`: have the masters check everything, and print what they find.

Each difference is one line: its kind, what it is about, and what will happen. Exit status: 0 nothing differs,
1 something does, 2 the check could not be made.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TextIO

from common.clock import Clock, SystemClock
from common.config import Config
from common.entry import load_or_explain
from common.errors import CannotStart, DFSError, Unavailable
from common.http import HttpPool
from common.master_client import MasterClient
from master_node.fsck.check import Check
from master_node.fsck.differences import EXPECTED

CLEAN, DIFFERENT, FAILED = 0, 1, 2
POLL_SECONDS = 0.5
# How long the check may stand still, such as between two leaders.
PATIENCE_SECONDS = 120.0


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python3 -m master_node.fsck", description="Compare every record with every disk; nothing is changed."
    )
    parser.add_argument(
        "--verify", action="store_true", help="also read every replica again: slow, and damaged ones are quarantined"
    )
    options = parser.parse_args(arguments)
    config = load_or_explain()
    if config is None:
        return FAILED
    clock = SystemClock()
    try:
        pool = HttpPool.of(config)
    except CannotStart as error:
        print(f"The check could not be made: {error}", file=sys.stderr)
        return FAILED
    try:
        found = run_check(_masters(config, pool, clock), clock, is_verifying=options.verify, notes=sys.stderr)
    except DFSError as error:
        print(f"The check could not be made: {error.detail}", file=sys.stderr)
        return FAILED
    finally:
        pool.close()
    for line in report_lines(found):
        print(line)
    return DIFFERENT if found["found"] else CLEAN


def run_check(masters: MasterClient, clock: Clock, *, is_verifying: bool, notes: TextIO) -> Mapping[str, Any]:
    """Ask for a check and wait until it is over; returns what it found.

    notes: where its progress is printed. Raises NoMasterAnswers, and Unavailable when the check stands still.
    """
    answer = masters.start_fsck(is_verifying)
    before: Mapping[str, Any] = {}
    moved_at = clock.monotonic()
    while answer["is_requested"] or not answer["progress"].get("finished_at"):
        if answer["progress"] != before:
            before, moved_at = answer["progress"], clock.monotonic()
            print(_describe(answer), file=notes)
        elif clock.monotonic() - moved_at >= PATIENCE_SECONDS:
            raise Unavailable(
                f"no progress for {PATIENCE_SECONDS:g} s; {answer['last_error'] or 'does a master lead?'}"
            )
        clock.sleep(POLL_SECONDS)
        answer = masters.fsck()
    progress: Mapping[str, Any] = answer["progress"]
    return progress


def report_lines(found: Mapping[str, Any]) -> Iterator[str]:
    """What the check found, for people: each difference that is listed, then the sums."""
    for one in found["differences"]:
        subject = " ".join(one[name] for name in ("file_id", "chunk_id", "worker_id") if one[name])
        yield f"{one['kind']} {subject}: {one['explanation']}"
    total = sum(found["found"].values())
    if total > len(found["differences"]):
        yield f"... and {total - len(found['differences'])} more"
    counted = ", ".join(f"{found[name]} {name.replace('_', ' ')}" for name in Check.COUNTERS)
    yield f"{counted}: {total} differences"
    for kind, number in found["found"].items():
        yield f"  {kind}: {number}"
    for kind, number in found["expected"].items():
        yield f"  not counted as a difference: {number} {EXPECTED.get(kind, kind)}"
    if not found["is_verifying"]:
        yield "The replicas' bytes were not read; --verify does that."


def _masters(config: Config, pool: HttpPool, clock: Clock) -> MasterClient:
    return MasterClient(
        pool,
        list(config.master_urls().values()),
        clock,
        timeout_seconds=config.gateway.master_timeout_seconds,
        deadline_seconds=config.gateway.master_deadline_seconds,
    )


def _describe(answer: Mapping[str, Any]) -> str:
    progress = answer["progress"]
    if answer["is_requested"]:
        return "waiting for the leader to begin"
    counted = ", ".join(f"{progress.get(name, 0)} {name.replace('_', ' ')}" for name in Check.COUNTERS)
    return f"checking {progress.get('stage')}: {counted}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
