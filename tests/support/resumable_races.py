"""One resumable upload under attack: gateways with different bytes that take over from each other in any order.

A `ResumableWorld` raises AssertionError where an acknowledged byte changed or got lost. Every session sends bytes of
its own, so any mix of two is seen. What the workers hold is write-once here, too.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from common.errors import (
    DFSError,
    MetadataUnavailable,
    OffsetConflict,
    UploadClosed,
    UploadSealed,
    UploadTakenOver,
    UploadUnknown,
)
from common.records import Checksum, StoredChunk, chunk_id
from common.resumables import NewResumable, ResumedUpload
from common.settings import MasterSettings
from master_node import model
from master_node.commit import CommitRequest
from master_node.model import Upload
from master_node.store.sqlite import SqliteStore
from tests.support.masters import WORKERS, ChunkHosts, Master, url_of
from tests.support.metadata import CHUNK_SIZE
from tests.support.scheduler import Actor, Fault
from tests.support.schedules import Witness, World

IDLE_SECONDS = 86400.0
P = "folder/p"
REFUSALS = (OffsetConflict, UploadClosed, UploadSealed, UploadTakenOver, UploadUnknown, LookupError)


class ByteWitness(Witness):
    """Knows every byte that was acknowledged, and looks after each write whether it is still there."""

    def __init__(self, store: SqliteStore, hosts: Disks, upload_id: str) -> None:
        self._store = store
        self._hosts = hosts
        self._upload_id = upload_id
        self.acknowledged = b""
        self.is_over = False
        # By attempt, all the bytes of the upload as that session knows them.
        self.streams: dict[int, bytes] = {}
        self.committed: bytes | None = None
        # Whether somebody was told that it never becomes a file.
        self.is_given_up = False

    def note_coming(self, name: str, arguments: tuple[Any, ...]) -> None:
        """What counts here is only what was done."""

    def note(self, name: str, arguments: tuple[Any, ...], result: Any) -> None:
        if name == "replace_upload" and result:
            self._note_upload(arguments[0])
        elif name == "insert_file":
            self._note_file(arguments[0].version)
        self.check()

    def note_freed(self, chunk_ids: Sequence[str]) -> None:
        self.check()

    def _note_upload(self, upload: Upload) -> None:
        assert upload.resumable is not None
        if upload.state == model.ABORTED:
            self.is_over = True
        if not self.is_over and upload.recorded_bytes != len(self.acknowledged):
            stream = self.streams[upload.resumable.attempt]
            assert upload.recorded_bytes > len(self.acknowledged), "the offset went down"
            assert stream.startswith(self.acknowledged), "a session did not see what was acknowledged"
            self.acknowledged = stream[: upload.recorded_bytes]
            assert len(self.acknowledged) == upload.recorded_bytes

    def _note_file(self, version: Any) -> None:
        if version is not None:
            assert not self.is_given_up, "an upload that was given up has become a file"
            assert version.size_bytes == len(self.acknowledged)
            self.committed = self.acknowledged

    def check(self) -> None:
        """Every chunk below the offset is as it was acknowledged; the last one begins so."""
        if self.is_over:
            return
        upload = self._store.find_upload(self._upload_id)
        assert upload is not None
        end = len(self.acknowledged)
        records = {chunk.index: chunk for chunk in self._store.list_chunks(self._upload_id, 0, 1000)}
        for index in range(-(-end // CHUNK_SIZE)):
            content = self._hosts.read(records[index].chunk_id, records[index].replicas)
            wanted = self.acknowledged[index * CHUNK_SIZE : (index + 1) * CHUNK_SIZE]
            assert content.startswith(wanted), f"bytes of chunk {index} changed"
            if len(wanted) == CHUNK_SIZE or not upload.takes_bytes:
                assert content == wanted, f"chunk {index} has other bytes"


class Disks(ChunkHosts):
    """What the workers hold, with the bytes of it."""

    def __init__(self) -> None:
        super().__init__()
        self.contents: dict[str, bytes] = {}
        self.freed: set[str] = set()
        # What came to a worker after it had been told to free it: the next inventory finds it.
        self.late: set[str] = set()

    def write(self, one: str, content: bytes, worker_ids: Sequence[str]) -> None:
        assert self.contents.setdefault(one, content) == content, f"{one} was written twice"
        self.put(one, worker_ids)
        self.late |= {one} & self.freed

    def delete_chunks(self, url: str, chunk_ids: Sequence[str], epoch: int) -> None:
        super().delete_chunks(url, chunk_ids, epoch)
        self.freed.update(chunk_ids)

    def read(self, one: str, worker_ids: Sequence[str]) -> bytes:
        """Raises LookupError where one of these workers does not hold it."""
        if not all(one in self.chunks[url_of(worker_id)] for worker_id in worker_ids):
            raise LookupError(one)
        return self.contents[one]


class ResumableWorld(World):
    """Gateways that go on with one upload, each with bytes of its own."""

    def __init__(self, store: SqliteStore, pool: ThreadPoolExecutor, seed: int) -> None:
        super().__init__(store, pool, random.Random(seed), MasterSettings(resumable_idle_seconds=IDLE_SECONDS))
        self.hosts = Disks()
        # Not noted: at the end it forgets the upload that the witness looks after.
        self._leader = self._master(is_noted=False)
        self.upload_id = self._leader.uploads.open(P, 3, 0, resumable=NewResumable()).upload_id
        self.witness = ByteWitness(store, self.hosts, self.upload_id)
        if self._rng.random() < 0.7:
            _Session(self, self._master(), None, self._rng).go_on(0, is_last=False)

    def add_actors(self) -> None:
        jobs = ["send"] * self._rng.choice((2, 3, 3, 4))
        for name, chance in (("collect", 0.7), ("collect", 0.4), ("abort", 0.2), ("minutes pass", 0.3)):
            if self._rng.random() < chance:
                jobs.append(name)
        for number, job in enumerate(jobs):
            faults = {}
            for _ in range(self._rng.choice((0, 1, 1, 2))):
                faults[self._rng.randrange(30)] = self._rng.choice((*Fault, Fault.PAUSE))
            self.actors.append(Actor(f"{number} {job}", self._job(job, random.Random(self._rng.random())), faults))

    def _before_resuming(self) -> None:
        if self._rng.random() < 0.4:
            self._finish()

    def check(self) -> None:
        for actor in self.actors:
            allowed = REFUSALS + ((MetadataUnavailable,) if actor.is_lost else ())
            if isinstance(actor.outcome, BaseException) and not isinstance(actor.outcome, allowed):
                raise AssertionError(f"{actor.name} got {actor.outcome!r}") from actor.outcome
        self._finish()
        self._check_file()
        for _ in range(8):
            self.let_time_pass(400.0)
            self._leader.collect()
        self._check_file()
        self.let_time_pass(IDLE_SECONDS + 400.0)
        self._leader.collect()
        for _ in range(3):
            self.let_time_pass(400.0)
            self._leader.collect()
        self._check_nothing_left()

    # --- the jobs ---

    def _job(self, job: str, rng: random.Random) -> Callable[[Actor], Any]:
        def run(actor: Actor) -> Any:
            master = self._master(actor)
            actor.turn("begins")
            try:
                if job == "send":
                    return _Session(self, master, actor, rng).run()
                if job == "collect":
                    return self._collect(master, actor, rng)
                if job == "abort":
                    master.resumables.abort(self.upload_id)
                    assert self.witness.committed is None, "a file was given up"
                    self.witness.is_given_up = True
                    return "given up"
                self.let_time_pass(rng.choice((40.0, 400.0)))
            except (DFSError, LookupError) as error:
                return error

        return run

    def _collect(self, master: Master, actor: Actor, rng: random.Random) -> None:
        for _ in range(rng.choice((2, 4))):
            actor.turn("later")
            # A job that put something off would wait for longer than a schedule lasts.
            self._clock.advance(40.0)
            master.collect(units=4)

    def _finish(self) -> None:
        """A session that nobody disturbs brings the upload to its end, if it can still have one."""
        try:
            info = self._leader.resumables.find(self.upload_id)
            if info.state == "resumable":
                _Session(self, self._master(), None, self._rng).go_on(info.offset, is_last=True)
            elif info.state == "sealed":
                self._master().resumables.commit_sealed(self.upload_id)
        except (UploadClosed, UploadUnknown):
            self.witness.is_over = True

    # --- after ---

    def _check_file(self) -> None:
        if self.witness.is_over and self.witness.committed is None:
            return
        located = self._leader.catalog.find_path(P)
        records = self._store.list_chunks(self.upload_id, 0, located.file.chunk_count)
        content = b"".join(self.hosts.read(chunk.chunk_id, chunk.replicas) for chunk in records)
        assert content == self.witness.committed, "the file has other bytes than were acknowledged"
        assert hashlib.sha256(content).hexdigest() == located.file.checksum.value

    def _check_nothing_left(self) -> None:
        """Of all attempts only what the file needs is on the workers, and in the records."""
        assert self._store.find_upload(self.upload_id) is None, "the upload was not forgotten"
        records = self._store.list_chunks(self.upload_id, 0, 1000)
        wanted = -(-len(self.witness.committed) // CHUNK_SIZE) if self.witness.committed is not None else 0
        assert len(records) == wanted, "records beyond the file"
        left = self.hosts.held() - self.hosts.late
        assert left == {chunk.chunk_id for chunk in records}, "bytes that nobody can reach were not freed"


class _Session:
    """One request of a client through one gateway: resume, send, record, perhaps commit."""

    def __init__(self, world: ResumableWorld, master: Master, actor: Actor | None, rng: random.Random) -> None:
        self._world, self._master, self._actor, self._rng = world, master, actor, rng
        self._name = f"{rng.random()}"

    def run(self) -> str:
        info = self._ask(lambda: self._master.resumables.find(self._world.upload_id))
        return self.go_on(info.offset, is_last=self._rng.random() < 0.3)

    def go_on(self, offset: int, *, is_last: bool) -> str:
        place = self._rng.choice((1, 3, 5))
        resumed = self._ask(
            lambda: self._master.resumables.resume(self._world.upload_id, offset, None, place, self._name)
        )
        stream = self._known(resumed) + self._rng.randbytes(self._rng.choice((0, 1, 9, CHUNK_SIZE, 2 * CHUNK_SIZE + 5)))
        self._world.witness.streams[resumed.attempt] = stream
        if self._actor is not None and self._rng.random() < 0.2:
            return "gave up before it sent anything"
        chunks = self._write(resumed, stream)
        # What counts may be reported at once, or in two calls, of which the second may also seal.
        half = self._rng.randrange(len(chunks) + 1)
        if half and (chunks[:half][-1].size_bytes == CHUNK_SIZE or half == len(chunks)):
            self._record(resumed, chunks[:half])
            chunks = chunks[half:]
        if is_last:
            return self._commit(resumed, stream, chunks)
        self._record(resumed, chunks)
        return "recorded"

    def _known(self, resumed: ResumedUpload) -> bytes:
        """What the client has sent so far: it has that, but for the tail, which the gateway reads back."""
        known = self._world.witness.acknowledged[: resumed.next_index * CHUNK_SIZE]
        if resumed.tail is None:
            assert not resumed.tail_bytes
            return known
        name = chunk_id(self._world.upload_id, resumed.tail.index, resumed.tail.attempt)
        self._turn("read")
        tail = self._world.hosts.read(name, [target.worker_id for target in resumed.tail.replicas])
        return known + tail[: resumed.tail_bytes]

    def _write(self, resumed: ResumedUpload, stream: bytes) -> list[StoredChunk]:
        chunks = []
        for index in range(resumed.next_index, -(-len(stream) // CHUNK_SIZE)):
            content = stream[index * CHUNK_SIZE : (index + 1) * CHUNK_SIZE]
            if index >= resumed.next_index + len(resumed.opened.placements):
                placed = self._ask(
                    lambda index=index: self._master.resumables.record(
                        self._world.upload_id, resumed.attempt, (), index, 1
                    )
                )
                assert placed.placements[0].index == index
            self._turn("write")
            self._world.hosts.write(chunk_id(self._world.upload_id, index, resumed.attempt), content, WORKERS)
            checksum = hashlib.md5(content).hexdigest()
            chunks.append(StoredChunk(index, len(content), checksum, WORKERS, (), resumed.attempt))
        return chunks

    def _record(self, resumed: ResumedUpload, chunks: Sequence[StoredChunk]) -> None:
        self._ask(lambda: self._master.resumables.record(self._world.upload_id, resumed.attempt, chunks, 2**20, 0))

    def _commit(self, resumed: ResumedUpload, stream: bytes, chunks: Sequence[StoredChunk]) -> str:
        request = CommitRequest(
            path=P,
            content_type="text/plain",
            size=len(stream),
            chunk_count=-(-len(stream) // CHUNK_SIZE),
            checksum=Checksum("sha256", hashlib.sha256(stream).hexdigest()),
            chunks=tuple(chunks),
        )
        self._ask(lambda: self._master.resumables.commit(self._world.upload_id, resumed.attempt, request))
        return "committed"

    def _ask(self, call: Callable[[], Any]) -> Any:
        """As the masters' client does: another try where the answer was lost."""
        try:
            return call()
        except MetadataUnavailable:
            return call()

    def _turn(self, name: str) -> None:
        if self._actor is not None:
            self._actor.turn(name)
