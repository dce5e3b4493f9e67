"""A worker says that it has no usable copy of a chunk: that is proof, and the record stops counting it at once."""

from __future__ import annotations

from collections.abc import Sequence

from common.errors import InvalidRequest, MetadataUnavailable
from common.logs import EventLog
from common.records import is_chunk_id
from master_node.replicas import struck
from master_node.store.base import MetadataStore

MAX_REPORTED = 1000
_MAX_TURNS = 10


class BadReplicas:
    """Takes reports of bad replicas, at any master. A report may come twice, and name what no record knows."""

    def __init__(self, store: MetadataStore, log: EventLog) -> None:
        self._store = store
        self._log = log

    def strike(self, worker_id: str, chunk_ids: Sequence[str]) -> int:
        """Strike the worker from the replicas of these chunks; returns from how many.

        Where it is doubtful it stays so: a copy to it may be under way. Raises InvalidRequest, MetadataUnavailable.
        """
        if len(chunk_ids) > MAX_REPORTED or not all(isinstance(name, str) and is_chunk_id(name) for name in chunk_ids):
            raise InvalidRequest(f"the field 'chunk_ids' must list at most {MAX_REPORTED} ids of chunks")
        left, count = list(dict.fromkeys(chunk_ids)), 0
        for _ in range(_MAX_TURNS):
            held = [chunk for chunk in self._store.find_chunks(left) if worker_id in chunk.replicas]
            if not held:
                break
            written = self._store.replace_chunks([struck(chunk, worker_id, is_proven=True) for chunk in held])
            count += sum(written)
            left = [chunk.chunk_id for chunk, is_written in zip(held, written, strict=True) if not is_written]
        else:
            raise MetadataUnavailable("the records of these chunks are being changed by others all the time")
        if count:
            self._log.warning("bad_replicas_struck", worker=worker_id, chunks=count)
        return count
