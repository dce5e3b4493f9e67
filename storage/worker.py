"""The worker's entry point. `storage/worker_N/workerN.py` are its launchers."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from common.entry import parse_arguments, run_node


def main(worker_id: str, arguments: Sequence[str]) -> int:
    """Run one worker until it is stopped; returns the exit status."""
    options = parse_arguments(f"Run {worker_id}, which keeps chunks on this host's disk.", arguments, names_node=False)
    return run_node(
        "storage.wiring:build_worker",
        worker_id,
        port=lambda config: config.workers[worker_id].port,
        max_connections=lambda config: config.worker.max_connections,
        is_check=options.check,
    )


def launch(launcher: str) -> None:
    """Run the worker whose folder holds the file `launcher`."""
    sys.exit(main(Path(launcher).resolve().parent.name, sys.argv[1:]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else "", sys.argv[2:]))
