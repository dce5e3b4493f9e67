"""A file that is fetched in pieces, in any order, and goes on after an interruption.

The bytes lie in `<name>.dfs-part`. Beside it `<name>.dfs-state` says, one JSON object a line, which version of which
file it is, then which pieces are whole, each with the checksum of what was received. A piece counts only while the
bytes on the disk still have that checksum: after a power cut they may not.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import xxhash

from common.cli.failures import Failure, local_failure
from common.cli.local_names import PART_SUFFIX, STATE_SUFFIX
from common.cli.remote import RemoteFile
from common.durable import publish
from common.file_lock import try_lock

MIB = 1024 * 1024
# So many pieces at most, however large the file: the list of them is held in memory.
MAX_PIECES = 8192
_MAX_NAME_BYTES = 255
_BLOCK_BYTES = 256 * 1024
_FORMAT = 1


@dataclass(frozen=True)
class Piece:
    """The bytes from `start` up to, not including, `stop`."""

    number: int
    start: int
    stop: int


class PartFile:
    """The unfinished file beside `target`; to be used in a `with` block, at whose end only the state is closed."""

    def __init__(self, target: Path, file: RemoteFile, piece_bytes: int) -> None:
        """Take up what an earlier run has left of this version, else begin. Raises Failure when it is in use."""
        self._target = target
        self._file = file
        self._lock = threading.Lock()
        self.path, self._state_path = part_names(target)
        self._finished: dict[int, str] = {}
        try:
            self._state = self._open_state()
            self.piece_bytes = self._read_state()
            if not self.piece_bytes:
                self.piece_bytes = max(piece_bytes, -(-file.size // MAX_PIECES))
                self._begin()
        except OSError as error:
            raise local_failure(error) from None

    def __enter__(self) -> PartFile:
        return self

    def __exit__(self, *_: object) -> None:
        self._state.close()

    def pieces(self) -> Iterator[Piece]:
        """All pieces in order."""
        for number, start in enumerate(range(0, self._file.size, self.piece_bytes)):
            yield Piece(number, start, min(self._file.size, start + self.piece_bytes))

    def is_finished(self, piece: Piece) -> bool:
        return piece.number in self._finished

    def open_part(self) -> IO[bytes]:
        """The unfinished file, for one thread to write a piece into; not through a symbolic link."""
        flags = os.O_RDWR | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
        return os.fdopen(os.open(self.path, flags), "r+b", buffering=0)

    def finish(self, piece: Piece, checksum: str) -> None:
        """Note that all bytes of a piece are written. checksum: see `checksum_of_piece`."""
        with self._lock:
            self._finished[piece.number] = checksum
            self._append({"piece": piece.number, "xxh3": checksum})

    def take_intact(self, piece: Piece, whole: Hash) -> bool:
        """Read a finished piece back and add it to the checksum of the whole; False when its bytes are not those."""
        checksum = xxhash.xxh3_128()
        extended = whole.copy()
        with self.open_part() as part:
            part.seek(piece.start)
            left = piece.stop - piece.start
            while left and (block := part.read(min(left, _BLOCK_BYTES))):
                checksum.update(block)
                extended.update(block)
                left -= len(block)
        if left or checksum.hexdigest() != self._finished[piece.number]:
            del self._finished[piece.number]
            return False
        whole.value = extended.value
        return True

    def publish(self) -> None:
        """Make the file appear under its name, on the disk for good."""
        with open(self.path, "r+b") as part:
            part.truncate(self._file.size)
        publish(self.path, self._target)
        self._forget_state()

    def discard(self) -> None:
        """Forget everything that was fetched."""
        self.path.unlink(missing_ok=True)
        self._forget_state()

    def _forget_state(self) -> None:
        # Windows removes no file that is open.
        if os.name == "nt":
            self._state.close()
        self._state_path.unlink(missing_ok=True)

    def _open_state(self) -> IO[str]:
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
        state = os.fdopen(os.open(self._state_path, flags, 0o666), "r+", encoding="utf-8")
        if not try_lock(state):
            state.close()
            raise Failure(f"another process is fetching {self._target}")
        return state

    def _read_state(self) -> int:
        """The piece size of an earlier run, with its finished pieces noted; 0 where it cannot be gone on with."""
        if not self.path.is_file() or self.path.is_symlink():
            return 0
        lines = self._state.read().split("\n")
        head = _parse(lines[0])
        if {**head, "piece_bytes": 0} != self._head(0) or not isinstance(head.get("piece_bytes"), int):
            return 0
        # The last line may have been cut off; then it is no JSON.
        for line in map(_parse, lines[1:]):
            if isinstance(line.get("piece"), int) and isinstance(line.get("xxh3"), str):
                self._finished[line["piece"]] = line["xxh3"]
        self._state.seek(0, os.SEEK_END)
        self._state.write("\n")
        return int(head["piece_bytes"])

    def _begin(self) -> None:
        self.path.unlink(missing_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        os.close(os.open(self.path, flags, 0o666))
        self._state.seek(0)
        self._state.truncate()
        self._append(self._head(self.piece_bytes))

    def _head(self, piece_bytes: int) -> dict[str, Any]:
        file = self._file
        return {
            "format": _FORMAT,
            "path": file.path,
            "etag": file.etag,
            "size": file.size,
            "checksum": file.checksum,
            "piece_bytes": piece_bytes,
        }

    def _append(self, value: dict[str, Any]) -> None:
        self._state.write(json.dumps(value) + "\n")
        self._state.flush()


class Hash:
    """A checksum of a whole file, which can be gone back with; none is made of a file that has none to compare with.

    Raises Failure for an unknown algorithm.
    """

    def __init__(self, algorithm: str | None) -> None:
        if algorithm not in (None, "sha256", "sha512"):
            raise Failure(f"the file's checksum is {algorithm}, which this program does not know")
        self.value = None if algorithm is None else hashlib.new(algorithm)

    def copy(self) -> Hash:
        other = object.__new__(Hash)
        other.value = None if self.value is None else self.value.copy()
        return other

    def update(self, block: bytes) -> None:
        if self.value is not None:
            self.value.update(block)

    def fits(self, checksum: str | None) -> bool:
        """Whether it is that of the file; of one without a checksum nothing speaks against it."""
        return self.value is None or self.value.hexdigest() == checksum


def part_names(target: Path) -> tuple[Path, Path]:
    """The names of the unfinished file and of its state; shortened where the file's own name leaves no room."""
    name = target.name
    if len(os.fsencode(name)) + len(STATE_SUFFIX) > _MAX_NAME_BYTES:
        name = hashlib.sha256(os.fsencode(name)).hexdigest()
    return target.with_name(name + PART_SUFFIX), target.with_name(name + STATE_SUFFIX)


def _parse(line: str) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
