"""Whether a cluster kept what it promised: every path, every record, every file on every disk."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from common.errors import MetadataUnavailable
from master_node.store.base import MetadataStore
from master_node.wiring import open_store
from tests.chaos.disks import all_chunks, is_intact
from tests.chaos.manifest import ABSENT, Manifest
from tests.chaos.report import Report
from tests.chaos.workload import read_whole
from tests.support.client import GatewayClient
from tests.support.cluster import TestCluster

# Of each kind of difference so many are told.
TOLD = 3


@contextlib.contextmanager
def opened_store(cluster: TestCluster) -> Iterator[MetadataStore]:
    """The masters' own store, for looking at the records."""
    store = open_store(cluster.config)
    try:
        yield store
    finally:
        store.close()


def read_back(client: GatewayClient, manifest: Manifest, report: Report, seconds: float) -> None:
    """Read every path until the cluster gives an answer for it; each must be right."""
    give_up_at = time.monotonic() + seconds

    def check(path: str) -> None:
        while not read_whole(client, manifest, report, path):
            if time.monotonic() > give_up_at:
                report.violation(f"{path} cannot be read {seconds:g} s after the last fault")
                return
            time.sleep(0.5)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(check, manifest.paths()))
    _check_renames(client, manifest, report)
    _check_listing(client, manifest, report)
    report.numbers["paths read back"] = len(manifest.paths())


def wait_until_healed(
    cluster: TestCluster, report: Report, begin: float, seconds: float, *, has_time: bool = True
) -> None:
    """Wait until records and disks agree and every chunk has exactly its factor of good replicas, else a violation.

    begin: the monotonic time of the last fault. has_time: False where doubtful copies may stay, which are freed a
    minute after their upload at the earliest.
    """
    told: list[str] = []
    with opened_store(cluster) as store:
        while found := differences(cluster, store, allows_doubtful=not has_time):
            if (kinds := [text.partition(" (")[0] for text in found]) != told:
                told = kinds
                report.say(f"not healed yet: {', '.join(kinds)}")
            if time.monotonic() - begin > seconds:
                report.violation(f"not healed {seconds:g} s after the last fault: {'; '.join(found)}")
                break
            time.sleep(0.5)
        report.numbers["chunks at the end"] = len(all_chunks(store))
    report.numbers["seconds from the last fault until healed"] = round(time.monotonic() - begin, 1)


def differences(cluster: TestCluster, store: MetadataStore, *, allows_doubtful: bool = False) -> list[str]:
    """What the records and the disks still lack, in words; only for a cluster that nobody writes to."""
    try:
        chunks = all_chunks(store)
    except MetadataUnavailable as error:
        return [f"the database does not answer: {error}"]
    found = _told("owed replicas", [chunk.chunk_id for chunk in chunks if chunk.owed > 0])
    found += _told("too many replicas", [chunk.chunk_id for chunk in chunks if chunk.owed < 0])
    if not allows_doubtful:
        doubtful = [f"{chunk.chunk_id} on {chunk.doubtful}" for chunk in chunks if chunk.doubtful]
        found += _told("doubtful copies", doubtful)
    missing, unknown = [], []
    files = {name: cluster.chunk_files(name) for name in cluster.workers}
    for name in cluster.workers:
        recorded = {chunk.chunk_id for chunk in chunks if name in chunk.replicas}
        missing += [f"{chunk_id} on {name}" for chunk_id in recorded - set(files[name])]
        known = {chunk.chunk_id for chunk in chunks if allows_doubtful and name in chunk.doubtful}
        unknown += [f"{chunk_id} on {name}" for chunk_id in set(files[name]) - recorded - known]
    found += _told("replicas without a file", missing) + _told("files without a replica", unknown)
    if found:
        return found
    pairs = [(name, chunk) for chunk in chunks for name in chunk.replicas]
    bad = [f"{c.chunk_id} on {name}" for name, c in pairs if not is_intact(files[name][c.chunk_id], c.checksum)]
    return _told("damaged files", bad)


def _told(what: str, items: list[str]) -> list[str]:
    return [f"{len(items)} {what} ({', '.join(sorted(items)[:TOLD])})"] if items else []


def _check_renames(client: GatewayClient, manifest: Manifest, report: Report) -> None:
    for source, target in manifest.lost_renames():
        present = [path for path in (source, target) if client.call("HEAD", f"/fs/{path}").ok]
        if len(present) != 1:
            report.violation(f"a rename from {source} to {target}: there is {present}, not one of the two")


def _check_listing(client: GatewayClient, manifest: Manifest, report: Report) -> None:
    """The listing names exactly the files that are there."""
    listed, known = set(client.paths("")), set(manifest.paths())
    for path, content in manifest.certain().items():
        if (path in listed) != (content != ABSENT):
            report.violation(f"{path} is {'' if path in listed else 'not '}listed")
    for path in listed - known:
        report.violation(f"{path} is listed, and nobody made it")
