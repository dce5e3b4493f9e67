"""`put`: local files, folders, or standard input into the cluster; what was stored is compared with what was sent."""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
from argparse import Namespace
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common.cli.console import count_text, shown, size_text
from common.cli.context import Context
from common.cli.failures import CONFLICT, OK, Failure, Refused, UsageFailure, local_failure
from common.cli.fetching import is_same
from common.cli.gateway import LONG, fs
from common.cli.local_bytes import BLOCK_BYTES, LocalBytes, read_block
from common.cli.local_names import PART_SUFFIX, STATE_SUFFIX, relative_path
from common.cli.parallel import Tally, run_all
from common.cli.part_file import MIB
from common.cli.progress import Progress
from common.cli.remote import ROOT, RemoteFile, find_file, wanted_folder, wanted_path, with_checksum
from common.cli.resumable import NoUploads, ResumableUpload
from common.cli.unfinished import Subject, Unfinished, forget_oldest

STANDARD_INPUT = "-"
# Of as many bytes as a chunk: what is no longer is sent in one request, and again where that breaks off.
SMALL_BYTES = 4 * MIB
_ALGORITHM = "sha256"


@dataclass(frozen=True)
class _Upload:
    """A local file and the path that it gets; without a source, an empty folder's own entry."""

    source: Path | None
    path: str


class _Stream:
    """Standard input as it comes, once, its length unknown."""

    def __init__(self, context: Context, progress: Progress) -> None:
        self._context = context
        self._progress = progress
        self.sent_bytes = 0
        self.hash = hashlib.sha256()

    def __iter__(self) -> Iterator[bytes]:
        while block := read_block(self._context.input, BLOCK_BYTES):
            self._context.check()
            self.hash.update(block)
            self.sent_bytes += len(block)
            self._progress.add(len(block))
            yield block


class Putter:
    """Stores files as the options of the command say."""

    def __init__(self, context: Context, options: Namespace) -> None:
        self._context = context
        self._skips_same: bool = options.skip_same
        self._piece_bytes: int = options.piece_mib * MIB
        self._redundancy: dict[str, str] = {}
        if options.replication is not None:
            self._redundancy["X-DFS-Replication"] = str(options.replication)
        if options.consistency is not None:
            self._redundancy["X-DFS-Consistency"] = options.consistency
        # The same for one request and for several.
        self._headers, self._metadata = dict(self._redundancy), {}
        if options.if_absent:
            self._headers["If-None-Match"] = self._metadata["if_none_match"] = "*"
        if options.content_type is not None:
            self._headers["Content-Type"] = self._metadata["filetype"] = options.content_type
        if context.uploads_folder is not None:
            forget_oldest(context.uploads_folder)

    def put(self, upload: _Upload, progress: Progress) -> None:
        """Store one local file. Raises Failure."""
        if upload.source is None:
            self._put_folder(upload)
            return
        try:
            with open(upload.source, "rb", buffering=0) as source:
                found = os.fstat(source.fileno())
                if not stat.S_ISREG(found.st_mode):
                    raise Failure("it is no regular file")
                same = self._stored_same(upload.source, upload.path) if self._skips_same else None
                if same is not None:
                    progress.add(found.st_size, is_moved=False)
                    self._tell(upload, same, "unchanged")
                    return
                content = LocalBytes(self._context, source, found.st_size, progress)
                stored = self._put_content(upload.source, upload.path, content, found.st_mtime_ns)
                after = os.fstat(source.fileno())
        except OSError as error:
            raise local_failure(error) from None
        if (after.st_size, after.st_mtime_ns) != (found.st_size, found.st_mtime_ns):
            raise Failure("the local file changed while it was read; what was stored may be a mix")
        self._tell(upload, stored, "stored")

    def put_stream(self, path: str, progress: Progress) -> None:
        """Store standard input, which cannot be sent a second time."""
        stream = _Stream(self._context, progress)
        stored = self._send(path, stream)
        _compare(stored, stream.sent_bytes, stream.hash.hexdigest())
        self._tell(_Upload(Path(STANDARD_INPUT), path), stored, "stored")

    def _put_folder(self, upload: _Upload) -> None:
        """Make an empty folder's own entry, unless it is there."""
        present = self._find(upload.path)
        if present is not None:
            self._tell(upload, present, "unchanged")
        else:
            self._tell(upload, self._send(upload.path, b""), "stored")

    def _put_content(self, source: Path, path: str, content: LocalBytes, mtime_ns: int) -> dict[str, Any]:
        stored = None
        if content.size > SMALL_BYTES:
            with contextlib.suppress(NoUploads):
                stored = self._put_resumably(source, path, content, mtime_ns)
        if stored is None:
            stored = self._put_at_once(source, path, content)
        _compare(stored, content.size, content.hexdigest())
        return stored

    def _put_resumably(self, source: Path, path: str, content: LocalBytes, mtime_ns: int) -> dict[str, Any]:
        """In many requests, going on where an earlier run was interrupted."""
        asked = {**self._redundancy, **self._metadata}
        local = str(source.resolve())
        subject = Subject(self._context.gateway.url, path, local, content.size, mtime_ns, asked)
        with Unfinished(self._context.uploads_folder, subject) as unfinished:
            upload = ResumableUpload(self._context, content, path, self._piece_bytes)
            return upload.store(unfinished, self._metadata, self._redundancy)

    def _put_at_once(self, source: Path, path: str, content: LocalBytes) -> dict[str, Any]:
        """In one request."""
        tries = 0

        def attempt() -> dict[str, Any]:
            nonlocal tries
            tries += 1
            return self._send(path, content.part(0, content.size) if content.size else b"")

        try:
            return self._context.gateway.patiently(LONG, attempt)
        except Refused as refused:
            # An answer that was lost leaves open whether the write happened: then it is our own file that is there.
            same = self._stored_same(source, path) if tries > 1 and refused.exit_status == CONFLICT else None
            if same is None:
                raise
            return same

    def _send(self, path: str, body: Any) -> dict[str, Any]:
        stored = self._context.gateway.send("PUT", fs(path), headers=self._headers, body=body)
        if not isinstance(stored, dict):
            raise Failure("the gateway answered with something that is no file's JSON")
        return stored

    def _stored_same(self, source: Path, path: str) -> dict[str, Any] | None:
        """The file that is stored, where it has the content of the local one."""
        stored = self._find(path)
        if stored is None or stored["size"] != source.stat().st_size:
            return None
        # Made where it has none: to read it over there costs less than to send it.
        stored = with_checksum(self._context.gateway, stored)
        return stored if is_same(source, RemoteFile.from_json(stored)) else None

    def _find(self, path: str) -> dict[str, Any] | None:
        try:
            return find_file(self._context.gateway, path)
        except Refused as refused:
            if refused.status != 404:
                raise
            return None

    def _tell(self, upload: _Upload, stored: dict[str, Any], outcome: str) -> None:
        file = RemoteFile.from_json(stored)
        local = str(upload.source) if upload.source is not None else None
        verb = "stored" if outcome == "stored" else "is there already"
        self._context.console.emit(
            {**stored, "local": local, "outcome": outcome},
            f"{shown(local or 'empty folder')} -> {shown(file.path)}: {verb}, {size_text(file.size)}{file.remark}",
        )


def put(context: Context, options: Namespace) -> int:
    """Store files, or with -r everything below a folder."""
    putter = Putter(context, options)
    if options.sources == [STANDARD_INPUT]:
        path = wanted_path(options.target)
        with context.console.progress() as progress:
            putter.put_stream(path, progress)
        return OK
    sources = [Path(source) for source in options.sources]
    context.console.how_to_go_on = (
        "give the same command again to go on; with --skip-same it passes over what is stored"
    )
    if len(sources) == 1 and not sources[0].is_dir():
        upload = _Upload(sources[0], _target_of(sources[0], options.target))
        with context.console.progress(_size_of(sources[0])) as progress:
            putter.put(upload, progress)
        return OK
    return _put_many(context, putter, sources, options)


def _put_many(context: Context, putter: Putter, sources: list[Path], options: Namespace) -> int:
    prefix = wanted_folder(options.target)
    refused = Tally()
    if len(sources) == 1:
        if not options.recursive:
            raise UsageFailure(f"{sources[0]} is a folder; add -r to store what is below it")
        uploads = _below(context, sources[0], prefix, refused)
    elif options.recursive:
        raise UsageFailure("with -r give one folder; what is below it is stored below the target")
    else:
        uploads = iter([_Upload(source, prefix + relative_path((source.name,))) for source in sources])
    with context.console.progress() as progress:

        def work(upload: _Upload) -> None:
            putter.put(upload, progress)
            progress.add_file()

        tally = run_all(
            context, uploads, work, lambda upload: shown(str(upload.source or upload.path)), options.parallel
        )
    tally.statuses |= refused.statuses
    failed = tally.failed + refused.failed
    if failed:
        context.console.note(f"{count_text(tally.done, 'file')} stored, {failed} failed")
    return tally.exit_status()


def _below(context: Context, root: Path, prefix: str, refused: Tally) -> Iterator[_Upload]:
    """Every regular file below a folder, and every empty folder; symbolic links are told of and not followed."""

    def refuse(path: str, failure: Failure) -> None:
        refused.add_failure(failure)
        context.console.fail(shown(path), failure)

    def refuse_folder(error: OSError) -> None:
        refuse(str(error.filename), Failure(error.strerror or "cannot be read"))

    for folder, folders, names in os.walk(root, onerror=refuse_folder):
        folders.sort()
        parts = Path(folder).relative_to(root).parts
        if not folders and not names and parts:
            names = [""]
        for name in sorted(names) + [one for one in folders if Path(folder, one).is_symlink()]:
            source = Path(folder, name)
            if name and (source.is_symlink() or not source.is_file()):
                context.console.note(f"{shown(str(source))}: is no regular file and is passed over")
            elif name.endswith((PART_SUFFIX, STATE_SUFFIX)):
                context.console.note(f"{shown(str(source))}: is an unfinished file of a fetch and is passed over")
            else:
                try:
                    path = prefix + relative_path((*parts, name))
                except Failure as failure:
                    refuse(str(source), failure)
                else:
                    yield _Upload(source if name else None, path)


def _target_of(source: Path, target: str) -> str:
    """The path of one file: the target, or its own name in the target where that is a folder."""
    if target == ROOT or target.endswith("/"):
        return wanted_folder(target) + relative_path((source.name,))
    return wanted_path(target)


def _size_of(source: Path) -> int:
    try:
        return source.stat().st_size
    except OSError as error:
        raise local_failure(error) from None


def _compare(stored: dict[str, Any], size: int, checksum: str) -> None:
    """Raise Failure unless the file is what was sent. Where the gateway makes no checksums, its size has to do."""
    file = RemoteFile.from_json(stored)
    if file.size != size or (file.algorithm == _ALGORITHM and file.checksum != checksum):
        raise Failure(f"what was stored at {file.path} is not what was sent; delete it and try again")
    if file.algorithm not in (None, _ALGORITHM):
        raise Failure(f"the file's checksum is {file.algorithm}, so what was stored could not be compared")
