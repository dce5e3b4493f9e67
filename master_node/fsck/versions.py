"""The part of a check that reads all files: every version has all its chunk records, every record has a version."""

from __future__ import annotations

from collections.abc import Iterator

from common.records import chunk_id
from master_node.fsck.differences import Difference, VersionSum, difference
from master_node.model import PURGED, File, Version
from master_node.store.base import MetadataStore

PAGE_FILES = 200
PAGE_IDS = 500
# All keys of files begin with "a/", "d/" or "x/".
_ABOVE_ALL_KEYS = "z"


class Versions:
    """One round over all files, for the versions with low < id <= high.

    What looks wrong is read again on the spot, in an order in which no change meanwhile can make it look wrong still.
    """

    def __init__(self, store: MetadataStore, sums: dict[str, VersionSum], low: str, high: str) -> None:
        """sums: what the records of these versions add up to, as read a while ago; taken over."""
        self._store = store
        self._sums = sums
        self._low = low
        self._high = high
        self._key = ""
        self._is_second_round = False
        self.checked = 0
        self.is_over = False

    def step(self) -> list[Difference]:
        """One page of files."""
        page = self._store.scan_files(self._key, _ABOVE_ALL_KEYS, PAGE_FILES)
        found = [one for file in page for one in self._check_file(file)]
        if page:
            self._key = page[-1].key
        else:
            found += self._end_round()
        return found

    def _check_file(self, file: File) -> Iterator[Difference]:
        for version, is_needed in _versions(file):
            if not self._low < version.version_id <= self._high:
                continue
            total = self._sums.pop(version.version_id, VersionSum())
            if self._is_second_round:
                continue
            self.checked += 1
            if is_needed and not total.is_whole(version):
                yield from self._look_again(file.file_id, version)

    def _look_again(self, file_id: str, version: Version) -> Iterator[Difference]:
        total = VersionSum()
        while chunks := self._store.list_chunks(version.version_id, total.next_index, PAGE_IDS):
            # Beyond the end of a resumable upload a late attempt may have left records, which are collected.
            total.add([chunk for chunk in chunks if chunk.index < version.chunk_count])
            if chunks[-1].index >= version.chunk_count:
                break
        # The file after its records: those are freed only once the file has given the version up.
        file = self._store.find_file(file_id)
        if file is None or total.is_whole(version):
            return
        if any(present.version_id == version.version_id and is_needed for present, is_needed in _versions(file)):
            yield difference(
                "version_incomplete",
                file_id=file_id,
                path=repr(file.path),
                version=version.number,
                found=total.chunk_count,
                expected=version.chunk_count,
                found_bytes=total.size_bytes,
                expected_bytes=version.size_bytes,
            )

    def _end_round(self) -> list[Difference]:
        """Whose records are left? A file renamed meanwhile may have slipped past, so their files are sought twice."""
        self._sums = {version_id: total for version_id, total in self._sums.items() if self._has_records(version_id)}
        if not self._is_second_round:
            self._forget_uploads()
        if self._sums and not self._is_second_round:
            self._is_second_round, self._key = True, ""
            return []
        self.is_over = True
        return [
            difference("records_unowned", chunk_id=chunk_id(version_id, 0), number=total.chunk_count)
            for version_id, total in sorted(self._sums.items())
        ]

    def _has_records(self, version_id: str) -> bool:
        return bool(self._store.list_chunks(version_id, 0, 1))

    def _forget_uploads(self) -> None:
        ids = list(self._sums)
        for start in range(0, len(ids), PAGE_IDS):
            for upload in self._store.find_uploads(ids[start : start + PAGE_IDS]):
                self._sums.pop(upload.upload_id, None)


def _versions(file: File) -> Iterator[tuple[Version, bool]]:
    """The versions of a file; for each, whether it can still be read or restored, so that all its chunks are needed."""
    if file.version is not None:
        yield file.version, file.status != PURGED
    for old in file.old_versions:
        yield old.version, file.status != PURGED and not old.is_released
