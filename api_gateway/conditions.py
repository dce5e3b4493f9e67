"""Conditional and ranged requests for a file (RFC 9110, sections 13 and 14), as one pure decision."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime

from common.clock import parse_timestamp
from common.errors import PreconditionFailed
from common.ranges import ByteRange, parse_range
from common.records import FileInfo

# A date has a resolution of one second; a file younger than this may have changed twice under one date.
_DATE_IS_STRONG_AFTER = timedelta(seconds=2)


@dataclass(frozen=True)
class Decision:
    """What to answer: 304 without a body, 206 with `span`, or 200 with `span` being all of the file."""

    status: int
    span: ByteRange


def decide(headers: Mapping[str, str], file: FileInfo, now: str) -> Decision:
    """Evaluate the request's conditions in the order of RFC 9110, 13.2.2.

    now: this gateway's timestamp, which only decides whether a date in If-Range is precise enough to be trusted.
    Raises PreconditionFailed, RangeNotSatisfiable.
    """
    modified = parse_timestamp(file.modified_at).replace(microsecond=0)
    if "If-Match" in headers:
        if not _lists(headers["If-Match"], file.etag, is_weak_enough=False):
            raise PreconditionFailed("the file does not have the content that If-Match names", etag=file.etag)
    elif (since := _date(headers.get("If-Unmodified-Since"))) is not None and modified > since:
        raise PreconditionFailed("the file was modified after If-Unmodified-Since", etag=file.etag)
    whole = ByteRange(0, file.size)
    if "If-None-Match" in headers:
        if _lists(headers["If-None-Match"], file.etag, is_weak_enough=True):
            return Decision(304, whole)
    elif (since := _date(headers.get("If-Modified-Since"))) is not None and modified <= since:
        return Decision(304, whole)
    if "Range" in headers and _is_same(headers.get("If-Range"), file, modified, now):
        span = parse_range(headers["Range"], file.size)
        if span is not None:
            return Decision(206, span)
    return Decision(200, whole)


def last_modified(file: FileInfo) -> str:
    """The value of the header Last-Modified."""
    return format_datetime(parse_timestamp(file.modified_at), usegmt=True)


def _lists(header: str, etag: str, is_weak_enough: bool) -> bool:
    """Whether the list of entity tags contains this one; a weak tag counts only where weak comparison is asked for."""
    if header.strip() == "*":
        return True
    tags = [tag.strip() for tag in header.split(",")]
    return etag in (tag.removeprefix("W/") if is_weak_enough else tag for tag in tags)


def _is_same(if_range: str | None, file: FileInfo, modified: datetime, now: str) -> bool:
    if if_range is None or if_range.strip() == file.etag:
        return True
    date = _date(if_range)
    return date is not None and date == modified and parse_timestamp(now) - modified >= _DATE_IS_STRONG_AFTER


def _date(header: str | None) -> datetime | None:
    """The time that an HTTP date names; a header that is none is to be ignored."""
    if header is None:
        return None
    try:
        date = parsedate_to_datetime(header)
    except (TypeError, ValueError, IndexError):
        return None
    return date if date.tzinfo is not None else None
