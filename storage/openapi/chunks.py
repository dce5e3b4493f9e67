"""Storing, reading and verifying chunks; the inventory; the leader's orders."""

from __future__ import annotations

from common.chunk_notes import NOTE_HEADER, WANT_NOTE_HEADER
from common.errors import (
    ChunkConflict,
    ChunkCorrupt,
    ChunkMissing,
    DFSError,
    DiskFailed,
    DiskFull,
    IncompleteBody,
    PeerUnreachable,
    RangeNotSatisfiable,
    StaleEpoch,
    TooLarge,
    WorkerBusy,
)
from common.openapi.model import Body, Operation, Parameter, Reply, Schema, array, json_body, json_reply, record, ref
from common.openapi.schemas import CHUNK_CHECKSUM, CHUNK_ID, COUNT, FLAG, NUMBER, TEXT
from common.worker_client import CHECKSUM_HEADER, DIGESTS_HEADER, EPOCH_HEADER, MAX_DESCRIBED, MAX_INVENTORY_PAGE
from storage.receiving import MAX_CHUNK_BYTES

_BYTES: Schema = {"type": "string", "format": "binary"}
_SIZE: Schema = {"type": "integer", "minimum": 0, "maximum": MAX_CHUNK_BYTES}
_EPOCH = Parameter(
    EPOCH_HEADER, "header", "The leader's, as fencing token.", {**COUNT, "maximum": 10**18 - 1}, is_required=True
)
_CHECKSUM = Parameter(CHECKSUM_HEADER, "header", "Of the block digests.", CHUNK_CHECKSUM, is_required=True)
_CHUNK_IDS = json_body("The chunks.", record({"chunk_ids": array(CHUNK_ID)}))
_READ_ERRORS: tuple[type[DFSError], ...] = (ChunkMissing, DiskFailed, RangeNotSatisfiable, WorkerBusy)
_ORDER_ERRORS: tuple[type[DFSError], ...] = (StaleEpoch, DiskFailed, TooLarge)

HEADERS = {
    name: Parameter(name, "header", summary, TEXT)
    for name, summary in (
        ("ETag", "The checksum."),
        ("Accept-Ranges", "bytes"),
        ("Content-Range", "Which part this is."),
        (CHECKSUM_HEADER, "Of the block digests."),
        (DIGESTS_HEADER, "Of each block of 64 KiB, base64."),
        (NOTE_HEADER, "What the gateway said of the file, base64."),
    )
}
SCHEMAS = {
    "HeldChunk": record(
        {"chunk_id": CHUNK_ID, "age_seconds": NUMBER}, text="A chunk file on the disk; its age is a hint only."
    ),
    "DescribedChunk": record(
        {"chunk_id": CHUNK_ID, "size_bytes": _SIZE, "checksum": CHUNK_CHECKSUM, "note": TEXT},
        text="A chunk by the end of its file; note: base64, empty where it has none.",
    ),
    "Stored": record({"chunk_id": CHUNK_ID, "size_bytes": _SIZE, "checksum": CHUNK_CHECKSUM}),
}
_CHUNK_HEADERS = ("ETag", "Accept-Ranges", CHECKSUM_HEADER, DIGESTS_HEADER)


def _bytes_replies(method: str) -> dict[int, Reply]:
    media = {} if method == "HEAD" else {"application/octet-stream": _BYTES}
    return {
        200: Reply("The whole chunk; the reader verifies it.", media, _CHUNK_HEADERS, (NOTE_HEADER,)),
        206: Reply("A part of it.", media, (*_CHUNK_HEADERS, "Content-Range"), (NOTE_HEADER,)),
    }


CHUNK_OPERATIONS = (
    Operation(
        "PUT",
        "/chunks/{chunk_id}",
        "putChunk",
        "chunks",
        "Store a chunk; answered once it is on the disk",
        {201: json_reply("It is.", ref("Stored"))},
        (ChunkConflict, ChunkCorrupt, DiskFailed, DiskFull, IncompleteBody, WorkerBusy),
        (_CHECKSUM, Parameter(NOTE_HEADER, "header", "Of the file, base64; told again on request.", TEXT)),
        Body("The bytes.", {"application/octet-stream": {**_BYTES, "minLength": 1}}),
    ),
    *(
        Operation(
            method,
            "/chunks/{chunk_id}",
            name,
            "chunks",
            summary,
            _bytes_replies(method),
            _READ_ERRORS,
            (
                Parameter("Range", "header", "One range of bytes.", TEXT),
                Parameter(WANT_NOTE_HEADER, "header", "The note is wanted, too.", TEXT),
            ),
        )
        for method, name, summary in (
            ("GET", "getChunk", "A chunk's bytes"),
            ("HEAD", "peekChunk", "Without the bytes"),
        )
    ),
    Operation(
        "POST",
        "/chunks/{chunk_id}/verify",
        "verifyChunk",
        "chunks",
        "Re-read a chunk; a bad one goes into quarantine",
        {200: json_reply("What came of it.", record({"chunk_id": CHUNK_ID, "is_intact": FLAG}))},
        (ChunkMissing, DiskFailed, WorkerBusy),
    ),
)

INVENTORY_OPERATIONS = (
    Operation(
        "GET",
        "/inventory/{folder}",
        "listInventory",
        "inventory",
        "One page of the chunk files in a folder",
        {200: json_reply("The page.", record({"chunks": array(ref("HeldChunk"))}))},
        (DiskFailed,),
        (
            Parameter("after", "query", "The last id of the page before.", CHUNK_ID),
            Parameter(
                "limit", "query", "Of one page.", {"type": "integer", "minimum": 1, "maximum": MAX_INVENTORY_PAGE}
            ),
        ),
    ),
    Operation(
        "POST",
        "/chunks/held",
        "findHeld",
        "inventory",
        "Which of these chunks lie here",
        {200: json_reply("Those that do.", record({"held": array(CHUNK_ID)}))},
        (DiskFailed, TooLarge),
        body=_CHUNK_IDS,
    ),
    Operation(
        "POST",
        "/chunks/notes",
        "describeChunks",
        "inventory",
        "What the files of these chunks say of themselves",
        {200: json_reply("Of those that are here and whole.", record({"chunks": array(ref("DescribedChunk"))}))},
        (DiskFailed, TooLarge),
        body=json_body("The chunks.", record({"chunk_ids": {**array(CHUNK_ID), "maxItems": MAX_DESCRIBED}})),
    ),
)

ORDER_OPERATIONS = (
    Operation(
        "DELETE",
        "/chunks/{chunk_id}",
        "deleteChunk",
        "orders",
        "Free one chunk",
        {200: json_reply("deleted: 1 where it was here.", record({"deleted": COUNT}))},
        _ORDER_ERRORS,
        (_EPOCH,),
    ),
    Operation(
        "POST",
        "/chunks/delete",
        "deleteChunks",
        "orders",
        "Free many chunks",
        {200: json_reply("How many were here.", record({"deleted": COUNT}))},
        _ORDER_ERRORS,
        (_EPOCH,),
        _CHUNK_IDS,
    ),
    Operation(
        "POST",
        "/chunks/{chunk_id}/copy",
        "copyChunk",
        "orders",
        "Fetch a replica from another worker",
        {200: json_reply("It is verified and on the disk.", ref("Stored"))},
        (*_ORDER_ERRORS, ChunkMissing, ChunkCorrupt, ChunkConflict, DiskFull, PeerUnreachable, WorkerBusy),
        (_EPOCH,),
        json_body("From where.", record({"source_url": TEXT, "size_bytes": _SIZE, "checksum": CHUNK_CHECKSUM})),
    ),
    Operation(
        "POST",
        "/chunks/quarantine",
        "quarantineChunks",
        "orders",
        "Put chunks aside that no record names",
        {200: json_reply("How many were here.", record({"quarantined": COUNT}))},
        _ORDER_ERRORS,
        (_EPOCH,),
        _CHUNK_IDS,
    ),
)
