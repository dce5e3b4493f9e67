"""The worker's Flask app: routes onto the chunk store."""

from __future__ import annotations

from flask import Flask

from common.auth import ClusterSecret
from common.calls import Answer, Call, Started, json_answer
from common.edge import Edge, internal_guard
from common.errors import ChunkCorrupt, ChunkMissing, InvalidRequest
from common.logs import EventLog
from common.ranges import ByteRange, parse_range
from common.records import is_chunk_id
from common.worker_client import CHECKSUM_HEADER, DIGESTS_HEADER, EPOCH_HEADER, encode_digests
from storage.chunk_file import ChunkHeader
from storage.chunk_store import MAX_CHUNK_BYTES, ChunkStore
from storage.epoch import EpochGate


def create_app(node_id: str, store: ChunkStore, epochs: EpochGate, secret: ClusterSecret, log: EventLog) -> Flask:
    """Everything the worker answers; nothing is started."""
    app = Flask(node_id)
    edge = Edge(app, log, internal_guard(secret))

    @edge.route("PUT", "/chunks/<chunk_id>")
    def put_chunk(call: Call, chunk_id: str) -> Answer:
        _check_id(chunk_id)
        body = call.body
        if body.length is None or not 0 < body.length <= MAX_CHUNK_BYTES:
            raise InvalidRequest(f"a chunk needs a Content-Length from 1 to {MAX_CHUNK_BYTES}")
        checksum = call.headers.get(CHECKSUM_HEADER)
        if not checksum:
            raise InvalidRequest(f"a chunk needs the header {CHECKSUM_HEADER}")
        store.write(chunk_id, body, body.length, checksum.lower())
        return json_answer({"chunk_id": chunk_id, "size_bytes": body.length, "checksum": checksum.lower()}, 201)

    @edge.route("GET", "/chunks/<chunk_id>")
    def get_chunk(call: Call, chunk_id: str) -> Answer:
        """The data or one range of it; HEAD answers the same without the bytes."""
        _check_id(chunk_id)
        try:
            file, header = store.open(chunk_id)
        except ChunkCorrupt as error:
            log.warning("chunk_quarantined", chunk_id=chunk_id, reason=error.detail)
            raise ChunkMissing(f"the replica of chunk {chunk_id} was damaged and is in quarantine") from error
        try:
            wanted = parse_range(call.headers.get("Range"), header.size_bytes)
            span = wanted or ByteRange(0, header.size_bytes)
            headers = _headers(header, span, wanted is not None)
            pieces = None if call.method == "HEAD" else Started(store.read_span(chunk_id, file, span))
        except BaseException:
            file.close()
            raise

        def close() -> None:
            if pieces is not None:
                pieces.close()
            file.close()

        return Answer(206 if wanted else 200, headers, pieces or (), close)

    @edge.route("DELETE", "/chunks/<chunk_id>")
    def delete_chunk(call: Call, chunk_id: str) -> Answer:
        """Free one chunk; an order, so it carries the leader's epoch."""
        _check_id(chunk_id)
        _admit_order(call, epochs)
        return json_answer({"deleted": store.delete([chunk_id])})

    @edge.route("POST", "/chunks/delete")
    def delete_chunks(call: Call) -> Answer:
        """Free many chunks by one order."""
        chunk_ids = call.json().get("chunk_ids")
        if not isinstance(chunk_ids, list):
            raise InvalidRequest("the field 'chunk_ids' must be a list")
        for chunk_id in chunk_ids:
            _check_id(chunk_id)
        _admit_order(call, epochs)
        return json_answer({"deleted": store.delete(chunk_ids)})

    @edge.route("POST", "/chunks/<chunk_id>/verify")
    def verify_chunk(_call: Call, chunk_id: str) -> Answer:
        """Re-read a replica from the disk; a damaged one goes into quarantine."""
        _check_id(chunk_id)
        is_intact = store.verify(chunk_id)
        if not is_intact:
            log.warning("chunk_quarantined", chunk_id=chunk_id, reason="asked to verify")
        return json_answer({"chunk_id": chunk_id, "is_intact": is_intact})

    return app


def _check_id(chunk_id: object) -> None:
    if not isinstance(chunk_id, str) or not is_chunk_id(chunk_id):
        raise InvalidRequest("a chunk id is 32 hexadecimal digits, '-', 8 hexadecimal digits")


def _admit_order(call: Call, epochs: EpochGate) -> None:
    text = call.headers.get(EPOCH_HEADER, "")
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise InvalidRequest(f"an order needs the leader's epoch in the header {EPOCH_HEADER}")
    epochs.admit(int(text))


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
