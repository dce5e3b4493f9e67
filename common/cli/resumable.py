"""Store a large file in many requests, by tus 1.0.0 (https://tus.io/protocols/resumable-upload).

Where a request breaks off, the gateway is asked how far the upload is, and it goes on there; the next run of the same
command does that, too, with what is kept of the upload (unfinished.py). The gateway is asked by GET, not by HEAD: then
it can say what is wrong, and which file the upload has become.
"""

from __future__ import annotations

import base64
import contextlib
from collections.abc import Mapping
from typing import Any

from common.cli.context import Context
from common.cli.failures import CONFLICT, Failure, Refused
from common.cli.gateway import LONG
from common.cli.local_bytes import LocalBytes
from common.cli.remote import find_file
from common.cli.unfinished import Unfinished

# As in the protocol.
UPLOADS = "/uploads"
VERSION = {"Tus-Resumable": "1.0.0"}
COMMITTED = "committed"
CONTENT_TYPE = "application/offset+octet-stream"
MAX_UPLOADS = 3
_GONE = (404, 410)
# Another request of ours may have got further than its answer said.
_ANOTHER_OFFSET = "offset_conflict"


class NoUploads(Failure):
    """The gateway is of a release that knows no resumable uploads."""


class UploadGone(Failure):
    """The gateway does not know the upload any more."""


class ResumableUpload:
    """One local file on its way to one path."""

    def __init__(self, context: Context, content: LocalBytes, path: str, piece_bytes: int) -> None:
        self._context = context
        self._gateway = context.gateway
        self._content = content
        self._path = path
        self._piece_bytes = piece_bytes

    def store(self, unfinished: Unfinished, metadata: Mapping[str, str], headers: Mapping[str, str]) -> dict[str, Any]:
        """Send what is missing; returns the JSON of the file. Raises Failure, NoUploads.

        metadata: what the file is to be, besides its path; headers: how it is to be kept.
        """
        if unfinished.stale_id:
            self._give_up(unfinished.stale_id)
        for _ in range(MAX_UPLOADS):
            is_resumed = bool(unfinished.upload_id)
            try:
                if not is_resumed:
                    unfinished.begin(self._create({"path": self._path, **metadata}, headers))
                file = self._send_all(unfinished.upload_id, is_resumed=is_resumed)
            except UploadGone:
                unfinished.forget()
            except Refused as refused:
                if refused.exit_status == CONFLICT:
                    # It would be refused for ever: the next run begins anew.
                    self._give_up(unfinished.upload_id)
                    unfinished.forget()
                raise
            else:
                unfinished.forget()
                return file
        raise Failure(f"the gateway has forgotten the upload {MAX_UPLOADS} times in a row")

    def _create(self, metadata: Mapping[str, str], headers: Mapping[str, str]) -> str:
        """Begin an upload; one whose answer is lost has no bytes, and expires."""
        pairs = (f"{name} {base64.b64encode(value.encode()).decode()}" for name, value in metadata.items())
        asked = {**VERSION, "Upload-Length": str(self._content.size), "Upload-Metadata": ",".join(pairs), **headers}

        def create() -> str:
            upload_id = self._gateway.tell("POST", UPLOADS, asked).get("Location", "").rpartition("/")[2]
            if not upload_id:
                raise Failure("the gateway does not say where the upload is")
            return upload_id

        try:
            return self._gateway.patiently(LONG, create)
        except Refused as refused:
            if refused.status in (404, 405):
                raise NoUploads("the gateway knows no resumable uploads") from None
            raise

    def _send_all(self, upload_id: str, *, is_resumed: bool) -> dict[str, Any]:
        """Send pieces from where the upload is until it is a file, going on where it breaks off."""
        offset, is_sure = 0, not is_resumed
        has_sent = not is_resumed
        failed, failed_at = 0, 0
        while True:
            try:
                if not is_sure or offset == self._content.size:
                    seen = self._look(upload_id)
                    if seen["state"] == COMMITTED:
                        return self._committed(seen, is_old=not has_sent)
                    offset, is_sure = self._checked(seen["offset"]), True
                    self._content.pass_over(offset)
                has_sent = True
                offset = self._append(upload_id, offset)
            except Failure as failure:
                if not (failure.is_retryable or failure.code == _ANOTHER_OFFSET):
                    raise
                # Whoever gets on is not failing; it is the tries in a row that count.
                failed, failed_at = (1 if offset > failed_at else failed + 1), offset
                if failed >= LONG.tries:
                    raise
                self._context.clock.sleep(LONG.pause_seconds(failed, failure.retry_after_seconds))
                is_sure = False

    def _look(self, upload_id: str) -> dict[str, Any]:
        """How the upload stands; one that has all its bytes is made a file by this."""
        try:
            seen = self._gateway.send("GET", f"{UPLOADS}/{upload_id}", headers=VERSION)
        except Refused as refused:
            raise _gone(refused) from None
        if not isinstance(seen, dict) or not isinstance(seen.get("offset"), int) or "state" not in seen:
            raise Failure("the gateway answered with something that is no upload's JSON")
        return seen

    def _append(self, upload_id: str, offset: int) -> int:
        """Send the bytes up to the end of a piece; returns where the upload is then."""
        if offset >= self._content.size:
            raise Failure("the upload has all its bytes, and the gateway makes no file of it")
        stop = min(self._content.size, (offset // self._piece_bytes + 1) * self._piece_bytes)
        headers = {**VERSION, "Upload-Offset": str(offset), "Content-Type": CONTENT_TYPE}
        body = self._content.part(offset, stop)
        try:
            answer = self._gateway.tell("PATCH", f"{UPLOADS}/{upload_id}", headers, body)
        except Refused as refused:
            raise _gone(refused) from None
        return self._checked(answer.get("Upload-Offset"))

    def _checked(self, offset: object) -> int:
        text = str(offset)
        if not (text.isascii() and text.isdigit() and int(text) <= self._content.size):
            raise Failure("the gateway does not say how far the upload is")
        return int(text)

    def _committed(self, seen: Mapping[str, Any], *, is_old: bool) -> dict[str, Any]:
        """The JSON of the file that the upload has become.

        is_old: an earlier run of this command sent all of it. That counts only while the file has still these bytes:
        what is asked for is that it has them now.
        """
        if is_old and not self._is_current(str(seen.get("upload_id"))):
            raise UploadGone("the upload has become a file that is not there any more")
        self._content.pass_over(self._content.size)
        file = seen.get("file")
        if not isinstance(file, dict):
            raise Failure(
                "the file was stored, and then moved or replaced by somebody else, so it could not be compared"
            )
        return file

    def _is_current(self, upload_id: str) -> bool:
        try:
            return bool(find_file(self._gateway, self._path)["version_id"] == upload_id)
        except Refused:
            return False

    def _give_up(self, upload_id: str) -> None:
        """Have the bytes freed now; where that fails, they are when the upload expires."""
        if upload_id:
            with contextlib.suppress(Failure):
                self._gateway.tell("DELETE", f"{UPLOADS}/{upload_id}", VERSION)


def _gone(refused: Refused) -> Failure:
    return UploadGone(str(refused)) if refused.status in _GONE else refused
