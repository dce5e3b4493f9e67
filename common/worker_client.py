"""How the others talk to a worker: put, get, verify, copy, list, put aside and delete chunks."""

from __future__ import annotations

import base64
import binascii
import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from common import checksums
from common.checksums import Buffer
from common.chunk_notes import NOTE_HEADER, WANT_NOTE_HEADER, decode_header, encode_header
from common.errors import ChunkCorrupt, InvalidRequest
from common.fields import take, take_objects
from common.http import Abort, Answer, Begun, HttpPool

CHECKSUM_HEADER = "X-DFS-Checksum"
DIGESTS_HEADER = "X-DFS-Block-Digests"
EPOCH_HEADER = "X-DFS-Epoch"
# A worker's inventory is listed folder by folder.
INVENTORY_FOLDERS = 256
MAX_INVENTORY_PAGE = 10_000
# Each costs the worker a read of the end of a file.
MAX_DESCRIBED = 1000


@dataclass(frozen=True)
class HeldChunk:
    """A chunk file on a worker's disk. age_seconds: since it was written, by that worker's wall clock; a hint only."""

    chunk_id: str
    age_seconds: float

    def to_json(self) -> dict[str, Any]:
        return {"chunk_id": self.chunk_id, "age_seconds": self.age_seconds}

    @classmethod
    def from_json(cls, source: Mapping[str, Any]) -> HeldChunk:
        return cls(take(source, "chunk_id", str), float(take(source, "age_seconds", float)))


@dataclass(frozen=True)
class DescribedChunk:
    """What a chunk file on a worker's disk says of itself; its data was not read."""

    chunk_id: str
    size_bytes: int
    checksum: str
    note: bytes

    def to_json(self) -> dict[str, Any]:
        return {
            "chunk_id": self.chunk_id,
            "size_bytes": self.size_bytes,
            "checksum": self.checksum,
            "note": encode_header(self.note),
        }

    @classmethod
    def from_json(cls, source: Mapping[str, Any]) -> DescribedChunk:
        return cls(
            take(source, "chunk_id", str),
            take(source, "size_bytes", int),
            take(source, "checksum", str),
            decode_header(take(source, "note", str)),
        )


class WorkerClient:
    """Calls to any worker by its URL. Each raises the worker's own errors, or PeerUnreachable."""

    def __init__(self, pool: HttpPool, *, timeout_seconds: float) -> None:
        self._pool = pool
        self.timeout_seconds = timeout_seconds

    def put_chunk(
        self, url: str, chunk_id: str, chunk: Buffer, checksum: str, abort: Abort | None = None, note: str = ""
    ) -> None:
        """Store one replica; returns once it is on the worker's disk. Repeating it is safe.

        note: as chunk_notes.encode_header has it.
        """
        with self._pool.call(
            "PUT",
            f"{url}/chunks/{chunk_id}",
            timeout_seconds=self.timeout_seconds,
            headers=_put_headers(chunk, checksum, note),
            body=chunk,
            abort=abort,
        ) as answer:
            answer.read()

    def begin_put_chunk(
        self, url: str, chunk_id: str, chunk: Buffer, checksum: str, abort: Abort, note: str = ""
    ) -> Begun | None:
        """Send a replica over a connection that is open, None where there is none; the answer is read later."""
        return self._pool.begin(
            "PUT",
            f"{url}/chunks/{chunk_id}",
            timeout_seconds=self.timeout_seconds,
            headers=_put_headers(chunk, checksum, note),
            body=chunk,
            abort=abort,
        )

    def get_blocks(
        self,
        url: str,
        chunk_id: str,
        view: memoryview,
        *,
        size_bytes: int,
        first_block: int,
        checksum: str,
        abort: Abort | None = None,
    ) -> None:
        """Read whole blocks into `view` and verify them; raises ChunkCorrupt when a byte is wrong or missing.

        size_bytes and checksum: those of the chunk's record. view: exactly the blocks from `first_block` on, the
        chunk's last block being as short as it is. On an error the content of `view` must not be used.
        """
        start = first_block * checksums.BLOCK_SIZE_BYTES
        headers = {}
        if start or len(view) != size_bytes:
            headers["Range"] = f"bytes={start}-{start + len(view) - 1}"
        with self._pool.call(
            "GET", f"{url}/chunks/{chunk_id}", timeout_seconds=self.timeout_seconds, headers=headers, abort=abort
        ) as answer:
            digests = _decode_digests(answer.headers.get(DIGESTS_HEADER))
            if answer.read_into(view) != len(view):
                raise ChunkCorrupt("the replica is shorter than its record says")
            answer.read(0)
        checksums.verify_digests(digests, checksum, size_bytes)
        checksums.verify_blocks(view, digests, first_block)

    @contextlib.contextmanager
    def open_chunk(self, url: str, chunk_id: str) -> Iterator[Answer]:
        """A whole replica as it comes, with its note; nothing of it is verified."""
        with self._pool.call(
            "GET",
            f"{url}/chunks/{chunk_id}",
            timeout_seconds=self.timeout_seconds,
            headers={WANT_NOTE_HEADER: "1"},
        ) as answer:
            yield answer

    def verify_chunk(self, url: str, chunk_id: str) -> bool:
        """Have the worker re-read a replica; a corrupt one is quarantined there. Returns whether it is intact."""
        answer = self._call_json("POST", f"{url}/chunks/{chunk_id}/verify")
        return take(answer, "is_intact", bool)

    def delete_chunks(self, url: str, chunk_ids: Sequence[str], epoch: int) -> None:
        """Order a worker to free replicas; those it does not hold are fine. epoch: the leader's, as fencing token."""
        self._call_json("POST", f"{url}/chunks/delete", {"chunk_ids": list(chunk_ids)}, epoch)

    def list_inventory(self, url: str, folder: int, after: str, limit: int) -> list[HeldChunk]:
        """What lies in one of the worker's folders, in the order of the ids, from the first above `after` on."""
        answer = self._call_json("GET", f"{url}/inventory/{folder:02x}?after={after}&limit={limit}")
        return [HeldChunk.from_json(item) for item in take_objects(answer, "chunks")]

    def find_held(self, url: str, chunk_ids: Sequence[str]) -> set[str]:
        """Those of these chunks that the worker has a file of; their bytes are not verified."""
        answer = self._call_json("POST", f"{url}/chunks/held", {"chunk_ids": list(chunk_ids)})
        held: list[Any] = take(answer, "held", list)
        if not all(isinstance(chunk_id, str) for chunk_id in held):
            raise InvalidRequest("the field 'held' must list chunk ids")
        return set(held)

    def describe_chunks(self, url: str, chunk_ids: Sequence[str]) -> list[DescribedChunk]:
        """Size, checksum and note of those of these chunks that the worker has, at most MAX_DESCRIBED of them."""
        answer = self._call_json("POST", f"{url}/chunks/notes", {"chunk_ids": list(chunk_ids)})
        return [DescribedChunk.from_json(item) for item in take_objects(answer, "chunks")]

    def copy_chunk(
        self, url: str, chunk_id: str, source_url: str, *, size_bytes: int, checksum: str, epoch: int
    ) -> None:
        """Order a worker to fetch a replica from another worker; returns once it is verified and on its disk.

        A replica that is there and intact is left as it is. Raises ChunkMissing or ChunkCorrupt when the source does
        not have it, with its URL as `source`, PeerUnreachable with the same when the source does not answer well, or
        without it when this worker does not; DiskFull, DiskFailed, WorkerBusy, StaleEpoch.
        """
        body = {"source_url": source_url, "size_bytes": size_bytes, "checksum": checksum}
        self._call_json("POST", f"{url}/chunks/{chunk_id}/copy", body, epoch)

    def quarantine_chunks(self, url: str, chunk_ids: Sequence[str], epoch: int) -> None:
        """Order a worker to put chunks aside that no record names; it frees them after its quarantine time."""
        self._call_json("POST", f"{url}/chunks/quarantine", {"chunk_ids": list(chunk_ids)}, epoch)

    def _call_json(self, method: str, url: str, body: Any = None, epoch: int | None = None) -> dict[str, Any]:
        """A GET goes without a body: nobody reads one, and a body that was not read ends the connection."""
        headers = {} if method == "GET" else {"Content-Type": "application/json"}
        if epoch is not None:
            headers[EPOCH_HEADER] = str(epoch)
        encoded = None if method == "GET" else json.dumps(body or {}).encode()
        with self._pool.call(
            method, url, timeout_seconds=self.timeout_seconds, headers=headers, body=encoded
        ) as answer:
            return answer.json()


def _put_headers(chunk: Buffer, checksum: str, note: str) -> dict[str, str]:
    headers = {
        CHECKSUM_HEADER: checksum,
        "Content-Type": "application/octet-stream",
        "Content-Length": str(len(chunk)),
    }
    return {**headers, NOTE_HEADER: note} if note else headers


def encode_digests(digests: bytes) -> str:
    """Block digests as the value of a header."""
    return base64.b64encode(digests).decode("ascii")


def _decode_digests(value: str | None) -> bytes:
    try:
        return base64.b64decode(value or "", validate=True)
    except binascii.Error:
        raise ChunkCorrupt("the replica came without readable block digests") from None
