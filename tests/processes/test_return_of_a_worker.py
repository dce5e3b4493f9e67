"""A worker that comes back finds its disk put in order: nothing is resurrected, nothing forgotten keeps its bytes."""

from __future__ import annotations

from pathlib import Path

import pytest

pytestmark = pytest.mark.processes

ROOT = Path(__file__).resolve().parents[2]
AWAY = "worker_2"
SETTINGS = {
    "master": {
        "repair_grace_seconds": 1.0,
        "inventory_seconds": 2.0,
        "orphan_grace_seconds": 0.0,
        "trash_retention_seconds": 1.0,
    },
    "worker": {"quarantine_seconds": 1.0},
}
