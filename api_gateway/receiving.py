"""From a request's body to committed files: the raw body, and forms with any number of files. Knows no Flask."""

from __future__ import annotations

import mimetypes
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace

from api_gateway.multipart import FieldPart, FilePart, read_form
from api_gateway.redundancy import AS_CONFIGURED, FACTOR_FIELD, Redundancy
from api_gateway.uploads import CommitOptions, Committed, Upload, UploadService
from common.bodies import BodyReader
from common.chunk_notes import ChunkNote
from common.errors import DFSError, InvalidForm, InvalidPath, InvalidRequest
from common.paths import check_path, file_name, is_folder

DEFAULT_TYPE = "application/octet-stream"


def receive_body(
    service: UploadService, body: BodyReader, options: CommitOptions, redundancy: Redundancy = AS_CONFIGURED
) -> Committed:
    """Store a raw body as the file at `options.path`. Nothing is visible unless all of it arrived."""
    check_path(options.path)
    if is_folder(options.path) and body.length:
        raise InvalidPath('a path that ends in "/" is a folder\'s own entry and holds no bytes')
    options = replace(options, content_type=choose_type(options.content_type, options.path))
    note = ChunkNote(options.path, content_type=options.content_type)
    service.admission.check_size(body.length)
    with service.admission.admitted(), service.open(options.path, body.length, redundancy, note) as upload:
        upload.receive(body)
        return upload.commit(options)


def receive_form(
    service: UploadService,
    body: BodyReader,
    content_type: str,
    max_files: int,
    redundancy: Redundancy = AS_CONFIGURED,
    permit: Callable[..., None] = lambda *_: None,
    may: Callable[[str], bool] = lambda _: True,
) -> list[Committed]:
    """Store the files of a form, in the order in which they came; nothing is visible until all have arrived.

    The field "path" names where a file goes; for several files, or when it ends in "/", it is the folder. It may be
    given once for each file instead, in the same order. Without it a file goes by its own name. A field
    "replication_factor" stands before the files, and counts instead of what `redundancy` says.

    permit: asked about all paths before anything is visible; it raises. may: whether it would let a path pass, asked
    before any of the file's bytes are stored.
    """
    with service.admission.admitted(), ExitStack() as stack:
        form = _Form(service, stack, body.length, max_files, redundancy, may)
        for part in read_form(content_type, body):
            if isinstance(part, FilePart):
                form.take_file(part)
            elif part.value:
                form.take_field(part)
        return form.commit(permit)


def choose_type(announced: str, path: str) -> str:
    """The content type that the client announced, else a guess from the name."""
    if announced and len(announced) <= 255 and announced.isascii() and announced.isprintable():
        return announced
    return mimetypes.guess_type(file_name(path))[0] or DEFAULT_TYPE


@dataclass(frozen=True)
class _Received:
    upload: Upload
    filename: str
    content_type: str


class _Form:
    """What has come of a form so far."""

    def __init__(
        self,
        service: UploadService,
        stack: ExitStack,
        length: int | None,
        max_files: int,
        redundancy: Redundancy,
        may: Callable[[str], bool],
    ) -> None:
        self._service = service
        self._stack = stack
        self._length = length
        self._max_files = max_files
        self._redundancy = redundancy
        self._may = may
        self._paths: list[str] = []
        self._received: list[_Received] = []

    def take_file(self, part: FilePart) -> None:
        """Store the file's bytes; nothing is visible yet."""
        if len(self._received) == self._max_files:
            raise InvalidRequest(f"a form must not have more than {self._max_files} files")
        if part.name != "file":
            raise InvalidForm(f'a file must be in the field "file", not {part.name!r}')
        if not part.filename:
            raise InvalidForm("no file was chosen")
        note = self._guess_note(part)
        upload = self._stack.enter_context(self._service.open(None, self._length, self._redundancy, note))
        upload.receive(part.content, self._keep_alive)
        upload.finish()
        self._received.append(_Received(upload, part.filename, part.content_type))

    def take_field(self, part: FieldPart) -> None:
        """Note what the field says; one of another name means nothing here."""
        if part.name == "path":
            if len(self._paths) == self._max_files:
                raise InvalidRequest(f'a form must not have more than {self._max_files} fields "path"')
            self._paths.append(part.value)
        elif part.name == FACTOR_FIELD:
            if self._received:
                # Their chunks are on the disks already.
                raise InvalidForm(f'the field "{FACTOR_FIELD}" must stand before the files')
            self._redundancy = self._redundancy.with_factor(f'the field "{FACTOR_FIELD}"', part.value)

    def commit(self, permit: Callable[..., None]) -> list[Committed]:
        """Make the files visible, one after the other."""
        if not self._received:
            raise InvalidForm('the form has no file; send one in the field "file"')
        paths = _paths_of([item.filename for item in self._received], self._paths)
        permit(*paths)
        options = [
            CommitOptions(path, choose_type(item.content_type, path))
            for item, path in zip(self._received, paths, strict=True)
        ]
        return _commit_all(self._received, options)

    def _guess_note(self, part: FilePart) -> ChunkNote:
        """What is known before the bytes are: a path that comes after them cannot be in their note.

        Nor can one that the client may not write to: a rebuild from the disks would put the file there.
        """
        position, name = len(self._received), part.filename
        path = self._paths[position] if position < len(self._paths) else ""
        path += name if is_folder(path) else ""
        if not path or not self._may(path):
            return ChunkNote(file_name=name, content_type=choose_type(part.content_type, name))
        return ChunkNote(path, "", choose_type(part.content_type, path))

    def _keep_alive(self) -> None:
        for waiting in self._received:
            waiting.upload.keep_alive()


def _paths_of(filenames: Sequence[str], paths: Sequence[str]) -> list[str]:
    """Where each file goes; every path is checked before anything is committed."""
    if not paths:
        chosen = list(filenames)
    elif len(paths) == len(filenames):
        chosen = [path + name if is_folder(path) else path for path, name in zip(paths, filenames, strict=True)]
    elif len(paths) == 1:
        folder = paths[0] if is_folder(paths[0]) else paths[0] + "/"
        chosen = [folder + name for name in filenames]
    else:
        raise InvalidForm(f'{len(paths)} fields "path" for {len(filenames)} files: give one, or one for each')
    for path in chosen:
        check_path(path)
        if is_folder(path):
            raise InvalidPath('a file\'s name must not end in "/"')
    if len(set(chosen)) != len(chosen):
        raise InvalidForm("two files of the form have the same path")
    return chosen


def _commit_all(received: Sequence[_Received], options: Sequence[CommitOptions]) -> list[Committed]:
    done: list[Committed] = []
    for item, option in zip(received, options, strict=True):
        try:
            done.append(item.upload.commit(option))
        except DFSError as error:
            if done:
                error.context["stored"] = [committed.file.file_id for committed in done]
            raise
    return done
