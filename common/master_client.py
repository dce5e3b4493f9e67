"""How the other services talk to the masters: any of them answers, so the next is asked when one does not.

The master that answered last is asked first. Every call may be sent twice (a lost answer, another master), so every
call of the masters' interface is repeatable: it says what must be so, not what to add. Opening an upload is the one
exception, and harmless: a second copy opens another upload, which stays empty and is collected.
"""

from __future__ import annotations

import random
import secrets
import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import quote, urlencode

from common.api_keys import KeyRecord
from common.clock import Clock
from common.errors import (
    ClusterSecretRejected,
    DFSError,
    Forbidden,
    MetadataUnavailable,
    NoMasterAnswers,
    PeerUnreachable,
)
from common.fields import take, take_objects
from common.http import HttpPool
from common.records import (
    Checksum,
    ChunkLocation,
    FileInfo,
    Heartbeat,
    OpenUpload,
    StoredChunk,
    describe_checksum,
)
from common.resumables import NewResumable, ResumableInfo, ResumedUpload


@dataclass(frozen=True)
class Located:
    """A file with the first page of its chunk map."""

    file: FileInfo
    chunks: tuple[ChunkLocation, ...]


@dataclass(frozen=True)
class MapPart:
    """Which part of a chunk map is wanted: at most `count` chunks from the index `start` on."""

    start: int
    count: int


NO_CHUNKS = MapPart(0, 0)


class MasterClient:
    """The masters' interface as typed calls. Raises the masters' own errors, and NoMasterAnswers after the deadline."""

    def __init__(
        self, pool: HttpPool, urls: Sequence[str], clock: Clock, *, timeout_seconds: float, deadline_seconds: float
    ) -> None:
        """timeout_seconds: silence after which the next master is asked; deadline_seconds: for the whole call."""
        self._pool = pool
        self._urls = list(urls)
        self._clock = clock
        self._timeout_seconds = timeout_seconds
        self._deadline_seconds = deadline_seconds
        self._preferred = 0
        self._lock = threading.Lock()

    # --- uploads ---

    def open_upload(
        self,
        path: str | None,
        replication_factor: int | None,
        place: int,
        consistency: str | None = None,
        size_bytes: int | None = None,
        resumable: NewResumable | None = None,
    ) -> OpenUpload:
        """Open an upload and place its first `place` chunks. path: where it will be committed, if known.

        consistency: how many replicas must be on disk before it is acknowledged, "one", "quorum" or "all"; None, as
        for the factor: as the masters are configured. size_bytes: of the whole file, if known.
        resumable: for one that is sent in many requests; it needs a path, unless it is partial, and `place` is 0:
        every request, the first too, begins with `resume_upload`.
        Raises NotEnoughWorkers, ClusterFull, InvalidRequest, QuotaExceeded, LargerThanQuota.
        """
        body: dict[str, Any] = {
            "path": path,
            "replication_factor": replication_factor,
            "place": place,
            "consistency": consistency,
            "size_bytes": size_bytes,
        }
        if resumable is not None:
            body["resumable"] = resumable.to_json()
        return OpenUpload.from_json(self._call("POST", "/uploads", body))

    def find_upload(self, upload_id: str) -> ResumableInfo:
        """A resumable upload as it stands. Raises UploadUnknown, UploadClosed (given up, or expired)."""
        return ResumableInfo.from_json(self._call("GET", f"/uploads/{quote(upload_id, safe='')}"))

    def resume_upload(self, upload_id: str, offset: int, length: int | None = None, place: int = 0) -> ResumedUpload:
        """Take a resumable upload over, to send what follows on `offset`; whoever had it before is fenced off.

        length: of the whole, where the client says it only now. place: so many chunks, from `next_index` on.
        Chunks that are written now have the new attempt in their ids, also the first one, which begins with the bytes
        of the tail where there is one. Unless it is what the upload ends with, a short chunk's note must not say that
        it is the last (`ChunkNote.last`).
        Raises OffsetConflict, UploadSealed, UploadUnknown, UploadClosed, InvalidRequest for another length than was
        given before, and what `open_upload` raises.
        """
        # The same for every copy of this call, so that a repeated one does not fence its own caller off.
        body = {"offset": offset, "length": length, "place": place, "session": secrets.token_hex(8)}
        return ResumedUpload.from_json(self._call("POST", f"/uploads/{quote(upload_id, safe='')}/resume", body))

    def record_chunks(
        self, upload_id: str, chunks: Sequence[StoredChunk], place_from: int, place: int, attempt: int | None = None
    ) -> OpenUpload:
        """Record finished chunks, which must follow on those recorded before, and place the next ones.

        attempt: of a resumable upload, as for its chunks. Then the last one may be short: the tail, with which the
        attempt ends, for the same id can never name a longer one. Raises UploadTakenOver once another has resumed it.
        """
        body: dict[str, Any] = {
            "chunks": [chunk.to_json() for chunk in chunks],
            "place_from": place_from,
            "place": place,
        }
        if attempt is not None:
            body["attempt"] = attempt
        return OpenUpload.from_json(self._call("POST", f"/uploads/{upload_id}/chunks", body))

    def commit_upload(
        self,
        upload_id: str,
        *,
        path: str,
        content_type: str,
        size: int,
        chunk_count: int,
        checksum: Checksum | None,
        chunks: Sequence[StoredChunk],
        if_match: str | None = None,
        if_none_match: str | None = None,
        attempt: int | None = None,
    ) -> tuple[FileInfo, bool]:
        """Make the upload the file at `path`, in one step; returns the file and whether it is a new one.

        attempt: of a resumable upload. Its last chunk, where that is short, must be one of this attempt: a tail of an
        earlier one is written again. From here on it takes no more bytes, whatever this call raises: after any error
        that may pass, `commit_sealed` goes on. Raises UploadTakenOver.
        """
        body = {
            "path": path,
            "content_type": content_type,
            "size": size,
            "chunk_count": chunk_count,
            "checksum": describe_checksum(checksum),
            "chunks": [chunk.to_json() for chunk in chunks],
            "if_match": if_match,
            "if_none_match": if_none_match,
        }
        if attempt is not None:
            body["attempt"] = attempt
        return _committed(self._call("POST", f"/uploads/{upload_id}/commit", body))

    def commit_sealed(self, upload_id: str) -> tuple[FileInfo, bool]:
        """Commit a resumable upload that is sealed, from what its document says; any gateway may, any number of times.

        Raises UploadUnknown, UploadClosed, PreconditionFailed, InvalidRequest for one that is not sealed yet, and what
        else `commit_upload` raises.
        """
        return _committed(self._call("POST", f"/uploads/{upload_id}/commit", {"sealed": True}))

    def abort_upload(self, upload_id: str) -> None:
        """Give the upload up; its chunks are collected. Raises UploadSealed for a resumable one that is a file."""
        self._call("DELETE", f"/uploads/{upload_id}")

    # --- files ---
    # level: how fresh a read is to be, "linearizable", "majority" or "eventual"; None: majority.

    def find_file(
        self, file_id: str, part: MapPart = NO_CHUNKS, level: str | None = None, version: int | None = None
    ) -> Located:
        """The file with this id, also from the trash, with a part of its chunk map.

        version: the file as it was with this content; raises VersionUnknown where that has been freed.
        """
        wanted = "" if version is None else f"&version={version}"
        query = f"chunks={part.count}&start={part.start}{_level(level)}{wanted}"
        return _located(self._call("GET", f"/files/{quote(file_id, safe='')}?{query}"))

    def find_path(self, path: str, part: MapPart = NO_CHUNKS, level: str | None = None) -> Located:
        """The active file at `path`, with a part of its chunk map."""
        query = f"path={quote(path, safe='')}&chunks={part.count}&start={part.start}{_level(level)}"
        return _located(self._call("GET", f"/paths?{query}"))

    def list_chunks(
        self, version_id: str, start: int, limit: int, level: str | None = None
    ) -> tuple[ChunkLocation, ...]:
        """The chunks of a version from index `start`, at most `limit`."""
        answer = self._call("GET", f"/versions/{version_id}/chunks?start={start}&limit={limit}{_level(level)}")
        return _locations(answer)

    def list_files(self, query: Mapping[str, str], level: str | None = None) -> dict[str, Any]:
        """One page of the listing, as the gateway's REST has it."""
        given = query if level is None else {**query, "consistency": level}
        return self._call("GET", "/files?" + urlencode(given))

    def delete_file(
        self, file_id: str, is_permanent: bool, if_match: str | None = None, path: str | None = None
    ) -> FileInfo:
        """To the trash, or for good; both may be repeated. path: only while the file is still there."""
        query = {"permanent": "true" if is_permanent else None, "if_match": if_match, "path": path}
        given = urlencode({name: value for name, value in query.items() if value is not None})
        suffix = f"?{given}" if given else ""
        return FileInfo.from_json(self._call("DELETE", f"/files/{quote(file_id, safe='')}{suffix}"))

    def restore_file(
        self, file_id: str, version: int | None, path: str | None, from_path: str | None = None
    ) -> FileInfo:
        """Out of the trash, or an old version made the current one again. from_path: only while the file is there."""
        body = {"version": version, "path": path, "from_path": from_path}
        return FileInfo.from_json(self._call("POST", f"/files/{quote(file_id, safe='')}/restore", body))

    def rename_file(
        self, file_id: str, path: str, if_match: str | None = None, from_path: str | None = None
    ) -> FileInfo:
        """from_path: only while the file is still there."""
        body = {"path": path, "if_match": if_match, "from_path": from_path}
        return FileInfo.from_json(self._call("PATCH", f"/files/{quote(file_id, safe='')}", body))

    def record_checksum(self, file_id: str, version_id: str, checksum: Checksum) -> FileInfo:
        """Put down that of one version, present or old, which had none. Raises VersionUnknown, and Conflict for one
        that has another; with the same it may be repeated.
        """
        body = {"version_id": version_id, "checksum": checksum.to_json()}
        return FileInfo.from_json(self._call("POST", f"/files/{quote(file_id, safe='')}/checksum", body))

    def empty_trash(self, prefix: str) -> dict[str, Any]:
        """Delete a bounded part of the trash below the prefix for good: {"deleted": n, "more": are some left?}."""
        return self._call("POST", "/trash/empty", {"prefix": prefix})

    # --- cluster ---

    def cluster(self) -> dict[str, Any]:
        """Leader, workers and replication as one master sees them."""
        return self._call("GET", "/cluster")

    def send_heartbeat(self, worker_id: str, heartbeat: Heartbeat) -> dict[str, Any]:
        return self._call("POST", f"/heartbeat/{quote(worker_id, safe='')}", asdict(heartbeat))

    def say_goodbye(self, worker_id: str) -> None:
        """The worker is being stopped on purpose: it is in maintenance until its next heartbeat."""
        self._call("POST", f"/workers/{quote(worker_id, safe='')}/goodbye")

    def report_bad_replicas(self, worker_id: str, chunk_ids: Sequence[str]) -> None:
        """The worker has no usable copy of these chunks, whatever the records say."""
        self._call("POST", f"/workers/{quote(worker_id, safe='')}/bad_replicas", {"chunk_ids": list(chunk_ids)})

    def set_draining(self, worker_id: str, is_draining: bool) -> dict[str, Any]:
        """Empty a worker, or take it back; returns the worker as /cluster shows it. Raises WorkerUnknown."""
        verb = "drain" if is_draining else "undrain"
        return self._call("POST", f"/workers/{quote(worker_id, safe='')}/{verb}")

    def list_quotas(self) -> dict[str, Any]:
        """{"quotas": [...]}: every quota with what it allows and what is used of it."""
        return self._call("GET", "/quotas")

    def set_quota(self, prefix: str, limits: Mapping[str, Any]) -> dict[str, Any]:
        """Limit the bytes or files below a prefix, or change the limits. Raises InvalidRequest."""
        return self._call("PUT", f"/quotas?{urlencode({'prefix': prefix})}", dict(limits))

    def remove_quota(self, prefix: str) -> dict[str, Any]:
        """Raises QuotaUnknown."""
        return self._call("DELETE", f"/quotas?{urlencode({'prefix': prefix})}")

    def jobs(self) -> dict[str, Any]:
        """{"jobs": [...]}: every job with its state, progress and last error."""
        return self._call("GET", "/jobs")

    def start_fsck(self, is_verifying: bool = False) -> dict[str, Any]:
        """Have the leader compare all records with all disks; a check that runs already goes on.

        is_verifying: every replica is read again, too.
        """
        return self._call("POST", "/fsck?verify=true" if is_verifying else "/fsck")

    def fsck(self) -> dict[str, Any]:
        """How far the last check is, and what it found."""
        return self._call("GET", "/fsck")

    # --- keys ---

    def put_key(self, key: KeyRecord) -> None:
        """Keep a new key. The masters never learn its text."""
        self._call("POST", "/keys", key.to_json())

    def find_key(self, key_id: str) -> KeyRecord:
        """The key with this id, also a revoked one; raises KeyUnknown."""
        return KeyRecord.from_json(self._call("GET", f"/keys/{quote(key_id, safe='')}"))

    def list_keys(self, after: str, limit: int, is_active_only: bool = False) -> list[KeyRecord]:
        """Keys in the order of their ids, from the first above `after`; or only those that are not revoked."""
        query = urlencode({"after": after, "limit": limit, "active": "true" if is_active_only else "false"})
        answer = self._call("GET", f"/keys?{query}")
        return [KeyRecord.from_json(item) for item in take_objects(answer, "keys")]

    def revoke_key(self, key_id: str) -> KeyRecord:
        """From now on the key counts no more; raises KeyUnknown."""
        return KeyRecord.from_json(self._call("DELETE", f"/keys/{quote(key_id, safe='')}"))

    def is_alive(self, url: str) -> bool:
        """Whether the master at `url` answers within a second."""
        return self.release_of(url) is not None

    def release_of(self, url: str) -> str | None:
        """Which release the master at `url` runs, "" for one that does not say; None where it does not answer in time.

        It answers from memory, whatever its database does.
        """
        try:
            answer = self._pool.call_json("GET", f"{url}/current_leader", timeout_seconds=1.0)
        except Forbidden:
            return ""
        except DFSError:
            return None
        return str(answer.get("version", ""))

    def is_ready(self, url: str) -> bool:
        """Whether the master at `url` says within a second that it has what it depends on."""
        try:
            return self._pool.call_json("GET", f"{url}/ready", timeout_seconds=1.0).get("status") == "ready"
        except DFSError:
            return False

    def _call(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        """Ask the masters in turn, starting with the one that answered last, until one does or time is up."""
        give_up_at = self._clock.monotonic() + self._deadline_seconds
        pause = 0.05
        while True:
            failure: Exception | None = None
            for _ in self._urls:
                number = self._preferred
                try:
                    url = self._urls[number] + path
                    return self._pool.call_json(method, url, timeout_seconds=self._timeout_seconds, body=body)
                except (PeerUnreachable, MetadataUnavailable, ClusterSecretRejected) as error:
                    failure = error
                    self._prefer_next(number)
                if self._clock.monotonic() >= give_up_at:
                    break
            wait = pause * random.uniform(0.5, 1.5)
            if self._clock.monotonic() + wait >= give_up_at:
                if isinstance(failure, (MetadataUnavailable, ClusterSecretRejected)):
                    raise failure
                raise NoMasterAnswers(f"no master answered within {self._deadline_seconds:g} s") from failure
            self._clock.sleep(wait)
            pause = min(2 * pause, 1.0)

    def _prefer_next(self, failed: int) -> None:
        """Move on, unless another thread already has."""
        with self._lock:
            if self._preferred == failed:
                self._preferred = (failed + 1) % len(self._urls)


def _committed(answer: Mapping[str, Any]) -> tuple[FileInfo, bool]:
    return FileInfo.from_json(take(answer, "file", dict)), take(answer, "is_new", bool)


def _level(level: str | None) -> str:
    return "" if level is None else f"&consistency={quote(level, safe='')}"


def _located(answer: Mapping[str, Any]) -> Located:
    return Located(FileInfo.from_json(take(answer, "file", dict)), _locations(answer))


def _locations(answer: Mapping[str, Any]) -> tuple[ChunkLocation, ...]:
    return tuple(ChunkLocation.from_json(item) for item in take_objects(answer, "chunks"))
