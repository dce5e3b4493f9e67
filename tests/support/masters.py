"""A master without a process: every service of it on one store, with a clock that the test moves."""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence
from dataclasses import replace

from common.errors import DFSError, PeerUnreachable, StaleEpoch
from common.records import Checksum, StoredChunk
from common.settings import ClusterSettings, MasterSettings
from master_node.catalog import Catalog
from master_node.commit import CommitRequest, Committer
from master_node.election import Election
from master_node.garbage import GarbageCollector
from master_node.jobs import Progress
from master_node.membership import Membership
from master_node.model import File, Preconditions
from master_node.quotas.ledger import Ledger
from master_node.resumables import Resumables
from master_node.store.base import MetadataStore
from master_node.uploads import Uploads
from tests.support.logs import recording_log
from tests.support.metadata import CHUNK_SIZE, make_heartbeat, stored

CLUSTER = ClusterSettings(chunk_size_bytes=CHUNK_SIZE)
WORKERS = ("worker_1", "worker_2", "worker_3")


class ManualClock:
    """A clock that stands still until it is moved; its timestamps count up."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now
        self._stamps = itertools.count()

    def monotonic(self) -> float:
        return self.now

    def timestamp(self) -> str:
        number = next(self._stamps)
        return f"2026-01-31T{number // 3600 % 24:02d}:{number // 60 % 60:02d}:{number % 60:02d}.000Z"

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def advance(self, seconds: float) -> None:
        self.now += seconds


class ChunkHosts:
    """Stands where the masters' calls to workers leave the process: who holds which chunk, as the workers would know.

    An unreachable worker answers nothing; orders of an epoch older than the newest seen are refused, as a worker does.
    """

    def __init__(self) -> None:
        self.chunks: dict[str, set[str]] = {make_heartbeat(n + 1).url: set() for n in range(5)}
        self.unreachable: set[str] = set()
        self.highest_epoch = 0

    def put(self, chunk: str, worker_ids: Sequence[str]) -> None:
        for worker_id in worker_ids:
            self.chunks[url_of(worker_id)].add(chunk)

    def delete_chunks(self, url: str, chunk_ids: Sequence[str], epoch: int) -> None:
        if url in self.unreachable:
            raise PeerUnreachable("no answer")
        if epoch < self.highest_epoch:
            raise StaleEpoch(f"epoch {epoch} is over")
        self.highest_epoch = epoch
        self.chunks[url] -= set(chunk_ids)

    def held(self) -> set[str]:
        """Every chunk of which some worker holds a replica."""
        return set().union(*self.chunks.values())


class Master:
    """Everything that one master does, wired as master_node/master.py does it."""

    def __init__(
        self,
        name: str,
        store: MetadataStore,
        clock: ManualClock,
        workers: object,
        settings: MasterSettings | None = None,
        *,
        watched: MetadataStore | None = None,
        lease_seconds: float | None = None,
    ) -> None:
        """watched: the store that election and membership use, where it is not `store`."""
        settings = settings or MasterSettings()
        watched = store if watched is None else watched
        rng = random.Random(name)
        log, self.events = recording_log()
        self.store, self.clock, self.settings = store, clock, settings
        self.urls = {f"worker_{number}": make_heartbeat(number).url for number in range(1, 6)}
        self.configured = {f"worker_{number}" for number in range(1, 6)}
        self.election = Election(name, watched, clock, lease_seconds or settings.lease_seconds)
        self.membership = Membership(
            watched, clock, settings, self.election.seen_clock_seconds, lambda: self.configured
        )
        self.uploads = Uploads(store, self.membership, self.election, CLUSTER, clock, rng, lambda: self.configured)
        self.committer = Committer(store, self.election, settings, clock)
        self.catalog = Catalog(store, self.membership, self.election, settings, clock, rng)
        self.ledger = Ledger(store, self.election, clock)
        self.resumables = Resumables(
            store,
            self.election,
            settings,
            self.uploads,
            self.committer,
            self.ledger,
            self.catalog.locate,
        )
        self.garbage = GarbageCollector(
            store,
            self.membership,
            self.election,
            self.committer,
            workers,  # type: ignore[arg-type]
            settings,
            clock,
            log,
            lambda worker_id: worker_id in self.configured,
        )

    def look(self, workers: Sequence[str] = WORKERS) -> None:
        """What the watch does, after a heartbeat of each of these workers."""
        for worker_id in workers:
            self.membership.receive(worker_id, replace(make_heartbeat(), url=self.urls[worker_id]))
        self.election.step()
        self.membership.refresh()

    def collect(self, epoch: int | None = None, units: int = 1000) -> int:
        """Run garbage collection until it is idle; returns how many units it did, at most `units`."""
        for unit in range(units):
            if self.garbage.work(self.election.leadership().epoch if epoch is None else epoch) is Progress.IDLE:
                return unit
        return units

    def pass_time(self, seconds: float, workers: Sequence[str] = WORKERS) -> None:
        """Move the clock on in steps short enough that this master goes on leading, if it leads."""
        end = self.clock.now + seconds
        while self.clock.now < end:
            self.clock.advance(min(1.0, end - self.clock.now))
            self.look(workers)

    def begin(self, path: str | None = None, chunks: int = 1, recorded: int | None = None) -> str:
        """Open an upload and record its first chunks (all but the last, unless told); returns its id."""
        upload_id = self.uploads.open(path, 3, chunks).upload_id
        count = max(0, chunks - 1) if recorded is None else recorded
        if count:
            self.uploads.record(upload_id, [stored(index, WORKERS) for index in range(count)], 0, 0)
        return upload_id

    def commit(self, upload_id: str, path: str, chunks: int = 1, **preconditions: str | None) -> File:
        return self.committer.commit(upload_id, commit_request(path, chunks, **preconditions))[0]

    def put(self, path: str, chunks: int = 1, **preconditions: str | None) -> File:
        """Store a whole file at once."""
        return self.commit(self.begin(path, chunks), path, chunks, **preconditions)


def commit_request(
    path: str, chunks: int = 1, *, recorded: int | None = None, **preconditions: str | None
) -> CommitRequest:
    """A commit of `chunks` chunks whose last one has a single byte; those before `recorded` were recorded already."""
    first = max(0, chunks - 1) if recorded is None else recorded
    last: tuple[StoredChunk, ...] = tuple(
        stored(index, WORKERS, size_bytes=1 if index == chunks - 1 else CHUNK_SIZE) for index in range(first, chunks)
    )
    return CommitRequest(
        path=path,
        content_type="text/plain",
        size=(chunks - 1) * CHUNK_SIZE + 1 if chunks else 0,
        chunk_count=chunks,
        checksum=Checksum("sha256", "00" * 32),
        chunks=last,
        preconditions=Preconditions(**preconditions),
    )


def url_of(worker_id: str) -> str:
    return make_heartbeat(int(worker_id.rpartition("_")[2])).url


def outcome_of(call: object) -> object:
    """What a call returns, or the error of the system that it raises."""
    try:
        return call()  # type: ignore[operator]
    except DFSError as error:
        return error
