"""`ls`, `du` and `stat`: what there is. Of any number of files, one page is held at a time."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import Any

from common.cli.console import shown, size_text
from common.cli.context import Context
from common.cli.failures import OK, Refused
from common.cli.remote import (
    find_file,
    list_entries,
    list_files,
    read_checksum,
    wanted_folder,
    wanted_path,
    with_checksum,
)

_STAT_FIELDS = (
    "path", "file_id", "status", "size", "content_type", "version", "etag", "chunk_count", "chunk_size",
    "replication_factor", "created_at", "modified_at",
)  # fmt: skip


def ls(context: Context, options: Namespace) -> int:
    """List a folder, or a file, or with -R everything below."""
    prefix = wanted_folder(options.path)
    shown_count = 0
    if options.path.rstrip("/") and not options.path.endswith("/"):
        shown_count += _list_file(context, options)
    for kind, entry in list_entries(context.gateway, prefix, delimiter="" if options.recursive else "/"):
        if entry["path"] == prefix:
            # The folder's own entry.
            shown_count += 1
            continue
        _show_entry(context, options, kind, entry)
        shown_count += 1
    if not shown_count and prefix:
        raise Refused(404, "file_not_found", f"there is no file and no folder {shown(options.path)}")
    return OK


def stat(context: Context, options: Namespace) -> int:
    """Everything that is known of files."""
    for path in [wanted_path(path) for path in options.paths]:
        file = find_file(context.gateway, path)
        if options.checksum:
            file = with_checksum(context.gateway, file)
        lines = [f"{name + ':':<20}{shown(str(file[name]))}" for name in _STAT_FIELDS if name in file]
        algorithm, checksum = read_checksum(file)
        lines.append(f"{(algorithm or 'checksum') + ':':<20}{checksum or 'none was made'}")
        lines += [f"{'old version:':<20}{_describe_old(old)}" for old in file.get("old_versions", [])]
        context.console.emit(file, *lines, *([""] if len(options.paths) > 1 else []))
    return OK


def du(context: Context, options: Namespace) -> int:
    """The sum of every folder below the given one, each once all that is in it has been seen."""
    prefix = wanted_folder(options.path)
    depth = 0 if options.summarize else options.depth
    files = list_files(context.gateway, prefix)
    first = next(files, None)
    if first is None and prefix:
        raise Refused(404, "file_not_found", f"there is no folder {shown(options.path)}")
    for path, size, count in _sums(chain([first] if first else [], files), prefix):
        level = path[len(prefix) :].count("/")
        if depth is None or level <= depth:
            size_shown = size_text(size) if options.human else str(size)
            context.console.emit(
                {"path": path or "/", "size": size, "files": count},
                f"{size_shown:>12}  {count:>8}  {shown(path) or '/'}",
            )
    return OK


def _sums(files: Iterable[Mapping[str, Any]], prefix: str) -> Iterator[tuple[str, int, int]]:
    """(folder, bytes, files) for every folder, the inner ones first.

    Paths come in order, so all that lies below one folder comes together: only the folders above the present file are
    open.
    """
    open_folders: list[list[Any]] = [[prefix, 0, 0]]
    for file in files:
        path = file["path"]
        while not path.startswith(open_folders[-1][0]):
            yield _close(open_folders)
        start = len(open_folders[-1][0])
        while (end := path.find("/", start)) >= 0:
            open_folders.append([path[: end + 1], 0, 0])
            start = end + 1
        open_folders[-1][1] += file["size"]
        open_folders[-1][2] += 0 if path.endswith("/") else 1
    while open_folders:
        yield _close(open_folders)


def _close(open_folders: list[list[Any]]) -> tuple[str, int, int]:
    path, size, count = open_folders.pop()
    if open_folders:
        open_folders[-1][1] += size
        open_folders[-1][2] += count
    return path, size, count


def _list_file(context: Context, options: Namespace) -> int:
    try:
        file = find_file(context.gateway, wanted_path(options.path))
    except Refused as refused:
        if refused.status != 404:
            raise
        return 0
    _show_entry(context, options, "file", file)
    return 1


def _show_entry(context: Context, options: Namespace, kind: str, entry: Mapping[str, Any]) -> None:
    line = shown(entry["path"])
    if options.long:
        if kind == "folder":
            line = f"{'-':>12}  {'-':<24}  {line}"
        else:
            size = size_text(entry["size"]) if options.human else entry["size"]
            line = f"{size:>12}  {entry['modified_at']:<24}  {line}"
    context.console.emit({"type": kind, **entry}, line)


def _describe_old(old: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {shown(str(value))}" for name, value in old.items() if not isinstance(value, dict))
