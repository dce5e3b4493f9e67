"""The pure comparisons of a check, as tables, and how much of what they find is kept."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from master_node.fsck.differences import (
    DIFFERENCES,
    EXPECTED,
    MAX_LISTED,
    Findings,
    VersionSum,
    compare_file,
    compare_record,
    difference,
)
from master_node.model import ABORTED, COMMITTED, OPEN, Chunk
from tests.support.metadata import CHUNK_SIZE, hex_id, make_chunk, make_version

ROOT = Path(__file__).resolve().parents[3]
VERSION = hex_id("version")
NAME = make_chunk(VERSION, 0).chunk_id
HERE, NOTHING = {NAME}, set[str]()


def record(replicas: str, owed: int = 0, doubtful: str = "") -> Chunk:
    return Chunk(VERSION, 0, 10, "", tuple(replicas), owed, tuple(doubtful))


@pytest.mark.parametrize(
    ("chunk", "held", "expected"),
    [
        (record("abc"), {"a": HERE, "b": HERE, "c": HERE}, []),
        (record("abc"), {}, []),
        (record("abc"), {"a": HERE, "b": NOTHING}, [("replica_missing", "b")]),
        (record("abc"), {"a": NOTHING, "b": NOTHING}, [("replica_missing", "a"), ("replica_missing", "b")]),
        (record("ab", owed=1), {}, [("replicas_owed", "")]),
        (record("abcd", owed=-1), {}, [("replicas_surplus", "")]),
        (record("", owed=3), {}, [("no_replica", "")]),
        (record("", owed=3, doubtful="a"), {"a": HERE}, [("no_replica", ""), ("doubtful_present", "a")]),
        (record("abc", doubtful="d"), {"d": HERE}, [("doubtful_present", "d")]),
        (record("abc", doubtful="d"), {"d": NOTHING}, [("doubtful_absent", "d")]),
        (record("abc", doubtful="d"), {}, []),
        # As garbage collection leaves the record of a chunk that it has freed in part.
        (record("c"), {}, []),
        (record("", doubtful="c"), {}, []),
    ],
)
def test_a_record_is_compared_with_what_the_workers_that_answered_say(
    chunk: Chunk, held: dict[str, set[str]], expected: list[tuple[str, str]]
) -> None:
    found = compare_record(chunk, held)
    assert [(one.kind, one.worker_id) for one in found] == expected
    assert all(one.chunk_id == NAME and one.explanation for one in found)


@pytest.mark.parametrize(
    ("records", "uploads", "expected"),
    [
        ({NAME: record("ab")}, {}, None),
        ({NAME: record("b", doubtful="a")}, {}, None),
        ({NAME: record("bc")}, {}, "file_unnamed"),
        ({NAME: record("bc")}, {VERSION: OPEN}, "file_unnamed"),
        ({}, {VERSION: OPEN}, "file_of_open_upload"),
        ({}, {VERSION: COMMITTED}, "file_of_open_upload"),
        ({}, {VERSION: ABORTED}, "file_of_aborted_upload"),
        ({}, {hex_id("another"): OPEN}, "file_unknown"),
        ({}, {}, "file_unknown"),
    ],
)
def test_a_file_is_compared_with_its_record_or_its_upload(
    records: dict[str, Chunk], uploads: dict[str, str], expected: str | None
) -> None:
    found = compare_file("a", NAME, records, uploads)
    assert (found.kind if found is not None else None) == expected


@pytest.mark.parametrize(
    ("indexes", "is_whole"), [([], False), ([0], False), ([0, 1], True), ([0, 2], False), ([1, 2], False)]
)
def test_a_version_is_whole_with_every_index_once(indexes: list[int], is_whole: bool) -> None:
    total = VersionSum()
    for index in indexes:
        total.add([make_chunk(VERSION, index)])
    assert total.is_whole(make_version("v", size_bytes=2 * CHUNK_SIZE)) is is_whole


def test_a_version_is_not_whole_when_its_bytes_do_not_add_up() -> None:
    total = VersionSum()
    total.add([make_chunk(VERSION, 0), make_chunk(VERSION, 1)])
    assert not total.is_whole(make_version("v", size_bytes=2 * CHUNK_SIZE - 1))


def test_all_differences_are_counted_and_the_first_ones_kept() -> None:
    findings = Findings()
    many = [difference("file_unknown", chunk_id=str(number), worker_id="w") for number in range(MAX_LISTED + 5)]
    findings.add([difference("doubtful_present", worker_id="w"), *many])
    answer = findings.to_json()
    assert answer["found"] == {"file_unknown": MAX_LISTED + 5}
    assert answer["expected"] == {"doubtful_present": 1}
    assert [one["chunk_id"] for one in answer["differences"]] == [str(number) for number in range(MAX_LISTED)]


def test_the_handbook_explains_exactly_the_kinds_that_there_are() -> None:
    text = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    section = text.partition("### What each difference means")[2].partition("\n## ")[0]
    explained = re.findall(r"^\| `(\w+)`", section, re.MULTILINE)
    assert sorted(explained) == sorted([*DIFFERENCES, *EXPECTED])
