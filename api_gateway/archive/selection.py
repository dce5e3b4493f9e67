"""What somebody has chosen for an archive: files, and folders with all that lies below them."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass

from common.errors import InvalidRequest
from common.paths import check_path, file_name, is_folder

MAX_PATHS = 10_000


@dataclass(frozen=True)
class Selection:
    """paths: in their order, none of them below another one. folder: the innermost one that holds all of them."""

    paths: tuple[str, ...]
    folder: str

    @property
    def archive_name(self) -> str:
        """After what it holds."""
        only = self.paths[0] if len(self.paths) == 1 else self.folder
        return f"{file_name(only) or 'files'}.zip"


def choose(paths: Iterable[str]) -> Selection:
    """A selection of these, each a file or, where it ends in "/", a folder. Raises InvalidRequest, InvalidPath."""
    chosen: list[str] = []
    for path in sorted(set(paths)):
        check_path(path)
        # What lies below a folder follows on it.
        if not (chosen and is_folder(chosen[-1]) and path.startswith(chosen[-1])):
            chosen.append(path)
    if not 0 < len(chosen) <= MAX_PATHS:
        raise InvalidRequest(f"an archive is made of 1 to {MAX_PATHS} paths")
    return Selection(tuple(chosen), _common_folder(chosen))


def _common_folder(paths: Iterable[str]) -> str:
    above = [path.rstrip("/").split("/")[:-1] for path in paths]
    # What the first and the last have in common, all between them have, too.
    same = itertools.takewhile(lambda pair: pair[0] == pair[1], zip(min(above), max(above), strict=False))
    return "".join(f"{segment}/" for segment, _ in same)
