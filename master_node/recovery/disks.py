"""What lies on the workers' disks, for a rebuild: asked of all workers at once, page by page.

An answer is believed, silence proves nothing: a worker that does not answer ends the rebuild, unless the operator has
said that it is to go on without that one.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from common.errors import ChunkMissing, DFSError
from common.worker_client import INVENTORY_FOLDERS, DescribedChunk, WorkerClient
from master_node.model import Chunk

PAGE_CHUNKS = 500
Holders = Mapping[str, set[str]]


class Disks:
    """The disks of these workers. Every method raises what a worker answers, PeerUnreachable for none."""

    def __init__(self, client: WorkerClient, urls: Mapping[str, str]) -> None:
        self._client = client
        self._urls = dict(urls)

    @property
    def worker_ids(self) -> set[str]:
        return set(self._urls)

    def holders(self, chunk_ids: Sequence[str]) -> dict[str, set[str]]:
        """Which workers have a file of each of these chunks; no bytes are read."""
        found: dict[str, set[str]] = {chunk_id: set() for chunk_id in chunk_ids}
        for worker_id, url in self._urls.items():
            for chunk_id in self._client.find_held(url, chunk_ids) if chunk_ids else ():
                found[chunk_id].add(worker_id)
        return found

    def folders(self) -> Iterator[dict[str, set[str]]]:
        """All chunks on all disks with their holders, a 256th part of them at a time."""
        for folder in range(INVENTORY_FOLDERS):
            found: dict[str, set[str]] = defaultdict(set)
            for worker_id, url in self._urls.items():
                for chunk_id in self._list(url, folder):
                    found[chunk_id].add(worker_id)
            yield found

    def is_intact(self, worker_id: str, chunk_id: str) -> bool:
        """Have the worker read its replica again; a damaged one is put into quarantine there."""
        try:
            return self._client.verify_chunk(self._urls[worker_id], chunk_id)
        except ChunkMissing:
            return False

    def describe(self, holders: Holders) -> dict[str, DescribedChunk]:
        """What the files of these chunks say of themselves, by whichever holder has a readable one."""
        described: dict[str, DescribedChunk] = {}
        for worker_id, url in self._urls.items():
            wanted = [one for one, names in holders.items() if worker_id in names and one not in described]
            for start in range(0, len(wanted), PAGE_CHUNKS):
                page = self._client.describe_chunks(url, wanted[start : start + PAGE_CHUNKS])
                described |= {chunk.chunk_id: chunk for chunk in page}
        return described

    def read(self, chunk: Chunk, holders: Iterable[str], digest: hashlib._Hash) -> str | None:
        """Put the chunk's verified bytes into the digest; returns the worker that had them, None where nobody has."""
        content = bytearray(chunk.size_bytes)
        for worker_id in sorted(holders):
            try:
                self._client.get_blocks(
                    self._urls[worker_id],
                    chunk.chunk_id,
                    memoryview(content),
                    size_bytes=chunk.size_bytes,
                    first_block=0,
                    checksum=chunk.checksum,
                )
            except DFSError:
                continue
            digest.update(content)
            return worker_id
        return None

    def _list(self, url: str, folder: int) -> Iterator[str]:
        after = ""
        while page := self._client.list_inventory(url, folder, after, PAGE_CHUNKS):
            yield from (chunk.chunk_id for chunk in page)
            after = page[-1].chunk_id
