"""The worker's Flask app: routes onto the chunk store."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from flask import Flask, Response, jsonify, request

from common.auth import ClusterSecret
from common.bodies import BodyReader
from common.edge import install_edge, json_body
from common.errors import ChunkCorrupt, ChunkMissing, InvalidRequest
from common.logs import EventLog
from common.ranges import ByteRange, parse_range
from common.records import is_chunk_id
from common.worker_client import CHECKSUM_HEADER, DIGESTS_HEADER, EPOCH_HEADER, encode_digests
from storage.chunk_file import ChunkHeader
from storage.chunk_store import ChunkStore
from storage.epoch import EpochGate

_PIECE_BYTES = 1024 * 1024
MAX_CHUNK_BYTES = 64 * 1024 * 1024


def create_app(
    node_id: str, store: ChunkStore, epochs: EpochGate, secret: ClusterSecret, log: EventLog, silence_seconds: float
) -> Flask:
    """Everything the worker answers; nothing is started."""
    app = Flask(node_id)
    install_edge(app, log, silence_seconds, secret)

    @app.put("/chunks/<chunk_id>")
    def put_chunk(chunk_id: str) -> tuple[Response, int]:
        _check_id(chunk_id)
        body = BodyReader(request.environ)
        if body.length is None or not 0 < body.length <= MAX_CHUNK_BYTES:
            raise InvalidRequest(f"a chunk needs a Content-Length from 1 to {MAX_CHUNK_BYTES}")
        checksum = request.headers.get(CHECKSUM_HEADER)
        if not checksum:
            raise InvalidRequest(f"a chunk needs the header {CHECKSUM_HEADER}")
        store.write(chunk_id, body.read, body.length, checksum.lower())
        return jsonify(chunk_id=chunk_id, size_bytes=body.length, checksum=checksum.lower()), 201

    @app.get("/chunks/<chunk_id>")
    def get_chunk(chunk_id: str) -> Response:
        """The data or one range of it; HEAD answers the same without the bytes."""
        _check_id(chunk_id)
        opened = store.open(chunk_id)
        try:
            file, header = opened.__enter__()
        except ChunkCorrupt as error:
            log.warning("chunk_quarantined", chunk_id=chunk_id, reason=error.detail)
            raise ChunkMissing(f"the replica of chunk {chunk_id} was damaged and is in quarantine") from error
        try:
            wanted = parse_range(request.headers.get("Range"), header.size_bytes)
            span = wanted or ByteRange(0, header.size_bytes)
            pieces = iter(()) if request.method == "HEAD" else _read_span(store, chunk_id, file, span)
            response = Response(pieces, status=206 if wanted else 200, mimetype="application/octet-stream")
            _describe(response, header, span, wanted is not None)
        except BaseException:
            opened.__exit__(None, None, None)
            raise
        response.call_on_close(lambda: opened.__exit__(None, None, None))
        return response

    @app.delete("/chunks/<chunk_id>")
    def delete_chunk(chunk_id: str) -> Response:
        """Free one chunk; an order, so it carries the leader's epoch."""
        _check_id(chunk_id)
        _admit_order(epochs)
        return jsonify(deleted=store.delete([chunk_id]))

    @app.post("/chunks/delete")
    def delete_chunks() -> Response:
        """Free many chunks by one order."""
        chunk_ids = json_body(request).get("chunk_ids")
        if not isinstance(chunk_ids, list):
            raise InvalidRequest("the field 'chunk_ids' must be a list")
        for chunk_id in chunk_ids:
            _check_id(chunk_id)
        _admit_order(epochs)
        return jsonify(deleted=store.delete(chunk_ids))

    @app.post("/chunks/<chunk_id>/verify")
    def verify_chunk(chunk_id: str) -> Response:
        """Re-read a replica from the disk; a damaged one goes into quarantine."""
        _check_id(chunk_id)
        is_intact = store.verify(chunk_id)
        if not is_intact:
            log.warning("chunk_quarantined", chunk_id=chunk_id, reason="asked to verify")
        return jsonify(chunk_id=chunk_id, is_intact=is_intact)

    return app


def _check_id(chunk_id: object) -> None:
    if not isinstance(chunk_id, str) or not is_chunk_id(chunk_id):
        raise InvalidRequest("a chunk id is 32 hexadecimal digits, '-', 8 hexadecimal digits")


def _admit_order(epochs: EpochGate) -> None:
    text = request.headers.get(EPOCH_HEADER, "")
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise InvalidRequest(f"an order needs the leader's epoch in the header {EPOCH_HEADER}")
    epochs.admit(int(text))


def _describe(response: Response, header: ChunkHeader, span: ByteRange, is_partial: bool) -> None:
    response.content_length = span.length
    response.headers["Accept-Ranges"] = "bytes"
    response.headers["ETag"] = f'"{header.checksum}"'
    response.headers[CHECKSUM_HEADER] = header.checksum
    response.headers[DIGESTS_HEADER] = encode_digests(header.digests)
    if is_partial:
        response.headers["Content-Range"] = span.content_range(header.size_bytes)


def _read_span(store: ChunkStore, chunk_id: str, file: BinaryIO, span: ByteRange) -> Iterator[bytes]:
    """The bytes of the span; ends early where the disk does, which the reader notices by Content-Length."""
    file.seek(span.start)
    missing = span.length
    while missing:
        try:
            piece = file.read(min(_PIECE_BYTES, missing))
        except OSError:
            piece = b""
        if not piece:
            store.verify(chunk_id)
            return
        missing -= len(piece)
        yield piece
