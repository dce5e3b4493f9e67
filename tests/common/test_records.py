"""What a peer sends as JSON is refused with a clear error unless every field is there and of its type."""

from __future__ import annotations

import copy
import json
from dataclasses import asdict, replace
from typing import Any

import pytest

from common.errors import InvalidRequest
from common.records import (
    MAX_ATTEMPT,
    Checksum,
    ChunkLocation,
    FileInfo,
    Heartbeat,
    OpenUpload,
    Placement,
    StoredChunk,
    Target,
    chunk_id,
    is_chunk_id,
    is_version_id,
    place_of,
    slot_of,
    version_of,
)

TARGET = {"worker_id": "worker_1", "url": "http://127.0.0.1:5001"}
PLACEMENT = {"index": 0, "targets": [TARGET]}
STORED = {"index": 7, "size_bytes": 65536, "checksum": "0123456789abcdef" * 2, "replicas": ["worker_1", "worker_2"]}
FILE = {
    "file_id": "f" * 32,
    "path": "a/b.txt",
    "status": "active",
    "version": 3,
    "version_id": "e" * 32,
    "size": 0,
    "content_type": "text/plain",
    "checksum": {"algorithm": "sha256", "value": "00"},
    "chunk_size": 65536,
    "chunk_count": 0,
    "replication_factor": 3,
    "created_at": "2026-01-31T12:00:00.000Z",
    "modified_at": "2026-01-31T12:00:00.000Z",
    "old_versions": [{"version": 2}],
}
HEARTBEAT = {
    "url": "http://h:1",
    "zone": "",
    "capacity_bytes": 10,
    "used_bytes": 0,
    "free_bytes": 10,
    "chunk_count": 0,
    "version": "0.1.0",
}
OPEN_UPLOAD = {
    "upload_id": "a" * 32,
    "chunk_size": 65536,
    "replication_factor": 3,
    "write_quorum": 2,
    "placements": [PLACEMENT],
}
EXAMPLES: list[tuple[Any, dict[str, Any]]] = [
    (Target, TARGET),
    (Placement, PLACEMENT),
    (StoredChunk, STORED),
    (ChunkLocation, {**STORED, "replicas": [TARGET]}),
    (OpenUpload, OPEN_UPLOAD),
    (Checksum, FILE["checksum"]),
    (FileInfo, FILE),
    (Heartbeat, HEARTBEAT),
]
FIELDS = [(record, example, name) for record, example in EXAMPLES for name in example if name != "old_versions"]
WRONG: dict[type, list[Any]] = {
    str: [None, True, 5, 1.5, [], ["text"], {}],
    int: [None, True, False, -1, 1.0, "5", [], {}],
    list: [None, True, 5, "text", {}, {"a": 1}, [5], [None], [[]]],
    dict: [None, True, 5, "text", [], {}],
}
IDS = [f"{record.__name__}.{name}" for record, _, name in FIELDS]


@pytest.mark.parametrize(("record", "example"), EXAMPLES, ids=lambda value: getattr(value, "__name__", ""))
def test_a_record_survives_the_way_through_json(record: Any, example: dict[str, Any]) -> None:
    value = record.from_json(example)
    written = value.to_json() if hasattr(value, "to_json") else asdict(value)
    again = json.loads(json.dumps(written))
    assert record.from_json(again) == value
    assert {name: again[name] for name in example} == example


@pytest.mark.parametrize(("record", "example", "name"), FIELDS, ids=IDS)
def test_a_missing_field_is_refused(record: Any, example: dict[str, Any], name: str) -> None:
    source = copy.deepcopy(example)
    del source[name]
    with pytest.raises(InvalidRequest, match=name):
        record.from_json(source)


@pytest.mark.parametrize(("record", "example", "name"), FIELDS, ids=IDS)
def test_a_field_of_the_wrong_type_is_refused(record: Any, example: dict[str, Any], name: str) -> None:
    wrongs = WRONG[type(example[name])]
    if (record, name) == (FileInfo, "checksum"):
        # Null says that none was made.
        wrongs = [wrong for wrong in wrongs if wrong is not None]
    for wrong in wrongs:
        with pytest.raises(InvalidRequest):
            record.from_json({**example, name: wrong})


def test_a_file_may_have_no_checksum_but_says_so() -> None:
    file = FileInfo.from_json({**FILE, "checksum": None})
    assert file.checksum is None
    assert file.to_json()["checksum"] is None
    assert FileInfo.from_json(file.to_json()) == file


@pytest.mark.parametrize("old_versions", [5, "text", None, {"a": 1}, [5], ["text"]])
def test_old_versions_that_are_no_list_of_objects_are_refused(old_versions: Any) -> None:
    with pytest.raises(InvalidRequest):
        FileInfo.from_json({**FILE, "old_versions": old_versions})


@pytest.mark.parametrize(
    "change",
    [
        {"replicas": []},
        {"replicas": ["worker_1", "worker_1"]},
        {"checksum": ""},
        {"checksum": "0" * 31},
        {"checksum": "0" * 33},
        {"checksum": "g" * 32},
        {"checksum": "A" * 32},
        {"checksum": "0" * 32 + "\n"},
        {"index": 2**32},
    ],
)
def test_a_stored_chunk_that_cannot_be_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest):
        StoredChunk.from_json({**STORED, **change})


def test_a_newer_peer_may_send_fields_that_are_not_known_yet() -> None:
    assert Heartbeat.from_json({**HEARTBEAT, "colour": "blue"}) == Heartbeat.from_json(HEARTBEAT)


def test_the_etag_changes_with_the_version_and_with_nothing_else() -> None:
    file = FileInfo.from_json(FILE)
    assert file.etag == f'"{"e" * 32}"'
    assert FileInfo.from_json({**FILE, "path": "moved", "status": "deleted"}).etag == file.etag
    assert FileInfo.from_json({**FILE, "version_id": "d" * 32}).etag != file.etag
    assert file.to_json()["etag"] == file.etag
    assert file.to_json()["file_name"] == "b.txt"


@pytest.mark.parametrize("index", [0, 1, 255, 2**32 - 1])
def test_a_chunk_id_names_its_version_and_its_place(index: int) -> None:
    name = chunk_id("0" * 32, index)
    assert is_chunk_id(name)
    assert int(name.partition("-")[2], 16) == index


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0" * 32,
        "0" * 32 + "-",
        "0" * 32 + "-0000000",
        "0" * 32 + "-000000000",
        "0" * 31 + "-00000000",
        "0" * 32 + "-0000000g",
        "A" * 32 + "-00000000",
        "0" * 32 + "-00000000\n",
        "../" + "0" * 29 + "-00000000",
        "٠" * 32 + "-00000000",
    ],
)
def test_what_is_no_chunk_id_is_not_taken_for_one(text: str) -> None:
    assert not is_chunk_id(text)


def test_a_version_id_is_32_hexadecimal_digits() -> None:
    assert is_version_id("0123456789abcdef" * 2)
    for text in ("", "0" * 31, "0" * 33, "G" * 32, "A" * 32, "0" * 32 + "\n"):
        assert not is_version_id(text)


@pytest.mark.parametrize(
    "value",
    [
        Target("worker_1", "http://127.0.0.1:5001"),
        Placement.from_json(PLACEMENT),
        StoredChunk.from_json({**STORED, "doubtful": ["worker_3"], "attempt": 2}),
        ChunkLocation(7, 65536, "0123456789abcdef" * 2, (Target("worker_1", "http://127.0.0.1:5001"),), 2),
        OpenUpload.from_json(OPEN_UPLOAD),
        Checksum("sha256", "00"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_value_is_written_with_every_field_in_the_order_of_its_class(value: Any) -> None:
    assert json.dumps(value.to_json()) == json.dumps(asdict(value))
    assert type(value).from_json(json.loads(json.dumps(value.to_json()))) == value


def test_a_file_is_written_with_every_field_in_order_then_its_name_and_etag() -> None:
    info = FileInfo.from_json(FILE)
    expected = {**asdict(info), "file_name": "b.txt", "etag": info.etag}
    assert json.dumps(info.to_json()) == json.dumps(expected)


@pytest.mark.parametrize("attempt", [1, 255, MAX_ATTEMPT])
def test_a_chunk_id_of_an_attempt_shares_its_place_with_all_others(attempt: int) -> None:
    name = chunk_id("a" * 32, 77, attempt)
    assert is_chunk_id(name)
    assert name != chunk_id("a" * 32, 77)
    assert slot_of(name) == slot_of(slot_of(name)) == chunk_id("a" * 32, 77)
    assert (version_of(name), place_of(name)) == ("a" * 32, ("a" * 32, 77, attempt))
    assert place_of(slot_of(name)) == ("a" * 32, 77, 0)


@pytest.mark.parametrize("end", ["-00000000", "-1", "-000000001", "-0000000G", "-00000001-00000001", "-"])
def test_what_is_no_attempt_is_not_taken_for_one(end: str) -> None:
    assert not is_chunk_id(chunk_id("a" * 32, 77) + end)


def test_an_attempt_is_sent_only_where_there_is_one() -> None:
    for chunk in (StoredChunk.from_json(STORED), ChunkLocation(0, 1, "x", ())):
        assert "attempt" not in chunk.to_json()
        later = replace(chunk, attempt=3)
        assert type(chunk).from_json(later.to_json()) == later
    with pytest.raises(InvalidRequest):
        StoredChunk.from_json({**STORED, "attempt": MAX_ATTEMPT + 1})
