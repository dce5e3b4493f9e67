"""The scenarios by their names; what each does stands in the module of its kind."""

from __future__ import annotations

from tests.chaos.clients import CLIENT_SCENARIOS
from tests.chaos.clocks import CLOCK_SCENARIOS
from tests.chaos.databases import DATABASE_SCENARIOS
from tests.chaos.kills import KILL_SCENARIOS
from tests.chaos.mounts import DISK_SCENARIOS
from tests.chaos.partitions import NETWORK_SCENARIOS
from tests.chaos.resumable import RESUMABLE_SCENARIOS
from tests.chaos.rot import ROT_SCENARIOS
from tests.chaos.running import Scenario

_ALL = (
    *KILL_SCENARIOS,
    *ROT_SCENARIOS,
    *CLIENT_SCENARIOS,
    *RESUMABLE_SCENARIOS,
    *DISK_SCENARIOS,
    *NETWORK_SCENARIOS,
    *CLOCK_SCENARIOS,
    *DATABASE_SCENARIOS,
)
SCENARIOS: dict[str, Scenario] = {scenario.name: scenario for scenario in _ALL}
