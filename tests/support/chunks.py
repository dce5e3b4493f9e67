"""Chunks to store, and a store to keep them in."""

from __future__ import annotations

import mmap
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common.checksums import BLOCK_SIZE_BYTES, block_digests, checksum_of
from storage.chunk_file import ChunkFile, ChunkHeader
from storage.chunk_store import ChunkStore

BLOCK = BLOCK_SIZE_BYTES


@dataclass(frozen=True)
class Chunk:
    """Some bytes under an id, with what travels along."""

    chunk_id: str
    content: bytes

    @property
    def digests(self) -> bytes:
        return block_digests(self.content)

    @property
    def checksum(self) -> str:
        return checksum_of(self.digests)


def make_chunk(size: int = BLOCK + 100, number: int = 0, seed: int = 0) -> Chunk:
    """The chunk `number`; another seed gives other bytes under the same id."""
    return Chunk(f"{'c' * 32}-{number:08x}", random.Random(f"{size} {number} {seed}").randbytes(size))


class Source:
    """A body, put into the buffer in whatever pieces `read` gives."""

    def __init__(self, read: Callable[[int], bytes]) -> None:
        self.read = read

    def fill(self, buffer: mmap.mmap, start: int, stop: int) -> int:
        piece = self.read(stop - start)
        buffer[start : start + len(piece)] = piece
        return len(piece)


def pieces(content: bytes, size: int = 10_007) -> Source:
    """A body that comes in pieces of `size` bytes at most."""
    position = 0

    def read(limit: int) -> bytes:
        nonlocal position
        piece = content[position : position + min(limit, size)]
        position += len(piece)
        return piece

    return Source(read)


def open_store(root: Path, **settings: Any) -> ChunkStore:
    """A recovered store on `root`, as after a (re)start; without a reserve unless one is given."""
    store = ChunkStore(root, **{"reserve_bytes": 0, **settings})
    store.recover()
    return store


def put(store: ChunkStore, chunk: Chunk) -> None:
    store.write(chunk.chunk_id, pieces(chunk.content), len(chunk.content), chunk.checksum)


def read_data(store: ChunkStore, chunk: Chunk) -> bytes:
    """All data of the chunk as it is on the disk."""
    file, header = store.open(chunk.chunk_id)
    with file:
        return read_open(file, header)


def read_open(file: ChunkFile, header: ChunkHeader) -> bytes:
    """All data of an open chunk."""
    content = bytearray(header.size_bytes)
    assert file.read_into(0, memoryview(content)) == len(content)
    return bytes(content)


def chunk_files(root: Path) -> list[Path]:
    """Every chunk file, finished or not."""
    return sorted(path for path in (root / "chunks").glob("*/*") if path.is_file())


def quarantined_files(root: Path) -> list[Path]:
    return sorted((root / "quarantine").iterdir())
