"""Quotas: what counts, what is refused, and that no race of writers or of a recount makes a sum wrong."""

from __future__ import annotations

import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from common.errors import DFSError, LargerThanQuota, QuotaExceeded, QuotaUnknown
from master_node.jobs import Progress
from master_node.model import ACTIVE
from master_node.quotas.ledger import KNOWN_SECONDS, STALE_SECONDS
from master_node.quotas.model import Announcement, Part, Quota, announce, begin_recount
from master_node.quotas.recount import RecountQuotas
from master_node.store.base import MetadataStore
from master_node.store.sqlite import SqliteStore
from tests.support.masters import ChunkHosts, ManualClock, Master, outcome_of
from tests.support.metadata import CHUNK_SIZE


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    store = SqliteStore(tmp_path / "m.sqlite3")
    yield store
    store.close()


@pytest.fixture
def master(store: SqliteStore) -> Master:
    """A master that leads."""
    master = Master("master_1", store, ManualClock(), ChunkHosts())
    master.look()
    return master


def recount(master: Master) -> None:
    """What the job does until there is nothing more to do."""
    job = RecountQuotas(master.store, master.election, master.settings.lease_seconds)
    for _ in range(1000):
        if job.work(1) is Progress.IDLE:
            return
    raise AssertionError("the recount does not end")


def limit(master: Master, prefix: str, *, max_bytes: int | None = None, max_files: int | None = None) -> None:
    """Set a quota and wait until it counts."""
    master.catalog._ledger.set_limits(prefix, max_bytes, max_files)
    master.pass_time(2 * KNOWN_SECONDS + master.settings.lease_seconds + 1)
    recount(master)


def used(store: MetadataStore, prefix: str) -> tuple[int, int]:
    quota = store.find_quota(prefix)
    assert quota is not None
    assert quota.is_counted
    assert quota.announced == ()
    return quota.used_bytes, quota.used_files


def test_what_lies_there_already_is_counted(master: Master) -> None:
    for path in ("a/1", "a/2", "b/1"):
        master.put(path, chunks=2)
    limit(master, "a/", max_bytes=10**9)
    limit(master, "", max_files=100)
    assert used(master.store, "a/") == (2 * (CHUNK_SIZE + 1), 2)
    assert used(master.store, "") == (3 * (CHUNK_SIZE + 1), 3)


def test_a_file_beyond_the_quota_is_refused_at_the_commit_and_leaves_no_trace_in_the_sums(master: Master) -> None:
    limit(master, "a/", max_bytes=3 * CHUNK_SIZE, max_files=2)
    master.put("a/1", chunks=3)
    with pytest.raises(QuotaExceeded) as refused:
        master.put("a/2", chunks=2)
    assert refused.value.context["prefix"] == "a/"
    assert refused.value.context["used_bytes"] == 2 * CHUNK_SIZE + 1
    with pytest.raises(LargerThanQuota):
        master.put("a/2", chunks=4)
    master.put("a/2")
    with pytest.raises(QuotaExceeded):
        master.put("a/3")
    master.put("b/1", chunks=9)
    assert used(master.store, "a/") == (2 * CHUNK_SIZE + 2, 2)


def test_an_overwrite_counts_its_difference_and_one_that_shrinks_is_never_refused(master: Master) -> None:
    limit(master, "a/", max_bytes=2 * CHUNK_SIZE)
    master.put("a/1", chunks=2)
    master.put("a/1", chunks=2)
    assert used(master.store, "a/") == (CHUNK_SIZE + 1, 1)
    limit(master, "a/", max_bytes=10)
    master.put("a/1")
    assert used(master.store, "a/") == (1, 1)


def test_deletes_restores_and_renames_move_the_sums(master: Master) -> None:
    limit(master, "a/", max_files=1)
    limit(master, "b/", max_files=1)
    one, other = master.put("a/1"), master.put("b/1")
    with pytest.raises(QuotaExceeded):
        master.catalog.rename(one.file_id, "b/2")
    master.catalog.delete(other.file_id, is_permanent=False)
    master.catalog.rename(one.file_id, "b/2")
    assert (used(master.store, "a/"), used(master.store, "b/")) == ((0, 0), (1, 1))
    with pytest.raises(QuotaExceeded):
        master.catalog.restore(other.file_id, None, None)
    master.catalog.restore(other.file_id, None, "a/1")
    master.catalog.delete(other.file_id, is_permanent=True)
    master.catalog.rename(one.file_id, "b/3")
    assert (used(master.store, "a/"), used(master.store, "b/")) == ((0, 0), (1, 1))


def test_a_known_size_is_refused_before_the_upload_is_opened(master: Master) -> None:
    limit(master, "a/", max_bytes=100)
    with pytest.raises(LargerThanQuota):
        master.uploads.open("a/1", 3, 1, size_bytes=101)
    master.put("a/1")
    with pytest.raises(QuotaExceeded):
        master.uploads.open("a/2", 3, 1, size_bytes=100)
    master.uploads.open("a/1", 3, 1, size_bytes=100)
    master.uploads.open("b/1", 3, 1, size_bytes=10**12)


def test_a_quota_that_was_removed_refuses_nothing(master: Master) -> None:
    limit(master, "a/", max_files=0)
    with pytest.raises(QuotaExceeded):
        master.put("a/1")
    master.catalog._ledger.remove("a/")
    master.put("a/1")
    with pytest.raises(QuotaUnknown):
        master.catalog._ledger.remove("a/")


def test_what_a_crash_left_announced_is_settled_by_a_recount(master: Master) -> None:
    limit(master, "a/", max_files=2)
    master.put("a/1")
    quota = master.store.find_quota("a/")
    assert quota is not None
    left = Announcement("dead", (Part("a/2", 5, 1),), master.election.clock_seconds())
    assert master.store.replace_quota(announce(quota, left))
    with pytest.raises(QuotaExceeded):
        master.put("a/3")
    master.pass_time(STALE_SECONDS + 2)
    recount(master)
    master.put("a/3")
    assert used(master.store, "a/") == (2, 2)


@pytest.mark.parametrize("seed", range(3))
def test_many_writers_never_exceed_the_quota_and_the_sums_stay_right_during_recounts(
    store: SqliteStore, seed: int
) -> None:
    """Three masters' writers put, overwrite, move and delete at once, while the sums are counted again and again."""
    clock, orders = ManualClock(), ChunkHosts()
    masters = [Master(f"master_{number}", store, clock, orders) for number in range(1, 4)]
    for master in masters:
        master.look()
    most_bytes, most_files = 5 * CHUNK_SIZE, 6
    limit(masters[0], "q/", max_bytes=most_bytes, max_files=most_files)

    def write(number: int) -> None:
        rng, master = random.Random(f"{seed} {number}"), masters[number % 3]
        for _ in range(25):
            path = f"{rng.choice('qqr')}/{rng.randrange(8)}"
            present = store.find_file_by_key(f"a/{path}")
            act = rng.randrange(4) if present is not None else 0
            if act < 2 or present is None:
                outcome_of(lambda path=path: master.put(path, chunks=rng.randrange(1, 4)))  # type: ignore[misc]
            elif act == 2:
                outcome_of(lambda file_id=present.file_id: master.catalog.delete(file_id, False))  # type: ignore[misc]
            else:
                target = f"{rng.choice('qr')}/{rng.randrange(8)}"
                outcome_of(
                    lambda file_id=present.file_id, target=target: master.catalog.rename(file_id, target)  # type: ignore[misc]
                )
            size, files = held(store, "q/")
            assert size <= most_bytes
            assert files <= most_files

    def count(_: int) -> None:
        job = RecountQuotas(store, masters[0].election, masters[0].settings.lease_seconds)
        for _ in range(60):
            quota = store.find_quota("q/")
            assert quota is not None
            if quota.recount is None:
                store.replace_quota(due(quota))
            outcome_of(lambda: job.work(1))

    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(write, number) for number in range(6)] + [pool.submit(count, 0)]:
            done.result()
    recount(masters[0])
    assert used(store, "q/") == held(store, "q/")


def due(quota: Quota) -> Quota:
    """The quota with a recount begun."""
    return begin_recount(quota, stale_before=0.0)


def held(store: MetadataStore, prefix: str) -> tuple[int, int]:
    """Bytes and files that a listing of the prefix shows."""
    files = [file for file in store.scan_files(f"a/{prefix}", f"a/{prefix}~", 1000) if file.status == ACTIVE]
    return sum(file.version.size_bytes for file in files if file.version is not None), len(files)


def test_without_quotas_nothing_is_asked_of_the_store_but_now_and_then_which_there_are(master: Master) -> None:
    asked = []
    store = master.store
    original = store.list_quotas
    master.catalog._ledger._store = _Counting(store, asked)  # type: ignore[assignment]
    for number in range(5):
        file = master.put(f"f{number}")
        master.catalog.delete(file.file_id, is_permanent=False)
    assert len(asked) <= 1
    assert original() == []


class _Counting:
    """Notes what is asked about quotas."""

    def __init__(self, store: MetadataStore, asked: list[str]) -> None:
        self._store = store
        self._asked = asked

    def __getattr__(self, name: str) -> object:
        if "quota" in name:
            self._asked.append(name)
        return getattr(self._store, name)


def test_the_refusal_tells_what_the_limit_is() -> None:
    quota = Quota("a/", 10, 1, is_counted=True, used_bytes=9, used_files=1)
    with pytest.raises(DFSError, match=r"'a/' may hold 10 bytes and 1 files; it holds 9 bytes in 1 files"):
        announce(quota, Announcement("x", (Part("a/1", 2, 1),), 0.0))
