"""Storing, reading and verifying one chunk."""

from __future__ import annotations

from common.calls import Answer, Call, Started, json_answer
from common.chunk_notes import NOTE_HEADER, WANT_NOTE_HEADER, decode_header, encode_header
from common.edge import Edge
from common.errors import ChunkCorrupt, ChunkMissing, InvalidRequest
from common.logs import EventLog
from common.ranges import ByteRange, parse_range
from common.worker_client import CHECKSUM_HEADER, DIGESTS_HEADER, encode_digests
from storage.chunk_file import ChunkFile, ChunkHeader
from storage.chunk_store import ChunkStore
from storage.receiving import MAX_CHUNK_BYTES
from storage.reports import BadReplicaReports
from storage.routes.arguments import check_id


def add_chunk_routes(edge: Edge, store: ChunkStore, reports: BadReplicaReports, log: EventLog) -> None:
    """Make the edge answer for the chunks of `store`; one that was asked for and is not here is reported."""

    @edge.route("PUT", "/chunks/<chunk_id>")
    def put_chunk(call: Call, chunk_id: str) -> Answer:
        check_id(chunk_id)
        body = call.body
        if body.length is None or not 0 <= body.length <= MAX_CHUNK_BYTES:
            raise InvalidRequest(f"a chunk needs a Content-Length from 0 to {MAX_CHUNK_BYTES}")
        checksum = call.headers.get(CHECKSUM_HEADER)
        if not checksum:
            raise InvalidRequest(f"a chunk needs the header {CHECKSUM_HEADER}")
        note = decode_header(call.headers.get(NOTE_HEADER))
        store.write(chunk_id, body, body.length, checksum.lower(), lambda: note)
        return json_answer({"chunk_id": chunk_id, "size_bytes": body.length, "checksum": checksum.lower()}, 201)

    @edge.route("GET", "/chunks/<chunk_id>")
    def get_chunk(call: Call, chunk_id: str) -> Answer:
        """The data or one range of it; HEAD answers the same without the bytes. The note comes where asked for."""
        check_id(chunk_id)
        file, header = _open(store, reports, log, chunk_id)
        try:
            wanted = parse_range(call.headers.get("Range"), header.size_bytes)
            span = wanted or ByteRange(0, header.size_bytes)
            headers = _headers(header, span, wanted is not None)
            if header.note and WANT_NOTE_HEADER in call.headers:
                headers.append((NOTE_HEADER, encode_header(header.note)))
            pieces = None if call.method == "HEAD" else Started(store.read_span(chunk_id, file, span))
        except BaseException:
            file.close()
            raise

        def close() -> None:
            if pieces is not None:
                pieces.close()
            file.close()

        return Answer(206 if wanted else 200, headers, pieces or (), close)

    @edge.route("POST", "/chunks/<chunk_id>/verify")
    def verify_chunk(_call: Call, chunk_id: str) -> Answer:
        """Re-read a replica from the disk; a damaged one goes into quarantine."""
        check_id(chunk_id)
        try:
            is_intact = store.verify(chunk_id)
        except ChunkMissing:
            reports.add(chunk_id)
            raise
        if not is_intact:
            log.warning("chunk_quarantined", chunk_id=chunk_id, reason="asked to verify")
        return json_answer({"chunk_id": chunk_id, "is_intact": is_intact})


def _open(store: ChunkStore, reports: BadReplicaReports, log: EventLog, chunk_id: str) -> tuple[ChunkFile, ChunkHeader]:
    try:
        return store.open(chunk_id)
    except ChunkMissing:
        reports.add(chunk_id)
        raise
    except ChunkCorrupt as error:
        log.warning("chunk_quarantined", chunk_id=chunk_id, reason=error.detail)
        raise ChunkMissing(f"the replica of chunk {chunk_id} was damaged and is in quarantine") from error


def _headers(header: ChunkHeader, span: ByteRange, is_partial: bool) -> list[tuple[str, str]]:
    headers = [
        ("Content-Type", "application/octet-stream"),
        ("Content-Length", str(span.length)),
        ("Accept-Ranges", "bytes"),
        ("ETag", f'"{header.checksum}"'),
        (CHECKSUM_HEADER, header.checksum),
        (DIGESTS_HEADER, encode_digests(header.digests)),
    ]
    if is_partial:
        headers.append(("Content-Range", span.content_range(header.size_bytes)))
    return headers
