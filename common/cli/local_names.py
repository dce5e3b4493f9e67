"""Which local name a file of the cluster gets, and which it must not get.

A path comes from the server, so it is not trusted: what is written stays below the given folder, does not go through a
symbolic link, and does not land on another file's name. Windows and macOS take `A` and `a` for one name; there the
second is refused.
"""

from __future__ import annotations

import contextlib
import os
import sys
import unicodedata
from collections import OrderedDict
from pathlib import Path

from common.cli.failures import Failure, local_failure
from common.errors import InvalidPath
from common.paths import check_path

PART_SUFFIX = ".dfs-part"
STATE_SUFFIX = ".dfs-state"
_WINDOWS_FORBIDS = frozenset('<>:"\\|?*')
_WINDOWS_DEVICES = frozenset(
    ["CON", "PRN", "AUX", "NUL", *(f"{name}{number}" for name in ("COM", "LPT") for number in range(1, 10))]
)
_REMEMBERED_FOLDERS = 32


class LocalFolder:
    """A folder into which a tree is fetched. For one thread.

    is_folding: whether its file system takes names that differ only in case for one; None: find out.
    """

    def __init__(
        self, root: Path, *, is_folding: bool | None = None, is_windows: bool = sys.platform == "win32"
    ) -> None:
        try:
            root.mkdir(parents=True, exist_ok=True)
            self._is_folding = _folds(root) if is_folding is None else is_folding
        except OSError as error:
            raise local_failure(error) from None
        self._root = root
        self._is_windows = is_windows
        self._taken: OrderedDict[Path, dict[str, str]] = OrderedDict()

    def place(self, relative: str) -> Path:
        """Where the file with this path below the folder goes; makes the folders above it. Raises Failure.

        A path that ends in "/" is an empty folder: it is made.
        """
        if relative == "":
            return self._root
        segments = check_names(relative, is_windows=self._is_windows)
        folder = self._root
        for segment in segments[:-1] if not relative.endswith("/") else segments:
            folder = self._enter(folder, segment)
        if relative.endswith("/"):
            return folder
        self._claim(folder, segments[-1])
        target = folder / segments[-1]
        if target.is_dir() and not target.is_symlink():
            raise Failure("a folder stands where the file is to go")
        return target

    def _enter(self, folder: Path, segment: str) -> Path:
        self._claim(folder, segment)
        path = folder / segment
        if path.is_symlink():
            raise Failure(f"{path} is a symbolic link; nothing is written through it")
        try:
            path.mkdir(exist_ok=True)
        except FileExistsError:
            raise Failure(f"{path} is a file, and a folder is to be made of this name") from None
        except OSError as error:
            raise local_failure(error) from None
        return path

    def _claim(self, folder: Path, name: str) -> None:
        """Note that the name is used; Failure when another one that this file system takes for it is there."""
        if not self._is_folding:
            return
        taken = self._taken.pop(folder, None)
        if taken is None:
            with contextlib.suppress(OSError):
                taken = {_folded(entry.name): entry.name for entry in os.scandir(folder)}
        taken = taken or {}
        self._taken[folder] = taken
        if len(self._taken) > _REMEMBERED_FOLDERS:
            self._taken.popitem(last=False)
        other = taken.setdefault(_folded(name), name)
        if other != name:
            raise Failure(f"this file system takes the name for {other!r}, which is there already")


def check_names(relative: str, *, is_windows: bool = sys.platform == "win32") -> list[str]:
    """The segments of a path, each fit to be a local name. Raises Failure."""
    try:
        check_path(relative)
    except InvalidPath as error:
        raise Failure(f"the server names a path that is not allowed: {error.detail}") from None
    segments = relative.rstrip("/").split("/")
    for segment in segments:
        if segment.endswith((PART_SUFFIX, STATE_SUFFIX)):
            raise Failure(f"a name that ends in {PART_SUFFIX} or {STATE_SUFFIX} is that of an unfinished file")
        if is_windows:
            _check_for_windows(segment)
    return segments


def relative_path(parts: tuple[str, ...]) -> str:
    """The path in the cluster of a local name below a folder. Raises Failure for what cannot be one."""
    path = "/".join(parts)
    try:
        return check_path(path)
    except InvalidPath as error:
        raise Failure(f"the name cannot be a path of the cluster: {error.detail}") from None


def _check_for_windows(segment: str) -> None:
    if any(one in _WINDOWS_FORBIDS or ord(one) < 32 for one in segment) or segment.endswith((".", " ")):
        raise Failure(f"Windows has no such name as {segment!r}")
    if segment.partition(".")[0].rstrip(" ").upper() in _WINDOWS_DEVICES:
        raise Failure(f"{segment!r} is the name of a device on Windows")


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def _folds(folder: Path) -> bool:
    """Whether the file system of the folder takes `A` and `a` for one name."""
    probe = folder / f".dfs-probe-{os.getpid()}"
    probe.touch()
    try:
        return (folder / probe.name.upper()).exists()
    finally:
        probe.unlink()
