"""From a request's body to committed files: the raw body, and forms with any number of files. Knows no Flask."""

from __future__ import annotations

import mimetypes
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace

from api_gateway.multipart import FieldPart, FilePart, read_form
from api_gateway.uploads import CommitOptions, Committed, Upload, UploadService
from common.bodies import BodyReader
from common.errors import DFSError, InvalidForm, InvalidPath, InvalidRequest
from common.paths import check_path, file_name, is_folder

DEFAULT_TYPE = "application/octet-stream"


def receive_body(service: UploadService, body: BodyReader, options: CommitOptions) -> Committed:
    """Store a raw body as the file at `options.path`. Nothing is visible unless all of it arrived."""
    check_path(options.path)
    if is_folder(options.path) and body.length:
        raise InvalidPath('a path that ends in "/" is a folder\'s own entry and holds no bytes')
    with service.open(options.path, body.length) as upload:
        upload.receive(body)
        return upload.commit(replace(options, content_type=choose_type(options.content_type, options.path)))


def receive_form(service: UploadService, body: BodyReader, content_type: str, max_files: int) -> list[Committed]:
    """Store the files of a form, in the order in which they came; nothing is visible until all have arrived.

    The field "path" names where a file goes; for several files, or when it ends in "/", it is the folder. It may be
    given once for each file instead, in the same order. Without it a file goes by its own name.
    """
    paths: list[str] = []
    with ExitStack() as stack:
        received: list[_Received] = []
        for part in read_form(content_type, body):
            if isinstance(part, FilePart):
                if len(received) == max_files:
                    raise InvalidRequest(f"a form must not have more than {max_files} files")
                received.append(_receive_part(service, stack, part, body.length, received))
            elif isinstance(part, FieldPart) and part.name == "path" and part.value:
                if len(paths) == max_files:
                    raise InvalidRequest(f'a form must not have more than {max_files} fields "path"')
                paths.append(part.value)
        if not received:
            raise InvalidForm('the form has no file; send one in the field "file"')
        options = [
            CommitOptions(path, choose_type(item.content_type, path))
            for item, path in zip(received, _paths_of([item.filename for item in received], paths), strict=True)
        ]
        return _commit_all(received, options)


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


def _receive_part(
    service: UploadService, stack: ExitStack, part: FilePart, expected_size: int | None, earlier: Sequence[_Received]
) -> _Received:
    if part.name != "file":
        raise InvalidForm(f'a file must be in the field "file", not {part.name!r}')
    if not part.filename:
        raise InvalidForm("no file was chosen")
    upload = stack.enter_context(service.open(None, expected_size))

    def keep_earlier_alive() -> None:
        for waiting in earlier:
            waiting.upload.keep_alive()

    upload.receive(part.content, keep_earlier_alive)
    upload.finish()
    return _Received(upload, part.filename, part.content_type)


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
