"""What is done to the chunk files of a cluster, and whether they are what the records say."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from common.checksums import block_digests
from common.errors import ChunkCorrupt
from master_node.model import Chunk
from master_node.store.base import MetadataStore
from storage.chunk_file import ChunkFile
from tests.support.cluster import TestCluster

PAGE = 500
# A chunk is damaged only while at least so many of its files are good before, and one less after.
GOOD_BEFORE_DAMAGE = 3


def is_intact(path: Path, checksum: str) -> bool:
    """Whether a chunk file holds the bytes of this checksum; every byte is read."""
    try:
        with ChunkFile(str(path)) as file:
            header = file.read_header()
            content = bytearray(header.size_bytes)
            is_whole = file.read_into(0, memoryview(content)) == header.size_bytes
    except (FileNotFoundError, ChunkCorrupt):
        return False
    return is_whole and header.checksum == checksum and block_digests(content) == header.digests


def all_chunks(store: MetadataStore) -> list[Chunk]:
    """Every chunk record; for the small clusters of the scenarios."""
    found: list[Chunk] = []
    while page := store.scan_chunks(found[-1].chunk_id if found else "", PAGE):
        found += page
    return found


def intact_replicas(files: Mapping[str, Mapping[str, Path]], chunk: Chunk) -> dict[str, Path]:
    """The files of those replicas that count and are good, by worker. files: of each worker, by chunk id."""
    held = {name: files[name][chunk.chunk_id] for name in chunk.replicas if chunk.chunk_id in files[name]}
    return {name: path for name, path in held.items() if is_intact(path, chunk.checksum)}


def all_files(cluster: TestCluster) -> dict[str, dict[str, Path]]:
    """The chunk files of every worker."""
    return {name: cluster.chunk_files(name) for name in cluster.workers}


def are_all_there(cluster: TestCluster, store: MetadataStore) -> bool:
    """Whether nothing is owed and every replica that counts has its file; none is read."""
    files = all_files(cluster)
    return not store.owed().chunks and all(
        chunk.chunk_id in files[name] for chunk in all_chunks(store) for name in chunk.replicas
    )


def flip_bit(path: Path, rng: random.Random, checksum: str) -> None:
    """One bit of the file, anywhere in it but in the padding, which means nothing."""
    while True:
        offset = rng.randrange(path.stat().st_size)
        with open(path, "r+b") as file:
            file.seek(offset)
            byte = file.read(1)[0]
            file.seek(offset)
            file.write(bytes([byte ^ (1 << rng.randrange(8))]))
        if not is_intact(path, checksum):
            return


def cut(length: Callable[[int], int]) -> Callable[[Path, random.Random], None]:
    """Damage that leaves so many of the file's bytes."""

    def cut_file(path: Path, _: random.Random) -> None:
        size = path.stat().st_size
        with open(path, "r+b") as file:
            file.truncate(length(size))

    return cut_file


def empty_disk(cluster: TestCluster, worker_id: str) -> int:
    """Remove everything that a stopped worker has kept; returns how many chunk files that were."""
    count = len(cluster.chunk_files(worker_id))
    shutil.rmtree(cluster.config.data_dir(worker_id))
    return count


class FlipBits:
    """A bit in one replica of some chunks that have three good ones, so that two stay good. Heals by itself."""

    name = "bits flipped"

    def __init__(self, cluster: TestCluster, store: MetadataStore, rng: random.Random, chunks: int) -> None:
        self._cluster = cluster
        self._store = store
        self._rng = rng
        self._chunks = chunks

    def strike(self) -> str:
        chunks = all_chunks(self._store)
        self._rng.shuffle(chunks)
        files, done = all_files(self._cluster), 0
        for chunk in chunks[: 4 * self._chunks]:
            good = intact_replicas(files, chunk)
            if len(good) >= GOOD_BEFORE_DAMAGE and done < self._chunks:
                done += self._flip_one(good, chunk.checksum)
        return f"flipped a bit in one replica of {done} chunks"

    def heal(self) -> None:
        """The workers find it, when a read or the scrub comes along."""

    def _flip_one(self, good: dict[str, Path], checksum: str) -> int:
        try:
            flip_bit(good[self._rng.choice(sorted(good))], self._rng, checksum)
        except FileNotFoundError:
            # Freed meanwhile: its version was overwritten or deleted.
            return 0
        return 1
