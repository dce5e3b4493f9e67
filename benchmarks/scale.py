"""How cost grows with the number of files, and a worker's start with the number of its chunks.

    python -m benchmarks --scale [--mongo URI] [--json FILE]

Databases of every size are filled first. Then, round by round, a cluster is started over each of them, all at once
(nine processes a size), and one client measures them in turn through their gateways. Everything lies in a scratch
folder that is removed at the end.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.databases import Database, measure_round, mongo_database, sqlite_database
from benchmarks.homes import Ports, scratch_folder
from benchmarks.scale_report import render
from benchmarks.worker_start import HeartbeatEar, WorkerHome
from common.clock import SystemClock

SIZES = (1_000, 10_000, 100_000, 1_000_000)
CHUNK_COUNTS = (1_000, 10_000, 100_000)
ROUNDS, TURNS = 3, 100
Make = Callable[[Path, Ports, int], Database]


@dataclass(frozen=True)
class Plan:
    """What is measured. turns: how often each operation is done per size and round; mongo: URI, empty for none."""

    sizes: Sequence[int] = SIZES
    chunk_counts: Sequence[int] = CHUNK_COUNTS
    rounds: int = ROUNDS
    turns: int = TURNS
    mongo: str = ""
    scratch: Path | None = None


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options that only this benchmark has."""
    parser.add_argument("--mongo", default="", metavar="URI", help="measure on this MongoDB server as well")
    parser.add_argument("--sizes", type=_numbers, default=SIZES, metavar="N,N", help="numbers of files")
    parser.add_argument("--chunk-counts", type=_numbers, default=CHUNK_COUNTS, metavar="N,N", help="chunks of a worker")
    parser.add_argument("--turns", type=int, default=TURNS, help="operations of each kind per size and round")


def run(options: argparse.Namespace) -> int:
    """Measure what the options say, print the tables, write the JSON file; returns the exit status."""
    plan = Plan(
        getattr(options, "sizes", SIZES),
        getattr(options, "chunk_counts", CHUNK_COUNTS),
        getattr(options, "rounds", None) or ROUNDS,
        getattr(options, "turns", TURNS),
        getattr(options, "mongo", ""),
        getattr(options, "scratch", None),
    )
    results = measure(plan)
    print(render(results))
    if options.json:
        Path(options.json).write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    return 0


def measure(plan: Plan) -> dict[str, Any]:
    """Everything that the plan names; the results as they stand in the JSON file."""
    stores: dict[str, Make] = {"sqlite": sqlite_database}
    if plan.mongo:
        stores["mongodb"] = lambda folder, ports, size: mongo_database(folder, ports, size, plan.mongo)
    ports = Ports()
    with scratch_folder(plan.scratch) as scratch:
        return {
            "benchmark": "scale",
            "made_at": SystemClock().timestamp(),
            "machine": {
                "cores": os.cpu_count(),
                "system": f"{platform.system()} {platform.release()}",
                "python": platform.python_version(),
            },
            "settings": {"rounds": plan.rounds, "turns": plan.turns},
            "stores": {name: _measure_store(name, make, plan, scratch, ports) for name, make in stores.items()},
            "worker_start": _measure_starts(plan, scratch, ports) if plan.chunk_counts else None,
        }


def _measure_store(name: str, make: Make, plan: Plan, scratch: Path, ports: Ports) -> dict[str, Any]:
    with ExitStack() as made:
        databases = []
        for size in plan.sizes:
            _say(f"{name}: filling a database with {size} files")
            databases.append(make(scratch, ports, size))
            made.callback(databases[-1].remove)
        rounds = []
        for number in range(plan.rounds):
            _say(f"{name}: round {number + 1} of {plan.rounds}")
            figures = measure_round(databases, plan.turns)
            rounds.append({str(size): asdict(figure) for size, figure in figures.items()})
        return {"fill_seconds": {str(one.size): one.fill_seconds for one in databases}, "rounds": rounds}


def _measure_starts(plan: Plan, scratch: Path, ports: Ports) -> dict[str, Any]:
    ear = HeartbeatEar()
    try:
        homes = {}
        for count in plan.chunk_counts:
            _say(f"worker: writing {count} chunks")
            homes[count] = WorkerHome(scratch / f"worker_{count}", ports, count, ear)
        return {
            "rounds": [
                {str(count): {"start": asdict(home.start_once())} for count, home in homes.items()}
                for _ in range(plan.rounds)
            ]
        }
    finally:
        ear.close()


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(",") if part)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description="How cost grows with the files.")
    add_options(parser)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--json", default="", metavar="FILE", help="write all figures there")
    parser.add_argument("--scratch", type=Path, default=None, metavar="FOLDER", help="where everything lies meanwhile")
    # Whoever ends this with SIGTERM gets the same cleaning up as with Ctrl-C.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    return run(parser.parse_args(arguments))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
