"""Read a multipart/form-data body part by part as it comes (RFC 7578, RFC 2046), nothing held but the piece in hand.

Our own, because the parsers at hand either write files to /tmp or were seen to add a byte to a file when a read ended
inside the closing boundary. A boundary counts only as a whole line of its own, CR LF before it included; whatever else
contains its text is data.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from werkzeug.http import parse_options_header

from common.bodies import BodyReader
from common.errors import InvalidForm

PIECE_BYTES = 256 * 1024
MAX_FIELD_BYTES = 8 * 1024
MAX_HEADER_BYTES = 16 * 1024
MAX_BOUNDARY_LENGTH = 200
_LINE_END = re.compile(rb"[ \t]*\r\n")
_PADDING = re.compile(rb"[ \t]*\r?")
_MAX_PADDING = 256
_PARAMETER = re.compile(r';\s*([!#$%&\'*+.^_`|~0-9A-Za-z-]+)\s*=\s*("(?:\\"|[^"])*"|[^;"]*)')
_ESCAPED = (("%22", '"'), ("%0D", "\r"), ("%0A", "\n"))


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
    if kind.lower() != "multipart/form-data" or not 0 < len(boundary) <= MAX_BOUNDARY_LENGTH or not boundary.isascii():
        raise InvalidForm("the body must be multipart/form-data with a boundary")
    return _Form(boundary.encode("ascii"), body).parts()


class _Form:
    def __init__(self, boundary: bytes, body: BodyReader) -> None:
        self._delimiter = b"\r\n--" + boundary
        self._body = body
        # The first boundary may stand at the very beginning, where no line end comes before it.
        self._buffer = bytearray(b"\r\n")
        self._is_over = False

    def parts(self) -> Iterator[FieldPart | FilePart]:
        for _preamble in self._data():
            pass
        while not self._is_over:
            headers = self._read_headers()
            parameters = _parameters(headers.get("content-disposition", ""))
            name = parameters.get("name", "")
            if "filename" not in parameters:
                yield FieldPart(name, self._read_field())
                continue
            pieces = self._data()
            yield FilePart(name, parameters["filename"], headers.get("content-type", ""), pieces)
            if next(pieces, None) is not None:
                raise InvalidForm("a file of the form was not read to its end")
        while self._body.read(PIECE_BYTES):
            pass

    def _data(self) -> Iterator[bytes]:
        """The bytes up to the next boundary, which is taken from the buffer with its line."""
        while True:
            found = self._buffer.find(self._delimiter)
            if found < 0:
                # The end of what is there may be the beginning of a boundary.
                yield from self._take(len(self._buffer) - len(self._delimiter) + 1)
                self._fill()
                continue
            yield from self._take(found)
            length = self._boundary_line_length()
            if length:
                del self._buffer[:length]
                return
            yield from self._take(len(self._delimiter))

    def _boundary_line_length(self) -> int:
        """How long the boundary line is that the buffer starts with; 0 when it only looks like one."""
        start = len(self._delimiter)
        while len(self._buffer) < start + 2:
            self._fill()
        if self._buffer.startswith(b"--", start):
            self._is_over = True
            return start + 2
        while True:
            if (line_end := _LINE_END.match(self._buffer, start)) is not None:
                return line_end.end()
            padding = _PADDING.match(self._buffer, start)
            is_open = padding is not None and padding.end() == len(self._buffer)
            if not is_open or len(self._buffer) > start + _MAX_PADDING:
                return 0
            self._fill()

    def _take(self, length: int) -> Iterator[bytes]:
        if length > 0:
            piece = bytes(self._buffer[:length])
            del self._buffer[:length]
            yield piece

    def _fill(self) -> None:
        piece = self._body.read(PIECE_BYTES)
        if not piece:
            raise InvalidForm("the form ends before its last boundary")
        self._buffer += piece

    def _read_headers(self) -> Mapping[str, str]:
        """The headers of the part that begins here, by their names in small letters."""
        while not self._buffer.startswith(b"\r\n") and (end := self._buffer.find(b"\r\n\r\n")) < 0:
            if len(self._buffer) > MAX_HEADER_BYTES:
                raise InvalidForm("the headers of a part are too long")
            self._fill()
        if self._buffer.startswith(b"\r\n"):
            raise InvalidForm("a part of the form has no Content-Disposition")
        block = bytes(self._buffer[:end])
        del self._buffer[: end + 4]
        return _headers(block)

    def _read_field(self) -> str:
        value = b""
        for piece in self._data():
            value += piece
            if len(value) > MAX_FIELD_BYTES:
                raise InvalidForm(f"a field must not be longer than {MAX_FIELD_BYTES} bytes")
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError:
            raise InvalidForm("a field must be valid UTF-8") from None


def _headers(block: bytes) -> Mapping[str, str]:
    if len(block) > MAX_HEADER_BYTES:
        raise InvalidForm("the headers of a part are too long")
    try:
        text = block.decode("utf-8")
    except UnicodeDecodeError:
        raise InvalidForm("the headers of a part must be valid UTF-8") from None
    headers = {}
    for line in re.sub(r"\r\n[ \t]+", " ", text).split("\r\n"):
        name, colon, value = line.partition(":")
        if not colon:
            raise InvalidForm("a part of the form has a line that is no header")
        headers[name.strip().lower()] = value.strip()
    if "content-disposition" not in headers:
        raise InvalidForm("a part of the form has no Content-Disposition")
    return headers


def _parameters(disposition: str) -> Mapping[str, str]:
    """The parameters of a Content-Disposition, a file's name exactly as the client meant it.

    Browsers and curl escape only `"`, CR and LF, as %22, %0D, %0A (HTML, "Multipart form data"); a backslash stands for
    itself, except before a quote, where older clients put it. `filename*` (RFC 8187) wins over `filename`.
    """
    found = {match[1].lower(): _unquote(match[2]) for match in _PARAMETER.finditer(disposition)}
    extended = found.get("filename*")
    if extended is not None:
        found["filename"] = _decode_extended(extended)
    return found


def _unquote(value: str) -> str:
    if not value.startswith('"'):
        return value.strip()
    text = value[1:-1].replace('\\"', '"')
    for escaped, character in _ESCAPED:
        text = text.replace(escaped, character)
    return text


def _decode_extended(value: str) -> str:
    charset, _, rest = value.partition("'")
    _language, _, escaped = rest.partition("'")
    try:
        return unquote_to_bytes(escaped).decode(charset or "utf-8")
    except (LookupError, UnicodeDecodeError):
        raise InvalidForm("the name of a file cannot be decoded") from None
