"""One run of a scenario: a cluster of its own, load, faults, and the check of everything at the end."""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from common.settings import SECTIONS
from tests.chaos.checker import read_back, wait_until_clean, wait_until_healed
from tests.chaos.faults import Fault
from tests.chaos.manifest import ABSENT, Change, Content, Manifest, Outcome, make_content
from tests.chaos.report import Report
from tests.chaos.workload import Load, Workload
from tests.support.client import GatewayClient
from tests.support.cluster import KIB, MIB, QUICK, TestCluster

CHUNK = 256 * KIB
# From the last fault on, for everything to be as it was: the project's own promise.
HEAL_SECONDS = 120.0
# For everything to be gone that nobody needs: trash and idle uploads, and what waits for a worker's return.
CLEAN_SECONDS = 900.0

Settings = Mapping[str, Mapping[str, Any]]

# What has to come round within a run. The rest are the defaults, so that faults meet the cluster that users have.
_SHORT_WAITS: Settings = {
    "cluster": {"chunk_size_bytes": CHUNK},
    "master": {
        "trash_retention_seconds": 15,
        "upload_idle_seconds": 45,
        "orphan_grace_seconds": 45,
        "inventory_seconds": 30,
    },
    "worker": {"scrub_period_seconds": 30, "quarantine_seconds": 60, "reserve_bytes": 64 * MIB},
}
# For tests that must be over within seconds: nothing may take long to be noticed.
_QUICK_WAITS: Settings = {
    "cluster": {"chunk_size_bytes": 64 * KIB},
    "gateway": {"worker_timeout_seconds": 2, "master_deadline_seconds": 8},
    "master": {
        "dead_seconds": 2,
        "repair_grace_seconds": 1,
        "trash_retention_seconds": 1,
        "upload_idle_seconds": 4,
        "orphan_grace_seconds": 3,
        "inventory_seconds": 30,
    },
    "worker": {"scrub_period_seconds": 3, "quarantine_seconds": 10},
}


@contextlib.contextmanager
def plain_cluster(home: Path, settings: Settings) -> Iterator[TestCluster]:
    """Nothing but the cluster, on the loopback."""
    yield TestCluster(home, settings=settings)


@dataclass(frozen=True)
class Scenario:
    """faults: their numbers in docs/faults.md. settings: on top of those of every scenario.

    build: makes the cluster, not yet started, and whatever it stands on. cannot_run: why not on this machine.
    """

    name: str
    faults: str
    summary: str
    run: Callable[[Run], None]
    seconds: float = 60.0
    settings: Settings = field(default_factory=dict)
    build: Callable[[Path, Settings], AbstractContextManager[TestCluster]] = plain_cluster
    cannot_run: Callable[[], str] = lambda: ""


@dataclass
class Run:
    """What a scenario works with. seconds: how long it may go on before it is healed and checked."""

    cluster: TestCluster
    client: GatewayClient
    manifest: Manifest
    report: Report
    rng: random.Random
    seconds: float
    is_quick: bool
    heal_seconds: float
    calm_since: float = field(default_factory=time.monotonic)
    _deleted: dict[str, Content] = field(default_factory=dict)

    @property
    def chunk_size(self) -> int:
        return self.cluster.config.cluster.chunk_size_bytes

    def settle(self) -> None:
        """Wait until nothing is left to heal."""
        wait_until_healed(self.cluster, self.report, time.monotonic(), self.heal_seconds)

    def store(self, path: str, size: int) -> dict[str, Any]:
        """Put a file that the manifest knows, while nothing is wrong; returns its JSON."""
        content = make_content(size, f"{path} {self.rng.random()}")
        return self.put(path, content, content.read())

    def put(self, path: str, content: Content, body: bytes) -> dict[str, Any]:
        """As `store`, with a content that is at hand."""
        change = Change("create", ((path, content),))
        self.manifest.begin(change)
        file = self.client.stored(path, body)
        self.manifest.end(change, Outcome.ACKNOWLEDGED)
        self.report.count("create: acknowledged", written=len(body))
        return file

    def store_many(self, prefix: str, count: int, size: int) -> list[dict[str, Any]]:
        """As `store`, several at once."""
        with ThreadPoolExecutor(8) as pool:
            return list(pool.map(lambda number: self.store(f"{prefix}/{number:05d}", size), range(count)))

    def delete(self, path: str, file: Mapping[str, Any], *, permanent: bool = True) -> None:
        """Delete a file that `store` made; must be answered."""
        self._deleted[path] = self.manifest.certain()[path]
        change = Change("delete", ((path, ABSENT),))
        self.manifest.begin(change)
        answer = self.client.delete(file["file_id"], permanent=permanent)
        assert answer.status_code == 200, answer.text
        self.manifest.end(change, Outcome.ACKNOWLEDGED)
        self.report.count("delete: acknowledged")

    def restore(self, path: str, file: Mapping[str, Any]) -> None:
        """Bring back from the trash what `delete` put there; must be answered."""
        change = Change("restore", ((path, self._deleted[path]),))
        self.manifest.begin(change)
        answer = self.client.call("POST", f"/files/{file['file_id']}/restore")
        self.require(answer.status_code == 200, f"{path} could not be restored: {answer.text[:200]}")
        self.manifest.end(change, Outcome.ACKNOWLEDGED)

    def require(self, is_kept: bool, promise: str) -> None:
        """A promise of the scenario's own."""
        if not is_kept:
            self.report.violation(promise)

    def load(self, **changes: Any) -> Workload:
        """Writers and readers to run beside the faults."""
        changes.setdefault("max_bytes", 5 * self.chunk_size)
        return Workload(Load(**changes), self.client, self.manifest, self.report, self.rng.randrange(2**32))

    def strike(self, fault: Fault) -> None:
        self.report.fault(fault.name, fault.strike())
        self.calm_since = time.monotonic()

    def heal(self, fault: Fault) -> None:
        fault.heal()
        self.calm_since = time.monotonic()
        self.report.say(f"healed: {fault.name}")

    def drive(self, lanes: Sequence[Lane]) -> None:
        """Let the lanes strike and heal until the time is over; afterwards nothing is struck any more."""
        end = time.monotonic() + self.seconds
        while time.monotonic() < end:
            for lane in lanes:
                lane.step(self)
            time.sleep(0.05)
        for lane in lanes:
            lane.finish(self)


class Lane:
    """Faults of which never two are about at a time; all come once, in a random order, before any comes again."""

    def __init__(self, faults: Sequence[Fault], hold: tuple[float, float], calm: tuple[float, float]) -> None:
        """hold: least and most seconds from strike to heal; calm: from there to the next strike."""
        self._faults = list(faults)
        self._next: list[Fault] = []
        self._hold = hold
        self._calm = calm
        self._active: Fault | None = None
        self._due = time.monotonic() + calm[0]

    def step(self, run: Run) -> None:
        if time.monotonic() < self._due:
            return
        if self._active is None:
            if not self._next:
                self._next = run.rng.sample(self._faults, len(self._faults))
            self._active = self._next.pop()
            run.strike(self._active)
            self._due = time.monotonic() + run.rng.uniform(*self._hold)
        else:
            self.finish(run)
            self._due = time.monotonic() + run.rng.uniform(*self._calm)

    def finish(self, run: Run) -> None:
        """Heal what is about."""
        if self._active is not None:
            run.heal(self._active)
            self._active = None


def run_scenario(
    scenario: Scenario,
    home: Path,
    *,
    seconds: float | None = None,
    seed: int = 0,
    is_quick: bool = False,
    is_quiet: bool = True,
    heal_seconds: float = HEAL_SECONDS,
) -> Report:
    """Run it in the folder `home`; the cluster is stopped afterwards. Raises only what prevents a run or a check."""
    report = Report(scenario.name, seed, is_quiet=is_quiet)
    if reason := scenario.cannot_run():
        report.skipped = reason
        return report
    settings = make_settings(scenario, is_quick)
    report.settings = _told(settings)
    rng = random.Random(seed)
    with (
        contextlib.closing(Manifest(home / "manifest.jsonl")) as manifest,
        scenario.build(home / "cluster", settings) as cluster,
        cluster.running(),
    ):
        client = GatewayClient(cluster.base_url, cluster.client_headers)
        run = Run(cluster, client, manifest, report, rng, seconds or scenario.seconds, is_quick, heal_seconds)
        scenario.run(run)
        check_everything(run)
    return report


def check_everything(run: Run) -> None:
    """After the last fault: all nodes back, every path right, every chunk healed within the promised time."""
    run.cluster.restart_ended()
    run.report.say("every node is back; what was acknowledged is read")
    read_back(run.client, run.manifest, run.report, run.heal_seconds)
    wait_until_healed(run.cluster, run.report, run.calm_since, run.heal_seconds)
    if not run.is_quick:
        wait_until_clean(run.cluster, run.report, run.calm_since, CLEAN_SECONDS)
    run.report.numbers["operations acknowledged"] = run.manifest.acknowledged
    run.report.numbers["operations whose answer was lost"] = run.manifest.lost


def make_settings(scenario: Scenario, is_quick: bool) -> dict[str, dict[str, Any]]:
    """All that differs from the defaults; whatever the tests' cluster would make quicker is put back."""
    defaults = {
        section: {name: getattr(SECTIONS[section](), name) for name in names if name != "listen_address"}
        for section, names in QUICK.items()
    }
    layers = [_SHORT_WAITS, QUICK, _QUICK_WAITS] if is_quick else [defaults, _SHORT_WAITS]
    merged: dict[str, dict[str, Any]] = {}
    for layer in [*layers, scenario.settings]:
        for section, values in layer.items():
            merged.setdefault(section, {}).update(values)
    return merged


def _told(settings: Settings) -> dict[str, Any]:
    """The settings as section.name, without those that are the defaults."""
    return {
        f"{section}.{name}": value
        for section, values in settings.items()
        for name, value in values.items()
        if value != getattr(SECTIONS[section](), name)
    }
