"""Read a multipart/form-data body part by part as it comes (RFC 7578), nothing held but the piece in hand.

The grammar is werkzeug's `MultipartDecoder`; its *form parser*, which writes files to /tmp, is not used.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from werkzeug.datastructures import Headers
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.http import parse_options_header
from werkzeug.sansio.multipart import Data, Epilogue, Event, Field, File, MultipartDecoder, NeedData

from common.bodies import BodyReader
from common.errors import InvalidForm

PIECE_BYTES = 256 * 1024
MAX_PENDING_BYTES = 1024 * 1024
MAX_FIELD_BYTES = 8 * 1024
_QUOTED_FILENAME = re.compile(r';\s*filename="((?:\\"|[^"])*)"', re.IGNORECASE)


@dataclass(frozen=True)
class FieldPart:
    """A field that is not a file."""

    name: str
    value: str


@dataclass(frozen=True)
class FilePart:
    """A file; `pieces` are its bytes and must be read to the end before the next part is asked for."""

    name: str
    filename: str
    content_type: str
    pieces: Iterator[bytes]


def read_form(content_type: str, body: BodyReader) -> Iterator[FieldPart | FilePart]:
    """The parts of a form, in order. Raises InvalidForm, and IncompleteBody when the client breaks off."""
    kind, options = parse_options_header(content_type)
    boundary = options.get("boundary", "")
    if kind != "multipart/form-data" or not boundary:
        raise InvalidForm("the body must be multipart/form-data with a boundary")
    return _Form(boundary, body).parts()


class _Form:
    def __init__(self, boundary: str, body: BodyReader) -> None:
        self._decoder = MultipartDecoder(boundary.encode("latin-1", "replace"), MAX_PENDING_BYTES)
        self._body = body

    def parts(self) -> Iterator[FieldPart | FilePart]:
        while not isinstance(event := self._next(), Epilogue):
            if isinstance(event, Field):
                yield FieldPart(_name(event.name), self._read_field())
            elif isinstance(event, File):
                pieces = self._read_data()
                content_type = event.headers.get("content-type", "")
                yield FilePart(_name(event.name), _filename(event), content_type, pieces)
                if next(pieces, None) is not None:
                    raise InvalidForm("a file of the form was not read to its end")

    def _next(self) -> Event:
        """The next event, reading on as far as it takes."""
        while True:
            try:
                event = self._decoder.next_event()
                if not isinstance(event, NeedData):
                    return event
                self._decoder.receive_data(self._body.read(PIECE_BYTES) or None)
            except RequestEntityTooLarge:
                raise InvalidForm("the headers of a part, or what surrounds the parts, are too long") from None
            except ValueError as error:
                raise InvalidForm(f"the form cannot be parsed: {error}") from None

    def _read_data(self) -> Iterator[bytes]:
        while True:
            event = self._next()
            if not isinstance(event, Data):
                raise InvalidForm("the form cannot be parsed")
            if event.data:
                yield bytes(event.data)
            if not event.more_data:
                return

    def _read_field(self) -> str:
        value = b""
        for piece in self._read_data():
            value += piece
            if len(value) > MAX_FIELD_BYTES:
                raise InvalidForm(f"a field must not be longer than {MAX_FIELD_BYTES} bytes")
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError:
            raise InvalidForm("a field must be valid UTF-8") from None


def _name(name: Any) -> str:
    return name if isinstance(name, str) else ""


def _filename(event: File) -> str:
    """The file's name exactly as the client meant it.

    Browsers and curl escape only `"`, CR and LF, as %22, %0D, %0A (HTML, "Multipart form data"); a backslash stands for
    itself, except before a quote, where older clients put it.
    """
    quoted = _QUOTED_FILENAME.search(_disposition(event.headers))
    if quoted is None:
        return event.filename
    name = quoted[1].replace('\\"', '"')
    for escaped, character in (("%22", '"'), ("%0D", "\r"), ("%0A", "\n")):
        name = name.replace(escaped, character)
    return name


def _disposition(headers: Headers) -> str:
    value = headers.get("content-disposition", "")
    return "" if "filename*" in value else value
