"""Plots are made from the figures alone, the same each time."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks import plots
from benchmarks.operations import TITLES

NODES = ("master_1", "master_2", "master_3", "gateway")
RESULTS: dict[str, Any] = {
    "stores": {
        "sqlite": {
            "rounds": [
                {
                    size: {
                        "milliseconds": {name: 1.5 + place for place, name in enumerate(TITLES)},
                        "resident_bytes": dict.fromkeys(NODES, 2**26),
                    }
                    for size in ("1000", "10000")
                }
            ]
        }
    },
    "worker_start": {
        "rounds": [{"10": {"start": {"health_seconds": 0.2, "heartbeat_seconds": 0.3, "resident_bytes": 2**26}}}]
    },
}


def test_without_matplotlib_it_is_said_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    (tmp_path / "figures.json").write_text(json.dumps(RESULTS))
    assert plots.main([str(tmp_path / "figures.json"), "--into", str(tmp_path)]) == 1
    assert "pip install -r requirements-benchmarks.txt" in capsys.readouterr().err
    assert list(tmp_path.glob("*.svg")) == []


def test_the_same_figures_give_the_same_plots_on_white(tmp_path: Path) -> None:
    first, second = plots.draw(RESULTS, tmp_path / "a"), plots.draw(RESULTS, tmp_path / "b")
    assert [path.name for path in first] == ["scale-sqlite.svg", "worker-start.svg"]
    for one, other in zip(first, second, strict=True):
        assert one.read_bytes() == other.read_bytes()
        assert "fill: #ffffff" in one.read_text()
        assert "<dc:date>" not in one.read_text()
