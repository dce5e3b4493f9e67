"""The benchmark of scale measures what it says; how fast anything is, no test asks."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks import populate
from benchmarks.homes import Ports, make_home
from benchmarks.operations import TITLES
from benchmarks.populate import RecordsDiffer, check, fill_mongo, fill_sqlite
from benchmarks.scale_report import medians, ratios, render
from benchmarks.tree import entry_of, file_id_of, folder_of, path_of, records_of
from benchmarks.wire import UnexpectedAnswer, encode_request, parse_head
from common.environment import PROJECT_ROOT
from common.paths import check_path
from master_node.listing import ListingQuery, list_page
from master_node.store.mongo import MongoStore
from master_node.store.sqlite import SqliteStore
from tests.contract.conftest import _bulk_writes_in_mongomock  # noqa: F401 - a fixture
from tests.support.mock_server import OneCommandAtATime

TWO_ROUNDS: list[dict[str, Any]] = [
    {
        size: {"milliseconds": dict.fromkeys(TITLES, ms), "resident_bytes": {"master_1": ms * 2**20, "gateway": 2**20}}
        for size, ms in (("1000", base), ("100000", 2 * base))
    }
    for base in (3.0, 1.0, 2.0)
]


def test_files_are_listed_in_the_order_of_their_numbers() -> None:
    paths = [path_of(number) for number in [*range(5000), *range(59_990, 60_010), 999_999]]
    assert paths == sorted(set(paths))


def test_folders_hold_between_100_and_1000_files() -> None:
    firsts = sorted({folder_of(number).first for number in range(9000)})
    assert {end - start for start, end in itertools.pairwise(firsts)} == {100, 200, 300, 400, 1000}
    assert len({folder_of(first).path for first in firsts}) == len(firsts)


@pytest.mark.parametrize("number", [0, 99, 100, 999, 1000, 1099, 2999, 59_999, 60_000, 999_999])
def test_a_file_lies_in_its_folder_under_a_valid_path_of_40_characters(number: int) -> None:
    path = path_of(number)
    assert check_path(path) == path
    assert len(path) == 40
    folder = folder_of(number)
    assert path.startswith(folder.path)
    assert folder.first <= number
    assert folder_of(folder.first) == folder


def test_a_filled_sqlite_database_reads_as_if_the_store_had_written_every_record(tmp_path: Path) -> None:
    fill_sqlite(tmp_path / "databases" / "metadata.sqlite3", 120)
    store = SqliteStore(tmp_path / "databases" / "metadata.sqlite3")
    written = [records_of(entry_of(number)) for number in range(120)]
    assert list_page(store.scan_files, ListingQuery(limit=1000)).files == [file for file, _ in written]
    assert [store.list_chunks(file.file_id, 0, 10) for file, _ in written] == [[chunk] for _, chunk in written]
    assert store.find_due_files(1e14, 10) == []
    assert store.owed().chunks == 0


@pytest.mark.usefixtures("_bulk_writes_in_mongomock")
def test_a_filled_mongodb_database_reads_as_if_the_store_had_written_every_record() -> None:
    database = OneCommandAtATime()
    store = MongoStore(database)
    fill_mongo(store, database, 120)
    written = [records_of(entry_of(number)) for number in range(120)]
    assert list_page(store.scan_files, ListingQuery(limit=1000)).files == [file for file, _ in written]
    assert [store.list_chunks(file.file_id, 0, 10) for file, _ in written] == [[chunk] for _, chunk in written]


def test_a_store_that_gives_back_something_else_is_noticed(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "metadata.sqlite3")
    file, chunk = records_of(entry_of(0))
    store.insert_file(file)
    with pytest.raises(RecordsDiffer):
        check(store, 1)
    store.insert_chunks([chunk])
    check(store, 1)


def test_marks_do_not_stand_in_any_other_record() -> None:
    """Else a mark would be replaced where it is part of something else."""
    marks = populate._MARKS
    text = str(records_of(entry_of(0)))
    assert all(mark not in text for mark in (marks.file_id, marks.path, marks.sha256, marks.chunk_checksum))
    assert file_id_of(0) != marks.file_id


def test_a_ratio_compares_figures_of_the_same_round() -> None:
    drifting = [{"10": {"g": {"x": base}}, "100": {"g": {"x": 1.1 * base}}} for base in (1.0, 50.0, 3.0)]
    assert medians(drifting, "g", "x") == [3.0, pytest.approx(3.3)]
    assert ratios(drifting, "g", "x") == [1.0, pytest.approx(1.1)]


def test_the_table_shows_every_operation_with_its_ratio() -> None:
    start = {"health_seconds": 0.25, "heartbeat_seconds": 0.5, "resident_bytes": 2**20}
    text = render(
        {
            "made_at": "2026-01-31T12:00:00.000Z",
            "machine": {"cores": 2, "system": "Linux", "python": "3.11"},
            "settings": {"rounds": 3, "turns": 5},
            "stores": {"sqlite": {"rounds": TWO_ROUNDS}},
            "worker_start": {"rounds": [{"10": {"start": start}}]},
        }
    )
    assert "| SQLite: ms | 1 000 files | 100 000 files |" in text
    assert all(f"| {title} | 2.00 | 4.00 (2.00) |" in text for title in TITLES.values())
    assert "| master_1 | 2.0 | 4.0 (+2.0) |" in text
    assert "| until its first heartbeat, s | 0.50 |" in text


def test_a_request_states_the_length_of_its_body() -> None:
    request = encode_request("PUT", "/fs/a", "Host: h\r\n", b"body", "text/plain")
    assert request == b"PUT /fs/a HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nContent-Type: text/plain\r\n\r\nbody"
    assert encode_request("GET", "/", "Host: h\r\n", None, "") == b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"


def test_the_head_of_an_answer_gives_status_and_length() -> None:
    assert parse_head(b"HTTP/1.1 201 CREATED\r\ncontent-LENGTH:  12\r\nX: y") == (201, 12)
    assert parse_head(b"HTTP/1.1 204 NO CONTENT\r\nX: y") == (204, 0)


@pytest.mark.parametrize("head", [b"HTTP/1.1 200 OK\r\nX: y", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked"])
def test_an_answer_without_a_length_is_refused(head: bytes) -> None:
    with pytest.raises(UnexpectedAnswer):
        parse_head(head)


def test_a_home_has_the_defaults_of_a_user_and_a_secret_of_its_own(tmp_path: Path) -> None:
    ports = Ports()
    first, second = make_home(tmp_path / "a", ports), make_home(tmp_path / "b", ports)
    assert first.worker.fsync
    assert (first.cluster.replication_factor, first.cluster.write_quorum) == (3, 2)
    assert first.cluster.secret != second.cluster.secret
    assert first.sqlite_path().is_relative_to(tmp_path / "a")
    assert first.data_dir("worker_1").is_relative_to(tmp_path / "a")


def test_the_whole_benchmark_runs_and_leaves_nothing_behind(tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    command = "--sizes 10,100 --chunk-counts 10,100 --rounds 1 --turns 2 --json"
    ended = subprocess.run(
        [sys.executable, "-m", "benchmarks.scale", *command.split(), tmp_path / "f.json", "--scratch", scratch],
        cwd=PROJECT_ROOT,
        env=os.environ | {"DFS_GATEWAY_PORT": "1", "MONGO_URI": "mongodb://nobody.invalid"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ended.returncode == 0, ended.stderr
    assert list(scratch.iterdir()) == []
    results = json.loads((tmp_path / "f.json").read_text())
    assert ended.stdout == render(results) + "\n"
    (one_round,) = results["stores"]["sqlite"]["rounds"]
    assert set(one_round) == {"10", "100"}
    for figures in one_round.values():
        assert set(figures["milliseconds"]) == set(TITLES)
        assert all(value > 0 for value in figures["milliseconds"].values())
        assert set(figures["resident_bytes"]) == {"master_1", "master_2", "master_3", "gateway"}
        assert all(value > 0 for value in figures["resident_bytes"].values())
    assert all(start["start"]["heartbeat_seconds"] > 0 for start in results["worker_start"]["rounds"][0].values())
