"""What several of the gateway's operations have in common: parameters, headers, groups of errors."""

from __future__ import annotations

from api_gateway.redundancy import CONSISTENCY_HEADER, FACTOR_HEADER, READ_LEVEL_HEADER
from common.errors import (
    ChunkLost,
    ChunkUnavailable,
    ClusterFull,
    Conflict,
    CrossSiteRequest,
    DFSError,
    FileUnknown,
    GatewayBusy,
    IncompleteBody,
    InvalidPath,
    LargerThanQuota,
    NotEnoughWorkers,
    PathTaken,
    PreconditionFailed,
    QuorumNotReached,
    QuotaExceeded,
    RangeNotSatisfiable,
    TooManyVersions,
    UploadClosed,
    UploadUnknown,
)
from common.openapi.model import Parameter, Reply, Schema
from common.openapi.schemas import FLAG, ID, KEY_ID, TEXT, WORKER_ID

Errors = tuple[type[DFSError], ...]

HTML: Schema = {"type": "string"}
HTML_PAGE = "text/html; charset=utf-8"

VARIABLES = {
    "file_id": Parameter("file_id", "path", "The file's id, from its JSON.", ID),
    "worker_id": Parameter("worker_id", "path", "As in config.json.", WORKER_ID),
    "key_id": Parameter("key_id", "path", "The first part of a key, which is no secret.", KEY_ID),
    "path": Parameter(
        "path", "path", "The file's path, escaped; slashes may stand as they are.", {"type": "string", "minLength": 1}
    ),
    "upload_id": Parameter("upload_id", "path", "The upload's id, the end of its URL.", ID),
    "filename": Parameter("filename", "path", "A file of the page's own.", {"type": "string", "minLength": 1}),
}

PERMANENT = Parameter("permanent", "query", "Free it at once, past the trash.", FLAG)
IF_MATCH = Parameter("If-Match", "header", "Only if the file has this ETag.", TEXT)
IF_NONE_MATCH = Parameter("If-None-Match", "header", "`*`: only if there is no such file yet.", TEXT)
READ_LEVEL = Parameter(
    READ_LEVEL_HEADER,
    "header",
    "How fresh the answer is to be; docs/consistency.md.",
    {"enum": ["linearizable", "majority", "eventual"]},
)
REDUNDANCY = (
    Parameter(FACTOR_HEADER, "header", "How many replicas of each chunk.", {"type": "integer", "minimum": 1}),
    Parameter(
        CONSISTENCY_HEADER,
        "header",
        "How many of them on disk before the answer.",
        {"enum": ["one", "quorum", "all"]},
    ),
)
CONDITIONS = (
    Parameter("Range", "header", "One range of bytes.", TEXT, example="bytes=0-1023"),
    Parameter("If-Range", "header", "Take the range only of this content.", TEXT),
    IF_MATCH,
    Parameter("If-None-Match", "header", "Only if the file has another ETag.", TEXT),
    Parameter("If-Modified-Since", "header", "An HTTP date.", TEXT),
    Parameter("If-Unmodified-Since", "header", "An HTTP date.", TEXT),
)

HEADERS = {
    name: Parameter(name, "header", summary, schema)
    for name, summary, schema in (
        ("ETag", "Changes exactly when the content is replaced.", TEXT),
        ("Location", "Where to look next.", TEXT),
        ("Set-Cookie", "The session's.", TEXT),
        ("Last-Modified", "When this content was stored.", TEXT),
        ("Accept-Ranges", "bytes", TEXT),
        ("Content-Range", "Which part this is, of how much.", TEXT),
        ("Content-Disposition", "The name to save it by; of a download, that it is an attachment.", TEXT),
        ("Tus-Resumable", "The version of tus: 1.0.0.", TEXT),
        ("Tus-Version", "The versions of tus.", TEXT),
        ("Tus-Extension", "The extensions of tus, separated by commas.", TEXT),
        ("Tus-Checksum-Algorithm", "What Upload-Checksum may name.", TEXT),
        ("Upload-Offset", "How many bytes are safe.", {"type": "integer", "minimum": 0}),
        ("X-DFS-Version", "The file's version.", {"type": "integer"}),
    )
}
FILE_BYTES: Schema = {"type": "string", "format": "binary"}
_BYTES_HEADERS = (
    "ETag",
    "Last-Modified",
    "Accept-Ranges",
    "Content-Disposition",
    "X-DFS-Version",
)
# There for a file that has a checksum.
_CHECKSUM_HEADER = ("X-DFS-Checksum",)

TO_PAGE = Reply("For an HTML form: back to the page.", headers=("Location",))

READ_ERRORS: Errors = (FileUnknown,)
CHANGE_ERRORS: Errors = (CrossSiteRequest, Conflict, PathTaken, TooManyVersions, QuotaExceeded, LargerThanQuota)
WRITE_ERRORS: Errors = (
    *CHANGE_ERRORS,
    InvalidPath,
    IncompleteBody,
    GatewayBusy,
    NotEnoughWorkers,
    QuorumNotReached,
    ClusterFull,
    UploadUnknown,
    UploadClosed,
)
BYTES_ERRORS: Errors = (
    *READ_ERRORS,
    PreconditionFailed,
    RangeNotSatisfiable,
    ChunkLost,
    ChunkUnavailable,
    GatewayBusy,
)


def bytes_replies(method: str) -> dict[int, Reply]:
    """What a request for a file's bytes is answered with."""
    media = {} if method == "HEAD" else {"*/*": FILE_BYTES}
    whole = Reply(
        "The whole file, verified, with the media type that it was stored with; X-DFS-Checksum, sha256= and that of"
        " the whole, where it has one.",
        media,
        _BYTES_HEADERS,
        _CHECKSUM_HEADER,
    )
    kept = tuple(name for name in _BYTES_HEADERS if name != "Last-Modified")
    unchanged = Reply(
        "The client's copy is still right.", headers=kept, optional_headers=("Last-Modified", *_CHECKSUM_HEADER)
    )
    if method == "HEAD":
        return {200: whole, 304: unchanged}
    part = Reply("The range that was asked for.", media, (*_BYTES_HEADERS, "Content-Range"), _CHECKSUM_HEADER)
    return {200: whole, 206: part, 304: unchanged}
