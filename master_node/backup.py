"""The command `python3 -m master_node.backup <folder>`: copy the masters' records while the masters run.

Exit status: 0 the backup is made and checked, 2 it is not. Restore it with `python3 -m master_node.restore`.
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
from common.errors import DFSError
from master_node.recovery import mongo_tools
from master_node.recovery.copies import MONGODB, BackupUnusable, Manifest, back_up_sqlite, make_empty

DONE, FAILED = 0, 2
CONNECTION_FILE = "connection.yaml"


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python3 -m master_node.backup", description="Copy the masters' records; the masters may run."
    )
    parser.add_argument("folder", type=Path, help="a new or empty folder for the backup")
    options = parser.parse_args(arguments)
    config = load_or_explain()
    if config is None:
        return FAILED
    try:
        return back_up(config, options.folder, SystemClock())
    except (DFSError, BackupUnusable, OSError) as error:
        print(f"No backup was made: {error}", file=sys.stderr)
        return FAILED


def back_up(config: Config, folder: Path, clock: Clock) -> int:
    """Make the backup, or say how; returns the exit status. Raises DFSError, BackupUnusable, OSError."""
    if config.cluster.mongo_uri:
        return _back_up_mongo(config, folder, clock)
    manifest = back_up_sqlite(config.sqlite_path(), folder, clock.timestamp())
    counts = ", ".join(f"{count} {name}" for name, count in (manifest.counts or {}).items())
    print(f"{folder}: {manifest.size_bytes} bytes, {counts}; checked, SHA-256 {manifest.sha256}")
    return DONE


def _back_up_mongo(config: Config, folder: Path, clock: Clock) -> int:
    command = mongo_tools.dump_command(config, folder, CONNECTION_FILE)
    if not mongo_tools.is_installed(command):
        print("mongodump is not installed here. On a host that has it, with a file connection.yaml that says", end=" ")
        print("uri: <your DFS_MONGO_URI>, run:")
        print(f"  {shlex.join(command)}")
        return FAILED
    make_empty(folder)
    mongo_tools.run(config, command, CONNECTION_FILE)
    Manifest(clock.timestamp(), MONGODB).write(folder)
    print(f"{folder}: made by mongodump")
    return DONE


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
