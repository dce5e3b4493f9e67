"""Files as clients know them: find, list, delete, restore, rename. Each change is one conditional write."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from common.clock import Clock
from common.errors import Conflict, FileUnknown, InvalidPath, InvalidRequest
from common.master_client import NO_CHUNKS, Located, MapPart
from common.paths import check_path, is_folder
from common.records import Checksum, ChunkLocation, FileInfo, Target
from common.settings import MasterSettings
from master_node import file_changes, model
from master_node.election import Election
from master_node.listing import ListingQuery, list_page
from master_node.membership import ALIVE, Membership
from master_node.model import Chunk, File, Preconditions
from master_node.quotas.ledger import Ledger
from master_node.store.base import KeyTaken, MetadataStore, ReadLevel

MAX_CHUNK_PAGE = 1024
# Each turn is lost to another change of the same file that succeeded.
MAX_TURNS = 100


@dataclass(frozen=True)
class Expected:
    """What must hold of a file for a change to be made: its content, as If-Match has it, and its path."""

    if_match: str | None = None
    path: str | None = None

    def of_move(self, file: File, target: str | None) -> Expected:
        """The same for a change that may be a repeat: then the file is where it was to go."""
        return replace(self, path=None) if file.path == target else self

    def check(self, file: File) -> None:
        """Raise PreconditionFailed, or FileUnknown where the path is another file's or nobody's by now."""
        if self.path is not None and file.path != self.path:
            raise FileUnknown("no file has this path", path=self.path)
        Preconditions(if_match=self.if_match).check(file)


NOTHING_EXPECTED = Expected()


def read_level(wanted: str | None) -> ReadLevel:
    """How fresh a read is asked to be; None: as the store reads by itself. Raises InvalidRequest."""
    if wanted is None:
        return ReadLevel.MAJORITY
    try:
        return ReadLevel(wanted)
    except ValueError:
        choices = ", ".join(level.value for level in ReadLevel)
        raise InvalidRequest(f"the consistency of a read is one of {choices}, not {wanted!r}") from None


class Catalog:
    """The files of the cluster, as one master serves them. Every change may be repeated, at any master."""

    def __init__(
        self,
        store: MetadataStore,
        membership: Membership,
        election: Election,
        settings: MasterSettings,
        clock: Clock,
        rng: random.Random,
        ledger: Ledger | None = None,
    ) -> None:
        self._store = store
        self._ledger = ledger or Ledger(store, election, clock)
        self._membership = membership
        self._election = election
        self._settings = settings
        self._clock = clock
        self._rng = rng

    def find(
        self,
        file_id: str,
        part: MapPart = NO_CHUNKS,
        level: ReadLevel = ReadLevel.MAJORITY,
        version: int | None = None,
    ) -> Located:
        """The file with this id, active or in the trash, with a part of its chunk map; raises FileUnknown.

        version: the file as it was with this content; raises VersionUnknown.
        """
        store = self._store.reading(level)
        file = _require(store, file_id)
        return self._located(store, file if version is None else file_changes.at_version(file, version), part)

    def find_path(self, path: str, part: MapPart = NO_CHUNKS, level: ReadLevel = ReadLevel.MAJORITY) -> Located:
        """The active file at this path; raises FileUnknown, InvalidPath."""
        store = self._store.reading(level)
        file = store.find_file_by_key(f"a/{check_path(path)}")
        if file is None:
            raise FileUnknown("no file has this path", path=path)
        return self._located(store, file, part)

    def list(self, query: ListingQuery, level: ReadLevel = ReadLevel.MAJORITY) -> dict[str, Any]:
        """One page of files, active ones or the trash, as the REST has it."""
        page = list_page(self._store.reading(level).scan_files, query)
        files = [_without_old_versions(file.to_info().to_json()) for file in page.files]
        listing = {"files": files, "prefixes": page.prefixes, "next_cursor": page.next_cursor}
        return self._with_ends(listing, page.files) if query.status == model.DELETED else listing

    def list_chunks(
        self, version_id: str, start: int, limit: int, level: ReadLevel = ReadLevel.MAJORITY
    ) -> tuple[ChunkLocation, ...]:
        """The chunk map of a version; the replicas of each chunk with those first that are alive.

        A worker of which this master knows nothing is named all the same, without an address.
        """
        return self._locations(self._store.reading(level), version_id, start, limit)

    def delete(self, file_id: str, is_permanent: bool, expected: Expected = NOTHING_EXPECTED) -> FileInfo:
        """To the trash, or for good. Deleting what is in the trash already changes nothing."""
        if is_permanent:
            return self._purge(file_id, expected)

        def change(file: File) -> File:
            if file.status == model.DELETED:
                return file
            expected.check(file)
            return file_changes.trash(file, expires_at=self._retained_until(), now=self._clock.timestamp())

        return self._change(file_id, change).to_info()

    def restore(
        self, file_id: str, version: int | None, path: str | None, expected: Expected = NOTHING_EXPECTED
    ) -> FileInfo:
        """Out of the trash, under another path if given; or, with `version`, an old content made current again."""
        if path is not None:
            check_path(path)

        def change(file: File) -> File:
            expected.of_move(file, path).check(file)
            now = self._clock.timestamp()
            if version is not None:
                restored = file_changes.restore_version(
                    file, version, expires_at=self._retained_until(), max_versions=self._settings.max_versions, now=now
                )
            elif file.status == model.DELETED:
                restored = file_changes.restore_from_trash(file, path, now)
            elif path in (None, file.path):
                restored = file
            else:
                raise Conflict("the file is not in the trash; to give it another path, rename it", path=file.path)
            _require_folder_empty(restored)
            return restored

        return self._change(file_id, change, path).to_info()

    def rename(self, file_id: str, path: str, expected: Expected = NOTHING_EXPECTED) -> FileInfo:
        """Give an active file another path; raises PathTaken, FileDeleted."""
        check_path(path)

        def change(file: File) -> File:
            file_changes.require_active(file)
            expected.of_move(file, path).check(file)
            renamed = file if file.path == path else file_changes.rename(file, path, self._clock.timestamp())
            _require_folder_empty(renamed)
            return renamed

        return self._change(file_id, change, path).to_info()

    def record_checksum(self, file_id: str, version_id: str, checksum: Checksum) -> FileInfo:
        """Put down the checksum of one of the file's versions; raises VersionUnknown, Conflict where it has another.

        What is written names the version, so that it cannot land on one that has come since.
        """
        return self._change(file_id, lambda file: file_changes.with_checksum(file, version_id, checksum)).to_info()

    def _purge(self, file_id: str, expected: Expected) -> FileInfo:
        """Also answers for a file that was purged already: the answer to the first call may have been lost."""
        for _ in range(MAX_TURNS):
            file = self._store.find_file(file_id)
            if file is None or file.version is None:
                raise FileUnknown("no file has this id", file_id=file_id)
            if file.status == model.PURGED:
                return file.to_info()
            expected.check(file)
            purged = file_changes.purge(file, self._election.clock_seconds(), self._clock.timestamp())
            self._ledger.replace_file(self._store, file, purged)
        raise Conflict("the file is being changed by others all the time", file_id=file_id)

    def _change(self, file_id: str, change: Callable[[File], File], path: str | None = None) -> File:
        """Apply `change` to the file as it stands; `change` gives the file back unchanged where nothing is to do."""
        for _ in range(MAX_TURNS):
            file = _require(self._store, file_id)
            changed = change(file)
            try:
                if changed is file or self._ledger.replace_file(self._store, file, changed):
                    return changed
            except KeyTaken:
                raise file_changes.path_taken(path or file.path) from None
        raise Conflict("the file is being changed by others all the time", file_id=file_id)

    def _with_ends(self, listing: dict[str, Any], files: Sequence[File]) -> dict[str, Any]:
        """A page of the trash, with how long it is kept, and how much of that each file has left."""
        now = self._election.clock_seconds()
        for shown, file in zip(listing["files"], files, strict=True):
            shown["expires_in_seconds"] = max(0, round(file.expires_at - now))
        return {**listing, "retention_seconds": round(self._settings.trash_retention_seconds)}

    def _retained_until(self) -> float:
        return self._election.clock_seconds() + self._settings.trash_retention_seconds

    def _located(self, store: MetadataStore, file: File, part: MapPart) -> Located:
        info = file.to_info()
        # Beyond its end a resumable upload may have records that are not its own, until they are collected.
        count = min(part.count, info.chunk_count - part.start)
        return Located(info, self._locations(store, info.version_id, part.start, count) if count > 0 else ())

    def _locations(self, store: MetadataStore, version_id: str, start: int, limit: int) -> tuple[ChunkLocation, ...]:
        return self.locate(store.list_chunks(version_id, start, limit))

    def locate(self, chunks: Sequence[Chunk]) -> tuple[ChunkLocation, ...]:
        """Where these chunks can be read, those replicas first that are alive."""
        states = {view.record.worker_id: view.state for view in self._membership.workers()}
        targets = self._membership.targets()
        locations = []
        for chunk in chunks:
            replicas = [targets.get(worker_id, Target(worker_id, "")) for worker_id in chunk.replicas]
            self._rng.shuffle(replicas)
            replicas.sort(key=lambda target: states.get(target.worker_id) != ALIVE)
            locations.append(
                ChunkLocation(chunk.index, chunk.size_bytes, chunk.checksum, tuple(replicas), chunk.attempt)
            )
        return tuple(locations)


def _require(store: MetadataStore, file_id: str) -> File:
    file = store.find_file(file_id)
    if file is None or file.status == model.PURGED:
        raise FileUnknown("no file has this id", file_id=file_id)
    return file


def _without_old_versions(info: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in info.items() if name != "old_versions"}


def _require_folder_empty(file: File) -> None:
    if is_folder(file.path) and file.version is not None and file.version.size_bytes:
        raise InvalidPath('a path that ends in "/" is a folder\'s own entry and holds no bytes')
