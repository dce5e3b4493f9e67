"""`rm`, `mv` and the trash. A folder is changed file by file, so it may stop half way, and then says how far it got."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator
from typing import Any

from common.cli.console import count_text, shown, size_text
from common.cli.context import Context
from common.cli.failures import OK, Failure, Refused, UsageFailure
from common.cli.gateway import fs
from common.cli.parallel import Tally
from common.cli.remote import ROOT, find_file, list_files, wanted_folder, wanted_path
from common.cli.snapshot import Snapshot
from common.paths import file_name


def rm(context: Context, options: Namespace) -> int:
    """Delete files, or with -r all that is below folders; into the trash unless --permanent."""
    tally = Tally()
    for path in options.paths:
        try:
            if options.recursive:
                _remove_folder(context, options, path, tally)
            else:
                _remove(context, options, wanted_path(path), tally)
        except Failure as failure:
            if failure.ends_everything:
                raise
            tally.add_failure(failure)
            context.console.fail(shown(path), failure)
    return tally.exit_status()


def mv(context: Context, options: Namespace) -> int:
    """Rename one file, or with -r all that is below a folder."""
    if options.recursive:
        return _move_folder(context, options)
    source, target = wanted_path(options.source), options.target
    if target == ROOT or target.endswith("/"):
        target = wanted_folder(target) + file_name(source)
    _rename(context, find_file(context.gateway, source), wanted_path(target))
    return OK


def trash_list(context: Context, options: Namespace) -> int:
    """What can still be restored."""
    prefix = "" if options.prefix == ROOT else options.prefix
    for file in list_files(context.gateway, prefix, is_deleted=True):
        line = f"{file['file_id']}  {file['size']:>12}  {file['modified_at']}  {shown(file['path'])}"
        context.console.emit(file, line)
    return OK


def trash_restore(context: Context, options: Namespace) -> int:
    """Bring a file back, or an old version of one that is there."""
    wanted: dict[str, Any] = {}
    if options.version is not None:
        wanted["version"] = options.version
    if options.to is not None:
        wanted["path"] = wanted_path(options.to)
    file_id = options.id or _id_to_restore(context, options)
    restored = context.gateway.send("POST", f"/files/{_checked_id(file_id)}/restore", value=wanted)
    context.console.emit(restored, f"restored {shown(restored['path'])}, version {restored['version']}")
    return OK


def _remove_folder(context: Context, options: Namespace, path: str, tally: Tally) -> None:
    prefix = wanted_folder(path)
    with Snapshot(list_files(context.gateway, prefix)) as found:
        if not found.count:
            raise Refused(404, "file_not_found", f"there is nothing below {shown(path)}")
        if found.count > 1 and not options.yes:
            _confirm(context, options, path, found)
        for file in found:
            _note_for_interrupt(context, "deleted", tally, found)
            try:
                _remove(context, options, file["path"], tally)
            except Failure as failure:
                # Somebody else's delete is no failure of this one.
                if isinstance(failure, Refused) and failure.status in (404, 410):
                    continue
                if failure.ends_everything:
                    _tell_how_far(context, "deleted", tally, found)
                    raise
                tally.add_failure(failure)
                context.console.fail(shown(file["path"]), failure)
        if tally.failed:
            _tell_how_far(context, "deleted", tally, found)


def _confirm(context: Context, options: Namespace, path: str, found: Snapshot) -> None:
    if not context.answers.isatty():
        raise UsageFailure(f"{count_text(found.count, 'file')} would be deleted; say --yes")
    how = "for good" if options.permanent else "into the trash"
    question = f"Delete {count_text(found.count, 'file')} ({size_text(found.size_bytes)}) below {path} {how}?"
    if not context.console.ask(question, context.answers):
        raise Failure("nothing was deleted")


def _remove(context: Context, options: Namespace, path: str, tally: Tally) -> None:
    query = {"permanent": "true"} if options.permanent else None
    deleted = context.gateway.send("DELETE", fs(path), query=query)
    tally.done += 1
    context.console.emit(deleted, f"deleted {shown(path)}")


def _move_folder(context: Context, options: Namespace) -> int:
    source, target = wanted_folder(options.source), wanted_folder(options.target)
    if not source:
        raise UsageFailure("everything cannot be moved at once; move folder by folder")
    if target.startswith(source):
        raise UsageFailure("a folder cannot be moved into itself")
    tally = Tally()
    with Snapshot(list_files(context.gateway, source)) as found:
        if not found.count:
            raise Refused(404, "file_not_found", f"there is nothing below {shown(options.source)}")
        for file in found:
            _note_for_interrupt(context, "moved", tally, found)
            try:
                _rename(context, file, wanted_path(target + file["path"][len(source) :]))
            except Failure as failure:
                if failure.ends_everything:
                    _tell_how_far(context, "moved", tally, found)
                    raise
                tally.add_failure(failure)
                context.console.fail(shown(file["path"]), failure)
            else:
                tally.done += 1
        if tally.failed:
            _tell_how_far(context, "moved", tally, found)
    return tally.exit_status()


def _rename(context: Context, file: dict[str, Any], target: str) -> None:
    moved = context.gateway.send(
        "PATCH", f"/files/{_checked_id(file['file_id'])}", headers={"If-Match": file["etag"]}, value={"path": target}
    )
    context.console.emit(moved, f"{shown(file['path'])} -> {shown(moved['path'])}")


def _note_for_interrupt(context: Context, what: str, tally: Tally, found: Snapshot) -> None:
    context.console.how_to_go_on = (
        f"{tally.done:,} of {count_text(found.count, 'file')} {what}; give the same command again for the rest"
    )


def _tell_how_far(context: Context, what: str, tally: Tally, found: Snapshot) -> None:
    context.console.note(f"{tally.done:,} of {count_text(found.count, 'file')} {what}")


def _id_to_restore(context: Context, options: Namespace) -> str:
    """The id of the only file of this path: in the trash, or, for an old version, the one that is there."""
    if not options.path:
        raise UsageFailure("say which file: its path, or --id")
    path = wanted_path(options.path)
    if options.version is not None:
        return str(find_file(context.gateway, path)["file_id"])
    found = list(_deleted_with_path(context, path))
    if not found:
        raise Refused(404, "file_not_found", "there is no file of this path in the trash")
    if len(found) > 1:
        ids = ", ".join(f"{file['file_id']} ({file['modified_at']})" for file in found[:10])
        raise Failure(f"several files of this path are in the trash; say --id with one of {ids}")
    return str(found[0]["file_id"])


def _deleted_with_path(context: Context, path: str) -> Iterator[dict[str, Any]]:
    """Those of one path come first among all that begin with it."""
    for file in list_files(context.gateway, path, is_deleted=True, page=10):
        if file["path"] != path:
            return
        yield file


def _checked_id(file_id: str) -> str:
    if not file_id.isascii() or not file_id.isalnum():
        raise UsageFailure(f"{file_id!r} is no file's id")
    return file_id
