"""The only place that fsyncs and renames.

The order is always: write a temporary file in the same folder, fsync it, rename it over its name, fsync the folder.
After a power cut the name then holds all of the new bytes or none of them; without the last step the rename itself
could be lost (see fsync(2), NOTES).
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import secrets
from pathlib import Path

TEMPORARY_SUFFIX = ".part"


class StagedFile:
    """A temporary file that becomes `path` when published; leaving the block without that discards it.

    is_synced: False skips every fsync, for data that may be lost with the power. is_direct: past the page cache, where
    the file system allows it; every piece must then be aligned in memory and in length to 4096 bytes.
    """

    def __init__(self, path: Path | str, *, is_synced: bool = True, is_direct: bool = False) -> None:
        # Text, not pathlib: on the way of every small chunk.
        self.path = os.fspath(path)
        self._is_synced = is_synced
        self._temporary = f"{self.path}.{secrets.token_hex(4)}{TEMPORARY_SUFFIX}"
        self._is_published = False
        self._file, self._is_direct = _create(self._temporary, is_direct and hasattr(os, "O_DIRECT"))

    def write(self, piece: bytes | memoryview) -> None:
        """Write all of `piece`; an unbuffered write may be short, for example just before the disk is full."""
        view = memoryview(piece)
        while view:
            try:
                view = view[self._file.write(view) :]
            except OSError as error:
                if not self._is_direct or error.errno != errno.EINVAL:
                    raise
                # The file system takes the flag and then refuses, or a short write has left an odd rest.
                leave_direct_io(self._file.fileno())
                self._is_direct = False

    def sync(self) -> None:
        """Get the bytes onto the disk; call before `publish`."""
        if self._is_synced:
            os.fsync(self._file.fileno())
        self._file.close()

    def publish(self) -> None:
        """Make the bytes appear under the name; `settle` makes that last."""
        os.replace(self._temporary, self.path)
        self._is_published = True

    def settle(self) -> None:
        """Make the new name survive a power cut."""
        if self._is_synced:
            sync_directory(os.path.dirname(self.path))

    def __enter__(self) -> StagedFile:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        if not self._is_published:
            with contextlib.suppress(OSError):
                os.unlink(self._temporary)


def _create(path: str, is_direct: bool) -> tuple[io.FileIO, bool]:
    """A new file, and whether writes to it go past the page cache."""
    if is_direct:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_DIRECT
        try:
            return io.FileIO(os.open(path, flags, 0o666), "wb"), True
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            # Some file systems, such as tmpfs, know no direct I/O; the name may have been made all the same.
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
    return io.FileIO(path, "xb"), False


def leave_direct_io(descriptor: int) -> None:
    """From now on the open file is written and read through the page cache."""
    import fcntl

    fcntl.fcntl(descriptor, fcntl.F_SETFL, fcntl.fcntl(descriptor, fcntl.F_GETFL) & ~os.O_DIRECT)


def write_durably(path: Path, content: bytes) -> None:
    """Replace a small file's content in one step that survives a power cut."""
    with StagedFile(path) as staged:
        staged.write(content)
        staged.sync()
        staged.publish()
        staged.settle()


def publish(temporary: Path, target: Path) -> None:
    """Rename a finished file of the same folder over `target`, its bytes and its name to survive a power cut."""
    with open(temporary, "r+b") as file:
        os.fsync(file.fileno())
    os.replace(temporary, target)
    sync_directory(target.parent)


def move(source: Path, target: Path) -> None:
    """Rename across folders of one file system; syncing both folders makes it last."""
    os.replace(source, target)


def sync_directory(directory: Path | str) -> None:
    """Make created, renamed and removed names in `directory` last; a no-op where the OS has no such call."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
