"""What documents and docstrings say of settings and errors is what the code does."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import common.errors
from common.config import DEFAULT_MASTERS, DEFAULT_WORKERS, load_config
from common.errors import DFSError, error_codes, error_from_problem
from common.settings import EXTRA_VARIABLES, all_settings, render_env_example
from tests.chaos.scenarios import SCENARIOS
from tests.support.environment import SECRET, clear_settings

ROOT = Path(__file__).resolve().parent.parent
_TREE_ROW = re.compile(r"^ {4}(?P<family>[A-Z]\w+) (?P<status>\d{3})(?: +(?P<members>[A-Z].*))?$")
_TREE_MORE = re.compile(r"^ {12,}(?P<members>[A-Z].*)$")


def drawn_tree() -> dict[str, tuple[str, int]]:
    """Each class of the tree drawn in the docstring, with the name of its parent and its status."""
    drawn: dict[str, tuple[str, int]] = {}
    family, status = "", 0
    for line in (common.errors.__doc__ or "").splitlines():
        if row := _TREE_ROW.match(line):
            family, status = row["family"], int(row["status"])
            drawn[family] = ("DFSError", status)
        more = row or _TREE_MORE.match(line)
        for member in re.findall(r"\w+", (more["members"] or "") if more else ""):
            drawn[member] = (family, status)
    return drawn


def all_errors(base: type[DFSError] = DFSError) -> Iterator[type[DFSError]]:
    for error_class in base.__subclasses__():
        if error_class.__module__ == "common.errors":
            yield error_class
            yield from all_errors(error_class)


def test_the_env_example_is_what_the_settings_say() -> None:
    assert (ROOT / ".env.example").read_text(encoding="utf-8") == render_env_example()


def test_the_env_example_names_every_variable_once() -> None:
    named = re.findall(r"^# ([A-Z_]+)=", (ROOT / ".env.example").read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(named) == sorted([*EXTRA_VARIABLES, *(entry.variable for entry in all_settings())])


def test_the_drawn_tree_of_errors_is_the_tree_of_classes() -> None:
    classes = {error.__name__: (error.__mro__[1].__name__, error.status) for error in all_errors()}
    assert drawn_tree() == classes


def test_every_error_has_its_own_code_and_title() -> None:
    errors = list(all_errors())
    assert len(errors) > 30
    assert len({error.code for error in errors}) == len(errors)
    assert len({error.title for error in errors}) == len(errors)
    assert error_codes() == {error.code: error for error in errors}


@pytest.mark.parametrize("error_class", list(all_errors()), ids=lambda error: error.__name__)
def test_an_error_comes_back_from_its_problem_as_the_same_class(error_class: type[DFSError]) -> None:
    original = error_class("what happened: été", chunk_id="c", size=3)
    problem = json.loads(json.dumps(original.to_problem()))
    rebuilt = error_from_problem(error_class.status, {**problem, "request_id": "r"})
    assert type(rebuilt) is error_class
    assert rebuilt.detail == original.detail
    assert rebuilt.context == {"chunk_id": "c", "size": 3}
    assert rebuilt.to_problem() == original.to_problem()


def test_the_shipped_configuration_has_the_given_shape() -> None:
    tree = json.loads((ROOT / "config.json").read_text(encoding="utf-8"))
    assert tree == {
        "masters": {f"master_{n}": {"ip": "127.0.0.1", "port": 5099 + n} for n in (1, 2, 3)},
        "workers": {f"worker_{n}": {"ip": "127.0.0.1", "port": 5000 + n} for n in (1, 2, 3, 4, 5)},
    }


def test_the_shipped_configuration_loads_and_is_the_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clear_settings(monkeypatch)
    monkeypatch.setenv("DFS_CLUSTER_SECRET", SECRET)
    shutil.copy(ROOT / "config.json", tmp_path)
    config = load_config(tmp_path)
    assert config.masters == DEFAULT_MASTERS
    assert config.workers == DEFAULT_WORKERS
    assert config.gateway.port == 5000


def test_every_worker_of_the_configuration_has_its_launcher() -> None:
    for worker_id in DEFAULT_WORKERS:
        number = worker_id.removeprefix("worker_")
        assert (ROOT / "storage" / worker_id / f"worker{number}.py").is_file()


def test_the_document_of_faults_names_every_scenario_and_only_tests_that_exist() -> None:
    text = (ROOT / "docs" / "faults.md").read_text(encoding="utf-8")
    table = text.partition("## Fault by fault")[2].partition("\n## ")[0]
    rows = [[cell.strip() for cell in line.split("|")[1:5]] for line in table.splitlines() if line.startswith("| ")]
    named = [(number, name) for number, _, names, _ in rows[1:] for name in re.findall(r"`([a-z-]+)`", names)]
    told = [(number, scenario.name) for scenario in SCENARIOS.values() for number in scenario.faults.split(", ")]
    assert sorted(named) == sorted(told)
    for path in re.findall(r"`(tests/[\w/]+\.py)`", text):
        assert (ROOT / path).is_file(), path
