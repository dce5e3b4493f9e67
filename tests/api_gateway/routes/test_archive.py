"""`/archive`: files and folders as one ZIP, or an error before the first byte, or a connection that breaks off."""

from __future__ import annotations

import io
import json
import re
import zipfile
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from api_gateway.archive.selection import MAX_PATHS
from tests.support.own_server import OwnServer
from tests.support.ring import SmallRing

TREE = {
    "zip/a.txt": b"a",
    "zip/empty": b"",
    "zip/folder/": b"",
    "zip/folder/deep/ü 名\n": b"deep" * 50_000,
    "zip/hollow/": b"",
    "zip/same": b"file",
    "zip/same/..\\evil": b"below",
}
NAMES = {
    "a.txt": b"a",
    "empty": b"",
    "folder/": b"",
    "folder/deep/ü 名\n": b"deep" * 50_000,
    "hollow/": b"",
    "same": b"file",
    "same%2F/..%5Cevil": b"below",
}


@pytest.fixture(scope="module", autouse=True)
def tree(ring: SmallRing) -> None:
    for path, content in TREE.items():
        stored = ring.client.put("/fs/" + path.replace("\\", "%5C").replace("\n", "%0A"), data=content)
        assert stored.status_code == 201, stored.json


def content_of(answer: TestResponse) -> dict[str, bytes]:
    assert (answer.status_code, answer.mimetype) == (200, "application/zip"), answer.data
    with zipfile.ZipFile(io.BytesIO(answer.data)) as read:
        assert read.testzip() is None
        return {name: read.read(name) for name in read.namelist()}


def test_a_folder_is_its_files_at_every_depth(browser: FlaskClient) -> None:
    answer = browser.get("/archive?path=zip/")
    assert content_of(answer) == {f"zip/{name}": content for name, content in NAMES.items()}
    assert answer.headers["Content-Disposition"] == 'attachment; filename="zip.zip"'
    assert "Content-Length" not in answer.headers


def test_chosen_files_are_named_below_the_folder_that_they_share(browser: FlaskClient) -> None:
    answer = browser.get("/archive?path=zip/a.txt&path=zip/folder/&path=zip/folder/deep/")
    assert content_of(answer) == {name: NAMES[name] for name in ("a.txt", "folder/", "folder/deep/ü 名\n")}


@pytest.mark.parametrize(
    "options",
    [
        {"data": {"path": ["zip/same", "zip/hollow/"]}},
        {"data": {"paths": json.dumps(["zip/same", "zip/hollow/"])}},
        {"data": {"paths": json.dumps(["zip/same"]), "path": "zip/hollow/"}},
        {"json": {"paths": ["zip/same", "zip/hollow/"]}},
    ],
)
def test_a_form_and_json_choose_the_same(browser: FlaskClient, options: dict[str, Any]) -> None:
    assert content_of(browser.post("/archive", **options)) == {"same": b"file", "hollow/": b""}


def test_head_says_what_get_would_without_the_bytes(browser: FlaskClient) -> None:
    answer = browser.head("/archive?path=zip/")
    assert (answer.status_code, answer.mimetype, answer.data) == (200, "application/zip", b"")
    assert browser.head("/archive?path=zip/none").status_code == 404


@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ({"path": ["zip/a.txt", "zip/none"]}, 404, "file_not_found"),
        ({"path": ["zip/", "nothing/"]}, 404, "file_not_found"),
        ({"path": ["../etc/passwd"]}, 400, "invalid_path"),
        ({"path": [""]}, 400, "invalid_path"),
        ({}, 400, "invalid_request"),
        ({"paths": "[1]"}, 400, "invalid_request"),
        ({"paths": "{"}, 400, "invalid_form"),
        ({"path": [str(number) for number in range(MAX_PATHS + 11)]}, 400, "invalid_form"),
        ({"path": ["a" * 1000 for _ in range(5000)]}, 413, "too_large"),
    ],
)
def test_what_is_missing_or_wrong_is_told_before_the_first_byte(
    browser: FlaskClient, fields: dict[str, Any], status: int, code: str
) -> None:
    answer = browser.post("/archive", data=fields, content_type="application/x-www-form-urlencoded")
    assert (answer.status_code, answer.json["code"]) == (status, code)


def test_each_try_gives_its_place_back(browser: FlaskClient) -> None:
    """There are two places."""
    for _ in range(3):
        assert browser.get("/archive?path=nothing/").status_code == 404
        assert browser.head("/archive?path=zip/").status_code == 200
        # Broken off after its first piece.
        browser.get("/archive?path=zip/folder/", buffered=False).close()
    held = [browser.get("/archive?path=zip/folder/", buffered=False) for _ in range(2)]
    refused = browser.get("/archive?path=zip/a.txt")
    assert (refused.status_code, refused.json["code"]) == (503, "gateway_busy")
    for answer in held:
        answer.close()
    assert browser.get("/archive?path=zip/a.txt").status_code == 200


def test_the_connection_breaks_off_where_a_file_cannot_be_read(ring: SmallRing) -> None:
    """The chunks of one file are gone from the disk: the client must not take what came for the whole."""
    for number in range(2):
        # Too large to be kept in the gateway's memory, or joined with others.
        assert ring.client.put(f"/fs/short/{number}", data=bytes([number]) * 100_000).status_code == 201
    lost = ring.client.get("/fs/short/1").headers["ETag"].strip('"')
    data_dir = ring.config.data_dir("worker_1")
    (chunk,) = data_dir.glob(f"chunks/*/{lost}-00000000*")
    chunk.unlink()
    server = OwnServer(ring.gateway.app)
    try:
        caller = server.caller()
        caller.send(b"GET /archive?path=short/ HTTP/1.1\r\nHost: localhost\r\n\r\n")
        received = b""
        while piece := caller.sock.recv(1 << 20):
            received += piece
    finally:
        server.close()
    head, _, body = received.partition(b"\r\n\r\n")
    assert re.match(rb"HTTP/1.1 200 ", head)
    assert b"Transfer-Encoding: chunked" in head
    assert body.count(0) > 65536
    # Neither the last chunk of the transfer nor the end of an archive.
    assert not body.endswith(b"0\r\n\r\n")
    assert b"PK\x05\x06" not in body
