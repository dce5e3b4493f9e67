"""A cluster for the healing jobs without processes: disks that tests damage, masters that take turns, copies that wait.

Every order is checked where it reaches a disk: none frees a replica that counts, or the last good copy of a chunk.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace

from common import records
from common.errors import ChunkCorrupt, ChunkMissing, DFSError, DiskFull, PeerUnreachable, StaleEpoch
from common.records import Heartbeat, StoredChunk
from common.settings import MasterSettings
from master_node import model
from master_node.copying import Copier
from master_node.drain import Drain
from master_node.garbage import GarbageCollector
from master_node.jobs import Job, Progress
from master_node.lost import Strike
from master_node.model import Chunk, File
from master_node.rebalance import FILE_BYTES, Rebalance
from master_node.release import Release
from master_node.repair import Repair
from master_node.replicas import promised, struck
from master_node.store.base import Holding, MetadataStore
from master_node.trim import Trim
from tests.support.logs import recording_log
from tests.support.masters import ManualClock, Master, commit_request, url_of
from tests.support.metadata import CHUNK_SIZE, make_heartbeat, stored

FIVE = tuple(f"worker_{number}" for number in range(1, 6))
CAPACITY = 1000 * CHUNK_SIZE


class Disks:
    """Stands where the masters' calls leave the process: which worker has which chunk, and whether it is good."""

    def __init__(self) -> None:
        self.chunks: dict[str, dict[str, bool]] = {name: {} for name in FIVE}
        self.sizes: dict[str, int] = {}
        self.silent: set[str] = set()
        # Where nobody listens, so that no call can have arrived.
        self.closed: set[str] = set()
        self.full: set[str] = set()
        # What a worker finds out about its own disk, and tells the masters.
        self.reports: list[tuple[str, str]] = []
        self.copied: list[tuple[str, str]] = []
        self.check_delete: Callable[[str, str], None] = lambda _worker, _chunk: None
        # Whether the answer of this call is lost; whether an order is carried out only later.
        self.loses_answer: Callable[[], bool] = lambda: False
        self.delays: Callable[[], bool] = lambda: False
        self.delayed: list[Callable[[], None]] = []
        self._names = {url_of(name): name for name in FIVE}
        self._epochs = dict.fromkeys(FIVE, 0)

    def good(self, chunk_id: str) -> set[str]:
        return {name for name, held in self.chunks.items() if held.get(chunk_id, False)}

    def holders(self, chunk_id: str) -> set[str]:
        return {name for name, held in self.chunks.items() if chunk_id in held}

    def delete_chunks(self, url: str, chunk_ids: Sequence[str], epoch: int) -> None:
        name = self._admit(url, epoch)

        def free() -> None:
            if epoch < self._epochs[name]:
                return
            for chunk_id in chunk_ids:
                if chunk_id in self.chunks[name]:
                    self.check_delete(name, chunk_id)
                    del self.chunks[name][chunk_id]

        self._carry_out(free, may_wait=bool(chunk_ids))

    def copy_chunk(
        self, url: str, chunk_id: str, source_url: str, *, size_bytes: int, checksum: str, epoch: int
    ) -> None:
        name = self._admit(url, epoch)

        def copy() -> None:
            if self.chunks[name].get(chunk_id, False):
                return
            if name in self.full:
                raise DiskFull("no room")
            source = self._names[source_url]
            if source in self.silent:
                raise PeerUnreachable("no answer", source=source_url)
            self._read(source, chunk_id)
            self.chunks[name][chunk_id] = True
            self.copied.append((chunk_id, name))

        self._carry_out(copy, may_wait=True)

    def verify_chunk(self, url: str, chunk_id: str) -> bool:
        name = self._reach(url)
        try:
            self._read(name, chunk_id)
        except ChunkCorrupt:
            return False
        self._answer()
        return True

    def _read(self, name: str, chunk_id: str) -> None:
        """A worker reads a chunk of its own; a damaged one goes into quarantine and is reported."""
        if self.chunks[name].get(chunk_id, False):
            return
        self.reports.append((name, chunk_id))
        if self.chunks[name].pop(chunk_id, None) is None:
            raise ChunkMissing("not here")
        raise ChunkCorrupt("damaged")

    def _admit(self, url: str, epoch: int) -> str:
        name = self._reach(url)
        if epoch < self._epochs[name]:
            raise StaleEpoch("over", highest=self._epochs[name])
        self._epochs[name] = epoch
        return name

    def _reach(self, url: str) -> str:
        name = self._names[url]
        if name in self.closed:
            raise PeerUnreachable("connection refused", may_have_arrived=False)
        if name in self.silent:
            raise PeerUnreachable("no answer")
        return name

    def _carry_out(self, order: Callable[[], None], *, may_wait: bool) -> None:
        if may_wait and self.delays():
            self.delayed.append(order)
            raise PeerUnreachable("no answer in time")
        order()
        self._answer()

    def _answer(self) -> None:
        if self.loses_answer():
            raise PeerUnreachable("the answer was lost")


class Healer(Master):
    """A master with its healing jobs. A copy is carried out at once, or put on `waiting` where `is_patient`."""

    def __init__(self, name: str, store: MetadataStore, clock: ManualClock, disks: Disks, settings: MasterSettings):
        super().__init__(name, store, clock, disks, settings)
        self.waiting: list[Callable[[], None]] = []
        self.is_patient = False
        log, self.events = recording_log()
        rng = random.Random(name)
        copier = Copier(disks, settings, clock, self._run)  # type: ignore[arg-type]
        membership, election = self.membership, self.election
        self.garbage = GarbageCollector(
            store,
            membership,
            election,
            self.committer,
            disks,  # type: ignore[arg-type]
            settings,
            clock,
            log,
            lambda worker_id: worker_id in self.configured,
            copier.claims,
        )
        self.strike = Strike(store, membership, log)
        self.repair = Repair(store, membership, election, clock, log, copier, rng, self.strike)
        self.drain = Drain(store, membership, election, clock, log, copier, rng, self.repair)
        self.rebalance = Rebalance(store, membership, election, settings, clock, log, copier, rng)
        self.trim = Trim(store, membership)
        self.release = Release(store, membership, election, disks, log, copier)  # type: ignore[arg-type]
        self.jobs: list[Job] = [
            self.strike,
            self.repair,
            self.trim,
            self.release,
            self.drain,
            self.rebalance,
            self.garbage,
        ]

    def _run(self, work: Callable[[], None]) -> None:
        if self.is_patient:
            self.waiting.append(work)
        else:
            work()


class HealingCluster:
    """Five workers, two masters of which one leads, and files whose every byte is accounted for."""

    def __init__(self, store: MetadataStore, settings: MasterSettings | None = None) -> None:
        self.store = store
        self.clock = ManualClock()
        self.disks = Disks()
        self.settings = settings or MasterSettings(repair_bytes_per_second=2**40, rebalance_bytes_per_second=2**40)
        self.masters = [Healer(f"master_{n}", store, self.clock, self.disks, self.settings) for n in (1, 2)]
        self.down: set[str] = set()
        self.incarnations = dict.fromkeys(FIVE, 1)
        self.zones = dict.fromkeys(FIVE, "")
        # Versions that clients can still reach.
        self.live: set[str] = set()
        self.disks.check_delete = self._check_delete
        self.pass_time(1.0)
        for name in FIVE:
            self.take_inventory(name)
        self.pass_time(1.0)

    @property
    def leader(self) -> Healer:
        return next(master for master in self.masters if master.election.leads())

    # --- what clients do ---

    def put(self, path: str, chunks: int = 1, factor: int = 3, missing: int = 0, on: Sequence[str] = ()) -> File:
        """Store a file; on: the workers, else as placed. missing: so many replicas are not made."""
        opened = self.leader.uploads.open(path, factor, chunks)
        request = commit_request(path, chunks, recorded=0)
        made = []
        for chunk, placement in zip(request.chunks, opened.placements, strict=True):
            placed = [target.worker_id for target in placement.targets if target.worker_id not in self.down]
            names = tuple(on or placed[: factor - missing])
            made.append(StoredChunk(chunk.index, chunk.size_bytes, chunk.checksum, names))
            one = records.chunk_id(opened.upload_id, chunk.index)
            self.disks.sizes[one] = chunk.size_bytes + FILE_BYTES
            for name in names:
                self.disks.chunks[name][one] = True
        try:
            file, _ = self.leader.committer.commit(opened.upload_id, replace(request, chunks=tuple(made)))
        except DFSError:
            self.leader.uploads.abort(opened.upload_id)
            raise
        self.live.add(opened.upload_id)
        return file

    def put_open(self, upload_id: str, names: Sequence[str]) -> str:
        """Record the first chunk of an open upload on these workers; returns its id."""
        self.leader.uploads.record(upload_id, [stored(0, tuple(names))], 0, 0)
        one = records.chunk_id(upload_id, 0)
        self.disks.sizes[one] = CHUNK_SIZE + FILE_BYTES
        for name in names:
            self.disks.chunks[name][one] = True
        return one

    def delete(self, file: File) -> None:
        found = self.store.find_file(file.file_id)
        assert found is not None
        self.leader.catalog.delete(file.file_id, is_permanent=True)
        self.live -= {version.version_id for version in _versions(found)}

    # --- what happens to workers ---

    def kill(self, name: str) -> None:
        self.down.add(name)
        self.disks.silent.add(name)

    def bring_back(self, name: str) -> None:
        self.down.discard(name)
        self.disks.silent.discard(name)
        self.incarnations[name] += 1

    def empty(self, name: str) -> None:
        self.disks.chunks[name] = {}
        self.incarnations[name] += 1

    def rot(self, name: str, chunk_id: str) -> None:
        self.disks.chunks[name][chunk_id] = False

    # --- time and work ---

    def pass_time(self, seconds: float, leader: int = 0) -> None:
        """Time goes by in steps in which living workers send heartbeats; `leader`: who renews the lease."""
        end = self.clock.now + seconds
        while self.clock.now < end:
            self.clock.advance(min(1.0, end - self.clock.now))
            for name in sorted(set(FIVE) - self.down):
                self.masters[leader].membership.receive(name, self._heartbeat(name))
            self.masters[leader].election.step()
            for master in self.masters:
                master.membership.refresh()

    def change_leader(self) -> None:
        other = 1 - self.masters.index(self.leader)
        self.pass_time(2 * self.settings.lease_seconds + 1.0, other)
        assert self.leader is self.masters[other]

    def work(self, job: Job) -> Progress:
        """One unit of one of the leader's jobs."""
        epoch = self.leader.election.leading_epoch()
        assert epoch is not None
        return job.work(epoch)

    def run(self, *jobs: Job, units: int = 500) -> None:
        """These jobs, or all of the leader's, until each has nothing to do, or nothing that can be done."""
        for job in jobs or self.leader.jobs:
            for _ in range(units):
                if self.work(job) is not Progress.BUSY:
                    break

    def heal(self, rounds: int = 60, seconds: float = 5.0) -> None:
        """Everything that a cluster does by itself, for long enough."""
        for _ in range(rounds):
            self.settle_once(seconds)

    def settle_once(self, seconds: float = 5.0) -> None:
        self.pass_time(seconds, self.masters.index(self.leader))
        self.deliver_reports()
        for view in self.leader.membership.workers():
            if view.is_serving and not view.record.is_reconciled:
                self.take_inventory(view.worker_id)
        self.run()

    def deliver_reports(self) -> None:
        """The workers' word of what is damaged or missing strikes their replicas."""
        reports, self.disks.reports = self.disks.reports, []
        for name, chunk_id in reports:
            if chunk_id not in self.disks.chunks[name]:
                self._change(self.store.find_chunks([chunk_id]), lambda it, name=name: struck(it, name, is_proven=True))

    def take_inventory(self, name: str) -> None:
        """What the inventory job does, at once: the worker's disk and the records that name it are made to agree."""
        wanted = next((row.inventory_wanted for row in self.store.list_workers() if row.worker_id == name), 1)
        held = self.disks.chunks[name]
        counted = self.store.find_held(name, Holding.REPLICA, "", 100_000)
        lost = [chunk for chunk in counted if chunk.chunk_id not in held]
        self._change(lost, lambda it: struck(it, name, is_proven=True))
        recorded = {chunk.chunk_id for chunk in self.store.find_chunks(list(held))}
        self._change(self.store.find_chunks(list(held)), lambda it: promised(it, name))
        open_uploads = {upload.upload_id for upload in self.store.find_idle_uploads(model.OPEN, model.NEVER, 1000)}
        for chunk_id in [one for one in held if one not in recorded and one.partition("-")[0] not in open_uploads]:
            del held[chunk_id]
        self.store.finish_inventory(name, wanted)

    # --- what is found ---

    def chunks(self, *files: File) -> list[Chunk]:
        """The records of these files' present versions, or of all that lives."""
        ids = [file.version.version_id for file in files if file.version] if files else sorted(self.live)
        return [chunk for version_id in ids for chunk in self.store.list_chunks(version_id, 0, 1000)]

    def faults(self) -> list[str]:
        """What is not as it should be once all is healed; nothing, for a healthy cluster."""
        found = []
        named: dict[str, set[str]] = {name: set() for name in FIVE}
        for chunk in self.store.scan_chunks("", 100_000):
            for name in chunk.replicas:
                named[name].add(chunk.chunk_id)
            if chunk.version_id not in self.live:
                found.append(f"{chunk} is of no file")
            if chunk.owed or chunk.doubtful or len(set(chunk.replicas)) != chunk.factor:
                found.append(f"{chunk} is not settled")
        for name, held in self.disks.chunks.items():
            found += [f"{name} has a bad {chunk_id}" for chunk_id, is_good in held.items() if not is_good]
            found += [f"{name} lacks {chunk_id}" for chunk_id in named[name] - set(held)]
            found += [f"{name} has {chunk_id} and no record says so" for chunk_id in set(held) - named[name]]
        return found

    def _change(self, chunks: Sequence[Chunk], change: Callable[[Chunk], Chunk]) -> None:
        changed = [(chunk, change(chunk)) for chunk in chunks]
        self.store.replace_chunks([after for before, after in changed if after is not before])

    def _heartbeat(self, name: str) -> Heartbeat:
        held = self.disks.chunks[name]
        used = sum(self.disks.sizes[one] for one in held)
        number = int(name.rpartition("_")[2])
        return replace(
            make_heartbeat(number, zone=self.zones[name], free_bytes=CAPACITY - used),
            capacity_bytes=CAPACITY,
            used_bytes=used,
            chunk_count=len(held),
            incarnation=str(self.incarnations[name]),
        )

    def _check_delete(self, name: str, chunk_id: str) -> None:
        if chunk_id.partition("-")[0] not in self.live:
            return
        for chunk in self.store.find_chunks([chunk_id]):
            assert name not in chunk.replicas, f"an order frees {chunk_id} on {name}, which counts: {chunk}"
        is_good = self.disks.chunks[name][chunk_id]
        assert not is_good or self.disks.good(chunk_id) != {name}, f"an order frees the last good copy of {chunk_id}"


def _versions(file: File) -> list[model.Version]:
    present = [file.version] if file.version is not None else []
    return present + [old.version for old in file.old_versions]
