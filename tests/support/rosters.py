"""Which workers a master's configuration names, for tests that need no file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from common.config import Config, Node
from master_node.roster import Roster
from tests.support.logs import recording_log


def make_roster(worker_ids: Sequence[str] = ("worker_1", "worker_2", "worker_3")) -> Roster:
    """Of a folder without config.json, so it never changes."""
    workers = {name: Node(name, "127.0.0.1", 5001 + number) for number, name in enumerate(worker_ids)}
    config = Config(Path("/nonexistent"), {}, workers)
    return Roster(config, lambda: config, recording_log()[0])
