"""Measure the system and the machine under it: `python -m benchmarks`; `--help` says what can be chosen.

Everything runs in a scratch folder and on free ports; nothing of the project's own databases or chunks is touched.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks import report, rounds, table
from benchmarks.figures import catalogue
from benchmarks.interrupts import Interrupts
from benchmarks.load import LoadFailed
from benchmarks.nodes import DfsSystem
from benchmarks.options import Options, add_common_options, parse
from benchmarks.swift import SwiftSystem
from benchmarks.systems import System, SystemFailed
from benchmarks.together import TaskFailed

ROOT = Path(__file__).resolve().parent.parent


def main(arguments: Sequence[str]) -> int:
    """Returns the exit status: 1 when something could not be measured, 130 after Ctrl-C."""
    if "--scale" in arguments:
        return _run_scale([argument for argument in arguments if argument != "--scale"])
    options = parse(arguments)
    interrupts = Interrupts()
    interrupts.install()
    try:
        with _scratch_folder(options) as scratch:
            document = _measure(options, scratch, interrupts)
    except (SystemFailed, LoadFailed, TaskFailed, subprocess.TimeoutExpired) as error:
        print(f"The benchmark cannot go on: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Broken off; everything that was started is stopped.", file=sys.stderr)
        return 130
    print(table.render(document, catalogue(options.sizes)))
    if options.json_path:
        options.json_path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    return 0


def _measure(options: Options, scratch: Path, interrupts: Interrupts) -> dict[str, object]:
    systems: list[System] = [DfsSystem(scratch / "dfs")]
    if options.peer:
        systems.append(SwiftSystem(scratch / "swift"))
    try:
        run = rounds.run(options, scratch, systems, interrupts.check)
    finally:
        interrupts.ignore()
        for system in systems:
            system.stop()
    run.settings["command"] = "python -m benchmarks " + " ".join(sys.argv[1:])
    return report.to_json(run, catalogue(options.sizes))


@contextlib.contextmanager
def _scratch_folder(options: Options) -> Iterator[Path]:
    """A new folder, removed at the end; by default beside the project's files, so on the disk that it would use."""
    parent = options.scratch or ROOT
    parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=".benchmark-", dir=parent))
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _run_scale(arguments: Sequence[str]) -> int:
    """How cost grows with the number of files: a program of its own, with some options of its own."""
    try:
        scale = importlib.import_module("benchmarks.scale")
    except ModuleNotFoundError as error:
        print(f"--scale cannot be run: {error}", file=sys.stderr)
        return 2
    parser = argparse.ArgumentParser(prog="python -m benchmarks --scale", description=scale.__doc__)
    add_common_options(parser)
    scale.add_options(parser)
    return int(scale.run(parser.parse_args(arguments)) or 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
