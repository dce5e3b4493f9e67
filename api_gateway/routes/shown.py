"""What a listing looks like on a page: rows of names, sizes, times and kinds. The page's scripts write the same."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

_UNITS = ("kB", "MB", "GB", "TB", "PB")
# As static/js/files/kinds.js has them: by the end of the name first, for many clients send no media type.
_KINDS_BY_ENDING = {
    ending: kind
    for kind, endings in {
        "image": "avif bmp gif ico jpeg jpg png svg webp",
        "audio": "aac flac m4a mp3 oga ogg opus wav",
        "video": "avi m4v mkv mov mp4 ogv webm",
        "text": "bat c cfg conf cpp css csv go h html ini java js json log md py rs sh sql toml ts tsv txt xml yaml"
        " yml",
        "pdf": "pdf",
        "archive": "7z bz2 gz iso rar tar tgz xz zip zst",
    }.items()
    for ending in endings.split()
}
# What cannot be seen, or turns the direction of the letters after it.
_CONTROLS = re.compile(r"([\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069])")
_WORDS = {"folder": "Folder", "pdf": "PDF"}


@dataclass(frozen=True)
class Row:
    """One line of a listing. file_id: empty for a folder. link: where its name leads. left: when it goes for good."""

    kind: str
    path: str
    name: str
    link: str
    file_id: str = ""
    size: str = ""
    changed_at: str = ""
    left: str = ""

    @property
    def parts(self) -> Sequence[str]:
        """The name, of which every second part is a character to be set apart: it could make exe.jpg of gpj.exe."""
        return _CONTROLS.split(self.name)

    @property
    def word(self) -> str:
        return _WORDS.get(self.kind) or self.kind.capitalize()

    @property
    def changed(self) -> str:
        return self.changed_at[:16].replace("T", " ")


def folder_rows(listing: Mapping[str, Any], prefix: str) -> list[Row]:
    """Folders before files where the page has them all, else in the order of their paths, which pages follow."""
    folders = [Row("folder", path, path[len(prefix) : -1], folder_link(path)) for path in listing["prefixes"]]
    files = [file_row(file, prefix) for file in listing["files"] if file["path"] != prefix]
    rows = [*folders, *files]
    return sorted(rows, key=lambda row: row.path) if listing["next_cursor"] else rows


def trash_rows(files: Iterable[Mapping[str, Any]]) -> list[Row]:
    """What is in the trash, by whole paths."""
    return [replace(file_row(file, ""), left=left_text(file.get("expires_in_seconds"))) for file in files]


def file_row(file: Mapping[str, Any], prefix: str) -> Row:
    path, file_id = file["path"], file["file_id"]
    kind = "folder" if path.endswith("/") else kind_of(path, file["content_type"])
    return Row(
        kind,
        path,
        path[len(prefix) :],
        f"/files/{file_id}/download",
        file_id,
        "" if kind == "folder" else show_bytes(file["size"]),
        file["modified_at"],
    )


def kind_of(path: str, content_type: str) -> str:
    """What a file is for people: one of the icons."""
    _, dot, ending = path.rpartition("/")[2].rpartition(".")
    if dot and ending.lower() in _KINDS_BY_ENDING:
        return _KINDS_BY_ENDING[ending.lower()]
    family = content_type.partition("/")[0].lower()
    return family if family in ("image", "audio", "video", "text") else "file"


def show_bytes(count: int) -> str:
    """Such as "1 byte", "1.5 MB", "120 GB"."""
    if count < 1000:
        return "1 byte" if count == 1 else f"{count} bytes"
    value, unit = count / 1000, 0
    while value >= 999.5 and unit < len(_UNITS) - 1:
        value, unit = value / 1000, unit + 1
    return f"{value:.1f} {_UNITS[unit]}" if value < 9.95 else f"{value:.0f} {_UNITS[unit]}"


def left_text(seconds: float | None) -> str:
    """When it goes, such as "in 6 days"; nothing where a master of an earlier release does not tell."""
    if seconds is None:
        return ""
    return f"in {span_text(seconds)}" if seconds > 0 else "now"


def span_text(seconds: float) -> str:
    """In one unit, rounded up, such as "7 days", nothing for 0; as static/js/common/format.js has it."""
    for size, name, least in ((86400, "day", 1.5), (3600, "hour", 1.5), (60, "minute", 0.0)):
        if seconds > size * least:
            number = math.ceil(seconds / size)
            return f"{number:,} {name}" + ("" if number == 1 else "s")
    return ""


def folder_link(prefix: str, **more: str | None) -> str:
    """The page of a folder."""
    return "/?" + urlencode({"prefix": prefix, **{name: value for name, value in more.items() if value}})


def crumbs(prefix: str, bound: str = "") -> list[tuple[str, str]]:
    """The folders above and this one, as (name, link). bound: what lies above it is not shown, and has no link."""
    found, path = [], ""
    for name in prefix.split("/")[:-1]:
        path += name + "/"
        found.append((name, folder_link(path) if path.startswith(bound) else ""))
    return found
