"""Every change that a file can undergo, as pure functions.

A change takes a File and gives the next one, with `revision` one higher; the store writes it on condition that the
revision in the database is still the old one. Times are those of model.py.
"""

from __future__ import annotations

from dataclasses import replace

from common.errors import Conflict, FileDeleted, FileUnknown, PathTaken, TooManyVersions, VersionUnknown
from common.records import Checksum
from master_node.model import ACTIVE, DELETED, NEVER, PURGED, File, OldVersion, Upload, Version

# A commit is held back, to be tried again, while a file has this many times its allowed old versions.
VERSIONS_HARD_FACTOR = 4
# How long a purged file's document stays, so that no late copy of an old commit can bring the file back.
TOMBSTONE_SECONDS = 86400.0


def new_file(upload: Upload, path: str, version: Version, now: str) -> File:
    """The file that an upload to a free path makes."""
    return File(
        file_id=upload.upload_id,
        path=path,
        status=ACTIVE,
        revision=1,
        version=replace(version, number=1),
        old_versions=(),
        last_number=1,
        created_at=now,
        modified_at=now,
    )


def overwrite(file: File, version: Version, *, expires_at: float, max_versions: int, now: str) -> File:
    """The file with a new content; the old one can be restored until `expires_at`.

    Beyond `max_versions` the oldest are due at once; TooManyVersions while they are made faster than freed.
    """
    if len(file.old_versions) >= VERSIONS_HARD_FACTOR * max_versions:
        raise TooManyVersions(f"{len(file.old_versions)} old versions of this file wait to be freed")
    number = file.last_number + 1
    return replace(
        _supersede(file, expires_at, max_versions, now),
        revision=file.revision + 1,
        version=replace(version, number=number),
        last_number=number,
        modified_at=now,
    )


def rename(file: File, path: str, now: str) -> File:
    """The active file under another path."""
    require_active(file)
    return replace(file, path=path, revision=file.revision + 1, modified_at=now)


def trash(file: File, *, expires_at: float, now: str) -> File:
    """The file in the trash; it can be restored until `expires_at`."""
    require_active(file)
    return replace(file, status=DELETED, revision=file.revision + 1, expires_at=expires_at, modified_at=now)


def purge(file: File, clock_seconds: float, now: str) -> File:
    """The file gone for good: all its versions are due. The document stays for a while, and names its last version,
    so that late copies of old requests see what has been.
    """
    last = (OldVersion(file.version, clock_seconds, now, is_released=True),) if file.version else ()
    old_versions = tuple(replace(old, expires_at=clock_seconds, is_released=True) for old in file.old_versions)
    return replace(
        file,
        status=PURGED,
        revision=file.revision + 1,
        old_versions=old_versions + last,
        expires_at=clock_seconds + TOMBSTONE_SECONDS,
        modified_at=now,
    )


def restore_from_trash(file: File, path: str | None, now: str) -> File:
    """The deleted file active again, under its old path or another."""
    return replace(
        file, status=ACTIVE, path=path or file.path, revision=file.revision + 1, expires_at=NEVER, modified_at=now
    )


def at_version(file: File, number: int) -> File:
    """The file with the content that it had as this version; for reading, it is never written."""
    if file.version is not None and number == file.version.number:
        return file
    version = _require_old(file, number).version
    return replace(file, version=version, old_versions=(), modified_at=version.created_at)


def restore_version(file: File, number: int, *, expires_at: float, max_versions: int, now: str) -> File:
    """The active file with an old version's content again, under a new number; the present content becomes old.

    Where that is so already, the file itself, so that the call can be repeated.
    """
    require_active(file)
    if number > 0 and file.version is not None and number in (file.version.number, file.version.restored_from):
        return file
    chosen = _require_old(file, number)
    rest = replace(file, old_versions=tuple(old for old in file.old_versions if old is not chosen))
    content = replace(chosen.version, restored_from=number)
    return overwrite(rest, content, expires_at=expires_at, max_versions=max_versions, now=now)


def with_checksum(file: File, version_id: str, checksum: Checksum) -> File:
    """The file with the checksum of a version that had none; the file itself where that has this one already."""
    versions = [file.version, *(old.version for old in file.old_versions)]
    found = next((version for version in versions if version is not None and version.version_id == version_id), None)
    if found is None:
        raise VersionUnknown("the file has no such version any more, or never had it", version_id=version_id)
    if found.checksum is not None:
        if found.checksum != checksum:
            raise Conflict("the version has another checksum", version_id=version_id)
        return file
    summed = replace(found, checksum=checksum)
    return replace(
        file,
        revision=file.revision + 1,
        version=summed if file.version is found else file.version,
        old_versions=tuple(replace(old, version=summed) if old.version is found else old for old in file.old_versions),
    )


def without_version(file: File, version_id: str) -> File:
    """The file once an old version's bytes are freed."""
    kept = tuple(old for old in file.old_versions if old.version.version_id != version_id)
    return replace(file, old_versions=kept, revision=file.revision + 1)


def postponed(file: File, until: float) -> File:
    """The file with everything that was due put off: something could not be freed now."""
    return replace(
        file,
        revision=file.revision + 1,
        old_versions=tuple(replace(old, expires_at=max(old.expires_at, until)) for old in file.old_versions),
    )


def released(file: File, version_id: str) -> File:
    """The file with an old version given up: from here on it cannot be restored, only freed."""
    old_versions = tuple(
        replace(old, is_released=True) if old.version.version_id == version_id else old for old in file.old_versions
    )
    return replace(file, revision=file.revision + 1, old_versions=old_versions)


def touched(file: File) -> File:
    """The same file at the next revision, so that a commit aimed at the present one can no longer happen."""
    return replace(file, revision=file.revision + 1)


def bar(upload_id: str, clock_seconds: float, now: str) -> File:
    """A document that takes the id of a file which must never come to be."""
    return File(
        file_id=upload_id,
        path="",
        status=PURGED,
        revision=1,
        version=None,
        old_versions=(),
        last_number=0,
        created_at=now,
        modified_at=now,
        expires_at=clock_seconds + TOMBSTONE_SECONDS,
    )


def revive(barrier: File, path: str, version: Version, now: str) -> File:
    """The file that an upload makes whose own bar stands in its place."""
    return replace(
        barrier,
        path=path,
        status=ACTIVE,
        revision=barrier.revision + 1,
        version=replace(version, number=1),
        last_number=1,
        modified_at=now,
        expires_at=NEVER,
    )


def as_of(file: File, version_id: str) -> File:
    """The file as it was with this version, which it must have."""
    for old in file.old_versions:
        if old.version.version_id == version_id:
            return replace(file, version=old.version)
    return file


def require_active(file: File) -> None:
    """Raise FileDeleted or FileUnknown for a file that is not there to be used."""
    if file.status == DELETED:
        raise FileDeleted("the file is in the trash; restore it first", file_id=file.file_id)
    if file.status != ACTIVE:
        raise FileUnknown(f"no file {file.file_id}")


def path_taken(path: str) -> PathTaken:
    return PathTaken("another file has this path", path=path)


def _require_old(file: File, number: int) -> OldVersion:
    chosen = next((old for old in file.old_versions if old.version.number == number and not old.is_released), None)
    if chosen is None:
        raise VersionUnknown(f"the file has no version {number} any more, or never had one")
    return chosen


def _supersede(file: File, expires_at: float, max_versions: int, now: str) -> File:
    if file.version is None:
        raise FileUnknown(f"no file {file.file_id}")
    old_versions = (*file.old_versions, OldVersion(file.version, expires_at, now))
    surplus = len(old_versions) - max_versions
    return replace(
        file,
        old_versions=tuple(
            replace(old, expires_at=0.0, is_released=True) if position < surplus else old
            for position, old in enumerate(old_versions)
        ),
    )
