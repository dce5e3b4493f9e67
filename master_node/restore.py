"""The command `python3 -m master_node.restore <folder>`: put a backup of the masters' records in place.

No master may run. What was there before is moved aside, never deleted. From here on nothing is freed until
`python3 -m master_node.rebuild` has compared the records with the workers' disks. Exit status: 0 done, 2 nothing was
changed, or the message says how far it came.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from common.clock import Clock, SystemClock
from common.config import Config
from common.entry import load_or_explain
from common.errors import CannotStart, DFSError, MetadataUnavailable
from common.http import HttpPool
from master_node.election import NOBODY
from master_node.model import Lease
from master_node.recovery import mongo_tools
from master_node.recovery.copies import (
    MONGODB,
    SQLITE,
    BackupUnusable,
    Manifest,
    check_sqlite,
    put_in_place,
    read_manifest,
    set_aside,
)
from master_node.recovery.hold import HoldState, write_hold
from master_node.store.base import MetadataStore
from master_node.wiring import open_store

DONE, FAILED = 0, 2
CONNECTION_FILE = "connection.yaml"
# Far more leaderships than there can have been since any backup: workers obey no epoch below one that they obeyed.
EPOCH_JUMP = 1_000_000
ANSWER_SECONDS = 2.0
# A lease that stood still for so many times its length is nobody's.
STILL_LEASES = 2.0


class MasterRuns(Exception):
    """A master is running, so its database must not be exchanged."""


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python3 -m master_node.restore", description="Put a backup of the masters' records in place."
    )
    chosen = parser.add_mutually_exclusive_group(required=True)
    chosen.add_argument("folder", type=Path, nargs="?", help="what python3 -m master_node.backup has made")
    chosen.add_argument("--empty", action="store_true", help="there is no backup: begin with an empty database")
    parser.add_argument("--force", action="store_true", help="move a database that is there aside")
    parser.add_argument("--in-place", action="store_true", help="MongoDB: the records were put back by hand already")
    options = parser.parse_args(arguments)
    config = load_or_explain()
    if config is None:
        return FAILED
    try:
        return restore(config, options, SystemClock())
    except (DFSError, CannotStart, BackupUnusable, MasterRuns, OSError) as error:
        print(f"Not restored: {error}", file=sys.stderr)
        return FAILED


def restore(config: Config, options: argparse.Namespace, clock: Clock) -> int:
    """Carry the command out; returns the exit status."""
    require_no_master(config, clock)
    wanted = MONGODB if config.cluster.mongo_uri else SQLITE
    manifest = Manifest("", wanted) if options.empty else read_manifest(options.folder)
    if manifest.store != wanted:
        raise BackupUnusable(f"the backup is one of {manifest.store}, and the masters are configured for {wanted}")
    if wanted == MONGODB:
        if not _restore_mongo(config, options):
            return FAILED
    else:
        _restore_sqlite(config, options, manifest, clock)
    store = open_store(config)
    try:
        begin_recovery(store, manifest.made_at, clock)
    finally:
        store.close()
    print("Restored. Start the workers, then run: python3 -m master_node.rebuild")
    print("The masters may be started at any time; until the rebuild is over nothing is freed.")
    return DONE


def begin_recovery(store: MetadataStore, backup_made_at: str, clock: Clock) -> None:
    """Make the restored records safe to lead with: nothing is freed, every order is obeyed, every disk compared."""
    lease = store.read_lease()
    clock_seconds = lease.clock_seconds if lease is not None else 0.0
    for worker in store.list_workers():
        store.want_inventory(worker.worker_id)
    write_hold(store, HoldState(True, clock_seconds, backup_made_at), clock)
    # Not relaxed, so that it makes what was written before it last as well.
    epoch = (lease.epoch if lease is not None else 0) + EPOCH_JUMP
    if not store.swap_lease(lease, Lease(NOBODY, epoch, 0, clock_seconds)):
        raise MasterRuns("somebody has changed the restored lease; is a master running?")


def require_no_master(config: Config, clock: Clock) -> None:
    """Raise MasterRuns where a master answers, or the lease is being renewed by one that cannot be reached."""
    pool = HttpPool.of(config)
    try:
        for name, url in config.master_urls().items():
            if _answers(pool, f"{url}/health"):
                raise MasterRuns(f"{name} runs at {url}; stop every master first")
    finally:
        pool.close()
    if not config.cluster.mongo_uri and not config.sqlite_path().exists():
        return
    try:
        store = open_store(config)
    except MetadataUnavailable:
        # A damaged database is a reason to restore one.
        return
    try:
        before = store.read_lease()
        if before is not None:
            clock.sleep(STILL_LEASES * config.master.lease_seconds)
            if store.read_lease() != before:
                raise MasterRuns(f"{before.holder} renews its lease; stop every master first")
    except MetadataUnavailable:
        return
    finally:
        store.close()


def _answers(pool: HttpPool, url: str) -> bool:
    try:
        with pool.call("GET", url, timeout_seconds=ANSWER_SECONDS) as answer:
            answer.read()
    except DFSError as error:
        # Any answer of its own is one; what cannot be reached is not there.
        return error.status != 502
    return True


def _restore_sqlite(config: Config, options: argparse.Namespace, manifest: Manifest, clock: Clock) -> None:
    database = config.sqlite_path()
    if not options.empty:
        check_sqlite(options.folder, manifest)
    if database.exists() and not options.force:
        raise BackupUnusable(f"there is a database at {database}; --force moves it aside")
    suffix = f"before-{clock.timestamp().replace(':', '')}"
    aside = set_aside(database, suffix) if options.empty else put_in_place(options.folder, database, suffix)
    for path in aside:
        print(f"moved aside: {path}")


def _restore_mongo(config: Config, options: argparse.Namespace) -> bool:
    """Whether the records are in the database now."""
    if options.in_place:
        return True
    if not options.force and not _is_empty(config):
        raise BackupUnusable("the database is not empty; --force drops its collections, back it up before")
    if options.empty:
        raise BackupUnusable("drop the database by hand, then give --empty with --in-place")
    command = mongo_tools.restore_command(config, options.folder, CONNECTION_FILE)
    if not mongo_tools.is_installed(command):
        print(
            "mongorestore is not installed here. On a host that has it, with a file connection.yaml that says", end=" "
        )
        print("uri: <your DFS_MONGO_URI>, run what follows; then give this command again with --in-place:")
        print(f"  {shlex.join(command)}")
        return False
    mongo_tools.run(config, command, CONNECTION_FILE)
    return True


def _is_empty(config: Config) -> bool:
    store = open_store(config)
    try:
        return not store.scan_files("", "~", 1) and store.read_lease() is None
    finally:
        store.close()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
