"""A gateway that makes no checksum of whole files: all else is as ever, and everybody can read what it stores."""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import EnvironBuilder, run_wsgi_app

from tests.support.client import file_part, form_body, path_part, some_bytes
from tests.support.command_line import CommandLine
from tests.support.ring import OPERATOR_KEY, WORKER, SmallRing, another_gateway, ask, small_ring
from tests.support.tus import Tus

CHUNK = 65536


@pytest.fixture(scope="module")
def ring(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallRing]:
    home = tmp_path_factory.mktemp("unsummed")
    with small_ring(home, cluster={"chunk_size_bytes": CHUNK}, file_checksum="none", buffer_count=8) as running:
        yield running


@contextlib.contextmanager
def nothing_to_read(ring: SmallRing, kept: Path) -> Iterator[None]:
    """Until the block is left, the worker has none of the chunks that it has now."""
    chunks = ring.config.data_dir(WORKER) / "chunks"
    shutil.copytree(chunks, kept)
    for file in list(chunks.glob("*/*")):
        file.unlink()
    try:
        yield
    finally:
        shutil.copytree(kept, chunks, dirs_exist_ok=True)


def put(ring: SmallRing, path: str, content: bytes) -> dict[str, Any]:
    stored = ask(ring, "PUT", f"/fs/{path}", OPERATOR_KEY, data=content)
    assert stored.status_code in (200, 201), stored.json
    file: dict[str, Any] = stored.json
    return file


def sha256(content: bytes) -> dict[str, str]:
    return {"algorithm": "sha256", "value": hashlib.sha256(content).hexdigest()}


@pytest.mark.parametrize("size", [0, 1, CHUNK, 9 * CHUNK + 1])
def test_a_file_is_stored_whole_and_says_that_it_has_no_checksum(ring: SmallRing, size: int) -> None:
    content = some_bytes(size, "unsummed")
    file = put(ring, f"sizes/{size}", content)
    assert file["checksum"] is None
    assert ask(ring, "GET", f"/files/{file['file_id']}", OPERATOR_KEY).json["checksum"] is None
    got = ask(ring, "GET", f"/fs/sizes/{size}", OPERATOR_KEY)
    assert got.data == content
    assert got.headers["ETag"] == file["etag"]
    for answer in (got, ask(ring, "HEAD", f"/fs/sizes/{size}", OPERATOR_KEY)):
        assert "X-DFS-Checksum" not in answer.headers
    listed = ask(ring, "GET", f"/files?prefix=sizes/{size}", OPERATOR_KEY).json["files"]
    assert (size, None) in [(one["size"], one["checksum"]) for one in listed]


def test_a_form_stores_files_without_checksums(ring: SmallRing) -> None:
    body = form_body([path_part("form"), file_part("form", b"content")], "border")
    fields = {"Content-Type": "multipart/form-data; boundary=border"}
    stored = ask(ring, "POST", "/files", OPERATOR_KEY, data=body, headers=fields)
    assert (stored.status_code, stored.json["checksum"]) == (201, None)


def test_a_file_without_a_checksum_is_moved_replaced_restored_and_deleted_like_any_other(ring: SmallRing) -> None:
    file_id = put(ring, "kept", b"first")["file_id"]
    put(ring, "kept", b"second")
    moved = ask(ring, "PATCH", f"/files/{file_id}", OPERATOR_KEY, json={"path": "moved"}).json
    assert [old["checksum"] for old in moved["old_versions"]] == [None]
    restored = ask(ring, "POST", f"/files/{file_id}/restore", OPERATOR_KEY, json={"version": 1})
    assert restored.json["checksum"] is None
    assert ask(ring, "GET", "/fs/moved", OPERATOR_KEY).data == b"first"
    assert ask(ring, "DELETE", "/fs/moved", OPERATOR_KEY).json["status"] == "deleted"
    assert ask(ring, "GET", "/files?status=deleted", OPERATOR_KEY).json["files"][0]["checksum"] is None


# --- resumable uploads ---


def test_another_gateway_finishes_an_upload_without_reading_what_is_stored(ring: SmallRing, tmp_path: Path) -> None:
    content = some_bytes(3 * CHUNK + 5, "taken over")
    tus = Tus(ring)
    url = tus.begin(len(content), "taken-over")
    assert tus.append(url, 0, content[: 2 * CHUNK]).status_code == 204
    with (
        another_gateway(ring.config, "gateway_2", file_checksum="none") as other,
        nothing_to_read(ring, tmp_path / "kept"),
    ):
        there = Tus(other)
        assert there.append(url, 2 * CHUNK, content[2 * CHUNK :]).status_code == 204
    file = tus.ask("GET", "/fs/taken-over")
    assert file.data == content
    assert "X-DFS-Checksum" not in file.headers
    assert tus.ask("GET", url).json["file"]["checksum"] is None


@pytest.mark.parametrize("cuts", [[], [1], [CHUNK], [CHUNK + 1, 2 * CHUNK]])
def test_an_upload_of_many_requests_is_the_same_file(ring: SmallRing, cuts: list[int]) -> None:
    content = some_bytes(3 * CHUNK, f"pieces {cuts}")
    tus, path = Tus(ring), f"pieces/{len(cuts)}-{sum(cuts)}"
    url, offset = tus.begin(len(content), path), 0
    for stop in [*cuts, len(content)]:
        assert tus.append(url, offset, content[offset:stop]).status_code == 204
        offset = stop
    assert tus.content(path) == content
    assert tus.ask("GET", url).json["file"]["checksum"] is None


def test_an_upload_whose_length_comes_late_becomes_a_file(ring: SmallRing) -> None:
    tus = Tus(ring)
    url = tus.begin(None, "late")
    assert tus.append(url, 0, b"abc").status_code == 204
    assert tus.content("late") is None
    assert tus.append(url, 3, b"", {"Upload-Length": "3"}).status_code == 204
    assert tus.content("late") == b"abc"


def test_a_partial_upload_stays_one_and_a_file_is_made_of_several(ring: SmallRing) -> None:
    tus = Tus(ring)
    partials = [tus.create(3, {"Upload-Concat": "partial"}).headers["Location"] for _ in range(2)]
    for url, content in zip(partials, (b"abc", b"def"), strict=True):
        assert tus.append(url, 0, content).status_code == 204
    final = {"Upload-Concat": f"final;{' '.join(partials)}"}
    pairs = {"Upload-Metadata": "path am9pbmVk"}
    assert tus.ask("POST", "/uploads", {**final, **pairs}).status_code == 201
    assert tus.content("joined") == b"abcdef"


def test_gateways_with_either_setting_go_on_with_each_others_uploads(ring: SmallRing) -> None:
    content = some_bytes(3 * CHUNK + 5, "mixed")
    tus = Tus(ring)
    with another_gateway(ring.config, "gateway_3", file_checksum="sha256") as other:
        there = Tus(other)
        for first, last, path, checksum in ((tus, there, "to", sha256(content)), (there, tus, "from", None)):
            url = first.begin(len(content), path)
            assert first.append(url, 0, content[: CHUNK + 1]).status_code == 204
            assert last.append(url, CHUNK + 1, content[CHUNK + 1 :]).status_code == 204
            assert tus.ask("GET", url).json["file"]["checksum"] == checksum
            assert there.content(path) == content


# --- made when somebody asks ---


def checksum_of(ring: SmallRing, file_id: str, query: str = "") -> Any:
    answer = ask(ring, "GET", f"/files/{file_id}/checksum{query}", OPERATOR_KEY)
    assert answer.status_code == 200, answer.json
    return answer.json


@pytest.mark.parametrize("size", [0, 1, CHUNK, 9 * CHUNK + 1])
def test_a_checksum_is_made_on_request_and_kept(ring: SmallRing, size: int) -> None:
    content = some_bytes(size, "asked for")
    file = put(ring, f"asked/{size}", content)
    assert ask(ring, "HEAD", f"/files/{file['file_id']}/checksum", OPERATOR_KEY).status_code == 200
    assert ask(ring, "GET", f"/files/{file['file_id']}", OPERATOR_KEY).json["checksum"] is None
    expected = {name: file[name] for name in ("file_id", "version", "etag")}
    # The second time it is only told.
    for _ in range(2):
        made = checksum_of(ring, file["file_id"])
        assert made == {**expected, "checksum": sha256(content), "is_kept": True}
    after = ask(ring, "GET", f"/files/{file['file_id']}", OPERATOR_KEY).json
    assert after == {**file, "checksum": sha256(content)}
    header = ask(ring, "HEAD", f"/fs/asked/{size}", OPERATOR_KEY).headers["X-DFS-Checksum"]
    assert header == f"sha256={sha256(content)['value']}"


def test_a_checksum_stays_with_its_version(ring: SmallRing) -> None:
    file_id = put(ring, "versions", b"first")["file_id"]
    put(ring, "versions", b"second")
    assert checksum_of(ring, file_id, "?version=1")["checksum"] == sha256(b"first")
    file = ask(ring, "GET", f"/files/{file_id}", OPERATOR_KEY).json
    assert (file["checksum"], file["old_versions"][0]["checksum"]) == (None, sha256(b"first"))
    restored = ask(ring, "POST", f"/files/{file_id}/restore", OPERATOR_KEY, json={"version": 1}).json
    assert restored["checksum"] == sha256(b"first")


def asked(ring: SmallRing, file_id: str) -> Any:
    """The pieces of the answer as they come; the first is there already."""
    fields = {"Authorization": f"Bearer {OPERATOR_KEY}"}
    request = EnvironBuilder(f"/files/{file_id}/checksum", headers=fields).get_environ()
    pieces, status, _ = run_wsgi_app(ring.gateway.app, request)
    assert status.startswith("200")
    return pieces


def test_a_file_that_is_replaced_or_deleted_meanwhile_keeps_what_is_its_own(ring: SmallRing) -> None:
    content = some_bytes(3 * CHUNK, "replaced")
    file_id = put(ring, "meanwhile", content)["file_id"]
    pieces = asked(ring, file_id)
    put(ring, "meanwhile", b"new")
    made = json.loads(b"".join(pieces))
    assert (made["version"], made["checksum"], made["is_kept"]) == (1, sha256(content), True)
    file = ask(ring, "GET", f"/files/{file_id}", OPERATOR_KEY).json
    assert (file["checksum"], file["old_versions"][0]["checksum"]) == (None, sha256(content))

    last = put(ring, "gone meanwhile", content)["file_id"]
    pieces = asked(ring, last)
    assert ask(ring, "DELETE", f"/files/{last}?permanent=true", OPERATOR_KEY).status_code == 200
    made = json.loads(b"".join(pieces))
    assert (made["checksum"], made["is_kept"]) == (sha256(content), False)


def test_a_client_that_leaves_ends_the_work_and_gives_everything_back(ring: SmallRing) -> None:
    file = put(ring, "left", some_bytes(9 * CHUNK, "left"))
    for _ in range(3 * ring.config.gateway.buffer_count):
        pieces = asked(ring, file["file_id"])
        pieces.close()
    assert ask(ring, "GET", f"/files/{file['file_id']}", OPERATOR_KEY).json == file
    assert ask(ring, "GET", "/fs/left", OPERATOR_KEY).status_code == 200


def test_what_cannot_be_read_gets_no_checksum(ring: SmallRing, tmp_path: Path) -> None:
    file_id = put(ring, "unreadable", some_bytes(CHUNK, "unreadable"))["file_id"]
    with nothing_to_read(ring, tmp_path / "kept"):
        answer = ask(ring, "GET", f"/files/{file_id}/checksum", OPERATOR_KEY)
        assert answer.status_code in (500, 503)
    assert ask(ring, "GET", f"/files/{file_id}", OPERATOR_KEY).json["checksum"] is None
    ask(ring, "DELETE", f"/files/{file_id}", OPERATOR_KEY)
    refused = ask(ring, "GET", f"/files/{file_id}/checksum", OPERATOR_KEY)
    assert refused.json["code"] == "file_deleted"


# --- the command line ---


@pytest.fixture
def dfs(ring: SmallRing) -> CommandLine:
    url = f"http://127.0.0.1:{ring.config.gateway.port}"
    return CommandLine(url, {"DFS_KEY": OPERATOR_KEY})


def test_the_command_line_stores_fetches_and_shows_files_without_checksums(
    ring: SmallRing, dfs: CommandLine, tmp_path: Path
) -> None:
    content = some_bytes(5 * 2**20 + 7, "by command")
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(content)
    assert "has no checksum" in dfs("put", source, "by/command").ok().out
    assert "has no checksum" in dfs("get", "by/command", target, "--piece-mib", 1).ok().out
    assert target.read_bytes() == content
    assert dfs("cat", "by/command").ok().output == content
    assert dfs("put", "-", "by/stream", stdin=b"x").ok().err == ""
    assert "none was made" in dfs("stat", "by/command").ok().out
    assert dfs("stat", "by/command", "--json").ok().records[0]["checksum"] is None
    assert dfs("stat", "by/command", "--json", "--checksum").ok().records[0]["checksum"] == sha256(content)
    assert sha256(content)["value"] in dfs("stat", "by/command").ok().out


def test_the_command_line_has_a_checksum_made_rather_than_send_what_is_stored(
    ring: SmallRing, dfs: CommandLine, tmp_path: Path
) -> None:
    source = tmp_path / "source"
    for content, outcome in ((b"first", "stored"), (b"first", "unchanged"), (b"other", "stored"), (b"x", "stored")):
        source.write_bytes(content)
        assert dfs("put", source, "same", "--skip-same", "--json").ok().records[0]["outcome"] == outcome
    assert ask(ring, "GET", "/fs/same", OPERATOR_KEY).data == b"x"
