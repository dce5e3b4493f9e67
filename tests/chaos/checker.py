"""Whether a cluster kept what it promised: every path, every record, every file on every disk."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

from common.errors import MetadataUnavailable
from master_node.model import ACTIVE, DELETED, Chunk
from master_node.store.base import MetadataStore
from master_node.wiring import open_store
from tests.chaos.disks import PAGE, all_chunks, all_files, is_intact
from tests.chaos.manifest import ABSENT, Manifest
from tests.chaos.report import Report
from tests.chaos.workload import read_whole
from tests.support.client import GatewayClient
from tests.support.cluster import TestCluster

# Above every key of a file.
LAST_KEY = "y"
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


def wait_until_healed(cluster: TestCluster, report: Report, begin: float, seconds: float) -> None:
    """Wait until all that files consist of has exactly its factor of good replicas, else a violation.

    begin: the monotonic time of the last fault.
    """
    _wait_until_none(cluster, report, begin, seconds, of_files, "until healed")


def wait_until_clean(cluster: TestCluster, report: Report, begin: float, seconds: float) -> None:
    """Wait until also no record, copy or file is there that nobody needs."""
    _wait_until_none(cluster, report, begin, seconds, of_everything, "until all garbage is gone")


def of_files(cluster: TestCluster, store: MetadataStore) -> list[str]:
    """What the chunks of files, and of what can be restored, still lack, in words."""
    wanted = _versions(store)
    chunks = [chunk for chunk in all_chunks(store) if chunk.version_id in wanted]
    files = all_files(cluster)
    pairs = [(name, chunk) for chunk in chunks for name in chunk.replicas]
    found = _told("owed replicas", [chunk.chunk_id for chunk in chunks if chunk.owed > 0])
    found += _told("too many replicas", [chunk.chunk_id for chunk in chunks if chunk.owed < 0])
    found += _told("replicas without a file", [_at(*pair) for pair in pairs if pair[1].chunk_id not in files[pair[0]]])
    if found:
        return found
    bad = [pair for pair in pairs if not is_intact(files[pair[0]][pair[1].chunk_id], pair[1].checksum)]
    # What is freed meanwhile is no damage.
    wanted = _versions(store) if bad else wanted
    return _told("damaged files", [_at(*pair) for pair in bad if pair[1].version_id in wanted])


def of_everything(cluster: TestCluster, store: MetadataStore) -> list[str]:
    """Where records and disks differ, in words; only for a cluster that nobody writes to."""
    chunks = all_chunks(store)
    files = all_files(cluster)
    named = {(name, chunk.chunk_id) for chunk in chunks for name in chunk.replicas}
    on_disks = {(name, chunk_id) for name in cluster.workers for chunk_id in files[name]}
    found = _told("chunks without exactly their factor", [chunk.chunk_id for chunk in chunks if chunk.owed])
    found += _told("doubtful copies", [_at(name, chunk) for chunk in chunks for name in chunk.doubtful])
    found += _told("replicas without a file", [f"{chunk_id} on {name}" for name, chunk_id in named - on_disks])
    return found + _told("files without a replica", [f"{chunk_id} on {name}" for name, chunk_id in on_disks - named])


def _versions(store: MetadataStore) -> set[str]:
    """The versions that clients can read, or restore for a while yet."""
    lease, found, key = store.read_lease(), set(), ""
    now = lease.clock_seconds if lease else 0.0
    while page := store.scan_files(key, LAST_KEY, PAGE):
        for file in page:
            if file.version is not None and file.status in (ACTIVE, DELETED) and file.expires_at > now:
                found.add(file.version.version_id)
            found |= {
                old.version.version_id for old in file.old_versions if not old.is_released and old.expires_at > now
            }
        key = page[-1].key
    return found


def _wait_until_none(
    cluster: TestCluster,
    report: Report,
    begin: float,
    seconds: float,
    look: Callable[[TestCluster, MetadataStore], list[str]],
    what: str,
) -> None:
    """Look until nothing is found, or the time is over, which is a violation."""
    told: list[str] = []
    with opened_store(cluster) as store:
        while True:
            try:
                found = look(cluster, store)
            except MetadataUnavailable as error:
                found = [f"the database does not answer ({error})"]
            if not found:
                break
            if (kinds := [text.partition(" (")[0] for text in found]) != told:
                told = kinds
                report.say(f"{what}: {', '.join(kinds)}")
            if time.monotonic() - begin > seconds:
                report.violation(f"more than {seconds:g} s {what}: {'; '.join(found)}")
                break
            time.sleep(0.5)
        report.numbers["chunks at the end"] = len(all_chunks(store))
    report.numbers[f"seconds from the last fault {what}"] = round(time.monotonic() - begin, 1)


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
