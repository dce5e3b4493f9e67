"""What a file is called inside an archive: the path below the folder that all have in common, and safe to extract.

Our paths have no empty, "." or ".." segments and begin with no "/". What else could break out, or get into the way of
another file, is written like an escape in a URL:

    \\       %5C    some programs take it for "/"
    C:      C%3A   at the beginning, where it would name a drive
    a/b     a%2F/b where there is a file "a", too: no folder can have its name

Names that look like that already get a %25 in place of their %, so that no two files ever have one name. All else stays
as it is, also names that differ only in case, or in how a letter is composed.
"""

from __future__ import annotations

import re

_LOOKS_ESCAPED = re.compile(r"%(?=(?:25)*(?:5C|2F(?:/|\Z)))|(?<=\A[A-Za-z])%(?=(?:25)*3A)")
_DRIVE = re.compile(r"\A([A-Za-z]):")


class ArchiveNames:
    """The names of one archive, for paths that come in their order; `folder` is the beginning that all of them have."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        # The files named so far with which the last path begins, each longer than the one before.
        self._beginnings: list[str] = []

    def name(self, path: str) -> str:
        """The name of the next one; a folder's ends in "/", as its path does."""
        while self._beginnings and not path.startswith(self._beginnings[-1]):
            self._beginnings.pop()
        blocked = {len(file) for file in self._beginnings if path.startswith("/", len(file))}
        if not path.endswith("/"):
            self._beginnings.append(path)
        return self._beside_files(path, blocked) if blocked else escape(path[len(self._folder) :])

    def _beside_files(self, path: str, blocked: set[int]) -> str:
        """The name where folders of the path, those that end at these places, have the name of a file."""
        segments = escape(path[len(self._folder) :]).split("/")
        end = len(self._folder)
        for number, segment in enumerate(path[end:].split("/")):
            end += len(segment)
            if end in blocked:
                segments[number] += "%2F"
            end += 1
        return "/".join(segments)


def escape(name: str) -> str:
    """The name without anything that leads out of the folder into which it is extracted."""
    name = _LOOKS_ESCAPED.sub("%25", name).replace("\\", "%5C")
    return _DRIVE.sub(r"\1%3A", name)
