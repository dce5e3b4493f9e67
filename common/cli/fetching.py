"""Fetch one version of one file to the local disk: several pieces at once, resumable, verified.

Every request names the version by If-Match, so all pieces are of one version; when the file changes on the server, the
fetch begins anew. A piece that broke off goes on where it broke off. The checksum of the whole is made of what is read
back from the disk, piece by piece behind the fetch, and only a file whose checksum is right gets its name. Of a file
that has no checksum every piece is read back all the same, and compared with what was received.
"""

from __future__ import annotations

import hashlib
import threading
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from enum import Enum
from pathlib import Path

import xxhash

from common.cli.context import Context
from common.cli.failures import Failure, Refused, local_failure
from common.cli.gateway import LONG, fs
from common.cli.parallel import wait_for_any
from common.cli.part_file import Hash, PartFile, Piece
from common.cli.progress import Progress
from common.cli.remote import RemoteFile, find_file

MAX_VERSIONS = 3
MAX_READ_BACKS = 3
_READ_BYTES = 1024 * 1024


class Fetched(Enum):
    """What became of a file."""

    FETCHED = "fetched"
    UNCHANGED = "unchanged"


class VersionGone(Failure):
    """The version that is being fetched is not the file's content any more, or what was fetched is not that version."""


class Fetcher:
    """Fetches files; at most `connections` requests are under way, however many threads call."""

    def __init__(self, context: Context, connections: int, piece_bytes: int) -> None:
        self._context = context
        self._connections = connections
        self._piece_bytes = piece_bytes
        self._slots = threading.Semaphore(connections)

    def fetch(self, file: RemoteFile, target: Path, progress: Progress) -> tuple[RemoteFile, Fetched]:
        """Make `target` the content of the file; returns the version that was got. Raises Failure."""
        for _ in range(MAX_VERSIONS):
            try:
                if not target.is_symlink() and is_same(target, file):
                    progress.add(file.size, is_moved=False)
                    return file, Fetched.UNCHANGED
                self._fetch_version(file, target, progress)
            except VersionGone as gone:
                self._context.console.note(f"{file.path}: {gone}; it is fetched anew")
                file = RemoteFile.from_json(find_file(self._context.gateway, file.path))
            except OSError as error:
                raise local_failure(error) from None
            else:
                return file, Fetched.FETCHED
        raise Failure(f"the file could not be fetched whole {MAX_VERSIONS} times in a row; it keeps changing")

    def _fetch_version(self, file: RemoteFile, target: Path, progress: Progress) -> None:
        whole = Hash(file.algorithm)
        with PartFile(target, file, self._piece_bytes) as part:
            try:
                for piece in self._finished_pieces(file, part, progress):
                    self._take(file, part, piece, whole, progress)
            except VersionGone:
                part.discard()
                raise
            except KeyboardInterrupt:
                self._context.stop.set()
                raise
            if not whole.fits(file.checksum):
                part.discard()
                raise VersionGone("the checksum of what was fetched is not that of the file")
            part.publish()

    def _take(self, file: RemoteFile, part: PartFile, piece: Piece, whole: Hash, progress: Progress) -> None:
        """Add a piece to the checksum of the whole; one that an earlier run has left may have to be fetched again."""
        for _ in range(MAX_READ_BACKS):
            if part.take_intact(piece, whole):
                return
            self._fetch_piece(file, part, piece, progress)
        raise Failure(f"the disk of {part.path} does not give back what was written to it")

    def _finished_pieces(self, file: RemoteFile, part: PartFile, progress: Progress) -> Iterator[Piece]:
        """All pieces in order, each once it is finished; those behind it are fetched meanwhile."""
        if file.size <= part.piece_bytes:
            for piece in part.pieces():
                if not part.is_finished(piece):
                    self._fetch_piece(file, part, piece, progress)
                yield piece
            return
        pool = ThreadPoolExecutor(self._connections, "piece")
        ahead: deque[tuple[Piece, Future[None] | None]] = deque()
        try:
            for piece in part.pieces():
                if part.is_finished(piece):
                    progress.add(piece.stop - piece.start, is_moved=False)
                    ahead.append((piece, None))
                else:
                    ahead.append((piece, pool.submit(self._fetch_piece, file, part, piece, progress)))
                if len(ahead) > self._connections:
                    yield _settled(*ahead.popleft())
            while ahead:
                yield _settled(*ahead.popleft())
        except KeyboardInterrupt:
            self._context.stop.set()
            raise
        finally:
            # Nobody writes into the part file once this has ended, unless the whole command ends.
            pool.shutdown(wait=not self._context.stop.is_set(), cancel_futures=True)

    def _fetch_piece(self, file: RemoteFile, part: PartFile, piece: Piece, progress: Progress) -> None:
        """Get one piece into the part file, going on where it breaks off."""
        checksum = xxhash.xxh3_128()
        position, failed = piece.start, 0
        with part.open_part() as output:
            output.seek(position)
            while position < piece.stop:
                before = position
                try:
                    with self._slots:
                        for block in self._blocks(file, position, piece.stop):
                            view = memoryview(block)
                            while view:
                                view = view[output.write(view) :]
                            checksum.update(block)
                            position += len(block)
                            progress.add(len(block))
                except Failure as failure:
                    # Whoever gets on is not failing; it is the tries in a row that count.
                    failed = 1 if position > before else failed + 1
                    if not failure.is_retryable or failed >= LONG.tries:
                        raise
                    self._context.stop.wait(LONG.pause_seconds(failed, failure.retry_after_seconds))
        part.finish(piece, checksum.hexdigest())

    def _blocks(self, file: RemoteFile, start: int, stop: int) -> Iterator[bytes]:
        """The bytes from `start` to `stop` of exactly this version, as they come."""
        return ranged_blocks(self._context, file, start, stop)


def ranged_blocks(context: Context, file: RemoteFile, start: int, stop: int) -> Iterator[bytes]:
    """The bytes from `start` to `stop` of exactly this version. Raises VersionGone, and Failure when it breaks off."""
    headers = {"If-Match": file.etag}
    is_part = (start, stop) != (0, file.size)
    if is_part:
        headers["Range"] = f"bytes={start}-{stop - 1}"
    context.check()
    try:
        answer = context.gateway.open("GET", fs(file.path), headers=headers)
    except Refused as refused:
        if refused.status in (412, 416):
            raise VersionGone("the file has changed on the server") from None
        raise
    with answer:
        expected = f"bytes {start}-{stop - 1}/{file.size}" if is_part else None
        if answer.headers.get("Content-Range") != expected or answer.status_code != (206 if is_part else 200):
            raise Failure("the answer is not the part of the file that was asked for")
        left = stop - start
        for block in context.gateway.pieces(answer):
            context.check()
            left -= len(block)
            if left < 0:
                raise Failure("the answer is longer than the part of the file that was asked for")
            yield block


def is_same(target: Path, file: RemoteFile) -> bool:
    """Whether the local file has exactly the content of this version; of one without a checksum that is not known."""
    if file.algorithm is None or not target.is_file() or target.stat().st_size != file.size:
        return False
    return file_checksum(target, file.algorithm) == file.checksum


def file_checksum(path: Path, algorithm: str) -> str:
    """The checksum of a local file, as hexadecimal digits; empty for an algorithm that is not known here."""
    if algorithm not in hashlib.algorithms_guaranteed:
        return ""
    whole = hashlib.new(algorithm)
    with open(path, "rb") as source:
        while block := source.read(_READ_BYTES):
            whole.update(block)
    return whole.hexdigest()


def _settled(piece: Piece, fetched: Future[None] | None) -> Piece:
    if fetched is not None:
        wait_for_any([fetched])
        fetched.result()
    return piece
