"""Files go in by form, by raw body and by curl, and come back byte for byte, at every size around a chunk's."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
import requests

from tests.support.client import (
    GatewayClient,
    Part,
    assert_problem,
    assert_same_bytes,
    file_part,
    in_pieces,
    path_part,
    sha256,
    some_bytes,
)
from tests.support.cluster import KIB, TestCluster

CHUNK = 64 * KIB
SIZES = [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 21 * CHUNK + 12345]


@pytest.mark.parametrize("size", SIZES)
def test_a_raw_upload_comes_back_byte_for_byte(client: GatewayClient, size: int) -> None:
    content = some_bytes(size)
    answer = client.put(f"raw/{size}.bin", content)
    assert answer.status_code == 201
    file = answer.json()
    assert answer.headers["Location"] == f"/files/{file['file_id']}"
    assert_same_bytes(client.get(f"raw/{size}.bin").content, content)
    assert_same_bytes(client.download(file["file_id"]).content, content)
    assert file["size"] == size
    assert file["chunk_count"] == -(-size // CHUNK)
    assert file["checksum"] == {"algorithm": "sha256", "value": sha256(content)}


@pytest.mark.parametrize("size", SIZES)
def test_a_body_in_transfer_encoding_chunked_comes_back_byte_for_byte(client: GatewayClient, size: int) -> None:
    content = some_bytes(size, "chunked")
    file = client.stored(f"chunked/{size}.bin", in_pieces(content, 10_007))
    assert file["size"] == size
    assert_same_bytes(client.get(f"chunked/{size}.bin").content, content)


@pytest.mark.parametrize("size", SIZES)
def test_a_form_upload_comes_back_byte_for_byte(client: GatewayClient, size: int) -> None:
    content = some_bytes(size, "form")
    answer = client.post_form([file_part(f"form-{size}.bin", content)])
    assert answer.status_code == 201
    file = answer.json()
    assert answer.headers["Location"] == f"/files/{file['file_id']}"
    assert file["path"] == file["file_name"] == f"form-{size}.bin"
    assert_same_bytes(client.download(file["file_id"]).content, content)


@pytest.mark.parametrize("size", [0, 1, CHUNK + 1, 21 * CHUNK + 12345])
@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_curl_stores_and_fetches_a_file(client: GatewayClient, tmp_path: Path, size: int) -> None:
    source, by_path, by_id = (tmp_path / name for name in ("source", "by-path", "by-id"))
    source.write_bytes(some_bytes(size, "curl"))
    _curl("-T", source, f"{client.base_url}/fs/curl/put-{size}")
    _curl("-o", by_path, f"{client.base_url}/fs/curl/put-{size}")
    assert_same_bytes(by_path.read_bytes(), source.read_bytes())
    _curl("-F", f"path=curl/form-{size}", "-F", f"file=@{source}", f"{client.base_url}/files")
    file = requests.head(f"{client.base_url}/fs/curl/form-{size}", timeout=10)
    assert int(file.headers["Content-Length"]) == size
    file_id = next(item["file_id"] for item in client.listing(prefix=f"curl/form-{size}")["files"])
    _curl("-o", by_id, f"{client.base_url}/files/{file_id}/download")
    assert_same_bytes(by_id.read_bytes(), source.read_bytes())


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_curl_uploads_from_a_pipe_of_unknown_length(client: GatewayClient) -> None:
    content = some_bytes(5 * CHUNK + 3, "pipe")
    _curl("-T", "-", f"{client.base_url}/fs/curl/pipe", stdin=content)
    assert_same_bytes(client.get("curl/pipe").content, content)


def test_several_files_of_one_form_are_all_stored(client: GatewayClient) -> None:
    contents = {f"several-{size}.bin": some_bytes(size, "several") for size in SIZES}
    answer = client.post_form([file_part(name, content) for name, content in contents.items()])
    assert answer.status_code == 201
    files = answer.json()["files"]
    assert [file["path"] for file in files] == list(contents)
    for file in files:
        assert client.download(file["file_id"]).content == contents[file["path"]]


@pytest.mark.parametrize("is_before", [True, False])
@pytest.mark.parametrize(
    ("path", "stored_as"),
    [("dir/renamed.bin", "dir/renamed.bin"), ("dir/sub/", "dir/sub/own.bin"), ("", "own.bin")],
    ids=["a whole path", "a folder", "an empty field"],
)
def test_the_field_path_says_where_a_file_goes(
    client: GatewayClient, path: str, stored_as: str, is_before: bool
) -> None:
    file = file_part("own.bin", b"content")
    parts = [path_part(path), file] if is_before else [file, path_part(path)]
    answer = client.post_form(parts)
    assert answer.status_code == 201, answer.text
    assert answer.json()["path"] == stored_as
    assert client.get(stored_as).content == b"content"
    assert client.delete(answer.json()["file_id"], permanent=True).status_code == 200


def test_one_path_for_several_files_is_their_folder_and_one_for_each_is_theirs(client: GatewayClient) -> None:
    files = [file_part("one", b"1"), file_part("two", b"2")]
    together = client.post_form([path_part("both"), *files]).json()["files"]
    assert [file["path"] for file in together] == ["both/one", "both/two"]
    apart = client.post_form([files[0], path_part("x/first"), files[1], path_part("y/")]).json()["files"]
    assert [file["path"] for file in apart] == ["x/first", "y/two"]
    assert_problem(client.post_form([*files, *map(path_part, ("a", "b", "c"))]), 400, "invalid_form")


def test_nothing_of_a_form_is_stored_when_one_of_its_paths_is_refused(client: GatewayClient) -> None:
    answer = client.post_form([file_part("half/good", b"1"), file_part("half/../bad", b"2")])
    assert_problem(answer, 400, "invalid_path")
    assert_problem(client.post_form([file_part("half/same", b"1"), file_part("half/same", b"2")]), 400, "invalid_form")
    assert client.paths("half/") == []


def test_a_folder_has_an_own_empty_entry_beside_files_of_the_same_name(client: GatewayClient) -> None:
    assert client.put("folder/", b"").status_code == 201
    assert client.put("folder", b"a file").status_code == 201
    assert client.put("folder/file", b"inside").status_code == 201
    assert client.get("folder/").content == b""
    assert client.get("folder").content == b"a file"
    assert client.paths("folder") == ["folder", "folder/", "folder/file"]
    assert_problem(client.put("folder/", b"x"), 400, "invalid_path")
    assert_problem(client.put("folder/", iter([b"x"])), 400, "invalid_path")


@pytest.mark.parametrize(
    ("content_type", "parts", "code"),
    [
        ("multipart/form-data; boundary=other", [file_part("f", b"x")], "invalid_form"),
        ("multipart/form-data", [file_part("f", b"x")], "invalid_form"),
        ("application/json", [file_part("f", b"x")], "invalid_form"),
        ("multipart/form-data; boundary=B", [path_part("only/a/path")], "invalid_form"),
        ("multipart/form-data; boundary=B", [], "invalid_form"),
        ("multipart/form-data; boundary=B", [Part("file", b"", "")], "invalid_form"),
        ("multipart/form-data; boundary=B", [Part("other", b"x", "name")], "invalid_form"),
    ],
    ids=["unknown boundary", "no boundary", "no form", "no file", "no part", "no file chosen", "another field"],
)
def test_a_form_without_a_file_is_refused(
    client: GatewayClient, content_type: str, parts: list[Part], code: str
) -> None:
    boundary = "B"
    body = b"".join(b"--B\r\n" + part.encoded() + b"\r\n" for part in parts) + b"--" + boundary.encode() + b"--\r\n"
    answer = client.raw("POST", "/files", {"Content-Type": content_type}, body)
    assert_problem(answer, 400, code)
    assert client.paths("only/") == []


def test_a_file_of_every_size_lies_in_three_replicas_on_distinct_workers(
    cluster: TestCluster, client: GatewayClient
) -> None:
    file = client.stored("replicated.bin", some_bytes(3 * CHUNK + 1, "replicas"), headers={"X-DFS-Consistency": "all"})
    chunks = client.call("GET", f"/files/{file['file_id']}/chunks").json()
    assert [chunk["index"] for chunk in chunks["chunks"]] == [0, 1, 2, 3]
    assert [chunk["size_bytes"] for chunk in chunks["chunks"]] == [CHUNK, CHUNK, CHUNK, 1]
    for chunk in chunks["chunks"]:
        on_disk = cluster.replicas(f"{file['version_id']}-{chunk['index']:08x}")
        assert sorted(on_disk) == sorted(replica["worker_id"] for replica in chunk["replicas"])
        assert len(on_disk) == 3


def _curl(*arguments: object, stdin: bytes | None = None) -> None:
    subprocess.run(
        ["curl", "--silent", "--show-error", "--fail-with-body", "--max-time", "60", *map(str, arguments)],
        check=True,
        input=stdin,
        stdout=subprocess.PIPE,
    )
