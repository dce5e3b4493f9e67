"""What a file may be called. A path is kept exactly as given: nothing is normalised, so NFC and NFD are two names."""

from __future__ import annotations

from common.errors import InvalidPath

MAX_PATH_BYTES = 1024
MAX_SEGMENT_BYTES = 255


def check_path(path: object) -> str:
    """Return `path` unchanged, or raise InvalidPath with the rule that it breaks.

    UTF-8, 1 to 1,024 bytes, segments of 1 to 255 bytes, none "." or "..", no NUL, no leading slash. It may end in
    "/", which names a folder's own empty entry.
    """
    if not isinstance(path, str):
        raise InvalidPath("a path must be text")
    encoded = _encode(path)
    if not encoded:
        raise InvalidPath("a path must not be empty")
    if len(encoded) > MAX_PATH_BYTES:
        raise InvalidPath(f"a path must not be longer than {MAX_PATH_BYTES} bytes; this one has {len(encoded)}")
    if "\0" in path:
        raise InvalidPath("a path must not contain a NUL character")
    segments = encoded.split(b"/")
    if segments[-1] == b"" and len(segments) > 1:
        segments.pop()
    for segment in segments:
        _check_segment(segment)
    return path


def decode_path(raw: bytes) -> str:
    """Text of the bytes of a URL; InvalidPath when they are not UTF-8."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        raise InvalidPath("a path must be valid UTF-8") from None


def is_folder(path: str) -> bool:
    """Whether this is a folder's own entry, which holds no bytes."""
    return path.endswith("/")


def file_name(path: str) -> str:
    """The last segment."""
    return path.rstrip("/").rpartition("/")[2]


def _encode(path: str) -> bytes:
    try:
        return path.encode("utf-8")
    except UnicodeEncodeError:
        raise InvalidPath("a path must be valid UTF-8") from None


def _check_segment(segment: bytes) -> None:
    if not segment:
        raise InvalidPath('a path must not start with "/" or contain "//"')
    if segment in (b".", b".."):
        raise InvalidPath('a path must not contain "." or ".." as a segment')
    if len(segment) > MAX_SEGMENT_BYTES:
        raise InvalidPath(f"a segment of a path must not be longer than {MAX_SEGMENT_BYTES} bytes")
