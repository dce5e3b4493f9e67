"""Chunks that were sent to the workers and are not recorded yet: what both ways of uploading keep of them."""

from __future__ import annotations

from concurrent.futures import Future, wait
from dataclasses import dataclass

from api_gateway.buffers import BufferPool
from api_gateway.replication import ChunkWrite
from common.records import StoredChunk


@dataclass
class ChunkUnderWay:
    """A chunk whose buffer the replicator reads, and the hash too until `hashed` is done."""

    index: int
    # None for the one chunk of an empty file.
    buffer: bytearray | None
    size_bytes: int
    checksum: str
    write: ChunkWrite
    hashed: Future[None] | None
    attempt: int = 0

    def release(self, buffers: BufferPool) -> None:
        """Give the buffer back once neither the hash nor a late replica is read from it."""
        if self.hashed is not None:
            wait([self.hashed])
        if (buffer := self.buffer) is not None:
            self.write.when_unused(lambda: buffers.release(buffer))

    def stored(self) -> StoredWrite:
        return StoredWrite(self.index, self.size_bytes, self.checksum, self.write, self.attempt)


@dataclass(frozen=True)
class StoredWrite:
    """A chunk that counts as stored; late replicas may still come, so it is described as late as possible."""

    index: int
    size_bytes: int
    checksum: str
    write: ChunkWrite
    attempt: int = 0

    def describe(self) -> StoredChunk:
        stored = self.write.stored()
        return StoredChunk(self.index, self.size_bytes, self.checksum, stored.replicas, stored.doubtful, self.attempt)
