"""The records that a backup has, compared with the disks: replicas that the records lack are adopted, losses named.

Memory: one page, and an entry for each version of which something is missing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

from master_node.model import PURGED, Chunk, File, Version
from master_node.recovery.disks import PAGE_CHUNKS, Disks
from master_node.recovery.findings import INTACT, LOST, UNSURE, Finding, Findings
from master_node.recovery.strangers import Strangers
from master_node.replicas import adopted, promised, struck
from master_node.store.base import MetadataStore

# Above every key of a file; keys are "a/...", "d/..." and "x/...".
ABOVE_ALL_KEYS = "~"
PAGE_FILES = 500


class KnownFiles:
    """First `compare_chunks`, then `judge_files`."""

    def __init__(self, store: MetadataStore, disks: Disks, *, is_verifying: bool) -> None:
        """is_verifying: have every replica read again by its worker."""
        self._store = store
        self._disks = disks
        self._is_verifying = is_verifying
        self._lost: Counter[str] = Counter()
        self._unsure: Counter[str] = Counter()
        self.adopted_count = 0

    def compare_chunks(self) -> None:
        """Bring every chunk record up to what the disks hold, and note of which chunks nothing is left."""
        after = ""
        while page := self._store.scan_chunks(after, PAGE_CHUNKS):
            after = page[-1].chunk_id
            holders = self._disks.holders([chunk.chunk_id for chunk in page])
            after_look = [(chunk, self._compare(chunk, holders[chunk.chunk_id])) for chunk in page]
            # What another job changed meanwhile it has looked at itself.
            self._store.replace_chunks([new for old, new in after_look if new is not old])

    def judge_files(self, findings: Findings, strangers: Strangers) -> None:
        """Say of every version of every file whether its chunks are there; what has a file is no stranger."""
        for file in self._files():
            versions = [(old.version, False, old.is_released) for old in file.old_versions]
            if file.version is not None:
                versions.append((file.version, True, file.status == PURGED))
            for version, is_current, is_gone in versions:
                strangers.give_to(version, is_gone)
                if not is_gone:
                    findings.add(self._judge(file, version, is_current))

    def _compare(self, chunk: Chunk, holders: set[str]) -> Chunk:
        if self._is_verifying:
            holders = {name for name in holders if self._disks.is_intact(name, chunk.chunk_id)}
        asked = self._disks.worker_ids
        new = chunk
        for name in asked.intersection(chunk.replicas) - holders:
            new = struck(new, name, is_proven=True)
        for name in sorted(holders.difference(chunk.replicas)):
            is_wanted = new.owed > 0 and self._disks.is_intact(name, chunk.chunk_id)
            new = adopted(new, name) if is_wanted else promised(new, name)
            self.adopted_count += is_wanted
        if not holders:
            is_away = set(chunk.replicas) | set(chunk.doubtful)
            (self._unsure if is_away - asked else self._lost)[chunk.version_id] += 1
        return replace(new, revision=chunk.revision + 1) if new is not chunk else chunk

    def _files(self) -> Iterator[File]:
        after = ""
        while page := self._store.scan_files(after, ABOVE_ALL_KEYS, PAGE_FILES):
            after = page[-1].key
            yield from page

    def _judge(self, file: File, version: Version, is_current: bool) -> Finding:
        lost = self._lost[version.version_id] + version.chunk_count - self._recorded(version)
        unsure = self._unsure[version.version_id]
        return Finding(
            LOST if lost else UNSURE if unsure else INTACT,
            version.version_id,
            path=file.path,
            is_current=is_current,
            chunk_count=version.chunk_count,
            missing_chunks=lost + unsure,
            size_bytes=version.size_bytes,
            uploaded_at=version.created_at,
            detail="in the trash" if is_current and file.status != "active" else "",
        )

    def _recorded(self, version: Version) -> int:
        """How many of the version's chunks have a record."""
        count = start = 0
        while start < version.chunk_count:
            page = self._store.list_chunks(version.version_id, start, PAGE_CHUNKS)
            if not page:
                break
            count, start = count + len(page), page[-1].index + 1
        return count
