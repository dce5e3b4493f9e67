"""Draw what a run of `--scale` measured, from its JSON file: `python -m benchmarks.plots FILE`.

The same file gives the same SVG, byte for byte. Needs matplotlib: `pip install -r requirements-benchmarks.txt`.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.operations import TITLES
from benchmarks.scale_report import MIB, STORE_NAMES, medians, ratios, sizes_of
from common.environment import PROJECT_ROOT

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_WIDTH, _HEIGHT = 11.0, 4.6
_GREY = "#666666"
# What docs/performance.md promises up to 10^6 files.
_AIM = 1.3
# Colours that are told apart also by those who do not see all of them (Okabe and Ito, "Color Universal Design", 2008).
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_DRAWN = ("put", "get", "stat_path", "stat_id", "page_large", "page_small", "page_folders", "delete", "open_upload")
_STARTS = (
    ("health_seconds", "until it answers", _COLOURS[0], "-"),
    ("heartbeat_seconds", "until its first heartbeat", _COLOURS[1], "--"),
)


class PlottingUnavailable(Exception):
    """matplotlib is not installed."""


def draw(results: Mapping[str, Any], folder: Path) -> list[Path]:
    """Write the plots of a run into `folder`; returns their files. Raises PlottingUnavailable."""
    folder.mkdir(parents=True, exist_ok=True)
    drawn = []
    for name, store in results["stores"].items():
        figure = _draw_store(STORE_NAMES.get(name, name), store["rounds"])
        drawn.append(_save(figure, folder / f"scale-{name}.svg"))
    if results.get("worker_start"):
        drawn.append(_save(_draw_starts(results["worker_start"]["rounds"]), folder / "worker-start.svg"))
    return drawn


def _draw_store(title: str, rounds: Sequence[Mapping[str, Any]]) -> Figure:
    figure, (times, factors, memory) = _new_figure(3)
    sizes = [int(size) for size in sizes_of(rounds)]
    for number, name in enumerate(_DRAWN):
        look: dict[str, Any] = {"marker": "os^"[number // len(_COLOURS)], "color": _COLOURS[number % len(_COLOURS)]}
        times.plot(sizes, medians(rounds, "milliseconds", name), label=TITLES[name], **look)
        factors.plot(sizes, ratios(rounds, "milliseconds", name), **look)
    factors.axhline(_AIM, color=_GREY, linestyle="--", linewidth=1)
    factors.text(sizes[0], _AIM, f"aim: {_AIM}", color=_GREY, fontsize=8, va="bottom")
    for number, node in enumerate(rounds[0][str(sizes[0])]["resident_bytes"]):
        figures = medians(rounds, "resident_bytes", node)
        memory.plot(sizes, [value / MIB for value in figures], marker="o", color=_COLOURS[number], label=node)
    _label(times, f"{title}: time of one operation", "files", "ms", is_log=True)
    _label(factors, "ratio to the smallest size", "files", "")
    _label(memory, "resident memory", "files", "MiB")
    factors.set_ylim(bottom=0)
    memory.set_ylim(bottom=0)
    memory.legend(loc="lower left", frameon=False, fontsize=8)
    figure.legend(*times.get_legend_handles_labels(), loc="lower center", ncol=3, frameon=False, fontsize=8)
    figure.subplots_adjust(bottom=0.28)
    return figure


def _draw_starts(rounds: Sequence[Mapping[str, Any]]) -> Figure:
    figure, (times, memory) = _new_figure(2)
    counts = [int(count) for count in sizes_of(rounds)]
    for name, label, colour, style in _STARTS:
        times.plot(counts, medians(rounds, "start", name), marker="o", color=colour, linestyle=style, label=label)
    resident = medians(rounds, "start", "resident_bytes")
    memory.plot(counts, [value / MIB for value in resident], marker="o", color=_COLOURS[0])
    _label(times, "start of a worker", "chunks", "s")
    _label(memory, "resident memory after it", "chunks", "MiB")
    times.set_ylim(bottom=0)
    memory.set_ylim(bottom=0)
    times.legend(loc="upper left", frameon=False, fontsize=8)
    figure.subplots_adjust(bottom=0.14)
    return figure


def _new_figure(panels: int) -> tuple[Figure, Sequence[Axes]]:
    """White background, so that it can be read on a dark page as well."""
    try:
        import matplotlib
    except ImportError as error:
        raise PlottingUnavailable(
            "matplotlib is not installed; to draw: pip install -r requirements-benchmarks.txt"
        ) from error
    matplotlib.use("Agg")
    # Text stays text, and the ids within the file depend on nothing but this.
    matplotlib.rcParams.update({"svg.hashsalt": "dfs", "svg.fonttype": "none", "font.size": 9})
    from matplotlib.figure import Figure

    figure = Figure(figsize=(_WIDTH, _HEIGHT), facecolor="white")
    axes = figure.subplots(1, panels)
    figure.subplots_adjust(left=0.06, right=0.99, top=0.92, wspace=0.22)
    return figure, list(axes)


def _label(axes: Axes, title: str, x: str, y: str, *, is_log: bool = False) -> None:
    axes.set_title(title, fontsize=10, loc="left")
    axes.set_xscale("log")
    if is_log:
        axes.set_yscale("log")
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.grid(visible=True, color="#dddddd", linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)


def _save(figure: Figure, path: Path) -> Path:
    figure.savefig(path, format="svg", metadata={"Date": None, "Creator": None})
    return path


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.plots", description="Draw what --scale measured.")
    parser.add_argument("files", nargs="+", type=Path, help="JSON files of --scale")
    parser.add_argument("--into", type=Path, default=PROJECT_ROOT / "docs" / "performance", metavar="FOLDER")
    options = parser.parse_args(arguments)
    try:
        for file in options.files:
            for path in draw(json.loads(file.read_text(encoding="utf-8")), options.into):
                print(path)
    except PlottingUnavailable as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
