"""`/files` and `/fs`: storing, reading, listing, renaming, deleting and restoring files."""

from __future__ import annotations

from api_gateway.openapi.parts import (
    BYTES_ERRORS,
    CHANGE_ERRORS,
    CONDITIONS,
    FILE_BYTES,
    IF_MATCH,
    IF_NONE_MATCH,
    PERMANENT,
    READ_ERRORS,
    READ_LEVEL,
    REDUNDANCY,
    TO_PAGE,
    WRITE_ERRORS,
    bytes_replies,
)
from common.errors import (
    ChunkLost,
    ChunkUnavailable,
    CrossSiteRequest,
    FileDeleted,
    GatewayBusy,
    IncompleteBody,
    InvalidForm,
    InvalidPath,
    NoPreview,
    PreconditionFailed,
    TooLarge,
    VersionUnknown,
)
from common.openapi.model import Body, Operation, Parameter, Reply, array, json_body, json_reply, nullable, record, ref
from common.openapi.schemas import CHUNK_SCHEMAS, COUNT, FILE_SCHEMAS, FLAG, ID, TEXT

SCHEMAS = {
    **FILE_SCHEMAS,
    **CHUNK_SCHEMAS,
    "Files": record({"files": array(ref("File"))}, text="What one form has stored, in its order."),
    "ChunkMap": record(
        {
            "file_id": ID,
            "version": COUNT,
            "chunk_count": COUNT,
            "chunks": array(ref("Chunk")),
            "next_start": nullable(COUNT),
        },
        text="One page of the chunk map. next_start: null on the last page.",
    ),
    "VersionChecksum": record(
        {"file_id": ID, "version": COUNT, "etag": TEXT, "checksum": ref("Checksum"), "is_kept": FLAG},
        text="The checksum of one version. is_kept: whether it stands in the file's JSON from now on.",
    ),
}

_FILE = json_reply("The file.", ref("File"), ("ETag",))
_NEW_PATH = record({"path": TEXT})
_LISTING_PARAMETERS = (
    Parameter("prefix", "query", "Only paths that start with this.", TEXT),
    Parameter("delimiter", "query", "Fold what lies behind it into `prefixes`; mostly `/`.", TEXT),
    Parameter("limit", "query", "Of one page.", {"type": "integer", "minimum": 1, "maximum": 1000, "default": 100}),
    Parameter("cursor", "query", "`next_cursor` of the page before: a place, to be read from in either order.", TEXT),
    Parameter("order", "query", "`desc`: the last path first.", {"enum": ["asc", "desc"], "default": "asc"}),
    Parameter("until", "query", "A cursor, too: nothing that lies beyond it.", TEXT),
    Parameter("status", "query", "`deleted`: the trash.", {"enum": ["active", "deleted"], "default": "active"}),
    READ_LEVEL,
)
_VERSION = Parameter("version", "query", "An old version, while it can be restored.", {"type": "integer", "minimum": 1})
_ARCHIVE = Reply("The archive.", {"application/zip": FILE_BYTES}, ("Content-Disposition",))
_ARCHIVE_ERRORS = (*READ_ERRORS, InvalidPath, TooLarge, ChunkLost, ChunkUnavailable, GatewayBusy)
_ARCHIVE_DETAIL = (
    "Files are stored in it as they are, with their names below the folder that all have in common. What is missing is"
    " 404 before the first byte; where a file cannot be read later, the connection breaks off."
)
_FORM = Body(
    "One or more fields `file`; before each, if wanted, its `path`: of the file, or of a folder where it ends in `/`.",
    {
        "multipart/form-data": {
            "type": "object",
            "properties": {
                "path": TEXT,
                "replication_factor": {"type": "integer", "minimum": 1},
                "file": FILE_BYTES,
            },
            "required": ["file"],
        }
    },
)
_MAP_PARAMETERS = (
    Parameter("start", "query", "The first chunk's index.", {**COUNT, "maximum": 2**32}),
    Parameter("limit", "query", "Of one page.", {"type": "integer", "minimum": 1, "maximum": 1000, "default": 100}),
    READ_LEVEL,
)
_RESTORED = json_body(
    "An old version to make current again, and another path for what comes out of the trash.",
    record({"version": nullable(COUNT), "path": nullable(TEXT)}, optional=("version", "path")),
    is_required=False,
)

FILE_OPERATIONS = (
    Operation(
        "POST",
        "/files",
        "uploadForm",
        "files",
        "Store the files of a form",
        {
            201: json_reply(
                "Stored, of one file its JSON with its ETag.",
                {"anyOf": [ref("File"), ref("Files")]},
                ("Location",),
                ("ETag",),
            ),
            303: TO_PAGE,
        },
        (*WRITE_ERRORS, InvalidForm, TooLarge),
        REDUNDANCY,
        _FORM,
        "A path that is taken gets a new version of the same file, in one step.",
    ),
    Operation(
        "GET",
        "/files",
        "listFiles",
        "files",
        "One page of the files, sorted by path",
        {200: json_reply("The page.", ref("Listing"))},
        parameters=_LISTING_PARAMETERS,
    ),
    Operation(
        "GET",
        "/files/{file_id}",
        "getFile",
        "files",
        "A file's metadata and old versions",
        {200: _FILE},
        READ_ERRORS,
        (READ_LEVEL,),
    ),
    Operation(
        "GET",
        "/files/{file_id}/chunks",
        "getChunkMap",
        "files",
        "Where a file's chunks are",
        {200: json_reply("One page of the chunk map.", ref("ChunkMap"))},
        (*READ_ERRORS, VersionUnknown),
        _MAP_PARAMETERS,
    ),
    Operation(
        "GET",
        "/files/{file_id}/checksum",
        "getChecksum",
        "files",
        "The checksum of a whole file",
        {200: json_reply("As `sha256sum` prints it.", ref("VersionChecksum"), ("ETag",))},
        (*READ_ERRORS, FileDeleted, VersionUnknown, ChunkLost, ChunkUnavailable, GatewayBusy),
        (_VERSION, READ_LEVEL),
        detail=(
            "Where the file was stored without one it is made now, for which all of it is read: a blank is sent with"
            " every chunk meanwhile. Who closes the connection stops that. Where a chunk cannot be read, it breaks off."
        ),
    ),
    *(
        Operation(
            method,
            f"/files/{{file_id}}/{way}",
            name,
            "files",
            summary,
            bytes_replies(method),
            (*BYTES_ERRORS, FileDeleted, VersionUnknown, *errors),
            (_VERSION, *CONDITIONS, READ_LEVEL),
        )
        for method, way, name, summary, errors in (
            ("GET", "download", "download", "A file's bytes, by id", ()),
            ("HEAD", "download", "peek", "The same without the bytes", ()),
            ("GET", "preview", "preview", "The same bytes to be shown by a browser, of safe types only", (NoPreview,)),
            ("HEAD", "preview", "peekPreview", "Whether they can be shown", (NoPreview,)),
        )
    ),
    Operation(
        "POST",
        "/trash/empty",
        "emptyTrash",
        "files",
        "Delete what is in the trash for good, a part at a time",
        {200: json_reply("To be repeated while there is more.", ref("Emptied")), 303: TO_PAGE},
        (CrossSiteRequest, TooLarge),
        body=json_body(
            "Only paths that start with the prefix; without it, all that the key may see.",
            record({"prefix": TEXT}, optional=("prefix",)),
            is_required=False,
        ),
    ),
    Operation(
        "GET",
        "/archive",
        "getArchive",
        "files",
        "Several files and folders as one ZIP",
        {200: _ARCHIVE},
        _ARCHIVE_ERRORS,
        (
            Parameter("path", "query", "Of a file, or of a folder where it ends in `/`; may be repeated.", TEXT),
            READ_LEVEL,
        ),
        detail=_ARCHIVE_DETAIL,
    ),
    Operation(
        "POST",
        "/archive",
        "makeArchive",
        "files",
        "The same for up to 10,000 paths",
        {200: _ARCHIVE},
        (*_ARCHIVE_ERRORS, CrossSiteRequest, InvalidForm, IncompleteBody),
        (READ_LEVEL,),
        Body(
            "As JSON, or as a form: fields `path`, or one field `paths` with a JSON array.",
            {
                "application/json": record({"paths": array(TEXT)}),
                "application/x-www-form-urlencoded": record(
                    {"path": array(TEXT), "paths": TEXT}, optional=("path", "paths")
                ),
            },
        ),
        _ARCHIVE_DETAIL,
    ),
    Operation(
        "DELETE",
        "/files/{file_id}",
        "deleteFile",
        "files",
        "Put a file into the trash, or free it",
        {200: _FILE},
        (*READ_ERRORS, *CHANGE_ERRORS, PreconditionFailed),
        (PERMANENT, IF_MATCH),
    ),
    Operation(
        "POST",
        "/files/{file_id}/delete",
        "deleteFileByForm",
        "files",
        "The same for an HTML form",
        {200: _FILE, 303: TO_PAGE},
        (*READ_ERRORS, *CHANGE_ERRORS),
        (PERMANENT,),
    ),
    Operation(
        "POST",
        "/files/{file_id}/restore",
        "restoreFile",
        "files",
        "Bring a file back from the trash, or an old version",
        {200: _FILE, 303: TO_PAGE},
        (*READ_ERRORS, *CHANGE_ERRORS, FileDeleted, InvalidPath, TooLarge, VersionUnknown),
        body=_RESTORED,
    ),
    Operation(
        "PATCH",
        "/files/{file_id}",
        "renameFile",
        "files",
        "Rename or move a file, in one step",
        {200: _FILE},
        (*READ_ERRORS, *CHANGE_ERRORS, FileDeleted, InvalidPath, PreconditionFailed, TooLarge),
        (IF_MATCH,),
        json_body("The new path.", _NEW_PATH, example={"path": "notes/hi.txt"}),
    ),
)

PATH_OPERATIONS = (
    Operation(
        "PUT",
        "/fs/{path}",
        "putPath",
        "paths",
        "Store a file, or a new version of it",
        {
            200: json_reply("A new version of a file that was there.", ref("File"), ("ETag",)),
            201: json_reply("A new file.", ref("File"), ("ETag", "Location")),
        },
        (*WRITE_ERRORS, PreconditionFailed),
        (IF_MATCH, IF_NONE_MATCH, *REDUNDANCY),
        Body("The bytes, of any length, announced or in chunks.", {"application/octet-stream": FILE_BYTES}, False),
    ),
    *(
        Operation(
            method,
            "/fs/{path}",
            name,
            "paths",
            summary,
            bytes_replies(method),
            (*BYTES_ERRORS, InvalidPath),
            (*CONDITIONS, READ_LEVEL),
        )
        for method, name, summary in (
            ("GET", "getPath", "A file's bytes, by path"),
            ("HEAD", "peekPath", "The same without the bytes"),
        )
    ),
    Operation(
        "DELETE",
        "/fs/{path}",
        "deletePath",
        "paths",
        "Put a file into the trash, or free it",
        {200: _FILE},
        (*READ_ERRORS, *CHANGE_ERRORS, InvalidPath, PreconditionFailed),
        (PERMANENT, IF_MATCH),
    ),
)
