"""MongoDB's own tools, mongodump and mongorestore: which command is right, and running it where it is installed.

The connection string, which may hold a password, never appears on a command line: the tools read it from a file.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from common.config import Config
from common.errors import MetadataUnavailable

DUMP_FOLDER = "dump"


def dump_command(config: Config, folder: Path, connection_file: str) -> list[str]:
    """What copies the masters' database into `folder`; not as of one moment, which the rebuild evens out."""
    return [
        "mongodump",
        f"--config={connection_file}",
        f"--db={config.cluster.mongo_database}",
        f"--out={folder / DUMP_FOLDER}",
    ]


def restore_command(config: Config, folder: Path, connection_file: str) -> list[str]:
    """What puts the dump in `folder` back; collections of the same names are dropped first."""
    name = config.cluster.mongo_database
    return [
        "mongorestore",
        f"--config={connection_file}",
        "--drop",
        "--writeConcern={w: 'majority', j: true}",
        f"--nsInclude={name}.*",
        str(folder / DUMP_FOLDER),
    ]


def is_installed(command: Sequence[str]) -> bool:
    return shutil.which(command[0]) is not None


def run(config: Config, command: Sequence[str], connection_file: str) -> None:
    """Run it, with the connection string in a file that only this user can read; raises MetadataUnavailable."""
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", suffix=".yaml") as file:
        # A YAML string in single quotes: only the quote itself is special.
        quoted = config.cluster.mongo_uri.replace("'", "''")
        file.write(f"uri: '{quoted}'\n")
        file.flush()
        filled = [part.replace(connection_file, file.name) for part in command]
        finished = subprocess.run(filled, check=False)
    if finished.returncode:
        raise MetadataUnavailable(f"{command[0]} ended with status {finished.returncode}")
