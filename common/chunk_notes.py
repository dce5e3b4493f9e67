"""The note that every chunk carries on the workers' disks: which file it is a part of.

Only a rebuild reads it, after the masters' records were lost. The last chunk's note also says how many chunks there are
and how long the file is, so that a rebuild can tell a whole file from the beginning of one. A note is what the gateway
knew while it sent the chunk: later renames, and whether the upload was ever committed, are not in it.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from common.errors import InvalidRequest

NOTE_HEADER = "X-DFS-Note"
# Asks for it: most who read a chunk have no use for its note.
WANT_NOTE_HEADER = "X-DFS-Want-Note"
# A path of 1,024 bytes, each escaped, and some more.
MAX_NOTE_BYTES = 8192


@dataclass(frozen=True)
class ChunkNote:
    """What the gateway says of the upload.

    path: where it was to go, "" where that came after the bytes; file_name: then the client's name for it.
    chunk_count, size_bytes: of the whole file, in its last chunk's note only, else None. uploaded_at: for people, and
    for the order of versions; no decision is made by it.
    """

    path: str = ""
    file_name: str = ""
    content_type: str = ""
    uploaded_at: str = ""
    chunk_size_bytes: int = 0
    replication_factor: int = 0
    chunk_count: int | None = None
    size_bytes: int | None = None

    def last(self, chunk_count: int, size_bytes: int) -> ChunkNote:
        """The note of the file's last chunk."""
        return replace(self, chunk_count=chunk_count, size_bytes=size_bytes)

    def encode(self) -> bytes:
        """What is written on the disk. A path that is no path, far too long, is left out."""
        for note in (self, replace(self, file_name="", content_type=""), replace(self, path="", file_name="")):
            if len(written := note._write()) <= MAX_NOTE_BYTES:
                break
        return written

    def _write(self) -> bytes:
        fields: dict[str, Any] = {
            "path": self.path,
            "name": self.file_name,
            "type": self.content_type,
            "at": self.uploaded_at,
            "chunk_size": self.chunk_size_bytes,
            "factor": self.replication_factor,
            "chunks": self.chunk_count,
            "size": self.size_bytes,
        }
        known = {name: value for name, value in fields.items() if value not in ("", None)}
        return json.dumps(known, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")

    @classmethod
    def decode(cls, written: bytes) -> ChunkNote | None:
        """None for what is no note, or one of a release that writes them in another way."""
        try:
            fields = json.loads(written)
        except ValueError:
            return None
        return cls._from_fields(fields) if isinstance(fields, Mapping) else None

    @classmethod
    def _from_fields(cls, fields: Mapping[str, Any]) -> ChunkNote:
        return cls(
            path=_text(fields, "path"),
            file_name=_text(fields, "name"),
            content_type=_text(fields, "type"),
            uploaded_at=_text(fields, "at"),
            chunk_size_bytes=_number(fields, "chunk_size") or 0,
            replication_factor=_number(fields, "factor") or 0,
            chunk_count=_number(fields, "chunks"),
            size_bytes=_number(fields, "size"),
        )


def encode_header(note: bytes) -> str:
    """A written note as the value of a header, or in JSON."""
    return base64.b64encode(note).decode("ascii")


def decode_header(value: str | None) -> bytes:
    """The note in a header; empty where there is none. Raises InvalidRequest."""
    if not value:
        return b""
    try:
        note = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise InvalidRequest(f"the header {NOTE_HEADER} must be base64") from None
    if len(note) > MAX_NOTE_BYTES:
        raise InvalidRequest(f"a note has at most {MAX_NOTE_BYTES} bytes")
    return note


def _text(fields: Mapping[str, Any], name: str) -> str:
    value = fields.get(name)
    return value if isinstance(value, str) else ""


def _number(fields: Mapping[str, Any], name: str) -> int | None:
    value = fields.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
