"""The command `python3 -m master_node.rebuild`: bring restored records up to what the workers' disks hold.

After `python3 -m master_node.restore`, with every worker running; the masters may run. Every file that the backup knew
is checked, and every version on the disks that it did not know is named: found, and a file again, or lost. At the end
the hold is lifted, and what nobody knows is freed in the course of things. Exit status: 0 nothing is lost, 1 something
is, 2 the rebuild could not be made; it can be begun again at any time.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence

from common.clock import Clock, SystemClock
from common.config import Config
from common.entry import load_or_explain
from common.errors import CannotStart, DFSError
from common.http import HttpPool
from common.worker_client import WorkerClient
from master_node.recovery.disks import Disks
from master_node.recovery.findings import EXPLANATIONS, INTACT, Finding, Findings
from master_node.recovery.hold import HoldState, lift_hold, read_hold
from master_node.recovery.known import KnownFiles
from master_node.recovery.strangers import Strangers
from master_node.store.base import MetadataStore
from master_node.wiring import open_store

CLEAN, LOSSES, FAILED = 0, 1, 2
WORKER_TIMEOUT_SECONDS = 60.0
# What no disk can tell.
NEVER_FOUND = (
    "Not to be found on any disk: renames, deletes and restores made after the backup, and empty files and folders "
    "that an earlier release stored. A file that was taken out of the trash after the backup is in the trash again. "
    "What was found may have been deleted, or never acknowledged, before the records were lost."
)


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python3 -m master_node.rebuild", description="Bring restored records up to what the workers' disks hold."
    )
    parser.add_argument("--verify", action="store_true", help="have every replica read again by its worker: slow")
    parser.add_argument("--without", action="append", default=[], metavar="WORKER", help="do not ask this worker")
    parser.add_argument("--all", action="store_true", help="also name the files that are intact")
    parser.add_argument("--json", action="store_true", help="one JSON object a line, every file and then the sums")
    parser.add_argument("--end", action="store_true", help="lift the hold, and do nothing else")
    options = parser.parse_args(arguments)
    config = load_or_explain()
    if config is None:
        return FAILED
    clock = SystemClock()
    try:
        store = open_store(config)
        try:
            if not options.end:
                return rebuild(config, store, options, clock)
            lift_hold(store, clock)
            return CLEAN
        finally:
            store.close()
    except (DFSError, CannotStart) as error:
        print(f"The rebuild is not over: {error}", file=sys.stderr)
        return FAILED


def rebuild(config: Config, store: MetadataStore, options: argparse.Namespace, clock: Clock) -> int:
    """Carry the command out; returns the exit status. Raises DFSError where a worker does not answer."""
    hold = read_hold(store)
    if not hold.is_held:
        print("Nothing was restored: python3 -m master_node.restore comes first.", file=sys.stderr)
        return FAILED
    if unknown := set(options.without) - set(config.workers):
        print(f"No such worker: {', '.join(sorted(unknown))}", file=sys.stderr)
        return FAILED
    pool = HttpPool.of(config)
    try:
        urls = {name: node.url for name, node in config.workers.items() if name not in options.without}
        disks = Disks(WorkerClient(pool, timeout_seconds=WORKER_TIMEOUT_SECONDS), urls)
        findings = Findings(lambda finding: _print(finding, options))
        adopted = _run(config, store, disks, hold, options, findings, clock)
    finally:
        pool.close()
    if options.without:
        print("The hold stays, for not every worker was asked. --end lifts it.", file=sys.stderr)
    else:
        lift_hold(store, clock)
    _print_sums(findings, adopted, options)
    return LOSSES if findings.has_losses else CLEAN


def _run(
    config: Config,
    store: MetadataStore,
    disks: Disks,
    hold: HoldState,
    options: argparse.Namespace,
    findings: Findings,
    clock: Clock,
) -> int:
    known = KnownFiles(store, disks, is_verifying=options.verify)
    strangers = Strangers(
        store,
        disks,
        clock,
        stale_before=hold.clock_seconds,
        chunk_size_bytes=config.cluster.chunk_size_bytes,
        replication_factor=config.cluster.replication_factor,
    )
    # All disks are looked through before anything is changed.
    strangers.collect()
    known.compare_chunks()
    known.judge_files(findings, strangers)
    strangers.bring_back(findings)
    return known.adopted_count


def _print(finding: Finding, options: argparse.Namespace) -> None:
    if options.json:
        print(json.dumps(finding.to_json(), ensure_ascii=False))
    elif options.all or finding.kind != INTACT:
        print(finding.to_line())


def _print_sums(findings: Findings, adopted: int, options: argparse.Namespace) -> None:
    if options.json:
        print(json.dumps({"kind": "sums", "counts": dict(findings.counts), "adopted_replicas": adopted}))
        return
    for kind, explanation in EXPLANATIONS.items():
        print(f"{findings.counts[kind]:8} {kind}: {explanation}")
    print(f"{adopted:8} replicas that the backup did not know count again")
    print(NEVER_FOUND)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
