"""A worker that comes back finds its disk put in order: nothing is resurrected, nothing forgotten keeps its bytes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from common.records import chunk_id
from tests.support.client import GatewayClient
from tests.support.cluster import KIB, TestCluster, clean_environment
from tests.support.metadata import hex_id
from tests.support.waiting import wait_until

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
