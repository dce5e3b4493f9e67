"""Ask the advisory database of PyPI about the packages that the services run with, as they are installed.

Exit status 1 for a package with a known vulnerability. An index that has no such database, or does not answer, is said
and passed over.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Collection
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parent.parent
TIMEOUT_SECONDS = 120


def main() -> int:
    versions = installed((ROOT / "requirements.txt").read_text(encoding="utf-8"))
    packages = ask([f"{name}=={version}" for name, version in sorted(versions.items())])
    unknown = [one["name"] for one in packages if "vulns" not in one]
    bad = [one for one in packages if one.get("vulns")]
    for one in bad:
        print(f"{one['name']} {one['version']}: {', '.join(found['id'] for found in one['vulns'])}")
    print(f"{len(versions)} packages: {len(bad)} with a known vulnerability")
    if not packages or unknown:
        print(f"not audited, for the index says nothing of them: {', '.join(unknown) or 'all of them'}")
    return 1 if bad else 0


def installed(requirements: str) -> dict[str, str]:
    """The packages that these requirements come to here, with their versions."""
    found: dict[str, str] = {}
    waiting = [Requirement(line) for line in requirements.splitlines() if line and not line.startswith("#")]
    while waiting:
        wanted = waiting.pop()
        if wanted.name.lower() in found or not _is_for_here(wanted, ()):
            continue
        package = distribution(wanted.name)
        found[wanted.name.lower()] = package.version
        needs = map(Requirement, package.requires or ())
        waiting += [need for need in needs if _is_for_here(need, wanted.extras)]
    return found


def ask(pins: list[str]) -> list[dict[str, Any]]:
    """What pip-audit says of each; empty where it says nothing. Nothing is installed or resolved for it."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as listed:
        listed.write("\n".join(pins))
        listed.flush()
        command = ["-m", "pip_audit", "--no-deps", "--disable-pip", "-r", listed.name, "-f", "json"]
        try:
            done = subprocess.run(
                [sys.executable, *command], capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False
            )
            answer: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
        except (subprocess.TimeoutExpired, ValueError, KeyError):
            return []
    return answer


def _is_for_here(need: Requirement, extras: Collection[str]) -> bool:
    """Whether it holds on this system; extras: those that were asked for of the package that needs it."""
    return need.marker is None or any(need.marker.evaluate({"extra": extra}) for extra in ("", *extras))


if __name__ == "__main__":
    sys.exit(main())
