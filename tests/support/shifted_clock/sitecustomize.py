"""Runs at the start of a Python process that has this folder in its PYTHONPATH: its wall clock can then be shifted.

The process's clock is off by the seconds in the file that is named like its node, in the folder DFS_TEST_CLOCKS. The
monotonic clock stays as it is.
"""

from __future__ import annotations

import datetime
import os
import sys
import time
from pathlib import Path

_real_time, _real_time_ns = time.time, time.time_ns
_node_id = sys.orig_argv[-1] if sys.orig_argv[-1] != "api_gateway.gateway" else "gateway"
_file = Path(os.environ.get("DFS_TEST_CLOCKS", "/nonexistent")) / _node_id


def _offset() -> float:
    try:
        return float(_file.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return 0.0


class _ShiftedDatetime(datetime.datetime):
    @classmethod
    def now(cls, tz: datetime.tzinfo | None = None) -> _ShiftedDatetime:
        return cls.fromtimestamp(time.time(), tz)


time.time = lambda: _real_time() + _offset()
time.time_ns = lambda: _real_time_ns() + int(_offset() * 1e9)
datetime.datetime = _ShiftedDatetime  # type: ignore[misc]
