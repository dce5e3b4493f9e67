"""One page of a listing, from one index, at a cost that depends on the page and not on the number of files.

Keys order the files by path (model.File.key): active ones under "a/", deleted ones under "d/". With a delimiter, all
files below one common prefix are passed over by starting again behind it, so a folder of a million files costs one
step. In reverse the same entries come from the other end. Pure: the store is a function that scans a range of keys.

A cursor is a place between two entries, and every place can be read from in both orders, and up to: so a reader that
has begun at both ends can ask for exactly what is between.
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
# scan(after, before, limit, is_inclusive, is_reverse) as MetadataStore.scan_files has it.
Scan = Callable[[str, str, int, bool, bool], list[File]]


@dataclass(frozen=True)
class ListingQuery:
    """What to list: paths that start with `prefix`, those with `delimiter` behind it folded into one entry.

    cursor: where to begin; until: a cursor, too, at which to end; is_reverse: the last entry first.
    """

    prefix: str = ""
    delimiter: str = ""
    limit: int = DEFAULT_LIMIT
    cursor: str = ""
    status: str = ACTIVE
    until: str = ""
    is_reverse: bool = False


@dataclass(frozen=True)
class Page:
    """Files and common prefixes, each in the order that was asked for; `next_cursor` is None on the last page."""

    files: list[File]
    prefixes: list[str]
    next_cursor: str | None


def list_page(scan: Scan, query: ListingQuery) -> Page:
    """Read one page. Raises InvalidRequest for a cursor that was not given out here."""
    namespace = _PREFIX_OF_STATUS[query.status]
    low, high = _range_of(query, namespace + query.prefix)
    files: list[File] = []
    prefixes: list[str] = []
    batch = _first_batch(query)
    while len(files) + len(prefixes) < query.limit:
        wanted = min(batch, query.limit - len(files) - len(prefixes), MAX_BATCH)
        found = scan(low, high, wanted, True, query.is_reverse)
        if not found:
            return Page(files, prefixes, None)
        batch *= 2
        for file in found:
            folded = _common_prefix(file.path, query)
            if folded is None:
                # A listing does not show old versions; a thousand files with hundreds each are not held for it.
                files.append(replace(file, old_versions=()))
                first, behind = file.key, _right_behind(file.key)
            else:
                prefixes.append(folded)
                first, behind = namespace + folded, after_prefix(namespace + folded)
                batch = _first_batch(query)
            low, high = (low, first) if query.is_reverse else (behind, high)
            if folded is not None:
                break
    is_more = low < high and scan(low, high, 1, True, query.is_reverse)
    return Page(files, prefixes, _encode_cursor(high if query.is_reverse else low) if is_more else None)


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


def _range_of(query: ListingQuery, start: str) -> tuple[str, str]:
    """The keys that are left to list: from the first of the two on, and before the second."""
    low, high = start, after_prefix(start)
    first, last = (query.until, query.cursor) if query.is_reverse else (query.cursor, query.until)
    return _decode_cursor(first, low, high) if first else low, _decode_cursor(last, low, high) if last else high


def _right_behind(key: str) -> str:
    """The least string that follows this one."""
    return key + "\0"


def _encode_cursor(position: str) -> str:
    """The first key that may follow this place."""
    return base64.urlsafe_b64encode(f"={position}".encode()).decode("ascii").rstrip("=")


def _decode_cursor(cursor: str, low: str, high: str) -> str:
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        text = base64.b64decode(padded.encode("ascii"), altchars=b"-_", validate=True).decode("utf-8")
    except (ValueError, binascii.Error):
        text = ""
    # The release before named the last key that it had read, with ">".
    if text[:1] not in ("=", ">"):
        raise InvalidRequest("the cursor is not one that a listing gave out")
    if not low <= text[1:] < high:
        raise InvalidRequest("the cursor belongs to another listing")
    return text[1:] if text[0] == "=" else _right_behind(text[1:])
