"""A listing that stands still while the files in it are changed, kept in a temporary file: any number of files."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from typing import Any


class Snapshot:
    """The files of a listing, with how many they are and how large."""

    def __init__(self, files: Iterable[Mapping[str, Any]]) -> None:
        self._spool = tempfile.TemporaryFile("w+", encoding="ascii")  # noqa: SIM115 - closed with this
        self.count, self.size_bytes = 0, 0
        for file in files:
            kept = {name: file[name] for name in ("file_id", "path", "etag", "size")}
            self._spool.write(json.dumps(kept) + "\n")
            self.count += 1
            self.size_bytes += int(file["size"])

    def __enter__(self) -> Snapshot:
        return self

    def __exit__(self, *_: object) -> None:
        self._spool.close()

    def __iter__(self) -> Iterator[dict[str, Any]]:
        self._spool.seek(0)
        for line in self._spool:
            yield json.loads(line)
