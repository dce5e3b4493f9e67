"""Write down the chunks of an upload. They are recorded in order, so what is recorded is always a prefix.

Of a resumable upload (resumables.py) several attempts may come to write to one place, and late ones wake up long after
they were fenced off. What keeps the bytes that were acknowledged is that a record's attempt never goes down: see
docs/decisions/010-resumable-uploads.md.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from common.errors import ChunkConflict, InvalidRequest, MetadataUnavailable, UploadTakenOver
from common.records import StoredChunk
from master_node import model
from master_node.attempts import Loose, Resumable
from master_node.model import Chunk, Upload
from master_node.store.base import MetadataStore

_MAX_TURNS = 10


def record_chunks(store: MetadataStore, upload: Upload, chunks: Sequence[StoredChunk], *, is_last: bool) -> Upload:
    """Write the chunks' records and return the upload as it stands then; the caller writes the upload itself.

    Chunks that were recorded before are passed over, so a repeated call is harmless. is_last: the final chunk may be
    shorter than the others. Raises InvalidRequest for a gap, a wrong size, a worker that was never a target, or fewer
    replicas than the upload's write quorum.
    """
    fresh = [chunk for chunk in chunks if chunk.index >= upload.recorded_count]
    for position, chunk in enumerate(fresh):
        _check(upload, chunk, upload.recorded_count + position, may_be_short=is_last and position == len(fresh) - 1)
        if chunk.attempt:
            raise InvalidRequest("only the chunks of a resumable upload have an attempt")
    if fresh:
        store.insert_chunks([_record(upload, chunk) for chunk in fresh])
    return replace(
        upload,
        recorded_count=upload.recorded_count + len(fresh),
        recorded_bytes=upload.recorded_bytes + sum(chunk.size_bytes for chunk in fresh),
    )


def record_attempt(
    store: MetadataStore, upload: Upload, chunks: Sequence[StoredChunk], require_mine: Callable[[], object]
) -> Upload:
    """The same for a resumable upload, of which these are chunks of the present attempt; the last one may be short.

    require_mine: raises where the attempt is not the upload's any more, as its document says at that moment.
    Raises UploadTakenOver where a later attempt has written, ChunkConflict for another chunk of the same id.
    """
    resumable = upload.resumable
    if resumable is None:
        raise InvalidRequest("the upload is not resumable")
    fresh = [chunk for chunk in chunks if chunk.index >= upload.recorded_count]
    if not fresh:
        return upload
    for position, chunk in enumerate(fresh):
        _check(upload, chunk, upload.recorded_count + position, may_be_short=position == len(fresh) - 1)
        if chunk.attempt != resumable.attempt:
            raise InvalidRequest(f"chunk {chunk.index} has the attempt {chunk.attempt}, not {resumable.attempt}")
    if not fresh[0].size_bytes and resumable.length != 0:
        raise InvalidRequest("only an upload of no bytes at all has an empty chunk")
    if fresh[0].size_bytes < upload.tail_bytes:
        raise InvalidRequest(f"the first chunk lacks some of the {upload.tail_bytes} bytes that it is to begin with")
    added = sum(chunk.size_bytes for chunk in fresh) - upload.tail_bytes
    if resumable.length is not None and upload.recorded_bytes + added > resumable.length:
        raise InvalidRequest(f"the upload has a length of {resumable.length} bytes")
    _write(store, [_record(upload, chunk) for chunk in fresh], require_mine)
    return _counted(upload, resumable, fresh, added)


def _counted(upload: Upload, resumable: Resumable, fresh: Sequence[StoredChunk], added: int) -> Upload:
    """The upload with these chunks; a short one that they have replaced is loose."""
    is_short = fresh[-1].size_bytes < upload.chunk_size_bytes
    loose = resumable.loose
    if upload.tail_bytes and resumable.tail_attempt != resumable.attempt:
        loose += (Loose(resumable.tail_attempt, upload.recorded_count, upload.recorded_count + 1),)
    counted = replace(
        upload,
        recorded_count=upload.recorded_count + len(fresh) - is_short,
        recorded_bytes=upload.recorded_bytes + added,
    )
    return model.with_loose(counted, replace(resumable, loose=loose, tail_attempt=resumable.attempt if is_short else 0))


def _write(store: MetadataStore, records: Sequence[Chunk], require_mine: Callable[[], object]) -> None:
    """Put these records in their places, over those of earlier attempts, until a look finds every one of them there."""
    version_id, first = records[0].version_id, records[0].index
    for _ in range(_MAX_TURNS):
        present = {chunk.index: chunk for chunk in store.list_chunks(version_id, first, len(records))}
        missing = [record for record in records if record.index not in present]
        over = [_over(present[record.index], record) for record in records if record.index in present]
        late = [record for record in over if record is not None]
        if not missing and not late:
            return
        if late:
            # After the records were read. Whoever frees chunks of this attempt has seen the upload to be another's and
            # then raised the record's revision: either that is seen here too, or the replacement fails (loose.py).
            require_mine()
        store.insert_chunks(missing)
        store.replace_chunks(late)
    raise MetadataUnavailable("the chunks of the upload are being changed by others all the time")


def _over(present: Chunk, record: Chunk) -> Chunk | None:
    """What to write over the record that is there; None where it is the same chunk, perhaps healed since."""
    if present.attempt > record.attempt:
        raise UploadTakenOver("a later request has written here", upload_id=record.version_id)
    if present.attempt < record.attempt:
        return replace(record, revision=present.revision + 1)
    if (present.checksum, present.size_bytes) != (record.checksum, record.size_bytes):
        raise ChunkConflict(f"chunk {record.chunk_id} is recorded with checksum {present.checksum}")
    return None


def _record(upload: Upload, chunk: StoredChunk) -> Chunk:
    return Chunk(
        version_id=upload.upload_id,
        index=chunk.index,
        size_bytes=chunk.size_bytes,
        checksum=chunk.checksum,
        replicas=chunk.replicas,
        owed=upload.replication_factor - len(chunk.replicas),
        doubtful=chunk.doubtful,
        attempt=chunk.attempt,
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
