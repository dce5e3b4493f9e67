"""Medians, ratios and derivations are what their words say, and the table shows them."""

from __future__ import annotations

import json

import pytest

from benchmarks.derive import derive
from benchmarks.figures import catalogue
from benchmarks.limits import MEASURED
from benchmarks.options import parse, quick_sizes
from benchmarks.report import Run, SystemResults, add, to_json
from benchmarks.table import number, render

LIMITS = dict.fromkeys(MEASURED, 1.0) | {
    "disk_write_direct": 1500.0,
    "disk_read_direct": 900.0,
    "disk_read_cold": 1200.0,
    "loopback_send_cpu": 0.2,
    "loopback_receive_cpu": 0.1,
    "cached_read_cpu": 0.15,
    "xxh3": 20_000.0,
    "exchange": 12_000.0,
    "exchange_cpu": 50.0,
    "durable_five": 4_500.0,
    "durable_each_of_three": 1_000.0,
    "append_synced": 4_000.0,
}


def a_run(*rounds: dict[str, float], peer: dict[str, float] | None = None) -> Run:
    run = Run({"processor": "2 x one"}, {"rounds": len(rounds)}, cores=2, replicas=3)
    run.systems["dfs"] = SystemResults(("a note",), peaks={"gateway": 100_000_000})
    for figures in rounds:
        add(run.limits, LIMITS)
        add(run.systems["dfs"].samples, figures)
    if peer is not None:
        run.systems["swift"] = SystemResults()
        add(run.systems["swift"].samples, peer)
    return run


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("raw.upload", 1500 / 3),
        ("four.upload", 1500 / 3),
        ("raw.download_disk", 1200),
        # 2 x (0.2 + 0.1) + 0.15 + 1000 / 20,000 = 0.8 CPU seconds for a GB, on two cores.
        ("raw.download_cached", 2500),
        ("small4.put_8", 1500),
        ("small4.put_1", 1 / (0.001 + 0.00025 + 4 / 12_000)),
        ("small4.get_1", 4000),
        ("small64.get_32", 2 / (3 * 50e-6)),
        ("small4.delete_1", 1 / (0.00025 + 2 / 12_000)),
    ],
)
def test_a_limit_is_derived_as_its_formula_says(key: str, value: float) -> None:
    limit = derive(LIMITS, cores=2, replicas=3)[key]
    assert limit.value == pytest.approx(value)
    assert limit.formula


def test_every_limit_belongs_to_a_figure() -> None:
    assert set(derive(LIMITS, 2, 3)) <= set(catalogue(parse([]).sizes))


def test_figures_are_medians_with_their_range_and_the_ratio_to_the_limit() -> None:
    run = a_run({"raw.upload": 200.0}, {"raw.upload": 400.0}, {"raw.upload": 250.0})
    entry = to_json(run, catalogue(quick_sizes()))["systems"]["dfs"]["figures"]["raw.upload"]
    assert (entry["median"], entry["min"], entry["max"]) == (250.0, 200.0, 400.0)
    assert (entry["limit"], entry["ratio"], entry["unit"]) == (500.0, 0.5, "MB/s")
    assert "disk_write_direct" in entry["derivation"]


def test_ratios_between_figures_say_what_stands_above() -> None:
    run = a_run({"range.range_ms": 3.0, "range.file_ms": 2.0, "many.crowd": 80.0, "many.few": 100.0})
    assert list(to_json(run, catalogue(quick_sizes()))["ratios"]["dfs"].values()) == [1.5, 0.8]


def test_the_peer_is_compared_in_what_both_have() -> None:
    run = a_run(
        {"raw.upload": 500.0, "form.upload": 1.0, "many.busy": 1.0}, peer={"raw.upload": 200.0, "many.busy": 0.0}
    )
    document = to_json(run, catalogue(quick_sizes()))
    assert document["against_peer"] == {"raw.upload": 2.5}
    assert "2.5 x" in render(document, catalogue(quick_sizes()))


def test_the_table_shows_every_figure_limit_note_and_derivation() -> None:
    run = a_run({"raw.upload": 250.0, "memory.resident": 467.0})
    document = json.loads(json.dumps(to_json(run, catalogue(quick_sizes()))))
    text = render(document, catalogue(quick_sizes()))
    for expected in ("upload 8 MiB, raw", "467", "* a note", "disk_write_direct / 3 replicas", "100 MB", *MEASURED):
        assert expected in text
    assert "Against the peer" not in text


@pytest.mark.parametrize(
    ("value", "text"), [(1234.5, "1,234"), (99.94, "99.9"), (0.12345, "0.123"), (0.0, "0"), (5, "5")]
)
def test_numbers_have_three_figures_that_mean_something(value: float, text: str) -> None:
    assert number(value) == text


def test_the_command_line_chooses_rounds_work_and_sizes() -> None:
    options = parse(["--rounds", "2", "--only", "form", "raw", "--size-mib", "64"])
    assert (options.rounds, options.works, options.sizes.big_bytes) == (2, ("raw", "form"), 64 << 20)
    assert (parse([]).rounds, parse(["--quick"]).rounds) == (5, 1)


@pytest.mark.parametrize("arguments", [["--rounds", "0"], ["--only", "all"], ["--size-mib", "3"], ["--peer", "ceph"]])
def test_a_wrong_command_line_is_refused(arguments: list[str]) -> None:
    with pytest.raises(SystemExit):
        parse(arguments)
