"""What is kept of an upload until it is a file, so that the same command goes on with it after an interruption.

Each has a small JSON file in a folder of the user's. It belongs to a gateway, a path there and a local path; where the
local file or an option has changed since, what it names is of no use. Without such a folder nothing is kept.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from common.file_lock import try_lock

# Who never comes back leaves one behind.
MAX_KEPT = 1000
_FORMAT = 1
_SUFFIX = ".json"


@dataclass(frozen=True)
class Subject:
    """What is uploaded, from where and to where. asked: what the gateway is told of it besides."""

    url: str
    path: str
    local: str
    size: int
    mtime_ns: int
    asked: Mapping[str, str]

    @property
    def name(self) -> str:
        """Of the file that is kept: the same for a local file that has changed."""
        return hashlib.sha256(json.dumps([self.url, self.path, self.local]).encode()).hexdigest() + _SUFFIX


class Unfinished:
    """The upload of one subject; to be used in a `with` block. Where another process has it, nothing is kept here.

    upload_id: of the one to go on with; empty where one is to be begun. stale_id: of one that is of no use any more.
    """

    def __init__(self, folder: Path | None, subject: Subject) -> None:
        self._subject = subject
        self.upload_id = ""
        self.stale_id = ""
        self._path = folder / subject.name if folder is not None else None
        self._file = _open(self._path) if self._path is not None else None
        if self._file is not None:
            self._read(self._file)

    def __enter__(self) -> Unfinished:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()
            if not self.upload_id and self._path is not None:
                with contextlib.suppress(OSError):
                    self._path.unlink(missing_ok=True)

    def begin(self, upload_id: str) -> None:
        """Note an upload before the first byte is sent."""
        self.upload_id = upload_id
        self._write(json.dumps({"format": _FORMAT, "upload_id": upload_id, **asdict(self._subject)}) + "\n")

    def forget(self) -> None:
        """There is nothing to go on with."""
        self.upload_id = ""
        self._write("")

    def _read(self, file: IO[str]) -> None:
        try:
            kept = json.loads(file.read())
        except ValueError:
            return
        if not isinstance(kept, dict) or not isinstance(kept.get("upload_id"), str):
            return
        wanted = {"format": _FORMAT, "upload_id": kept["upload_id"], **asdict(self._subject)}
        if kept == wanted:
            self.upload_id = kept["upload_id"]
        else:
            self.stale_id = kept["upload_id"]

    def _write(self, text: str) -> None:
        if self._file is not None:
            # A disk that is full only means that nothing is kept.
            with contextlib.suppress(OSError):
                self._file.seek(0)
                self._file.truncate()
                self._file.write(text)
                self._file.flush()


def uploads_folder(environment: Mapping[str, str]) -> Path | None:
    """Where the uploads of this user are kept: ~/.local/state/dfs/uploads, or where XDG_STATE_HOME or Windows says."""
    folder = environment.get("XDG_STATE_HOME") or environment.get("LOCALAPPDATA")
    if folder:
        return Path(folder) / "dfs" / "uploads"
    home = environment.get("HOME")
    return Path(home) / ".local" / "state" / "dfs" / "uploads" if home else None


def forget_oldest(folder: Path, kept: int = MAX_KEPT) -> None:
    """Remove what nobody has come back for, so that the folder does not grow for ever."""
    with contextlib.suppress(OSError):
        newest_first = sorted(folder.glob("*" + _SUFFIX), key=lambda path: path.stat().st_mtime_ns, reverse=True)
        for path in newest_first[kept:]:
            path.unlink(missing_ok=True)


def _open(path: Path) -> IO[str] | None:
    """The file, locked; None where it cannot be had: an upload works without, too."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
        file = os.fdopen(os.open(path, flags, 0o600), "r+", encoding="ascii")
    except OSError:
        return None
    if try_lock(file):
        return file
    file.close()
    return None
