"""One data folder belongs to one worker: two that shared it would make three replicas one file."""

from __future__ import annotations

from pathlib import Path
from typing import IO

from common.durable import write_durably
from common.errors import CannotStart
from common.file_lock import try_lock


class FolderLock:
    """Holds a worker's data folder while the worker runs, and remembers on disk whose it is."""

    def __init__(self, folder: Path, worker_id: str) -> None:
        self._folder = folder
        self._worker_id = worker_id
        self._file: IO[str] | None = None

    def take(self) -> None:
        """Raise CannotStart when the folder is another worker's or in use."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self._file = open(self._folder / "lock", "a", encoding="ascii")  # noqa: SIM115 - held until release
        if not try_lock(self._file):
            raise CannotStart(f"another process uses the folder {self._folder}")
        owner_file = self._folder / "worker_id"
        if not owner_file.exists():
            write_durably(owner_file, self._worker_id.encode("ascii"))
        owner = owner_file.read_text(encoding="ascii")
        if owner != self._worker_id:
            raise CannotStart(f"the folder {self._folder} belongs to {owner}")

    def release(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
