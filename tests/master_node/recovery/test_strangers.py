"""Versions on the workers' disks that no record knows: which come back, under which path, what is said of the rest."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from common.checksums import block_digests, checksum_of
from common.chunk_notes import ChunkNote, encode_header
from common.records import Checksum, chunk_id
from master_node import file_changes, model
from master_node.attempts import Resumable
from master_node.model import File
from master_node.recovery.disks import Disks
from master_node.recovery.findings import FOUND, GIVEN_UP, INCOMPLETE, INTACT, LOST, UNSURE, Finding, Findings
from master_node.recovery.known import KnownFiles
from master_node.recovery.strangers import LIKELY, PROVEN, Strangers
from master_node.store.sqlite import SqliteStore
from tests.support.masters import ManualClock
from tests.support.metadata import hex_id, make_chunk, make_file, make_upload
from tests.support.served import ServedWorkers, served_workers

NAMES = ("worker_1", "worker_2", "worker_3")
CHUNK = 4096
RESTORED_AT = 100.0
TODAY = "2026-01-31"
RESUMABLE = Resumable("p", None, "", "text/x", "", False, attempt=2)


class Ruin:
    """A store that knows nothing, or little, and workers with full disks."""

    def __init__(self, store: SqliteStore, workers: ServedWorkers) -> None:
        self.store = store
        self.workers = workers
        self.said: list[Finding] = []

    def put(
        self,
        seed: object,
        content: bytes,
        note: ChunkNote | None = None,
        *,
        lacking: tuple[int, ...] = (),
        names: tuple[str, ...] = NAMES,
        attempts: tuple[int, ...] = (),
    ) -> str:
        """Put a version's chunks on the workers as the gateway does, but for some; None: without notes."""
        version_id = hex_id(seed)
        pieces = [content[start : start + CHUNK] for start in range(0, max(1, len(content)), CHUNK)]
        for index, piece in enumerate(pieces):
            if index in lacking:
                continue
            is_last = index == len(pieces) - 1
            noted = note.last(len(pieces), len(content)) if note is not None and is_last else note
            for name in names:
                self.workers.client.put_chunk(
                    self.workers.urls[name],
                    chunk_id(version_id, index, attempts[index] if attempts else 0),
                    piece,
                    checksum_of(block_digests(piece)),
                    note=encode_header(noted.encode()) if noted is not None else "",
                )
        return version_id

    def rebuild(self, names: tuple[str, ...] = NAMES) -> dict[str, Finding]:
        """What a rebuild says, by version."""
        self.said = []
        findings = Findings(self.said.append)
        disks = Disks(self.workers.client, {name: self.workers.urls[name] for name in names})
        strangers = Strangers(
            self.store, disks, ManualClock(), stale_before=RESTORED_AT, chunk_size_bytes=CHUNK, replication_factor=3
        )
        known = KnownFiles(self.store, disks, is_verifying=False)
        strangers.collect()
        known.compare_chunks()
        known.judge_files(findings, strangers)
        strangers.bring_back(findings)
        return {finding.version_id: finding for finding in self.said}

    def rebuild_of(self, version_id: str) -> Finding:
        return self.rebuild()[version_id]

    def file_at(self, path: str) -> File | None:
        return self.store.find_file_by_key(f"a/{path}")


@pytest.fixture
def ruin(tmp_path: Path) -> Iterator[Ruin]:
    store = SqliteStore(tmp_path / "m.sqlite3")
    with served_workers(tmp_path, NAMES) as workers:
        yield Ruin(store, workers)
    store.close()


def noted(path: str, at: str = "2026-01-31T10:00:00.000Z") -> ChunkNote:
    return ChunkNote(path, content_type="text/x", uploaded_at=at, chunk_size_bytes=CHUNK, replication_factor=3)


def test_a_whole_version_is_a_file_again_with_everything_that_its_notes_say(ruin: Ruin) -> None:
    content = bytes(range(256)) * 33
    version_id = ruin.put("v", content, noted("a/b"))
    finding = ruin.rebuild()[version_id]
    assert (finding.kind, finding.path, finding.completeness, finding.chunk_count) == (FOUND, "a/b", PROVEN, 3)
    file = ruin.file_at("a/b")
    assert file is not None
    assert file.version is not None
    # Also that of a file which had none: all its bytes are read for it to be one again.
    assert file.version.checksum == Checksum("sha256", hashlib.sha256(content).hexdigest())
    assert (file.version.content_type, file.version.size_bytes) == ("text/x", len(content))
    chunks = ruin.store.list_chunks(version_id, 0, 10)
    # One copy of each was read; the others count when a job has had them read.
    assert [(len(chunk.replicas), chunk.owed, len(chunk.doubtful)) for chunk in chunks] == [(1, 2, 2)] * 3
    upload = ruin.store.find_upload(version_id)
    assert upload is not None
    assert (upload.state, upload.file_id) == (model.COMMITTED, file.file_id)


@pytest.mark.parametrize("path", ["empty", "folder/", "a/b/"])
def test_a_file_without_a_byte_and_a_folder_come_back_by_their_empty_chunk(ruin: Ruin, path: str) -> None:
    finding = ruin.rebuild_of(version_id := ruin.put("v", b"", noted(path)))
    assert (finding.kind, finding.path, finding.completeness, finding.size_bytes) == (FOUND, path, PROVEN, 0)
    file = ruin.file_at(path)
    assert file is not None
    assert (file.version.size_bytes, file.version.chunk_count) == (0, 1)  # type: ignore[union-attr]
    assert file.version.checksum.value == hashlib.sha256().hexdigest()  # type: ignore[union-attr]
    assert len(ruin.store.list_chunks(version_id, 0, 10)) == 1
    assert ruin.rebuild_of(version_id).kind == INTACT


@pytest.mark.parametrize(
    ("lacking", "says"),
    [((0,), "chunks 0 of 3"), ((1,), "chunks 1 of 3"), ((2,), "its last chunk"), ((0, 2), "chunks 0 are on no worker")],
)
def test_a_version_that_lacks_a_chunk_is_named_by_its_path_with_what_is_missing(
    ruin: Ruin, lacking: tuple[int, ...], says: str
) -> None:
    version_id = ruin.put("v", b"x" * (2 * CHUNK + 1), noted("a/b"), lacking=lacking)
    finding = ruin.rebuild()[version_id]
    assert (finding.kind, finding.known_as) == (INCOMPLETE, "a/b")
    assert finding.missing_chunks >= 1
    assert says in finding.detail
    assert ruin.file_at("a/b") is None


@pytest.mark.parametrize(
    ("size", "lacking", "kind"),
    [
        (1, (), FOUND),
        (CHUNK, (), INCOMPLETE),
        (CHUNK + 1, (), FOUND),
        (2 * CHUNK, (), INCOMPLETE),
        (2 * CHUNK + 1, (1,), INCOMPLETE),
    ],
)
def test_without_notes_a_version_is_likely_whole_when_it_ends_in_a_short_chunk(
    ruin: Ruin, size: int, lacking: tuple[int, ...], kind: str
) -> None:
    version_id = ruin.put("v", b"y" * size, lacking=lacking)
    finding = ruin.rebuild()[version_id]
    assert finding.kind == kind
    if kind == FOUND:
        assert (finding.completeness, finding.path) == (LIKELY, f"recovered/{TODAY}/{version_id}")


def test_of_several_versions_of_a_free_path_the_latest_gets_it(ruin: Ruin) -> None:
    times = [f"2026-01-31T10:00:0{number}.000Z" for number in range(3)]
    ids = [ruin.put(number, f"{number}".encode(), noted("p", at)) for number, at in enumerate(times)]
    said = ruin.rebuild()
    assert [said[one].path for one in ids] == [f"recovered/{TODAY}/p~{ids[0][:8]}", f"recovered/{TODAY}/p", "p"]


def test_what_has_no_valid_path_comes_back_by_its_file_name_or_its_id(ruin: Ruin) -> None:
    named = ruin.put("named", b"1", ChunkNote(file_name="x.txt", uploaded_at="t"))
    invalid = ruin.put("invalid", b"2", ChunkNote("a//b", uploaded_at="t"))
    said = ruin.rebuild()
    assert said[named].path == f"recovered/{TODAY}/x.txt"
    assert said[invalid].path == f"recovered/{TODAY}/{invalid}"


def test_a_damaged_copy_is_passed_over_and_with_all_damaged_the_version_is_incomplete(ruin: Ruin) -> None:
    good, bad = ruin.put("good", b"g" * 100, noted("good")), ruin.put("bad", b"b" * 100, noted("bad"))
    for name in NAMES:
        for version_id in (good, bad):
            path = next((ruin.workers._workers[name].root / "chunks").glob(f"*/{version_id}-*"))
            if version_id == bad or name == "worker_1":
                path.write_bytes(b"?" + path.read_bytes()[1:])
    said = ruin.rebuild()
    assert said[good].kind == FOUND
    assert ruin.store.list_chunks(good, 0, 1)[0].replicas == ("worker_2",)
    assert (said[bad].kind, said[bad].detail) == (INCOMPLETE, "a chunk of it cannot be read")


def test_uploads_that_were_given_up_and_files_that_were_purged_do_not_come_back(ruin: Ruin) -> None:
    aborted, purged = ruin.put("aborted", b"1", noted("1")), ruin.put("purged", b"2", noted("2"))
    ruin.store.insert_upload(make_upload("aborted", state=model.ABORTED))
    ruin.store.insert_file(file_changes.bar(purged, 0.0, "now"))
    said = ruin.rebuild()
    assert {said[one].kind for one in (aborted, purged)} == {GIVEN_UP}
    assert ruin.file_at("1") is ruin.file_at("2") is None


def test_an_upload_that_is_under_way_is_left_alone_and_one_of_the_backup_comes_back(ruin: Ruin) -> None:
    live, stale = ruin.put("live", b"1", noted("1")), ruin.put("stale", b"2" * (CHUNK + 1), noted("2"))
    ruin.store.insert_upload(make_upload("live", last_activity_at=RESTORED_AT + 1))
    ruin.store.insert_upload(make_upload("stale", last_activity_at=RESTORED_AT - 1))
    # The backup was made amid the upload: its first chunk was recorded.
    piece = b"2" * CHUNK
    record = make_chunk(stale, 0, replicas=NAMES)
    ruin.store.insert_chunks([replace(record, size_bytes=CHUNK, checksum=checksum_of(block_digests(piece)))])
    said = ruin.rebuild()
    assert live not in said
    assert (said[stale].kind, said[stale].path) == (FOUND, "2")
    assert len(ruin.store.list_chunks(stale, 0, 10)) == 2


def test_a_rebuild_that_is_made_again_changes_nothing_more(ruin: Ruin) -> None:
    version_id = ruin.put("v", b"z" * (CHUNK + 1), noted("p"))
    ruin.rebuild()
    before = ruin.file_at("p")
    said = ruin.rebuild()
    assert said[version_id].kind == INTACT
    assert ruin.file_at("p") == before
    assert len(ruin.said) == 1


def test_replicas_that_have_moved_since_the_backup_count_again(ruin: Ruin) -> None:
    version_id = store_known(ruin, "moved", names=("worker_2", "worker_3"), recorded=("worker_1",), owed=1)
    assert ruin.rebuild()[version_id].kind == INTACT
    chunk = ruin.store.list_chunks(version_id, 0, 1)[0]
    assert set(chunk.replicas) == {"worker_2", "worker_3"}
    assert chunk.owed == 0


def test_a_known_file_without_a_copy_is_lost_or_unsure_while_its_worker_was_not_asked(ruin: Ruin) -> None:
    version_id = store_known(ruin, "gone", names=("worker_3",), recorded=("worker_3",), owed=0)
    assert ruin.rebuild(("worker_1", "worker_2"))[version_id].kind == UNSURE
    ruin.workers.client.delete_chunks(ruin.workers.urls["worker_3"], [chunk_id(version_id, 0)], 1)
    finding = ruin.rebuild()[version_id]
    assert (finding.kind, finding.path, finding.missing_chunks) == (LOST, "gone", 1)


def test_a_chunk_of_a_known_file_that_a_dump_has_missed_gets_its_record(ruin: Ruin) -> None:
    version_id = ruin.put("known", b"k" * 100, noted("known"))
    ruin.store.insert_file(known_file("known", 100))
    finding = ruin.rebuild()[version_id]
    assert (finding.kind, len(ruin.said)) == (INTACT, 1)
    chunk = ruin.store.list_chunks(version_id, 0, 1)[0]
    assert (chunk.size_bytes, chunk.replicas, set(chunk.doubtful)) == (100, (), set(NAMES))


def test_a_known_file_that_has_no_checksum_stays_as_it_is(ruin: Ruin) -> None:
    version_id = ruin.put("unsummed", b"k" * 100, noted("unsummed"))
    file = known_file("unsummed", 100)
    assert file.version is not None
    unsummed = replace(file, version=replace(file.version, checksum=None))
    ruin.store.insert_file(unsummed)
    assert ruin.rebuild()[version_id].kind == INTACT
    assert ruin.file_at("unsummed") == unsummed


def known_file(path: str, size_bytes: int) -> File:
    """A file of one chunk whose version's id is that of the seed `path`."""
    file = make_file(path, size_bytes=size_bytes)
    assert file.version is not None
    return replace(file, version=replace(file.version, chunk_count=1))


def store_known(ruin: Ruin, path: str, *, names: tuple[str, ...], recorded: tuple[str, ...], owed: int) -> str:
    """A file that the records know, with its chunk on some workers and its record naming others."""
    content = path.encode()
    version_id = ruin.put(path, content, noted(path), names=names)
    ruin.store.insert_file(known_file(path, len(content)))
    record = make_chunk(version_id, 0, replicas=recorded, owed=owed)
    ruin.store.insert_chunks([replace(record, size_bytes=len(content), checksum=checksum_of(block_digests(content)))])
    return version_id


def test_of_several_attempts_at_a_place_the_last_one_comes_back_and_nothing_beyond_the_end(ruin: Ruin) -> None:
    """An attempt was fenced off after it had sent much more than the one that finished."""
    ruin.put("v", b"x" * 3 * CHUNK + b"lost", noted("p"), attempts=(1, 2, 2, 2))
    version_id = ruin.put("v", b"x" * CHUNK + b"right", noted("p"), attempts=(1, 3))
    # The backup knew the upload, with another chunk in the second place and one beyond the end.
    upload = make_upload("v", state=model.RESUMABLE, last_activity_at=RESTORED_AT - 1)
    ruin.store.insert_upload(replace(upload, resumable=RESUMABLE))
    ruin.store.insert_chunks([replace(make_chunk(version_id, index, replicas=NAMES), attempt=2) for index in (1, 2)])
    said = ruin.rebuild()
    assert (said[version_id].kind, said[version_id].completeness, said[version_id].path) == (FOUND, PROVEN, "p")
    records = ruin.store.list_chunks(version_id, 0, 10)
    assert [(chunk.attempt, chunk.size_bytes, chunk.owed) for chunk in records] == [(1, CHUNK, 2), (3, 5, 2)]
    file = ruin.file_at("p")
    assert file is not None
    assert file.to_info().checksum.value == hashlib.sha256(b"x" * CHUNK + b"right").hexdigest()


def test_a_resumable_upload_of_the_backup_that_is_not_whole_begins_anew(ruin: Ruin) -> None:
    """The disks may hold other chunks under the very ids that its next attempt would use."""
    version_id = ruin.put("v", b"x" * CHUNK + b"more", noted("p"), lacking=(1,), attempts=(1, 1))
    live, stale = (
        replace(make_upload(seed, state=model.RESUMABLE, last_activity_at=at), resumable=RESUMABLE)
        for seed, at in (("live", RESTORED_AT + 1), ("v", RESTORED_AT - 1))
    )
    for upload in (live, stale):
        ruin.store.insert_upload(upload)
    assert ruin.rebuild()[version_id].kind == INCOMPLETE
    states = [ruin.store.find_upload(upload.upload_id).state for upload in (live, stale)]  # type: ignore[union-attr]
    assert states == [model.RESUMABLE, model.ABORTED]
