"""Fetch a replica from another worker, as the leader has ordered, straight onto this disk.

The bytes go through the same windows as those of clients, so copies are bounded by the same memory.
"""

from __future__ import annotations

import contextlib
import mmap

from common.chunk_notes import NOTE_HEADER, decode_header
from common.errors import ChunkCorrupt, ChunkMissing, DFSError, InvalidRequest, PeerUnreachable
from common.http import Answer
from common.worker_client import CHECKSUM_HEADER, WorkerClient
from storage.chunk_store import ChunkStore


class ReplicaCopier:
    """Copies from any worker into one store."""

    def __init__(self, store: ChunkStore, workers: WorkerClient) -> None:
        self._store = store
        self._workers = workers

    def copy(self, chunk_id: str, source_url: str, size_bytes: int, checksum: str) -> None:
        """Have the replica here, verified and on the disk; one that is here and intact stays as it is.

        What is wrong with the source is told with its URL as `source`: ChunkMissing, ChunkCorrupt (it is then asked to
        look at its replica itself), PeerUnreachable. For this disk as `ChunkStore.write`.
        """
        if self._store.confirm(chunk_id, checksum):
            return
        try:
            with _Replica(self._workers, source_url, chunk_id, size_bytes, checksum) as replica:
                self._store.write(chunk_id, replica, size_bytes, checksum, replica.note)
        except ChunkCorrupt as error:
            with contextlib.suppress(DFSError):
                self._workers.verify_chunk(source_url, chunk_id)
            raise ChunkCorrupt(f"the replica at {source_url} is damaged: {error.detail}", source=source_url) from error


class _Replica:
    """A replica elsewhere, as a source of bytes.

    The other worker is asked only when the first bytes are wanted, by then into a window of our own: workers that copy
    from each other must not hold each other's windows while they wait for one.
    """

    def __init__(self, workers: WorkerClient, url: str, chunk_id: str, size_bytes: int, checksum: str) -> None:
        self._workers = workers
        self._url = url
        self._chunk_id = chunk_id
        self._size_bytes = size_bytes
        self._checksum = checksum
        self._answer: Answer | None = None
        self._call = contextlib.ExitStack()

    def fill(self, buffer: mmap.mmap, start: int, stop: int) -> int:
        """The next bytes into buffer[start:stop]; raises as `ReplicaCopier.copy` says of the source."""
        if self._answer is None:
            self._answer = self._ask()
        try:
            with memoryview(buffer) as whole, whole[start:stop] as room:
                return self._answer.read_into(room)
        except (OSError, ValueError) as error:
            raise PeerUnreachable(f"{self._url} broke off: {error}", source=self._url) from error

    def note(self) -> bytes:
        """What goes with the bytes; nothing where the source has none, as that of an earlier release."""
        if self._answer is None:
            # Of an empty chunk no bytes were wanted.
            self._answer = self._ask()
        with contextlib.suppress(InvalidRequest):
            return decode_header(self._answer.headers.get(NOTE_HEADER))
        return b""

    def __enter__(self) -> _Replica:
        return self

    def __exit__(self, *_: object) -> None:
        self._call.close()

    def _ask(self) -> Answer:
        try:
            answer = self._call.enter_context(self._workers.open_chunk(self._url, self._chunk_id))
        except ChunkMissing as error:
            raise ChunkMissing(f"{self._url}: {error.detail}", source=self._url) from error
        except DFSError as error:
            raise PeerUnreachable(f"{self._url}: {error.detail}", source=self._url) from error
        promised = (answer.headers.get("Content-Length"), answer.headers.get(CHECKSUM_HEADER))
        if promised != (str(self._size_bytes), self._checksum):
            raise ChunkCorrupt(f"size and checksum are {promised}, not those of the record")
        return answer
