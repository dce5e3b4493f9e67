"""From a selection to the bytes of its archive: find, stream, verify. Knows no Flask.

What is missing is told before the first byte. What goes missing later ends the stream with an error, so that the client
sees that its archive is short. Each file is the version that was current when the masters named it.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Generator, Iterable, Iterator

from api_gateway.archive.names import ArchiveNames
from api_gateway.archive.selection import Selection
from api_gateway.archive.zip_writer import Entry, ZipWriter, directory_bytes
from api_gateway.downloads import DownloadService
from common.checksums import Buffer
from common.clock import parse_timestamp
from common.errors import FileUnknown, GatewayBusy, TooLarge
from common.fields import take_objects
from common.master_client import NO_CHUNKS, Located, MapPart, MasterClient
from common.paths import is_folder
from common.ranges import ByteRange
from common.records import FileInfo

# Of the central directory, which is kept until the archive's end: about 150,000 files.
MAX_DIRECTORY_BYTES = 16 * 1024 * 1024
_PAGE = 256
_FIRST_MAP_PAGE = 64
# Small pieces are sent together: a header, a small file and its descriptor would be three packets.
_JOINED_BYTES = 64 * 1024


class ArchiveService:
    """Makes archives, so many at once."""

    def __init__(
        self, masters: MasterClient, downloads: DownloadService, max_archives: int, wait_seconds: float
    ) -> None:
        """wait_seconds: how long one waits for another to end."""
        self._masters = masters
        self._downloads = downloads
        self._max_archives = max_archives
        self._wait_seconds = wait_seconds
        self._places = threading.BoundedSemaphore(max_archives)

    @contextlib.contextmanager
    def admitted(self) -> Iterator[None]:
        """A place for one archive, waiting for one that another leaves; raises GatewayBusy."""
        if not self._places.acquire(timeout=self._wait_seconds):
            raise GatewayBusy(f"{self._max_archives} archives were under way for {self._wait_seconds:g} s")
        try:
            yield
        finally:
            self._places.release()

    def check(self, selection: Selection, level: str | None = None) -> None:
        """Raise FileUnknown where something of the selection is missing, TooLarge where it has too many files."""
        names, total = ArchiveNames(selection.folder), 0
        for path in selection.paths:
            for located in self._locate(path, NO_CHUNKS, level):
                total += directory_bytes(names.name(located.file.path).encode())
                if total > MAX_DIRECTORY_BYTES:
                    raise TooLarge("these are too many files for one archive; choose fewer of them")

    def stream(self, selection: Selection, level: str | None = None) -> Generator[Buffer, None, None]:
        """The archive, in pieces, each valid until the next is asked for. To be closed, also before its end.

        Raises what `check` and `DownloadService.stream` do; the former before the first piece.
        """
        self.check(selection, level)
        with contextlib.closing(self._pieces(selection, level)) as pieces:
            yield from _joined(pieces)

    def _pieces(self, selection: Selection, level: str | None) -> Generator[Buffer, None, None]:
        names, writer = ArchiveNames(selection.folder), ZipWriter(MAX_DIRECTORY_BYTES)
        for path in selection.paths:
            for located in self._locate(path, MapPart(0, _FIRST_MAP_PAGE), level):
                file = located.file
                entry = Entry(names.name(file.path).encode(), parse_timestamp(file.modified_at), file.size)
                with contextlib.closing(self._content(located)) as content:
                    yield from writer.write(entry, content)
        yield from writer.finish()

    def _content(self, located: Located) -> Generator[Buffer, None, None]:
        if located.file.size:
            yield from self._downloads.stream(located, ByteRange(0, located.file.size))

    def _locate(self, path: str, part: MapPart, level: str | None) -> Iterator[Located]:
        """The file, or every file below the folder, in their order; raises FileUnknown where there is none."""
        if not is_folder(path):
            yield self._masters.find_path(path, part, level)
            return
        cursor: str | None = ""
        while cursor is not None:
            page = self._masters.list_files({"prefix": path, "limit": str(_PAGE), "cursor": cursor}, level)
            files = take_objects(page, "files")
            if not files and not cursor:
                raise FileUnknown("no file lies in this folder", path=path)
            for item in files:
                yield Located(FileInfo.from_json(item), ())
            cursor = page["next_cursor"]


def _joined(pieces: Iterable[Buffer]) -> Iterator[Buffer]:
    """The same bytes, small pieces put together."""
    waiting = bytearray()
    for piece in pieces:
        if len(waiting) + len(piece) < _JOINED_BYTES:
            waiting += piece
            continue
        if waiting:
            yield bytes(waiting)
            waiting.clear()
        yield piece
    if waiting:
        yield bytes(waiting)
