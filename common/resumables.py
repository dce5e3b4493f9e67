"""The values that gateway and masters exchange about a resumable upload: one that may be sent in many requests.

docs/decisions/010-resumable-uploads.md has the protocol.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from common.errors import InvalidRequest
from common.fields import take, take_optional, take_or
from common.records import ChunkLocation, OpenUpload

MAX_METADATA_BYTES = 4096
# What a client is told of an upload.
RESUMABLE, SEALED, COMMITTED = "resumable", "sealed", "committed"


@dataclass(frozen=True)
class NewResumable:
    """What a client says of a resumable upload when it begins one.

    length: of the whole in bytes, None where that comes later. metadata: the client's own text, given back as it is.
    is_partial: never to be a file by itself, only a source of bytes for another upload.
    """

    length: int | None = None
    metadata: str = ""
    content_type: str = "application/octet-stream"
    file_name: str = ""
    is_partial: bool = False

    def to_json(self) -> dict[str, Any]:
        return {
            "length": self.length,
            "metadata": self.metadata,
            "content_type": self.content_type,
            "file_name": self.file_name,
            "is_partial": self.is_partial,
        }

    @classmethod
    def from_json(cls, source: Mapping[str, Any]) -> NewResumable:
        metadata = take_or(source, "metadata", "")
        if len(metadata.encode(errors="replace")) > MAX_METADATA_BYTES:
            raise InvalidRequest(f"the metadata of an upload has at most {MAX_METADATA_BYTES} bytes")
        return cls(
            take_optional(source, "length", int),
            metadata,
            take_or(source, "content_type", cls.content_type),
            take_or(source, "file_name", ""),
            take_or(source, "is_partial", False),
        )


@dataclass(frozen=True)
class ResumableInfo:
    """A resumable upload as it stands. `offset`: how many bytes are safe; it never goes down.

    state: "resumable" takes bytes; "sealed" has them all and only waits to be committed, which any gateway can do
    (`MasterClient.commit_sealed`) and must have done before it tells a client that the upload is complete; "committed"
    is the file `file_id`. path: "" for a partial one. expires_in_seconds: without a sign of life until then.
    """

    upload_id: str
    state: str
    offset: int
    length: int | None
    metadata: str
    path: str
    content_type: str
    file_name: str
    is_partial: bool
    chunk_size: int
    expires_in_seconds: float
    file_id: str

    def to_json(self) -> dict[str, Any]:
        return {
            "upload_id": self.upload_id,
            "state": self.state,
            "offset": self.offset,
            "length": self.length,
            "metadata": self.metadata,
            "path": self.path,
            "content_type": self.content_type,
            "file_name": self.file_name,
            "is_partial": self.is_partial,
            "chunk_size": self.chunk_size,
            "expires_in_seconds": self.expires_in_seconds,
            "file_id": self.file_id,
        }

    @classmethod
    def from_json(cls, source: Mapping[str, Any]) -> ResumableInfo:
        return cls(
            upload_id=take(source, "upload_id", str),
            state=take(source, "state", str),
            offset=take(source, "offset", int),
            length=take_optional(source, "length", int),
            metadata=take(source, "metadata", str),
            path=take(source, "path", str),
            content_type=take(source, "content_type", str),
            file_name=take(source, "file_name", str),
            is_partial=take(source, "is_partial", bool),
            chunk_size=take(source, "chunk_size", int),
            expires_in_seconds=take(source, "expires_in_seconds", float),
            file_id=take(source, "file_id", str),
        )


@dataclass(frozen=True)
class ResumedUpload:
    """Leave to go on with an upload, until somebody else resumes it.

    attempt: goes into the ids of all chunks that are written now, and with every call. The first chunk to write has the
    index `next_index`; where `tail_bytes` is not 0 it begins with as many bytes that are safe already: the first ones
    of the chunk `tail`, which may be longer.
    """

    opened: OpenUpload
    attempt: int
    tail: ChunkLocation | None
    info: ResumableInfo

    @property
    def next_index(self) -> int:
        return self.info.offset // self.opened.chunk_size

    @property
    def tail_bytes(self) -> int:
        return self.info.offset % self.opened.chunk_size

    def to_json(self) -> dict[str, Any]:
        return {
            **self.opened.to_json(),
            "attempt": self.attempt,
            "tail": self.tail.to_json() if self.tail is not None else None,
            "info": self.info.to_json(),
        }

    @classmethod
    def from_json(cls, source: Mapping[str, Any]) -> ResumedUpload:
        tail = take_optional(source, "tail", dict)
        return cls(
            OpenUpload.from_json(source),
            take(source, "attempt", int),
            ChunkLocation.from_json(tail) if tail is not None else None,
            ResumableInfo.from_json(take(source, "info", dict)),
        )
