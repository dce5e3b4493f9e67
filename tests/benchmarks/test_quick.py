"""`python -m benchmarks --quick` runs from end to end, leaves nothing, and its report is whole."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

from benchmarks.limits import MEASURED
from tests.support.cluster import processes_of_home

ROOT = Path(__file__).resolve().parent.parent.parent
WORKS = ("raw", "range", "form", "small4", "many")


def test_a_quick_run_prints_a_table_writes_json_and_leaves_nothing(tmp_path: Path) -> None:
    report, scratch = tmp_path / "report.json", tmp_path / "scratch"
    command = [sys.executable, "-m", "benchmarks", "--quick", "--only", *WORKS]
    done = subprocess.run(
        [*command, "--json", str(report), "--scratch", str(scratch)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert list(scratch.iterdir()) == []
    document = json.loads(report.read_text())
    assert set(document["limits"]) == set(MEASURED)
    figures = document["systems"]["dfs"]["figures"]
    assert {key.partition(".")[0] for key in figures} == {*WORKS, "memory", "idle"}
    assert all(entry["median"] > 0 for key, entry in figures.items() if key.endswith("upload"))
    assert len(document["systems"]["dfs"]["peak_memory_bytes"]) == 9
    assert all(entry["title"] in done.stdout for entry in figures.values())


def test_a_wrong_option_is_answered_with_the_usage() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--only", "everything"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert "usage: python -m benchmarks" in done.stderr


def test_a_run_that_is_broken_off_stops_every_node_and_leaves_nothing(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks", "--quick", "--scratch", str(tmp_path)],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("round 1"):
            break
    home = next(tmp_path.iterdir()) / "dfs"
    assert len(processes_of_home(home)) >= 9
    process.send_signal(signal.SIGINT)
    _, problem = process.communicate(timeout=60)
    assert process.returncode == 130, problem
    assert processes_of_home(home) == []
    assert list(tmp_path.iterdir()) == []
