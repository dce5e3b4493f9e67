"""What a check can find: each kind of difference with what it means, and the pure comparisons that find them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from common.records import version_of
from master_node.model import ABORTED, Chunk, Version

# How many differences are kept one by one; all are counted.
MAX_LISTED = 1000

# docs/operations.md tells what to do about each; a test compares the names.
DIFFERENCES = {
    "replica_missing": "{worker} has no file of this replica; its next inventory strikes it, and repair makes another",
    "replica_corrupt": "{worker} has found its replica damaged and put it into quarantine; repair makes it again",
    "no_replica": "no replica counts; {hope}",
    "replicas_owed": "{number} of {factor} replicas are missing; repair makes them as soon as workers can take them",
    "replicas_surplus": "{number} replicas too many; trim gives them up once {factor} are on workers that serve",
    "file_unnamed": "{worker} has a file whose record does not name it; its next inventory notes it, and it is"
    " adopted where a replica is owed, else freed",
    "file_unknown": "{worker} has a file that no record and no upload knows; it is put into quarantine by the next"
    " inventory once it is old enough, and freed later",
    "version_incomplete": "{path}, version {version}: {found} of {expected} chunks are recorded, {found_bytes} of"
    " {expected_bytes} bytes; this does not heal: restore another version or send the file again",
    "records_unowned": "{number} chunk records of a version that no file and no upload has; they are not collected by"
    " themselves, and harm nobody",
    "worker_not_checked": "{worker} is {state} or did not answer; its disk and {number} replicas are not checked",
}

# What a healthy cluster shows while it works; counted, not listed.
EXPECTED = {
    "doubtful_present": "copies that do not count: adopted where a replica is owed, else freed",
    "doubtful_absent": "names of workers that hold no such copy (any more): taken out of the record by the release job",
    "file_of_open_upload": "files of uploads under way, not recorded yet",
    "file_of_aborted_upload": "files of uploads that were given up: waiting for garbage collection",
}


@dataclass(frozen=True, order=True)
class Difference:
    """One thing that is not as it should be. Two looks have found the same when all their fields are equal."""

    kind: str
    explanation: str
    chunk_id: str = ""
    file_id: str = ""
    worker_id: str = ""

    def to_json(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "chunk_id": self.chunk_id,
            "file_id": self.file_id,
            "worker_id": self.worker_id,
            "explanation": self.explanation,
        }


def difference(
    kind: str, *, chunk_id: str = "", file_id: str = "", worker_id: str = "", **values: object
) -> Difference:
    """A difference of this kind, explained with these values."""
    template = DIFFERENCES.get(kind) or EXPECTED[kind]
    return Difference(kind, template.format(worker=worker_id, **values), chunk_id, file_id, worker_id)


def is_expected(kind: str) -> bool:
    return kind in EXPECTED


@dataclass
class Findings:
    """What a check has found so far: every kind counted, the first MAX_LISTED differences kept."""

    counts: Counter[str] = field(default_factory=Counter)
    listed: list[Difference] = field(default_factory=list)

    def add(self, found: Iterable[Difference]) -> None:
        for one in found:
            self.counts[one.kind] += 1
            if not is_expected(one.kind) and len(self.listed) < MAX_LISTED:
                self.listed.append(one)

    def to_json(self) -> dict[str, Any]:
        return {
            "found": {kind: self.counts[kind] for kind in DIFFERENCES if self.counts[kind]},
            "expected": {kind: self.counts[kind] for kind in EXPECTED if self.counts[kind]},
            "differences": [one.to_json() for one in self.listed.copy()],
        }


def compare_record(chunk: Chunk, held: Mapping[str, Collection[str]]) -> list[Difference]:
    """One record against what the workers say. held: by worker, the chunks it has; those not asked are not in it."""
    found = _compare_count(chunk)
    name = chunk.chunk_id
    for worker_id in chunk.replicas:
        if worker_id in held and name not in held[worker_id]:
            found.append(difference("replica_missing", chunk_id=name, worker_id=worker_id))
    for worker_id in chunk.doubtful:
        if worker_id in held:
            kind = "doubtful_present" if name in held[worker_id] else "doubtful_absent"
            found.append(difference(kind, chunk_id=name, worker_id=worker_id))
    return found


def compare_file(
    worker_id: str, chunk_id: str, records: Mapping[str, Chunk], upload_states: Mapping[str, str]
) -> Difference | None:
    """One file on a disk against its record, or the upload that it is a part of."""
    record = records.get(chunk_id)
    if record is not None:
        is_named = worker_id in (*record.replicas, *record.doubtful)
        return None if is_named else difference("file_unnamed", chunk_id=chunk_id, worker_id=worker_id)
    state = upload_states.get(version_of(chunk_id))
    if state is None:
        return difference("file_unknown", chunk_id=chunk_id, worker_id=worker_id)
    kind = "file_of_aborted_upload" if state == ABORTED else "file_of_open_upload"
    return difference(kind, chunk_id=chunk_id, worker_id=worker_id)


@dataclass
class VersionSum:
    """The records of one version added up. is_gapless: their indexes are 0, 1, 2, ..."""

    chunk_count: int = 0
    size_bytes: int = 0
    is_gapless: bool = True
    next_index: int = 0

    def add(self, chunks: Sequence[Chunk]) -> None:
        """More chunks, in the order of their indexes."""
        for chunk in chunks:
            self.is_gapless &= chunk.index == self.next_index
            self.next_index = chunk.index + 1
            self.chunk_count += 1
            self.size_bytes += chunk.size_bytes

    def is_whole(self, version: Version) -> bool:
        return self.is_gapless and (self.chunk_count, self.size_bytes) == (version.chunk_count, version.size_bytes)


def _compare_count(chunk: Chunk) -> list[Difference]:
    name, factor = chunk.chunk_id, chunk.factor
    if not chunk.replicas and factor > 0:
        hope = "it is lost: send the file again"
        if chunk.doubtful:
            hope = f"it comes back if one of {', '.join(chunk.doubtful)} has an intact copy, else it is lost"
        return [difference("no_replica", chunk_id=name, hope=hope)]
    if chunk.owed > 0:
        return [difference("replicas_owed", chunk_id=name, number=chunk.owed, factor=factor)]
    if chunk.owed < 0:
        return [difference("replicas_surplus", chunk_id=name, number=-chunk.owed, factor=factor)]
    return []
