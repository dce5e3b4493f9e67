"""Launch worker_1; works from any folder."""

import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[2])

from storage.worker import launch  # noqa: E402

launch(__file__)
