"""The versions that lie on the workers and that a backup does not know: which are whole, and their way back.

A version counts as whole when its last chunk says how many there are and they are all there; or, stored by a release
that wrote no notes, when it has no gap and ends in a short chunk. Every byte of it is read before it becomes a file
again: under its path where that is free, else below `recovered/`. Whether its upload was ever acknowledged the disks
cannot tell.

A rebuild that was broken off is begun anew: each version has the document of its upload first, its file before that is
closed. Memory: an entry for each chunk that no record names, and a buffer of one chunk.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from common.chunk_notes import ChunkNote
from common.clock import Clock
from common.errors import InvalidPath
from common.paths import check_path
from common.records import Checksum, place_of, version_of
from common.worker_client import DescribedChunk
from master_node import file_changes, model
from master_node.model import Chunk, File, Upload, Version
from master_node.recovery.disks import PAGE_CHUNKS, Disks
from master_node.recovery.findings import FOUND, GIVEN_UP, INCOMPLETE, Finding, Findings
from master_node.store.base import IdTaken, KeyTaken, MetadataStore

PROVEN, LIKELY = "proven", "likely"
MAX_STALE_UPLOADS = 100_000


@dataclass(frozen=True)
class _Stranger:
    """A version without a file, as the disks describe it."""

    version_id: str
    chunks: dict[int, DescribedChunk]
    holders: dict[str, set[str]]
    note: ChunkNote
    expected_count: int | None
    expected_bytes: int | None

    @property
    def size_bytes(self) -> int:
        return sum(chunk.size_bytes for chunk in self.chunks.values())


class Strangers:
    """First `collect`, then `bring_back`."""

    def __init__(
        self,
        store: MetadataStore,
        disks: Disks,
        clock: Clock,
        *,
        stale_before: float,
        chunk_size_bytes: int,
        replication_factor: int,
    ) -> None:
        """stale_before: an open upload without a sign of life after this, on the cluster clock, is of the backup.

        chunk_size_bytes, replication_factor: of versions whose notes do not say.
        """
        self._store = store
        self._disks = disks
        self._clock = clock
        self._stale_before = stale_before
        self._chunk_size_bytes = chunk_size_bytes
        self._replication_factor = replication_factor
        self._holders: dict[str, dict[str, set[str]]] = defaultdict(dict)

    def collect(self) -> None:
        """Look through all disks for chunks that belong to no file's version."""
        stale = {upload.upload_id for upload in self._stale_uploads()}
        for found in self._disks.folders():
            ids = sorted(found)
            for start in range(0, len(ids), PAGE_CHUNKS):
                page = ids[start : start + PAGE_CHUNKS]
                recorded = {chunk.chunk_id for chunk in self._store.find_chunks(page)}
                for one in page:
                    if one not in recorded or version_of(one) in stale:
                        self._holders[version_of(one)][one] = found[one]

    def give_to(self, version: Version, is_gone: bool) -> None:
        """The version belongs to a file. Chunks of it that lack a record get one, unless it is about to be freed.

        Only the dump of a database that was being written lacks some.
        """
        holders = self._holders.pop(version.version_id, None)
        if holders is None or is_gone:
            return
        described = _latest(self._disks.describe(holders))
        # No copy counts until a job has had it read.
        records = [
            self._record(version.version_id, chunk, version.replication_factor, holders[chunk.chunk_id])
            for index, chunk in described.items()
            if index < version.chunk_count
        ]
        self._store.insert_chunks(records)

    def bring_back(self, findings: Findings) -> None:
        """Make files of those that are whole, the latest of a path first, and name all others."""
        waiting = []
        for version_id in sorted(self._holders):
            refusal = self._refusal(version_id)
            if refusal is None:
                stranger = self._describe(version_id)
                waiting.append((stranger.note.uploaded_at, version_id))
            elif refusal:
                findings.add(Finding(GIVEN_UP, version_id, detail=refusal))
        for _, version_id in sorted(waiting, reverse=True):
            findings.add(self._bring_back(self._describe(version_id)))
        self._give_up_stale()

    def _refusal(self, version_id: str) -> str | None:
        """Why this version is not to come back; "" where its upload is under way, None where it may."""
        upload = self._store.find_upload(version_id)
        if upload is not None and upload.state == model.ABORTED:
            return "the upload was given up"
        if upload is not None and upload.state in model.GOING_ON and upload.last_activity_at > self._stale_before:
            return ""
        file = self._store.find_file(version_id)
        return "the file was purged" if file is not None and file.status == model.PURGED else None

    def _describe(self, version_id: str) -> _Stranger:
        holders = self._holders[version_id]
        described = self._disks.describe(holders)
        chunks = _latest(described)
        notes = [note for index in sorted(chunks) if (note := ChunkNote.decode(chunks[index].note)) is not None]
        last = next((note for note in notes if note.chunk_count is not None), None)
        if last is not None:
            # What lies beyond the end was sent by an attempt that another has taken over from.
            chunks = {index: chunk for index, chunk in chunks.items() if index < (last.chunk_count or 0)}
        return _Stranger(
            version_id,
            chunks,
            holders,
            notes[0] if notes else ChunkNote(),
            last.chunk_count if last is not None else None,
            last.size_bytes if last is not None else None,
        )

    def _bring_back(self, stranger: _Stranger) -> Finding:
        note = stranger.note
        finding = Finding(
            INCOMPLETE,
            stranger.version_id,
            known_as=note.path or note.file_name,
            chunk_count=stranger.expected_count or 0,
            size_bytes=stranger.size_bytes,
            uploaded_at=note.uploaded_at,
        )
        completeness, problem = self._judge(stranger)
        if problem:
            missing = max(1, (stranger.expected_count or 0) - len(stranger.chunks))
            return replace(finding, missing_chunks=missing, detail=problem)
        chunks, checksum = self._read(stranger)
        if checksum is None:
            return replace(finding, missing_chunks=1, detail="a chunk of it cannot be read")
        file = self._make_file(stranger, chunks, checksum)
        return replace(
            finding, kind=FOUND, path=file.path, chunk_count=len(chunks), completeness=completeness, detail=""
        )

    def _judge(self, stranger: _Stranger) -> tuple[str, str]:
        """How sure it is that all chunks are there; or what is missing."""
        count, present = len(stranger.chunks), set(stranger.chunks)
        if stranger.expected_count is not None:
            gaps = set(range(stranger.expected_count)) - present
            if gaps or stranger.size_bytes != stranger.expected_bytes:
                return "", f"chunks {_some(gaps)} of {stranger.expected_count} are on no worker"
            return PROVEN, ""
        gaps = set(range(max(present, default=0) + 1)) - present
        if gaps or not present:
            return "", f"chunks {_some(gaps)} are on no worker, nor is the last"
        if stranger.note != ChunkNote():
            return "", f"its last chunk is on no worker, nor any after chunk {count - 1}"
        full = stranger.chunks[0].size_bytes if count > 1 else self._chunk_size_bytes
        if stranger.chunks[count - 1].size_bytes < full:
            return LIKELY, ""
        return "", f"it has {count} full chunks, and nothing tells whether there were more"

    def _read(self, stranger: _Stranger) -> tuple[list[Chunk], Checksum | None]:
        """The records of its chunks, and the checksum of all bytes; None where one cannot be read anywhere."""
        factor = stranger.note.replication_factor or self._replication_factor
        digest = hashlib.sha256()
        chunks = []
        for index in range(len(stranger.chunks)):
            chunk = self._record(stranger.version_id, stranger.chunks[index], factor, ())
            holders = stranger.holders[chunk.chunk_id]
            reader = self._disks.read(chunk, holders, digest)
            if reader is None:
                return [], None
            # The others' copies were not read: they count once they are, by the jobs that adopt.
            others = tuple(sorted(holders - {reader}))
            chunks.append(replace(chunk, replicas=(reader,), owed=factor - 1, doubtful=others))
        return chunks, Checksum("sha256", digest.hexdigest())

    def _make_file(self, stranger: _Stranger, chunks: list[Chunk], checksum: Checksum) -> File:
        upload = self._require_upload(stranger, chunks)
        self._put_records(chunks)
        now = self._clock.timestamp()
        version = Version(
            version_id=stranger.version_id,
            number=1,
            size_bytes=stranger.size_bytes,
            chunk_count=len(chunks),
            chunk_size_bytes=upload.chunk_size_bytes,
            replication_factor=upload.replication_factor,
            checksum=checksum,
            content_type=stranger.note.content_type or "application/octet-stream",
            created_at=stranger.note.uploaded_at or now,
        )
        file = self._insert(stranger, upload, version)
        self._store.replace_upload(
            replace(upload, state=model.COMMITTED, file_id=file.file_id, revision=upload.revision + 1, resumable=None)
        )
        return file

    def _put_records(self, chunks: list[Chunk]) -> None:
        """These and no others: the backup may have records of earlier attempts, or beyond the end."""
        wanted = {chunk.index: chunk for chunk in chunks}
        self._store.insert_chunks(chunks)
        start = 0
        while chunks and (present := self._store.list_chunks(chunks[0].version_id, start, PAGE_CHUNKS)):
            start = present[-1].index + 1
            self._store.delete_chunks([chunk for chunk in present if chunk.index not in wanted])
            other = [
                chunk for chunk in present if chunk.index in wanted and chunk.attempt != wanted[chunk.index].attempt
            ]
            self._store.replace_chunks([replace(wanted[chunk.index], revision=chunk.revision + 1) for chunk in other])

    def _record(self, version_id: str, chunk: DescribedChunk, factor: int, holders: Iterable[str]) -> Chunk:
        """A record of which no copy counts yet."""
        _, index, attempt = place_of(chunk.chunk_id)
        doubtful = tuple(sorted(holders))
        return Chunk(
            version_id, index, chunk.size_bytes, chunk.checksum, (), factor, doubtful, revision=1, attempt=attempt
        )

    def _stale_uploads(self) -> list[Upload]:
        """The uploads that the backup knew as going on, and of which nobody has heard since."""
        return [
            upload
            for state in model.GOING_ON
            for upload in self._store.find_idle_uploads(state, self._stale_before, MAX_STALE_UPLOADS)
        ]

    def _give_up_stale(self) -> None:
        """Those resumable uploads that have not become files begin anew: what the backup says of them was overtaken,
        and the disks may hold other chunks under the ids that would come next.
        """
        for upload in self._stale_uploads():
            if upload.takes_bytes:
                self._store.replace_upload(replace(upload, state=model.ABORTED, revision=upload.revision + 1))

    def _require_upload(self, stranger: _Stranger, chunks: list[Chunk]) -> Upload:
        """The document that says whose the chunks are, until there is a file."""
        found = self._store.find_upload(stranger.version_id)
        if found is not None:
            return found
        upload = Upload(
            upload_id=stranger.version_id,
            state=model.OPEN,
            revision=1,
            chunk_size_bytes=stranger.note.chunk_size_bytes or max(self._chunk_size_bytes, chunks[0].size_bytes),
            replication_factor=chunks[0].factor,
            recorded_count=len(chunks),
            recorded_bytes=stranger.size_bytes,
            placed_count=len(chunks),
            workers=tuple(sorted({name for names in stranger.holders.values() for name in names})),
            last_activity_at=self._stale_before,
        )
        self._store.insert_upload(upload)
        return upload

    def _insert(self, stranger: _Stranger, upload: Upload, version: Version) -> File:
        now = self._clock.timestamp()
        for path in self._paths(stranger, now[:10]):
            file = file_changes.new_file(upload, path, version, now)
            try:
                self._store.insert_file(file)
            except KeyTaken:
                continue
            except IdTaken:
                # An earlier try of this rebuild has come so far.
                return self._store.find_file(file.file_id) or file
            return file
        raise AssertionError("the last of the paths is nobody else's")

    def _paths(self, stranger: _Stranger, date: str) -> Iterator[str]:
        """Where the file may go, the best first; the last one is taken by no other version."""
        note, version_id = stranger.note, stranger.version_id
        name = note.path or note.file_name
        wanted = [note.path, f"recovered/{date}/{name}", f"recovered/{date}/{name}~{version_id[:8]}"] if name else []
        for path in wanted:
            try:
                yield check_path(path)
            except InvalidPath:
                continue
        yield f"recovered/{date}/{version_id}"


def _latest(described: Mapping[str, DescribedChunk]) -> dict[int, DescribedChunk]:
    """By index, the chunk of the highest attempt: the one that was recorded last, if any of them was."""
    return {place_of(one)[1]: described[one] for one in sorted(described, key=lambda one: place_of(one)[1:])}


def _some(indexes: set[int]) -> str:
    shown = ", ".join(str(index) for index in sorted(indexes)[:5])
    return f"{shown}, ..." if len(indexes) > 5 else shown or "(of another length)"
