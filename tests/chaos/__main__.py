"""`python -m tests.chaos --scenario NAME --seconds N --seed N`: exit status 0 good, 1 broken, 2 usage, 3 skipped."""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
from pathlib import Path

from tests.chaos.running import HEAL_SECONDS, Scenario, run_scenario
from tests.chaos.scenarios import SCENARIOS

GOOD, BROKEN, SKIPPED = 0, 1, 3


def main(arguments: list[str]) -> int:
    options = _parse(arguments)
    if options.list:
        for scenario in SCENARIOS.values():
            print(f"{scenario.name:<16} {scenario.seconds:5.0f} s  faults {scenario.faults:<14} {scenario.summary}")
        return GOOD
    # However the command ends, the cluster is stopped, and networks and mounts are removed.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    return _run(SCENARIOS[options.scenario], options)


def _run(scenario: Scenario, options: argparse.Namespace) -> int:
    home = Path(tempfile.mkdtemp(prefix="dfs_chaos_", dir=options.folder))
    report = run_scenario(
        scenario,
        home,
        seconds=options.seconds,
        seed=options.seed,
        is_quick=options.quick,
        is_quiet=False,
        heal_seconds=options.deadline,
    )
    print(report.to_text())
    (home / "report.json").write_text(report.to_json(), encoding="utf-8")
    if options.json:
        Path(options.json).write_text(report.to_json(), encoding="utf-8")
    print(f"The manifest, the report and the cluster's logs are in {home}")
    if report.skipped:
        return SKIPPED
    return GOOD if report.is_good else BROKEN


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description="Do harm to a cluster and check it.")
    parser.add_argument("--scenario", choices=SCENARIOS, default="all", metavar="NAME", help="see --list")
    parser.add_argument("--seconds", type=float, help="how long faults go on; default: the scenario's own")
    parser.add_argument("--deadline", type=float, default=HEAL_SECONDS, help="seconds in which all must be healed")
    parser.add_argument("--seed", type=int, default=0, help="which faults come when; clients' timing is not repeated")
    parser.add_argument("--quick", action="store_true", help="short timings, as in the tests, not the defaults")
    parser.add_argument("--list", action="store_true", help="print the scenarios")
    parser.add_argument("--folder", help="where the run's folder is made; default: the system's for temporary files")
    parser.add_argument("--json", help="a file for the report as JSON")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
