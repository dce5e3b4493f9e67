"""`get` and `cat`: files out of the cluster, to the local disk or to standard output."""

from __future__ import annotations

import os
from argparse import Namespace
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from common.cli.console import count_text, shown, size_text
from common.cli.context import Context
from common.cli.failures import OK, Failure, Refused, UsageFailure, local_failure
from common.cli.fetching import Fetched, Fetcher, VersionGone, ranged_blocks
from common.cli.gateway import LONG
from common.cli.local_names import LocalFolder, check_names
from common.cli.parallel import Tally, run_all
from common.cli.part_file import MIB, Hash
from common.cli.progress import Progress
from common.cli.remote import RemoteFile, find_file, list_files, wanted_folder, wanted_path
from common.paths import file_name, is_folder

STANDARD_OUTPUT = "-"


@dataclass(frozen=True)
class _Download:
    """A file and where it goes."""

    file: RemoteFile
    target: Path


def get(context: Context, options: Namespace) -> int:
    """Fetch a file, or with -r everything below a folder."""
    fetcher = Fetcher(context, options.parallel, options.piece_mib * MIB)
    if options.recursive:
        return _get_folder(context, options, fetcher)
    path = wanted_path(options.source)
    if options.target == STANDARD_OUTPUT:
        _write_out(context, path)
        return OK
    if is_folder(path):
        raise UsageFailure("this is a folder; add -r to fetch what is below it")
    target = _local_target(path, options.target)
    file = RemoteFile.from_json(find_file(context.gateway, path))
    context.console.how_to_go_on = "what was fetched is kept; give the same command again to go on"
    with context.console.progress(file.size) as progress:
        _get_one(context, fetcher, _Download(file, target), progress)
    return OK


def cat(context: Context, options: Namespace) -> int:
    """Write files to standard output, one after the other."""
    for path in [wanted_path(source) for source in options.sources]:
        _write_out(context, path)
    return OK


def _get_folder(context: Context, options: Namespace, fetcher: Fetcher) -> int:
    prefix = wanted_folder(options.source)
    if options.target == STANDARD_OUTPUT:
        raise UsageFailure("a folder cannot be written to standard output")
    if options.target is None and not prefix:
        raise UsageFailure("say into which local folder everything is to be fetched")
    root = Path(options.target) if options.target is not None else _local_target(prefix, None)
    context.console.how_to_go_on = "what was fetched is kept; give the same command again to go on"
    refused = Tally()
    with context.console.progress() as progress:

        def work(download: _Download) -> None:
            _get_one(context, fetcher, download, progress)
            progress.add_file()

        downloads = _below(context, prefix, LocalFolder(root), refused)
        tally = run_all(context, downloads, work, lambda download: shown(download.file.path), options.parallel)
    tally.statuses |= refused.statuses
    failed = tally.failed + refused.failed
    if not tally.done and not failed and not refused.done:
        raise Refused(404, "file_not_found", f"there is nothing below {shown(options.source)}")
    if failed:
        context.console.note(f"{count_text(tally.done, 'file')} fetched, {failed} failed")
    return tally.exit_status()


def _below(context: Context, prefix: str, folder: LocalFolder, refused: Tally) -> Iterator[_Download]:
    """Every file below the folder that can be given a local name. refused: the others; `done` counts empty folders."""
    for entry in list_files(context.gateway, prefix):
        file = RemoteFile.from_json(entry)
        try:
            if not file.path.startswith(prefix):
                raise Failure("the server lists a path that was not asked for")
            target = folder.place(file.path[len(prefix) :])
        except Failure as failure:
            refused.add_failure(failure)
            context.console.fail(shown(file.path), failure)
        else:
            if is_folder(file.path):
                refused.done += 1
            else:
                yield _Download(file, target)


def _get_one(context: Context, fetcher: Fetcher, download: _Download, progress: Progress) -> None:
    got, outcome = fetcher.fetch(download.file, download.target, progress)
    target = str(download.target)
    record = {"path": got.path, "local": target, "size": got.size, "checksum": got.checksum, "etag": got.etag}
    verb = "fetched" if outcome is Fetched.FETCHED else "is there already"
    context.console.emit(
        {**record, "outcome": outcome.value},
        f"{shown(got.path)} -> {shown(target)}: {verb}, {size_text(got.size)}{got.remark}",
    )


def _local_target(path: str, target: str | None) -> Path:
    """Where a file goes: a name, or into a folder that is there or that ends in a slash."""
    name = check_names(file_name(path))[0]
    if target is None:
        return Path(name)
    if target.endswith(("/", os.sep)) or Path(target).is_dir():
        folder = Path(target)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise local_failure(error) from None
        return folder / name
    return Path(target)


def _write_out(context: Context, path: str) -> None:
    """The bytes in order, going on where they break off; that they were right is known at the end only."""
    file = RemoteFile.from_json(find_file(context.gateway, path))
    whole = Hash(file.algorithm)
    position, failed = 0, 0
    while position < file.size:
        before = position
        try:
            for block in ranged_blocks(context, file, position, file.size):
                context.output.write(block)
                whole.update(block)
                position += len(block)
        except VersionGone:
            if position:
                raise Failure(f"{path}: the file has changed on the server; what was written is of no use") from None
            raise
        except Failure as failure:
            failed = 1 if position > before else failed + 1
            if not failure.is_retryable or failed >= LONG.tries:
                raise
            context.clock.sleep(LONG.pause_seconds(failed, failure.retry_after_seconds))
    context.output.flush()
    if not whole.fits(file.checksum):
        raise Failure(f"{path}: the checksum of what was written is not that of the file")
