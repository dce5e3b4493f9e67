"""The checksum of a file that was stored without one: made when somebody asks, of the whole content, and kept.

The file is read as for a download, every block verified. Memory: that of a download, whatever the size of the file.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Generator
from typing import Any

from api_gateway.downloads import DownloadService
from api_gateway.file_hash import ALGORITHM
from common.errors import DFSError
from common.logs import EventLog
from common.master_client import Located, MasterClient
from common.ranges import ByteRange
from common.records import Checksum, FileInfo

# White space may stand before a JSON value. One with every piece that was read shows that the work goes on, to proxies,
# too, and the server learns by it that the client has left.
_SIGN_OF_LIFE = b" "


class ChecksumService:
    """Makes checksums on request."""

    def __init__(self, masters: MasterClient, downloads: DownloadService, log: EventLog) -> None:
        self._masters = masters
        self._downloads = downloads
        self._log = log

    def make(self, located: Located) -> Generator[bytes, None, None]:
        """The answer to whoever asks, as JSON in pieces, the last of which says it all. Closing it stops the work.

        Raises what `DownloadService.stream` does.
        """
        file, digest = located.file, hashlib.sha256()
        if file.size:
            with contextlib.closing(self._downloads.stream(located, ByteRange(0, file.size))) as pieces:
                for piece in pieces:
                    digest.update(piece)
                    yield _SIGN_OF_LIFE
        checksum = Checksum(ALGORITHM, digest.hexdigest())
        yield json.dumps(describe(file, checksum, is_kept=self._keep(file, checksum))).encode() + b"\n"

    def _keep(self, file: FileInfo, checksum: Checksum) -> bool:
        """Put it down in the record of just this version; where that fails the checksum is right all the same."""
        try:
            self._masters.record_checksum(file.file_id, file.version_id, checksum)
        except DFSError as error:
            self._log.warning("checksum_not_kept", file_id=file.file_id, code=error.code, error=error.detail)
            return False
        return True


def describe(file: FileInfo, checksum: Checksum, *, is_kept: bool) -> dict[str, Any]:
    """Which content has which checksum. is_kept: whether the file's record has it, so that nobody makes it again."""
    return {
        "file_id": file.file_id,
        "version": file.version,
        "etag": file.etag,
        "checksum": checksum.to_json(),
        "is_kept": is_kept,
    }
