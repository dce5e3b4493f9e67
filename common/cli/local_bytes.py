"""The bytes of a local file on their way to the gateway: any part, any number of times, the checksum of the whole made
on the way."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import BinaryIO

from common.cli.context import Context
from common.cli.failures import Failure, local_failure
from common.cli.progress import Progress

BLOCK_BYTES = 256 * 1024


class LocalBytes:
    """An open local file, as long as it was when it was opened. One thread at a time."""

    def __init__(self, context: Context, source: BinaryIO, size: int, progress: Progress) -> None:
        self._context = context
        self._source = source
        self.size = size
        self._progress = progress
        # Up to where the progress bar counts, and up to where the checksum is made.
        self._shown = 0
        self._hash = hashlib.sha256()
        self._hashed = 0

    def part(self, start: int, stop: int) -> Part:
        """The bytes from `start` up to, not including, `stop`, as the body of a request."""
        return Part(self, start, stop)

    def pass_over(self, position: int) -> None:
        """What is before the position is stored already."""
        self._progress.add(position - self._shown, is_moved=position < self._shown)
        self._shown = position

    def hexdigest(self) -> str:
        """The SHA-256 of all the bytes; what was never sent is read now."""
        self._hash_before(self.size)
        return self._hash.hexdigest()

    def read(self, start: int, stop: int) -> Iterator[bytes]:
        """The bytes as blocks, which count as sent once the next one is asked for. Raises Failure."""
        self._hash_before(start)
        self.pass_over(start)
        for block in self._blocks(start, stop):
            yield block
            self._shown += len(block)
            self._progress.add(len(block))

    def _hash_before(self, position: int) -> None:
        if self._hashed < position:
            for _ in self._blocks(self._hashed, position):
                pass

    def _blocks(self, start: int, stop: int) -> Iterator[bytes]:
        self._source.seek(start)
        while start < stop:
            block = read_block(self._source, min(BLOCK_BYTES, stop - start))
            if not block:
                raise Failure("the local file became shorter while it was read")
            self._context.check()
            start += len(block)
            if start > self._hashed:
                self._hash.update(block[self._hashed - start :])
                self._hashed = start
            yield block


class Part:
    """A part of a file; each pass begins anew."""

    def __init__(self, content: LocalBytes, start: int, stop: int) -> None:
        self._content = content
        self._start = start
        self._stop = stop

    def __len__(self) -> int:
        return self._stop - self._start

    def __iter__(self) -> Iterator[bytes]:
        return self._content.read(self._start, self._stop)


def read_block(source: BinaryIO, size: int) -> bytes:
    """Read, with an error that cannot be taken for one of the network, whose errors are of the same kind."""
    try:
        return source.read(size)
    except OSError as error:
        raise local_failure(error) from None
