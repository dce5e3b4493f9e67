"""Read a multipart/form-data body part by part as it comes (RFC 7578, RFC 2046), files straight to where they are kept.

Our own, because the parsers at hand either write files to /tmp or were seen to add a byte to a file when a read ended
inside the closing boundary. The body is read into the caller's buffer, behind what is known to be data, and what turns
out to stand behind the file's end is carried over; so only the borders of the parts are copied.

Memory: the carry holds at most one read of the body and the headers of a part, about 280 KiB.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from werkzeug.http import parse_options_header

from api_gateway.boundary import Boundary
from api_gateway.part_headers import MAX_HEADER_BYTES, disposition_parameters, parse_headers
from common.bodies import BodyReader, ByteSource
from common.errors import InvalidForm

READ_BYTES = 256 * 1024
MAX_FIELD_BYTES = 8 * 1024
MAX_BOUNDARY_LENGTH = 200


@dataclass(frozen=True)
class FieldPart:
    """A field that is not a file."""

    name: str
    value: str


@dataclass(frozen=True)
class FilePart:
    """A file; `content` gives its bytes and must be read to the end before the next part is asked for."""

    name: str
    filename: str
    content_type: str
    content: ByteSource


def read_form(content_type: str, body: BodyReader) -> Iterator[FieldPart | FilePart]:
    """The parts of a form, in order. Raises InvalidForm, and IncompleteBody when the client breaks off."""
    kind, options = parse_options_header(content_type)
    boundary = options.get("boundary", "")
    if kind.lower() != "multipart/form-data" or not 0 < len(boundary) <= MAX_BOUNDARY_LENGTH or not boundary.isascii():
        raise InvalidForm("the body must be multipart/form-data with a boundary")
    return _parts(_Form(Boundary(boundary.encode("ascii")), body))


def _parts(form: _Form) -> Iterator[FieldPart | FilePart]:
    scratch = bytearray(MAX_FIELD_BYTES + 1)
    preamble = _Content(form)
    while preamble.fill(scratch, 0, len(scratch)):
        pass
    while not form.is_over:
        headers = form.read_headers()
        parameters = disposition_parameters(headers.get("content-disposition", ""))
        name = parameters.get("name", "")
        content = _Content(form)
        if "filename" not in parameters:
            yield FieldPart(name, _field_value(content, scratch))
            continue
        yield FilePart(name, parameters["filename"], headers.get("content-type", ""), content)
        if content.fill(scratch, 0, 1):
            raise InvalidForm("a file of the form was not read to its end")
    form.skip_epilogue()


def _field_value(content: ByteSource, scratch: bytearray) -> str:
    size = 0
    while count := content.fill(scratch, size, len(scratch)):
        size += count
        if size > MAX_FIELD_BYTES:
            raise InvalidForm(f"a field must not be longer than {MAX_FIELD_BYTES} bytes")
    try:
        return scratch[:size].decode("utf-8")
    except UnicodeDecodeError:
        raise InvalidForm("a field must be valid UTF-8") from None


class _Content:
    """A ByteSource: the bytes of one part. It stays at its end when the form goes on to the next part."""

    def __init__(self, form: _Form) -> None:
        self._form = form
        self._is_over = False

    def fill(self, buffer: bytearray, start: int, stop: int) -> int:
        """As `ByteSource.fill`; raises InvalidForm too, when the body ends before the last boundary."""
        while not self._is_over:
            count, self._is_over = self._form.next_bytes(buffer, start, stop)
            if count:
                return count
        return 0


class _Form:
    """The body, and the carry: bytes of it that were read and not yet used."""

    def __init__(self, boundary: Boundary, body: BodyReader) -> None:
        self._boundary = boundary
        self._body = body
        # The first boundary may stand at the very beginning, where no line end comes before it.
        self._carry = bytearray(b"\r\n")
        self._used = 0
        self.is_over = False

    def next_bytes(self, buffer: bytearray, start: int, stop: int) -> tuple[int, bool]:
        """Some bytes of the part, put at buffer[start:stop]; how many, 0 being possible, and whether it ends there."""
        count, is_over = self._from_carry(buffer, start, stop)
        if count or is_over:
            return count, is_over
        # What is carried now, if anything, is the beginning of what may become a boundary.
        if len(self._carry) - self._used < stop - start:
            return self._from_body(buffer, start, stop)
        self._extend_carry()
        return 0, False

    def read_headers(self) -> Mapping[str, str]:
        """The headers of the part that begins here, by their names in small letters."""
        searched = self._used
        while (end := self._carry.find(b"\r\n\r\n", searched)) < 0 and not self._carry.startswith(b"\r\n", self._used):
            unread = len(self._carry) - self._used
            if unread > MAX_HEADER_BYTES:
                raise InvalidForm("the headers of a part are too long")
            self._extend_carry()
            searched = self._used + max(0, unread - 3)
        if self._carry.startswith(b"\r\n", self._used):
            raise InvalidForm("a part of the form has no Content-Disposition")
        block = bytes(self._carry[self._used : end])
        self._use(end + 4)
        return parse_headers(block)

    def skip_epilogue(self) -> None:
        """Read what stands behind the last boundary, so that a kept connection is at its next request."""
        while self._body.read(READ_BYTES):
            pass

    def _from_carry(self, buffer: bytearray, start: int, stop: int) -> tuple[int, bool]:
        # Enough is looked at to fill the buffer and know that no boundary begins in it; looking at all of the carry
        # each time would take quadratic time with small buffers.
        look_end = min(len(self._carry), self._used + stop - start + self._boundary.max_line_bytes)
        found = self._boundary.find(self._carry, self._used, look_end)
        count = min(found.position - self._used, stop - start)
        buffer[start : start + count] = self._carry[self._used : self._used + count]
        if found.line_end is None or self._used + count < found.position:
            self._use(self._used + count)
            return count, False
        self._end_part(self._carry, found.line_end)
        self._use(found.line_end)
        return count, True

    def _from_body(self, buffer: bytearray, start: int, stop: int) -> tuple[int, bool]:
        """Read the body into the buffer, behind what is carried; what does not belong to the part is carried on."""
        read_start = start + len(self._carry) - self._used
        buffer[start:read_start] = self._carry[self._used :]
        read_end = read_start + self._read(buffer, read_start, min(stop, read_start + READ_BYTES))
        found = self._boundary.find(buffer, start, read_end)
        rest = found.position if found.line_end is None else found.line_end
        if found.line_end is not None:
            self._end_part(buffer, found.line_end)
        self._carry, self._used = buffer[rest:read_end], 0
        return found.position - start, found.line_end is not None

    def _end_part(self, octets: bytearray, line_end: int) -> None:
        self.is_over = octets.startswith(b"--", line_end - 2)

    def _use(self, position: int) -> None:
        """What is carried begins at `position` now; all gone, its memory goes too."""
        self._used = position
        if self._used == len(self._carry):
            self._carry, self._used = bytearray(), 0

    def _extend_carry(self) -> None:
        piece = self._body.read(READ_BYTES)
        if not piece:
            raise InvalidForm("the form ends before its last boundary")
        del self._carry[: self._used]
        self._used = 0
        self._carry += piece

    def _read(self, buffer: bytearray, start: int, stop: int) -> int:
        count = self._body.fill(buffer, start, stop)
        if not count:
            raise InvalidForm("the form ends before its last boundary")
        return count
