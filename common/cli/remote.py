"""What the gateway says of files: one by its path, and listings of any length, a page at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from common.cli.failures import Failure, Refused, UsageFailure
from common.cli.gateway import PAGE, Gateway
from common.errors import InvalidPath
from common.paths import check_path

ROOT = "/"


@dataclass(frozen=True)
class RemoteFile:
    """One version of a file. checksum: of the whole content, as hexadecimal digits; None where none was made."""

    path: str
    size: int
    etag: str
    algorithm: str | None
    checksum: str | None

    @property
    def remark(self) -> str:
        """What people are told of it behind its size: that its bytes could not be compared."""
        return ", has no checksum to compare with" if self.checksum is None and self.size else ""

    @classmethod
    def from_json(cls, file: Mapping[str, Any]) -> RemoteFile:
        try:
            algorithm, checksum = read_checksum(file)
            return cls(str(file["path"]), int(file["size"]), str(file["etag"]), algorithm, checksum)
        except (KeyError, TypeError, ValueError):
            raise Failure("the gateway answered with something that is no file's JSON") from None


def read_checksum(file: Mapping[str, Any]) -> tuple[str, str] | tuple[None, None]:
    """The algorithm and the hexadecimal digits; None for a file that has no checksum. Raises KeyError, TypeError."""
    checksum = file["checksum"]
    return (None, None) if checksum is None else (str(checksum["algorithm"]), str(checksum["value"]))


def wanted_path(path: str) -> str:
    """A path of the command line, as it is; raises UsageFailure with the rule that it breaks."""
    try:
        return check_path(path)
    except InvalidPath as error:
        raise UsageFailure(f"{path!r}: {error.detail}") from None


def wanted_folder(path: str) -> str:
    """The prefix of a folder of the command line: `docs` and `docs/` mean "docs/", `/` and nothing mean all files."""
    if path in ("", ROOT):
        return ""
    return wanted_path(path if path.endswith("/") else path + "/")


def find_file(gateway: Gateway, path: str, *, is_deleted: bool = False) -> dict[str, Any]:
    """The file's JSON; Refused with file_not_found where there is none."""
    # The path itself is the first of all that begin with it.
    for file in list_files(gateway, path, is_deleted=is_deleted, page=1):
        if file["path"] == path:
            return file
        break
    where = "in the trash" if is_deleted else "with this path"
    raise Refused(404, "file_not_found", f"there is no file {where}")


def with_checksum(gateway: Gateway, file: dict[str, Any]) -> dict[str, Any]:
    """The file's JSON with a checksum; where it has none, the gateway reads the file to make it."""
    while file["checksum"] is None:
        made = gateway.ask(f"/files/{file['file_id']}/checksum")
        if made["etag"] == file["etag"]:
            return {**file, "checksum": made["checksum"]}
        # It has changed since.
        file = find_file(gateway, file["path"])
    return file


def list_files(
    gateway: Gateway, prefix: str, *, is_deleted: bool = False, page: int = PAGE
) -> Iterator[dict[str, Any]]:
    """Every file whose path begins with the prefix, in the order of the paths."""
    for kind, entry in list_entries(gateway, prefix, is_deleted=is_deleted, page=page):
        if kind == "file":
            yield entry


def list_entries(
    gateway: Gateway, prefix: str, *, delimiter: str = "", is_deleted: bool = False, page: int = PAGE
) -> Iterator[tuple[str, dict[str, Any]]]:
    """("file", its JSON) and ("folder", {"path": ...}), by their paths; one page is held at a time."""
    query = {"prefix": prefix, "limit": str(page)}
    query |= {"delimiter": delimiter} if delimiter else {}
    query |= {"status": "deleted"} if is_deleted else {}
    while True:
        answer = gateway.ask("/files", query)
        entries = [("file", file) for file in answer["files"]]
        entries += [("folder", {"path": folder}) for folder in answer["prefixes"]]
        yield from sorted(entries, key=lambda entry: str(entry[1]["path"]))
        if not answer["next_cursor"]:
            return
        query["cursor"] = str(answer["next_cursor"])
