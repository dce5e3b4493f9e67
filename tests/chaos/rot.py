"""Scenarios of damage on the disks: faults 3, 5 and 6."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from master_node.store.base import MetadataStore
from tests.chaos.checker import opened_store
from tests.chaos.disks import all_chunks, all_files, are_all_there, cut, empty_disk, flip_bit, intact_replicas
from tests.chaos.faults import Kill
from tests.chaos.plain_copy import plain_copy_rate
from tests.chaos.running import Run, Scenario
from tests.support.cluster import MIB, TestCluster
from tests.support.waiting import wait_until

# The least part of a plain copy's rate that repair must reach.
LEAST_PART = 0.5
# How the gateway says that there is no good replica.
_NO_REPLICA = ("chunk_lost", "chunk_unavailable")


def flip_bits(run: Run) -> None:
    """A bit in one replica of some chunks, in two of others, in all three of one: right, right, an error."""
    count = 10 if run.is_quick else 60
    run.store_many("rot", count, 3 * run.chunk_size - 5)
    doomed = run.store("doomed", run.chunk_size)
    run.settle()
    with opened_store(run.cluster) as store:
        damaged = _flip(run, store, doomed["version_id"])
    for _ in range(5):
        answer = run.client.get("doomed")
        code = answer.json()["code"] if answer.status_code >= 500 else ""
        run.require(code in _NO_REPLICA, f"three damaged replicas were answered {answer.status_code} {code}")
    run.delete("doomed", doomed)
    _wait_until_set_aside(run, [pair for pair in damaged if not pair[1].startswith(doomed["version_id"])])


def _flip(run: Run, store: MetadataStore, doomed: str) -> list[tuple[str, str]]:
    """Damage the chunks in turn in one and in two replicas; the pairs of worker and chunk that are bad now."""
    bad, files = [], all_files(run.cluster)
    for number, chunk in enumerate(all_chunks(store)):
        good = intact_replicas(files, chunk)
        copies = 3 if chunk.version_id == doomed else 1 + number % 2
        for worker_id in run.rng.sample(sorted(good), copies):
            flip_bit(good[worker_id], run.rng, chunk.checksum)
            bad.append((worker_id, chunk.chunk_id))
    run.report.fault("replicas with a flipped bit", f"flipped a bit in {len(bad)} replicas")
    run.report.faults["replicas with a flipped bit"] = len(bad)
    return bad


def _wait_until_set_aside(run: Run, bad: list[tuple[str, str]]) -> None:
    """Nobody reads them: the scrub alone must find every one."""
    begin = time.monotonic()
    quarantined: dict[str, set[str]] = {}

    def missed() -> list[tuple[str, str]]:
        quarantined.update({name: run.cluster.quarantined(name) for name in run.cluster.workers})
        return [pair for pair in bad if pair[1] not in quarantined[pair[0]]]

    try:
        wait_until(lambda: not missed(), "the scrub has found every damaged replica", run.heal_seconds)
    except AssertionError:
        run.report.violation(f"the scrub did not find {len(missed())} of {len(bad)} damaged replicas")
    run.report.numbers["seconds until the scrub had found all"] = round(time.monotonic() - begin, 1)


def cut_files(run: Run) -> None:
    """A worker that was killed finds its files cut and others half written: it starts without any hands."""
    run.store_many("cut", 6 if run.is_quick else 40, 3 * run.chunk_size - 5)
    run.settle()
    victim = run.rng.choice(run.cluster.workers)
    kill = Kill(run.cluster, lambda: [victim], "a worker killed, its files cut")
    run.strike(kill)
    lengths: list[Callable[[int], int]] = [lambda _: 0, lambda _: 1, lambda size: size // 2, lambda size: size - 1]
    files = sorted(run.cluster.chunk_files(victim).values())
    for number, path in enumerate(files):
        cut(lengths[number % 4])(path, run.rng)
        _leave_temporary_file(path)
    run.report.numbers["files cut"] = len(files)
    run.heal(kill)
    run.require(not _temporary_files(run.cluster, victim), "a start left unfinished files behind")


def _leave_temporary_file(path: Path) -> None:
    path.with_name(f"{path.name}.0a1b.part").write_bytes(b"half of a chu")


def _temporary_files(cluster: TestCluster, worker_id: str) -> list[Path]:
    return list((cluster.config.data_dir(worker_id) / "chunks").glob("*/*.part"))


def refill_a_disk(run: Run) -> None:
    """A worker's disk is emptied: all is copied again at a rate near that of a plain copy."""
    # Of five workers each holds three of five files: so many that one has a thousand of them, 2 GiB.
    count, size = (20, MIB // 4) if run.is_quick else (1700, 2 * MIB + MIB // 20)
    run.store_many("refill", count, size)
    run.settle()
    with opened_store(run.cluster) as store:
        victim = max(run.cluster.workers, key=lambda name: len(run.cluster.chunk_files(name)))
        files = list(run.cluster.chunk_files(victim).values())
        plain = plain_copy_rate(files, run.cluster.scratch / "plain")
        missing = sum(path.stat().st_size for path in files)
        kill = Kill(run.cluster, lambda: [victim], "a worker killed and its disk emptied")
        run.strike(kill)
        run.report.numbers["chunk files lost"] = empty_disk(run.cluster, victim)
        run.heal(kill)
        begin = time.monotonic()
        # A small loss may be made good before anybody can see it.
        wait_until(
            lambda: store.owed().chunks or are_all_there(run.cluster, store), "the loss is noticed", run.heal_seconds
        )
        noticed = time.monotonic()
        wait_until(lambda: are_all_there(run.cluster, store), "all replicas are there again", 10 * run.heal_seconds)
    healed = missing / (time.monotonic() - noticed)
    run.report.numbers |= {
        "MiB lost": round(missing / MIB),
        "seconds until the loss was noticed": round(noticed - begin, 1),
        "MiB/s of a plain copy with fsync": round(plain / MIB),
        "MiB/s of the repair": round(healed / MIB),
    }
    if not run.is_quick:
        run.require(healed >= LEAST_PART * plain, f"repair at {healed / MIB:.0f} MiB/s, a copy at {plain / MIB:.0f}")


def lose_two_workers(run: Run) -> None:
    """Two workers go for good: what has one copy left gets its second before anything gets its third."""
    run.store_many("two", 20 if run.is_quick else 500, 3 * run.chunk_size)
    run.settle()
    victims = run.rng.sample(run.cluster.workers, 2)
    with opened_store(run.cluster) as store:
        chunks = all_chunks(store)
        left = {chunk.chunk_id: len(set(chunk.replicas) - set(victims)) for chunk in chunks}
        run.report.numbers["chunks with one copy left"] = sum(1 for copies in left.values() if copies == 1)
        run.report.numbers["chunks with two copies left"] = sum(1 for copies in left.values() if copies == 2)
        kill = Kill(run.cluster, lambda: victims, "two workers killed")
        run.strike(kill)
        _watch_the_order(run, left)
        wait_until(lambda: not store.owed().chunks, "all chunks have three replicas again", run.heal_seconds)
    run.report.numbers["seconds until three replicas again"] = round(time.monotonic() - run.calm_since, 1)
    run.heal(kill)


def _watch_the_order(run: Run, left: dict[str, int]) -> None:
    """Until no chunk has a single copy, none may have got its third. Seen on the disks, one after the other."""
    alive = [name for name in run.cluster.workers if run.cluster.is_running(name)]
    once = [chunk_id for chunk_id, copies in left.items() if copies == 1]
    twice = [chunk_id for chunk_id, copies in left.items() if copies == 2]
    early, give_up_at = 0, time.monotonic() + run.heal_seconds
    while True:
        # First the thirds: a chunk that is still single afterwards was so when the third was made.
        thirds = len(_with_copies(run.cluster, alive, twice, 3))
        single = len(_with_copies(run.cluster, alive, once, 1))
        if not single:
            break
        early = max(early, thirds)
        if time.monotonic() > give_up_at:
            run.report.violation(f"{single} chunks still have one copy")
            break
        time.sleep(0.05)
    run.report.numbers["third copies made while a chunk had one"] = early
    run.require(not early, f"{early} chunks got their third copy while another had one")


def _with_copies(cluster: TestCluster, workers: list[str], chunk_ids: list[str], copies: int) -> list[str]:
    files = [set(cluster.chunk_files(name)) for name in workers]
    return [chunk_id for chunk_id in chunk_ids if sum(chunk_id in held for held in files) == copies]


ROT_SCENARIOS = (
    Scenario(
        "bit-rot",
        "5",
        "bits flipped in one, two, three replicas; the scrub alone finds them",
        flip_bits,
        settings={"worker": {"quarantine_seconds": 3600}},
    ),
    Scenario("cut-files", "6", "files cut at 0, 1, n/2, n-1 bytes, temporary files left over", cut_files),
    Scenario(
        "empty-disk",
        "3",
        "a disk with 1,000 files (2 GiB) is emptied; the rate of the repair",
        refill_a_disk,
        settings={"cluster": {"chunk_size_bytes": 4 * MIB}},
    ),
    Scenario("two-lost", "3", "two workers gone: second copies come before third ones", lose_two_workers),
)
