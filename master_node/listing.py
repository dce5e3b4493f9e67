"""One page of a listing, from one index, at a cost that depends on the page and not on the number of files.

Keys order the files by path (model.File.key): active ones under "a/", deleted ones under "d/". With a delimiter, all
files below one common prefix are passed over by starting again behind it, so a folder of a million files costs one
step. Pure: the store is a function that scans a range of keys.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass, replace

from common.errors import InvalidRequest
from master_node.model import ACTIVE, DELETED, File

MAX_LIMIT = 1000
DEFAULT_LIMIT = 100
MAX_BATCH = 100
_PREFIX_OF_STATUS = {ACTIVE: "a/", DELETED: "d/"}
_HIGHEST = "\U0010ffff"
# scan(after, before, limit, is_inclusive) as MetadataStore.scan_files has it.
Scan = Callable[[str, str, int, bool], list[File]]


@dataclass(frozen=True)
class ListingQuery:
    """What to list: paths that start with `prefix`, those with `delimiter` behind it folded into one entry."""

    prefix: str = ""
    delimiter: str = ""
    limit: int = DEFAULT_LIMIT
    cursor: str = ""
    status: str = ACTIVE


@dataclass(frozen=True)
class Page:
    """Files and common prefixes, each in the order of their paths; `next_cursor` is None on the last page."""

    files: list[File]
    prefixes: list[str]
    next_cursor: str | None


def list_page(scan: Scan, query: ListingQuery) -> Page:
    """Read one page. Raises InvalidRequest for a cursor that was not given out here."""
    namespace = _PREFIX_OF_STATUS[query.status]
    start = namespace + query.prefix
    end = after_prefix(start)
    position, is_inclusive = _decode_cursor(query.cursor) if query.cursor else (start, True)
    if not start <= position < end:
        raise InvalidRequest("the cursor belongs to another listing")
    files: list[File] = []
    prefixes: list[str] = []
    batch = _first_batch(query)
    while len(files) + len(prefixes) < query.limit:
        wanted = min(batch, query.limit - len(files) - len(prefixes), MAX_BATCH)
        found = scan(position, end, wanted, is_inclusive)
        if not found:
            return Page(files, prefixes, None)
        position, is_inclusive = found[-1].key, False
        batch *= 2
        for file in found:
            folded = _common_prefix(file.path, query)
            if folded is None:
                # A listing does not show old versions; a thousand files with hundreds each are not held for it.
                files.append(replace(file, old_versions=()))
                continue
            prefixes.append(folded)
            position, is_inclusive = after_prefix(namespace + folded), True
            batch = _first_batch(query)
            break
    return Page(files, prefixes, _cursor_if_more(scan, position, end, is_inclusive))


def after_prefix(prefix: str) -> str:
    """The least string that follows every string that starts with `prefix`, in the order of code points."""
    while prefix:
        last = ord(prefix[-1])
        if last < 0x10FFFF:
            # Surrogates are no characters: the code point after U+D7FF is U+E000.
            return prefix[:-1] + chr(0xE000 if last == 0xD7FF else last + 1)
        prefix = prefix[:-1]
    return _HIGHEST


def _first_batch(query: ListingQuery) -> int:
    """Few at first where a folder may be folded at once: what is read behind it would be read in vain."""
    return 2 if query.delimiter else query.limit


def _common_prefix(path: str, query: ListingQuery) -> str | None:
    if not query.delimiter:
        return None
    head, found, _ = path[len(query.prefix) :].partition(query.delimiter)
    return query.prefix + head + query.delimiter if found else None


def _cursor_if_more(scan: Scan, position: str, end: str, is_inclusive: bool) -> str | None:
    if position >= end or not scan(position, end, 1, is_inclusive):
        return None
    return _encode_cursor(position, is_inclusive)


def _encode_cursor(position: str, is_inclusive: bool) -> str:
    """Where the next page starts: behind a file (exclusive), or at the first key behind a folded prefix (inclusive)."""
    text = ("=" if is_inclusive else ">") + position
    return base64.urlsafe_b64encode(text.encode("utf-8")).decode("ascii").rstrip("=")


def _decode_cursor(cursor: str) -> tuple[str, bool]:
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        text = base64.b64decode(padded.encode("ascii"), altchars=b"-_", validate=True).decode("utf-8")
    except (ValueError, binascii.Error):
        text = ""
    if text[:1] not in ("=", ">"):
        raise InvalidRequest("the cursor is not one that a listing gave out")
    return text[1:], text[0] == "="
