"""Raw figures of a run over several sizes, as its JSON file holds them, made into medians, ratios and tables.

A figure of a round is compared with that of the smallest size in the same round, and of these ratios the median is
taken: what slows the machine down for a while then slows both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from benchmarks.operations import TITLES

MIB = 1024 * 1024
STORE_NAMES = {"sqlite": "SQLite", "mongodb": "MongoDB"}
Results = Mapping[str, Any]


def sizes_of(rounds: Sequence[Mapping[str, Any]]) -> list[str]:
    """The sizes measured, smallest first, as they stand in JSON."""
    return sorted(rounds[0], key=int)


def medians(rounds: Sequence[Mapping[str, Any]], group: str, name: str) -> list[float]:
    """For each size, the median over the rounds of the figure `name` in `group`."""
    return [median(one[size][group][name] for one in rounds) for size in sizes_of(rounds)]


def ratios(rounds: Sequence[Mapping[str, Any]], group: str, name: str) -> list[float]:
    """For each size, the median over the rounds of the figure divided by that at the smallest size."""
    smallest, *_ = sizes = sizes_of(rounds)
    return [median(one[size][group][name] / one[smallest][group][name] for one in rounds) for size in sizes]


def render(results: Results) -> str:
    """All tables of a run as Markdown."""
    parts = [_render_store(STORE_NAMES.get(name, name), store) for name, store in results["stores"].items()]
    if results.get("worker_start"):
        parts.append(_render_starts(results["worker_start"]["rounds"]))
    settings, machine = results["settings"], results["machine"]
    parts.append(
        f"Medians of {settings['rounds']} rounds of {settings['turns']} operations each, one client, durable;"
        f" in brackets: ratio to the smallest size. {machine['cores']} cores, {machine['system']},"
        f" Python {machine['python']}; {results['made_at']}."
    )
    return "\n\n".join(parts) + "\n"


def _render_store(title: str, store: Mapping[str, Any]) -> str:
    rounds = store["rounds"]
    sizes = sizes_of(rounds)
    heads = [f"{int(size):,} files".replace(",", " ") for size in sizes]
    lines = _table(f"{title}: ms", heads, [_time_row(rounds, name) for name in TITLES])
    nodes = list(rounds[0][sizes[0]]["resident_bytes"])
    return lines + "\n\n" + _table(f"{title}: resident MiB", heads, [_memory_row(rounds, node) for node in nodes])


def _time_row(rounds: Sequence[Mapping[str, Any]], name: str) -> list[str]:
    times, factors = medians(rounds, "milliseconds", name), ratios(rounds, "milliseconds", name)
    cells = [f"{time:.2f} ({factor:.2f})" for time, factor in zip(times[1:], factors[1:], strict=True)]
    return [TITLES[name], f"{times[0]:.2f}", *cells]


def _memory_row(rounds: Sequence[Mapping[str, Any]], node: str) -> list[str]:
    figures = [value / MIB for value in medians(rounds, "resident_bytes", node)]
    return [node, f"{figures[0]:.1f}", *(f"{figure:.1f} ({figure - figures[0]:+.1f})" for figure in figures[1:])]


def _render_starts(rounds: Sequence[Mapping[str, Any]]) -> str:
    heads = [f"{int(size):,} chunks".replace(",", " ") for size in sizes_of(rounds)]
    rows = [
        ["until it answers, s", *(f"{value:.2f}" for value in medians(rounds, "start", "health_seconds"))],
        ["until its first heartbeat, s", *(f"{value:.2f}" for value in medians(rounds, "start", "heartbeat_seconds"))],
        ["resident, MiB", *(f"{value / MIB:.1f}" for value in medians(rounds, "start", "resident_bytes"))],
    ]
    return _table("start of a worker", heads, rows)


def _table(title: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [f"| {title} | {' | '.join(heads)} |", "|---|" + "---:|" * len(heads)]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])
