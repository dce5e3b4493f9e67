"""The workers of config.json are taken over while a master runs, and nothing else is."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from common.config import load_config
from master_node.roster import Roster
from tests.support.cluster import write_home
from tests.support.environment import clear_settings
from tests.support.logs import Events, recording_log

THREE = ("worker_1", "worker_2", "worker_3")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    clear_settings(monkeypatch)
    write_home(tmp_path, workers=THREE)
    return tmp_path


@pytest.fixture
def told(home: Path) -> tuple[Roster, Events]:
    log, events = recording_log()
    return Roster(load_config(home), lambda: load_config(home), log), events


def edit(home: Path, change: Callable[[dict[str, dict[str, object]]], None]) -> None:
    path = home / "config.json"
    tree = json.loads(path.read_text())
    change(tree)
    path.write_text(json.dumps(tree))


def add(home: Path, name: str = "worker_4", port: int = 1) -> None:
    edit(home, lambda tree: tree["workers"].update({name: {"ip": "127.0.0.1", "port": port}}))


def test_a_worker_that_is_added_or_taken_out_is_known_at_the_next_look(home: Path, told: tuple[Roster, Events]) -> None:
    roster, events = told
    add(home)
    assert "worker_4" not in roster
    roster.look()
    assert roster.worker_ids() == (*THREE, "worker_4")
    edit(home, lambda tree: tree["workers"].pop("worker_2"))
    roster.look()
    assert "worker_2" not in roster
    assert events.entries == [
        ("workers_changed", {"added": ["worker_4"], "removed": []}),
        ("workers_changed", {"added": [], "removed": ["worker_2"]}),
    ]


def test_a_file_that_is_not_valid_changes_nothing_and_is_told_once(home: Path, told: tuple[Roster, Events]) -> None:
    roster, events = told
    (home / "config.json").write_text('{"workers": {"worker_9"')
    for _ in range(3):
        roster.look()
    assert roster.worker_ids() == THREE
    assert events.names == ["configuration_not_taken_over"]


def test_too_few_workers_for_the_replication_factor_are_not_taken_over(home: Path, told: tuple[Roster, Events]) -> None:
    roster, events = told
    edit(home, lambda tree: tree["workers"].pop("worker_2"))
    roster.look()
    assert roster.worker_ids() == THREE
    assert "replication_factor" in str(events.entries[0][1]["problems"])


def test_after_a_file_that_was_not_valid_the_next_good_one_counts(home: Path, told: tuple[Roster, Events]) -> None:
    roster, _ = told
    good = (home / "config.json").read_text()
    (home / "config.json").write_text(good[: len(good) // 2])
    roster.look()
    (home / "config.json").write_text(good)
    add(home)
    roster.look()
    assert "worker_4" in roster


def test_while_the_file_is_gone_nothing_changes(home: Path, told: tuple[Roster, Events]) -> None:
    roster, events = told
    text = (home / "config.json").read_text()
    (home / "config.json").unlink()
    roster.look()
    assert roster.worker_ids() == THREE
    (home / "config.json").write_text(text)
    roster.look()
    assert roster.worker_ids() == THREE
    assert events.entries == []


def test_a_file_that_does_not_change_is_not_read_again(home: Path) -> None:
    loads = []
    roster = Roster(load_config(home), lambda: loads.append(1) or load_config(home), recording_log()[0])
    for _ in range(3):
        roster.look()
    assert loads == []
