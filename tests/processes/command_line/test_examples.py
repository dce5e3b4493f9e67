"""What docs/cli.md shows is what happens."""

from __future__ import annotations

import doctest
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from common.cli.failures import MEANINGS
from tests.support.cluster import TestCluster, clean_environment
from tests.support.command_line import CommandLine

ROOT = Path(__file__).resolve().parents[3]
DOCUMENT = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
_LOOSELY = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
_SHELL = re.compile(r"[|&>]")


def examples() -> Iterator[tuple[str, str]]:
    """Each command with the output that is shown below it."""
    for block in re.findall(r"^```console\n(.*?)^```$", DOCUMENT, re.MULTILINE | re.DOTALL):
        for example in block.split("\n$ "):
            command, _, output = example.removeprefix("$ ").partition("\n")
            yield command, output if output.endswith("\n") or not output else output + "\n"


def test_every_example_does_what_the_document_shows(
    small_cluster: TestCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    dfs = CommandLine(small_cluster.base_url)
    # The document begins with an empty cluster.
    assert dfs("rm", "-r", "--yes", "/").status in (0, 5)
    environment = clean_environment(DFS_URL=small_cluster.base_url)
    environment["PATH"] = f"{ROOT}:{environment['PATH']}"
    for command, expected in examples():
        if command.startswith("dfs ") and not _SHELL.search(command):
            ran = dfs(*shlex.split(command)[1:]).ok()
            shown = ran.out + ran.output.decode()
        else:
            ended = subprocess.run(
                ["bash", "-c", command], cwd=tmp_path, env=environment, capture_output=True, timeout=60, check=False
            )
            assert ended.returncode == 0, (command, ended.stderr)
            shown = ended.stdout.decode()
        assert doctest.OutputChecker().check_output(expected, shown, _LOOSELY), (command, expected, shown)


def test_the_document_says_what_every_exit_status_means() -> None:
    rows = dict(re.findall(r"^\| (\d+) \| (.*) \|$", DOCUMENT, re.MULTILINE))
    assert {int(status): meaning for status, meaning in rows.items()} == MEANINGS
