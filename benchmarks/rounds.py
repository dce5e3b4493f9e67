"""Run everything in interleaved rounds: in each, first the machine's limits, then the work on each system in turn."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from benchmarks import curl, limits, machine
from benchmarks.bench import Bench, Sources, make_sources
from benchmarks.cost import Cost
from benchmarks.options import FULL_ROUNDS, Options
from benchmarks.report import Run, SystemResults, add
from benchmarks.smallfiles import run_many, run_small
from benchmarks.systems import System, SystemFailed
from benchmarks.transfers import run_big, run_form, run_four

GIB = 1 << 30
# The big file three times, its sources, and the limits' files are on the disk at once.
NEEDED_BYTES = 12 * GIB
NEEDED_BYTES_QUICK = 2 * GIB


def run(options: Options, scratch: Path, systems: Sequence[System], check: Callable[[], None]) -> Run:
    """All rounds. Every system is started before the first round and stopped by the caller.

    check: called between the pieces of work; raises when the run is to be broken off.

    Raises SystemFailed or LoadFailed: a run with a wrong answer has no figures.
    """
    require_room(scratch, NEEDED_BYTES_QUICK if options.is_quick else NEEDED_BYTES)
    version = curl.require_curl()
    settings = {
        "rounds": options.rounds,
        "work": " ".join(options.works),
        "big file": f"{options.sizes.big_bytes >> 20} MiB",
    }
    if options.rounds < FULL_ROUNDS:
        settings["warning"] = f"fewer than {FULL_ROUNDS} rounds: a look, no result"
    done = Run(machine.describe(scratch, version), settings, machine.cores(), systems[0].replicas)
    with _sources_folder(scratch, 2 * options.sizes.big_bytes) as folder:
        sources = make_sources(folder, options.sizes.big_bytes)
        for system in systems:
            say(f"starting {system.name}")
            system.start()
            done.systems[system.name] = SystemResults(system.notes)
        for number in range(options.rounds):
            say(f"round {number + 1} of {options.rounds}: limits")
            add(done.limits, limits.measure(scratch / "limits", options.sizes))
            for system in systems:
                _run_system(options, system, sources, number == 0, done.systems[system.name], check)
    return done


@contextlib.contextmanager
def _sources_folder(scratch: Path, needed_bytes: int) -> Iterator[Path]:
    """Where the files stand that clients send: in memory where there is room, so that a client's disk is not measured
    along with the servers'.
    """
    in_memory = Path("/dev/shm")
    has_room = in_memory.is_dir() and shutil.disk_usage(in_memory).free > needed_bytes + GIB
    folder = Path(tempfile.mkdtemp(prefix="dfs-benchmark-", dir=in_memory if has_room else scratch))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def require_room(folder: Path, needed_bytes: int) -> None:
    """Raises SystemFailed at once rather than in the middle."""
    free = shutil.disk_usage(folder).free
    if free < needed_bytes:
        raise SystemFailed(
            f"{folder} has {free / GIB:.1f} GiB free, {needed_bytes / GIB:.0f} GiB are needed;"
            " make room, or name another folder with --scratch"
        )


def say(text: str) -> None:
    """Progress goes to standard error, so that standard output is the report."""
    print(text, file=sys.stderr, flush=True)


def _run_system(
    options: Options,
    system: System,
    sources: Sources,
    is_first: bool,
    results: SystemResults,
    check: Callable[[], None],
) -> None:
    # What others have left in the page cache is not written back during this system's work.
    os.sync()
    bench = Bench(system, Cost(system.services()), options.sizes, sources, is_first, peaks=results.peaks)
    for name, work in _pieces(options, bench):
        check()
        say(f"  {system.name}: {name}")
        work()
    bench.note_rest()
    add(results.samples, bench.figures)
    results.service_cpu.update(bench.service_cpu)
    results.client_cpu_us.update(bench.client_cpu_us)


def _pieces(options: Options, bench: Bench) -> list[tuple[str, Callable[[], None]]]:
    works = options.works
    is_raw, is_ranged = "raw" in works, "range" in works
    pieces: list[tuple[str, Callable[[], None]]] = []
    if is_raw or is_ranged:
        pieces.append(("one big file", lambda: run_big(bench, is_raw=is_raw, is_ranged=is_ranged)))
    rest: dict[str, Callable[[], None]] = {
        "form": lambda: run_form(bench),
        "four": lambda: run_four(bench),
        "small4": lambda: run_small(bench, "small4"),
        "small64": lambda: run_small(bench, "small64"),
        "many": lambda: run_many(bench),
    }
    return pieces + [(name, work) for name, work in rest.items() if name in works]
