"""A small cluster's metadata under attack: random actors in a random order, and a witness that knows what must hold.

A `CommitWorld` raises AssertionError where a promise of master_node/commit.py or master_node/garbage.py is broken.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from common.errors import (
    DFSError,
    FileDeleted,
    FileUnknown,
    MetadataUnavailable,
    PathTaken,
    PreconditionFailed,
    UploadClosed,
    UploadUnknown,
    VersionUnknown,
)
from common.records import chunk_id, version_of
from common.settings import MasterSettings
from master_node import model
from master_node.model import File
from master_node.store.sqlite import SqliteStore
from tests.support.masters import WORKERS, Master, commit_request, outcome_of, url_of
from tests.support.scheduler import Actor, Fault
from tests.support.schedules import Witness, World

P, Q = "folder/p", "folder/q"
CHANGE_ERRORS = (FileUnknown, FileDeleted, PathTaken, VersionUnknown)


class CommitWitness(Witness):
    """Knows every file, and what has been freed, given up or settled for good."""

    def __init__(self, store: SqliteStore) -> None:
        self._store = store
        self.files: dict[str, File] = {}
        self.shown: dict[str, set[str]] = {}
        self.given_up: set[str] = set()
        self.freed: set[str] = set()
        self.settled: set[str] = set()

    def note_coming(self, name: str, arguments: tuple[Any, ...]) -> None:
        """When the collector removes an aborted upload's document, that must never become visible any more."""
        for upload_id in arguments[0] if name == "delete_uploads" else ():
            upload = self._store.find_upload(upload_id)
            if upload is not None and upload.state == model.ABORTED:
                assert upload_id not in self._reachable(), f"the visible upload {upload_id} was collected"
                self.settled.add(upload_id)

    def note(self, name: str, arguments: tuple[Any, ...], result: Any) -> None:
        if name == "insert_file":
            assert arguments[0].file_id not in self.files, "an insert over another file"
            self._written(arguments[0])
        elif name == "replace_file" and result:
            assert self.files[arguments[0].file_id].revision == arguments[0].revision - 1, "a revision was skipped"
            self._written(arguments[0])
        elif name == "delete_file" and result:
            gone = self.files.pop(arguments[0])
            assert not gone.old_versions, f"{gone} was removed with bytes that it holds"
            assert gone.status == model.PURGED
        elif name == "delete_chunks":
            for chunk, is_gone in zip(arguments[0], result, strict=True):
                if is_gone:
                    self._note_freed(chunk.version_id)

    def note_freed(self, chunk_ids: Sequence[str]) -> None:
        for one in chunk_ids:
            self._note_freed(version_of(one))

    def _note_freed(self, version_id: str) -> None:
        assert version_id not in self._reachable(), f"bytes of the reachable version {version_id} were freed"
        self.freed.add(version_id)

    def _written(self, file: File) -> None:
        self.files[file.file_id] = file
        held = [version_id for one in self.files.values() for version_id in set(_held(one))]
        assert len(held) == len(set(held)), "a version is the content of two files"
        active = [one.path for one in self.files.values() if one.status == model.ACTIVE]
        assert len(active) == len(set(active)), "two active files at one path"
        for version_id in _reachable(file):
            assert version_id not in self.freed, f"{version_id} became reachable although its bytes were freed"
            assert version_id not in self.settled, f"{version_id} became reachable although its abort was settled"
            assert version_id not in self.given_up, f"{version_id} became reachable although it was given up"
        if file.status == model.ACTIVE and file.version is not None:
            self.shown.setdefault(file.version.version_id, set()).add(file.file_id)
        self.given_up.update(set(_held(file)) - set(_reachable(file)))

    def _reachable(self) -> set[str]:
        return {version_id for file in self.files.values() for version_id in _reachable(file)}


def _held(file: File) -> list[str]:
    """All versions of a file, also those that only wait to be freed."""
    return [old.version.version_id for old in file.old_versions] + ([file.version.version_id] if file.version else [])


def _reachable(file: File) -> list[str]:
    """Those versions of a file whose bytes somebody can still come to read."""
    kept = [old.version.version_id for old in file.old_versions if not old.is_released]
    return kept + ([file.version.version_id] if file.version is not None and file.status != model.PURGED else [])


@dataclass(frozen=True)
class Plan:
    """What takes part in one schedule."""

    retention_seconds: float
    if_none_match: str | None
    jobs: tuple[str, ...]

    def has(self, *names: str) -> bool:
        return any(job in names for job in self.jobs)


def choose_plan(rng: random.Random) -> Plan:
    """Every third plan is a storm: many tries of one commit while files come to its path and leave it again."""
    if rng.random() < 1 / 3:
        jobs = ["commit U", "commit U", "commit U", "churn"]
        jobs += [job for job in ("churn", "commit V", "abort U", "collect") if rng.random() < 0.35]
        return Plan(500.0, None, tuple(jobs))
    jobs = ["commit U"] * rng.choice((2, 2, 3))
    for name, chance in (
        ("commit V", 0.5),
        ("commit V", 0.15),
        ("abort U", 0.35),
        ("abort V", 0.1),
        ("collect", 0.8),
        ("collect", 0.4),
        ("purge", 0.35),
        ("trash", 0.15),
        ("rename", 0.3),
        ("rename back", 0.15),
        ("restore", 0.15),
        ("restore version", 0.2),
        ("hours pass", 0.3),
    ):
        if rng.random() < chance:
            jobs.append(name)
    return Plan(rng.choice((0.0, 500.0)), rng.choice((None, None, None, "*")), tuple(jobs))


class CommitWorld(World):
    """Several masters commit one upload while files come to its path and leave it again."""

    def __init__(self, store: SqliteStore, pool: ThreadPoolExecutor, seed: int) -> None:
        rng = random.Random(seed)
        self.plan = choose_plan(rng)
        settings = MasterSettings(
            trash_retention_seconds=self.plan.retention_seconds, upload_idle_seconds=3600.0, max_versions=3
        )
        super().__init__(store, pool, rng, settings)
        self.witness = CommitWitness(store)
        self._leader = self._master()
        self._prepare()

    # --- before ---

    def _prepare(self) -> None:
        """What is at the path before, and two or three open uploads to it."""
        before = self._rng.choice(("nothing", "nothing", "a file", "a file", "old versions", "trash"))
        if self.plan.has("churn"):
            before = "a file"
        self._existing = ""
        if before != "nothing":
            self._existing = self._put()
        if before == "old versions":
            self._put()
        if self.plan.has("churn") and self._existing:
            self._leader.catalog.rename(self._existing, Q)
        elif before == "trash":
            self._leader.catalog.delete(self._existing, False)
        self._uploads = {name: self._leader.begin(self._rng.choice((P, None)), 2) for name in ("U", "V")}
        for upload_id in self._uploads.values():
            self._hold(upload_id)

    def _put(self) -> str:
        file = self._leader.put(P, 2)
        assert file.version is not None
        self._hold(file.version.version_id)
        return file.file_id

    def _hold(self, version_id: str) -> None:
        for index in range(2):
            self.hosts.put(chunk_id(version_id, index), WORKERS)

    def add_actors(self) -> None:
        for number, job in enumerate(self.plan.jobs):
            faults = {}
            if self._rng.random() < 0.35 and job != "hours pass":
                faults[self._rng.randrange(12)] = self._rng.choice(list(Fault))
            self.actors.append(Actor(f"{number} {job}", self._job(job), faults))
        if self._rng.random() < 0.2:
            self.hosts.unreachable = {url_of("worker_2")}

    def _job(self, job: str) -> Callable[[Actor], Any]:
        def run(actor: Actor) -> Any:
            if job == "hours pass":
                return self._hours_pass(actor)
            master = self._master(actor)
            actor.turn("begins")
            try:
                return self._work(job, master)
            except DFSError as error:
                return error

        return run

    def _work(self, job: str, master: Master) -> Any:
        verb, _, name = job.partition(" ")
        if verb == "commit":
            condition = self.plan.if_none_match if name == "U" else None
            return master.committer.commit(self._uploads[name], commit_request(P, 2, if_none_match=condition))
        if verb == "abort":
            return master.uploads.abort(self._uploads[name])
        if verb == "collect":
            return master.collect(units=15)
        if verb == "churn":
            for path in (P, Q) * 3:
                outcome_of(lambda path=path: master.catalog.rename(self._existing, path))
            return None
        if job == "rename back":
            return master.catalog.rename(master.catalog.find_path(Q).file.file_id, P)
        if verb == "rename":
            return master.catalog.rename(master.catalog.find_path(P).file.file_id, Q)
        if verb in ("purge", "trash"):
            return master.catalog.delete(master.catalog.find_path(P).file.file_id, verb == "purge")
        file_id = self._existing or self._uploads["U"]
        version = 1 if name == "version" else None
        return master.catalog.restore(file_id, version, None)

    def _hours_pass(self, actor: Actor) -> None:
        for _ in range(self._rng.choice((1, 3))):
            actor.turn("time")
            self.let_time_pass(self._rng.choice((40.0, 400.0, 4000.0)))

    # --- during ---

    def _before_resuming(self) -> None:
        if self._rng.random() < 0.7:
            self.settle()

    def settle(self) -> None:
        """What the collector brings to its end in the hours after, all workers answering."""
        self.hosts.unreachable = set()
        for _ in range(3):
            self._leader.collect()
            self.let_time_pass(4000.0)
        assert self._leader.collect(units=200) < 200, "garbage collection does not come to an end"

    # --- after ---

    def check(self) -> None:
        self._check_outcomes()
        self._check_contents()
        self._check_successes()
        self.settle()
        self._check_contents()
        self._check_successes()
        self._check_nothing_left()

    def _check_outcomes(self) -> None:
        """Nobody got an error for which there was no reason."""
        for actor in self.actors:
            if not isinstance(actor.outcome, BaseException):
                continue
            allowed: tuple[type[BaseException], ...] = CHANGE_ERRORS
            if actor.is_lost:
                allowed += (MetadataUnavailable,)
            job = actor.name.partition(" ")[2]
            if job.startswith("commit"):
                allowed = self._allowed_of_commit(job[-1]) + ((MetadataUnavailable,) if actor.is_lost else ())
            if not isinstance(actor.outcome, allowed):
                raise AssertionError(f"{actor.name} got {actor.outcome!r}") from actor.outcome

    def _allowed_of_commit(self, upload: str) -> tuple[type[BaseException], ...]:
        allowed: tuple[type[BaseException], ...] = ()
        if upload == "U" and self.plan.if_none_match:
            allowed += (PreconditionFailed,)
        # A paused actor may sleep through the hours in which the upload is given up as idle.
        may_be_idle = self.plan.has("hours pass") or any(actor.was_paused for actor in self.actors)
        if self.plan.has(f"abort {upload}") or may_be_idle:
            allowed += (UploadClosed, UploadUnknown)
        if self.plan.has("purge", "collect"):
            allowed += (UploadUnknown,)
        return allowed

    def _check_contents(self) -> None:
        """What can be read is there: each chunk's record, and its replicas on the workers."""
        held = self.hosts.held()
        for file in self.witness.files.values():
            assert self._store.find_file(file.file_id) == file
            for version_id in _reachable(file):
                records = self._store.list_chunks(version_id, 0, 10)
                assert [chunk.index for chunk in records] == [0, 1], f"records of {version_id} are gone"
                assert {chunk_id(version_id, index) for index in (0, 1)} <= held, f"bytes of {version_id} are gone"

    def _check_successes(self) -> None:
        for letter, upload_id in self._uploads.items():
            outcomes = [actor.outcome for actor in self.actors if actor.name.endswith(f"commit {letter}")]
            answers = [outcome for outcome in outcomes if isinstance(outcome, tuple)]
            if any(isinstance(outcome, PreconditionFailed) for outcome in outcomes):
                assert upload_id not in self.witness.shown, "a commit that its conditions refused happened all the same"
            assert len({(file.file_id, is_new) for file, is_new in answers}) <= 1, "two tries, two results"
            for file, _ in answers:
                assert self.witness.shown.get(upload_id) == {file.file_id}, "a commit that nobody could ever see"
                assert file.version.version_id == upload_id
                present = self.witness.files.get(file.file_id)
                assert (present is not None and present.has_version(upload_id)) or upload_id in self.witness.given_up, (
                    "a committed version is lost"
                )

    def _check_nothing_left(self) -> None:
        """Once all is settled the workers hold what files can still give, and nothing else."""
        wanted = {
            chunk_id(version_id, index)
            for file in self.witness.files.values()
            for version_id in _reachable(file)
            for index in (0, 1)
        }
        assert self.hosts.held() == wanted, "bytes that nobody can reach were not freed"
        assert not self._store.find_idle_uploads(model.OPEN, 1e12, 10)
        assert not self._store.find_idle_uploads(model.ABORTED, 1e12, 10)
