"""Write down the chunks of an upload. They are recorded in order, so what is recorded is always a prefix."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from common.errors import InvalidRequest
from common.records import StoredChunk
from master_node.model import Chunk, Upload
from master_node.store.base import MetadataStore


def record_chunks(store: MetadataStore, upload: Upload, chunks: Sequence[StoredChunk], *, is_last: bool) -> Upload:
    """Write the chunks' records and return the upload as it stands then; the caller writes the upload itself.

    Chunks that were recorded before are passed over, so a repeated call is harmless. is_last: the final chunk may be
    shorter than the others. Raises InvalidRequest for a gap, a wrong size, a worker that was never a target, or fewer
    replicas than the upload's write quorum.
    """
    fresh = [chunk for chunk in chunks if chunk.index >= upload.recorded_count]
    for position, chunk in enumerate(fresh):
        _check(upload, chunk, upload.recorded_count + position, may_be_short=is_last and position == len(fresh) - 1)
    if fresh:
        store.insert_chunks([_record(upload, chunk) for chunk in fresh])
    return replace(
        upload,
        recorded_count=upload.recorded_count + len(fresh),
        recorded_bytes=upload.recorded_bytes + sum(chunk.size_bytes for chunk in fresh),
    )


def _record(upload: Upload, chunk: StoredChunk) -> Chunk:
    return Chunk(
        version_id=upload.upload_id,
        index=chunk.index,
        size_bytes=chunk.size_bytes,
        checksum=chunk.checksum,
        replicas=chunk.replicas,
        owed=upload.replication_factor - len(chunk.replicas),
        doubtful=chunk.doubtful,
    )


def _check(upload: Upload, chunk: StoredChunk, expected_index: int, may_be_short: bool) -> None:
    if chunk.index != expected_index:
        raise InvalidRequest(f"chunk {expected_index} must be recorded before chunk {chunk.index}")
    if chunk.index >= upload.placed_count:
        raise InvalidRequest(f"chunk {chunk.index} was never placed")
    full = upload.chunk_size_bytes
    # Only a file without a byte has an empty chunk.
    shortest = 1 if chunk.index else 0
    if chunk.size_bytes != full and not (may_be_short and shortest <= chunk.size_bytes < full):
        raise InvalidRequest(f"chunk {chunk.index} has {chunk.size_bytes} bytes instead of {full}")
    if len(chunk.replicas) < upload.write_quorum:
        raise InvalidRequest(f"chunk {chunk.index} has {len(chunk.replicas)} of {upload.write_quorum} replicas")
    strangers = {*chunk.replicas, *chunk.doubtful} - set(upload.workers)
    if strangers:
        raise InvalidRequest(f"chunk {chunk.index} was never placed on {', '.join(sorted(strangers))}")
