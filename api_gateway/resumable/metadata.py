"""What Upload-Metadata says: where the file goes, what it is, and what must hold when it gets there. Pure."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass

from api_gateway.receiving import choose_type
from common.errors import InvalidPath, InvalidRequest
from common.paths import check_path, is_folder
from common.resumables import MAX_METADATA_BYTES

_KEY = re.compile(r"[\x21-\x2b\x2d-\x7e]+")


@dataclass(frozen=True)
class Destination:
    """path: None for a partial upload that names none. if_none_match: "*": only if there is no such file yet."""

    path: str | None
    file_name: str
    content_type: str
    if_none_match: str | None


def read_destination(text: str, *, is_partial: bool = False) -> Destination:
    """Where an upload with this metadata goes: `path`, or into the top folder by its `filename`.

    A path that ends in "/" is a folder, into which the file goes by its name. Raises InvalidRequest, InvalidPath.
    """
    fields = parse_metadata(text)
    name = _text(fields, "filename")
    if "/" in name:
        raise InvalidPath('the metadata "filename" is a name; send a path as "path"')
    path: str | None = _text(fields, "path") or name
    if path and is_folder(path):
        path += name
    if path and is_folder(path):
        raise InvalidPath('the metadata "path" is a folder; send the file\'s "filename" with it')
    if not path and not is_partial:
        raise InvalidPath('the metadata must have "path" or "filename"')
    condition = _text(fields, "if_none_match") or None
    if condition not in (None, "*"):
        raise InvalidRequest('the metadata "if_none_match" can only be "*"')
    path = check_path(path) if path else None
    return Destination(path, name, choose_type(_text(fields, "filetype"), path or name), condition)


def parse_metadata(text: str) -> Mapping[str, bytes]:
    """The pairs of the header: a key, a blank and a value in base64, the latter two left out for an empty value."""
    fields: dict[str, bytes] = {}
    for pair in text.split(",") if text.strip() else ():
        key, _, encoded = pair.strip(" \t").partition(" ")
        if not _KEY.fullmatch(key) or key in fields:
            raise InvalidRequest("each key of Upload-Metadata is printable ASCII without blank and comma, given once")
        try:
            fields[key] = base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError):
            raise InvalidRequest(f"the value of {key!r} in Upload-Metadata must be base64") from None
    return fields


def remember(metadata: str, concatenation: str) -> str:
    """What is kept with the upload: the headers Upload-Metadata and Upload-Concat as they came."""
    text = f"{concatenation}\n{metadata}"
    if len(text.encode()) > MAX_METADATA_BYTES:
        raise InvalidRequest(f"Upload-Metadata and Upload-Concat have at most {MAX_METADATA_BYTES - 1} bytes together")
    return text


def recall(text: str) -> tuple[str, str]:
    """The two again: Upload-Metadata, Upload-Concat."""
    concatenation, _, metadata = text.partition("\n")
    return metadata, concatenation


def _text(fields: Mapping[str, bytes], name: str) -> str:
    try:
        return fields.get(name, b"").decode("utf-8")
    except UnicodeDecodeError:
        raise InvalidRequest(f"the value of {name!r} in Upload-Metadata must be UTF-8") from None
