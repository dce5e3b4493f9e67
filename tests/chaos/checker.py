"""Whether a cluster kept what it promised: every path, every record, every file on every disk."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from common.errors import MetadataUnavailable
from master_node.model import Chunk
from master_node.store.base import MetadataStore
from master_node.wiring import open_store
from tests.chaos.disks import PAGE, all_chunks, is_intact
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

    begin: the monotonic time of the last fault. has_time: False where garbage and doubtful copies may stay, which
    go within minutes by design.
    """
    told: list[str] = []
    with opened_store(cluster) as store:
        while found := differences(cluster, store, has_time=has_time):
            if (kinds := [text.partition(" (")[0] for text in found]) != told:
                told = kinds
                report.say(f"not healed yet: {', '.join(kinds)}")
            if time.monotonic() - begin > seconds:
                report.violation(f"not healed {seconds:g} s after the last fault: {'; '.join(found)}")
                break
            time.sleep(0.5)
        report.numbers["chunks at the end"] = len(all_chunks(store))
    report.numbers["seconds from the last fault until healed"] = round(time.monotonic() - begin, 1)


def differences(cluster: TestCluster, store: MetadataStore, *, has_time: bool = True) -> list[str]:
    """What the records and the disks still lack, in words; only for a cluster that nobody writes to.

    has_time: whether garbage and doubtful copies must be gone too; else only what files consist of is looked at.
    """
    try:
        chunks = all_chunks(store) if has_time else _of_files(store)
    except MetadataUnavailable as error:
        return [f"the database does not answer: {error}"]
    found = _told("owed replicas", [chunk.chunk_id for chunk in chunks if chunk.owed > 0])
    found += _told("too many replicas", [chunk.chunk_id for chunk in chunks if chunk.owed < 0])
    files = {name: cluster.chunk_files(name) for name in cluster.workers}
    pairs = [(name, chunk) for chunk in chunks for name in chunk.replicas]
    found += _told("replicas without a file", [_at(*pair) for pair in pairs if pair[1].chunk_id not in files[pair[0]]])
    if has_time:
        found += _told("doubtful copies", [_at(name, chunk) for chunk in chunks for name in chunk.doubtful])
        named = {(name, chunk.chunk_id) for name, chunk in pairs}
        on_disks = {(name, chunk_id) for name in cluster.workers for chunk_id in files[name]}
        found += _told("files without a replica", [f"{chunk_id} on {name}" for name, chunk_id in on_disks - named])
    if found:
        return found
    bad = [pair for pair in pairs if not is_intact(files[pair[0]][pair[1].chunk_id], pair[1].checksum)]
    return _told("damaged files", [_at(*pair) for pair in bad])


def _of_files(store: MetadataStore) -> list[Chunk]:
    """The chunks of the present versions of all files that are active."""
    live: set[str] = set()
    key = "a/"
    while page := store.scan_files(key, "a0", PAGE):
        live |= {file.version.version_id for file in page if file.version is not None}
        key = page[-1].key
    return [chunk for chunk in all_chunks(store) if chunk.version_id in live]


def _at(worker_id: str, chunk: Chunk) -> str:
    return f"{chunk.chunk_id} on {worker_id}"


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
