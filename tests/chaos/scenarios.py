"""The scenarios by their names; what each does stands in the module of its kind."""

from __future__ import annotations

from tests.chaos.clients import CLIENT_SCENARIOS
from tests.chaos.kills import KILL_SCENARIOS
from tests.chaos.rot import ROT_SCENARIOS
from tests.chaos.running import Scenario

SCENARIOS: dict[str, Scenario] = {
    scenario.name: scenario for scenario in (*KILL_SCENARIOS, *ROT_SCENARIOS, *CLIENT_SCENARIOS)
}
