"""What a run does: rounds, sizes, counts, and where; from the command line, with a tiny variant for a quick look."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

MIB = 1024 * 1024
KIB = 1024
WORKS = ("raw", "range", "form", "four", "small4", "small64", "many")
FULL_ROUNDS = 5
_DESCRIPTION = "Measure a cluster of its own against the limits of this machine; print one table."


@dataclass(frozen=True)
class Sizes:
    """How much of everything a round does. Sizes in bytes, times in seconds."""

    big_bytes: int
    small_clients: tuple[int, ...]
    most_puts: int
    small_seconds: float
    idle_seconds: float
    range_count: int
    many_bytes: int
    many_clients: int
    many_idle: int
    disk_bytes_per_process: int
    durable_files: int
    loopback_bytes: int
    exchanges: int
    memory_bytes: int


def full_sizes(big_mib: int) -> Sizes:
    """What stands in docs/performance.md, with big_mib = 1024."""
    return Sizes(
        big_bytes=big_mib * MIB,
        small_clients=(1, 8, 32),
        most_puts=8000,
        small_seconds=2.5,
        idle_seconds=3.0,
        range_count=1000,
        many_bytes=16 * MIB,
        many_clients=64,
        many_idle=500,
        disk_bytes_per_process=512 * MIB,
        durable_files=400,
        loopback_bytes=2048 * MIB,
        exchanges=10_000,
        memory_bytes=256 * MIB,
    )


def quick_sizes() -> Sizes:
    """Everything once and tiny: shows that it runs, measures nothing of worth."""
    return Sizes(
        big_bytes=8 * MIB,
        small_clients=(1, 8),
        most_puts=50,
        small_seconds=0.2,
        idle_seconds=0.5,
        range_count=20,
        many_bytes=256 * KIB,
        many_clients=4,
        many_idle=10,
        disk_bytes_per_process=8 * MIB,
        durable_files=10,
        loopback_bytes=16 * MIB,
        exchanges=200,
        memory_bytes=16 * MIB,
    )


@dataclass(frozen=True)
class Options:
    """The command line, checked."""

    rounds: int
    works: tuple[str, ...]
    sizes: Sizes
    json_path: Path | None
    peer: str
    scratch: Path | None
    is_quick: bool


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="python -m benchmarks", description=_DESCRIPTION)
    add_common_options(made)
    made.add_argument("--only", nargs="+", choices=WORKS, metavar="WORK", help=f"some of: {' '.join(WORKS)}")
    made.add_argument("--size-mib", type=_size_mib, default=1024, help="size of the big file; default 1024")
    made.add_argument("--peer", choices=("swift",), default="", help="the same work on OpenStack Swift, interleaved")
    made.add_argument("--quick", action="store_true", help="tiny sizes, one round: a look whether it runs")
    made.add_argument("--scale", action="store_true", help="how cost grows with the files instead; has its own --help")
    return made


def add_common_options(made: argparse.ArgumentParser) -> None:
    """What every benchmark that runs in rounds can be told."""
    made.add_argument("--rounds", type=_at_least_one, help=f"interleaved rounds; default {FULL_ROUNDS}, 1 with --quick")
    made.add_argument("--json", type=Path, metavar="FILE", help="write every figure there")
    made.add_argument("--scratch", type=Path, help="folder for all data; default: a new one among the project's files")


def parse(arguments: Sequence[str]) -> Options:
    """Exits with a message, as argparse does, where the command line is wrong."""
    given = parser().parse_args(arguments)
    return Options(
        rounds=given.rounds or (1 if given.quick else FULL_ROUNDS),
        works=tuple(work for work in WORKS if not given.only or work in given.only),
        sizes=quick_sizes() if given.quick else full_sizes(given.size_mib),
        json_path=given.json,
        peer=given.peer,
        scratch=given.scratch,
        is_quick=given.quick,
    )


def _at_least_one(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


def _size_mib(text: str) -> int:
    number = int(text)
    if number < 8 or number % 4:
        raise argparse.ArgumentTypeError("must be at least 8 and a multiple of 4")
    return number
