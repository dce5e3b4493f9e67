"""Clusters started for one purpose: with an API key, served without gunicorn, on a MongoDB server."""

from __future__ import annotations

import base64
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.client import (
    GatewayClient,
    assert_problem,
    assert_same_bytes,
    file_part,
    form_body,
    in_pieces,
    path_part,
    some_bytes,
)
from tests.support.cluster import KIB, TestCluster
from tests.support.names import AWKWARD_NAMES
from tests.support.waiting import wait_until

CHUNK = 64 * KIB
KEY = "a key with blanks, and :colons:"


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestCluster]:
    """A small cluster whose gateway asks for a key."""
    cluster = TestCluster(
        tmp_path_factory.mktemp("keyed"),
        variables={"DFS_GATEWAY_API_KEY": f"'{KEY}'"},
        # All wrong keys of this file come from one address.
        settings={"gateway": {"failed_sign_ins_per_minute": 10000}},
        masters=("master_1",),
        workers=("worker_1", "worker_2", "worker_3"),
    )
    with cluster.running():
        yield cluster


@pytest.fixture(scope="module")
def standing_alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestCluster]:
    """A cluster served as it is on Windows."""
    with TestCluster(tmp_path_factory.mktemp("alone"), variables={"DFS_SERVER": "standalone"}).running() as cluster:
        yield cluster


def _basic(text: str) -> str:
    return "Basic " + base64.b64encode(text.encode()).decode()


ALLOWED = {
    "bearer": ("Bearer " + KEY).encode(),
    "bearer in lower case": ("bearer " + KEY).encode(),
    "basic": _basic("anybody:" + KEY),
    "basic without a user": _basic(":" + KEY),
}
REFUSED = {
    "nothing": None,
    "another key": "Bearer other",
    "a part of the key": b"Bearer " + KEY[:-1].encode(),
    "an empty bearer": "Bearer ",
    "the bare key": KEY.encode(),
    "basic with the key as user": _basic(KEY.partition(":")[0] + ":"),
    "basic that is no base64": "Basic %%%",
    "another scheme": b"Digest " + KEY.encode(),
}


@pytest.mark.parametrize("authorization", ALLOWED.values(), ids=ALLOWED.keys())
def test_with_a_key_whoever_shows_it_is_served(keyed: TestCluster, authorization: str | bytes) -> None:
    client = GatewayClient(keyed.base_url, {"Authorization": authorization})  # type: ignore[dict-item]
    assert client.put("keyed", b"x").status_code in (200, 201)
    assert client.get("keyed").content == b"x"
    assert client.raw("GET", "/files", {"Host": "files.example.com", "X-Forwarded-For": "192.0.2.1"}).status == 200


@pytest.mark.parametrize("authorization", REFUSED.values(), ids=REFUSED.keys())
def test_with_a_key_nobody_else_is_served(keyed: TestCluster, authorization: str | bytes | None) -> None:
    client = GatewayClient(keyed.base_url, {"Authorization": authorization} if authorization else {})  # type: ignore[dict-item]
    for method, target in (("GET", "/"), ("GET", "/files"), ("GET", "/cluster"), ("PUT", "/fs/x"), ("GET", "/no")):
        answer = client.call(method, target, data=b"x" if method == "PUT" else None)
        assert_problem(answer, 401, "unauthorized")
        assert answer.headers["WWW-Authenticate"].startswith("Basic")
    assert client.call("GET", "/health").status_code == 200


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 21 * CHUNK + 5])
def test_standing_alone_it_stores_and_gives_back_every_size(standing_alone: TestCluster, size: int) -> None:
    client, content = GatewayClient(standing_alone.base_url), some_bytes(size, "alone")
    client.stored("sizes/raw", content)
    client.stored("sizes/chunked", in_pieces(content, 9_999))
    assert client.post_form([path_part("sizes/form"), file_part("f", content)]).status_code in (200, 201)
    for path in ("sizes/raw", "sizes/chunked", "sizes/form"):
        assert_same_bytes(client.get(path).content, content)
    if size:
        ranged = client.get("sizes/raw", headers={"Range": "bytes=-1"})
        assert (ranged.status_code, ranged.content) == (206, content[-1:])


def test_standing_alone_it_keeps_awkward_names(standing_alone: TestCluster) -> None:
    client = GatewayClient(standing_alone.base_url)
    names = [*AWKWARD_NAMES[::4], "%2F", "%2f", "a%2Fb", "a%2fb", "%252F"]
    for name in names:
        client.stored(f"names/{name}", name.encode())
    for name in names:
        assert client.get(f"names/{name}").content == name.encode(), name
    assert client.paths("names/") == sorted({f"names/{name}" for name in names})


def test_standing_alone_it_takes_an_escaped_slash_for_a_slash(standing_alone: TestCluster) -> None:
    client = GatewayClient(standing_alone.base_url)
    assert client.raw("PUT", "/fs/esc%2Faped", {}, b"slash").status == 201
    assert client.raw("PUT", "/fs/esc%252Faped", {}, b"literal").status == 201
    assert client.paths("esc") == ["esc%2Faped", "esc/aped"]
    assert client.get("esc/aped").content == b"slash"
    for target in ("/fs/a//b", "/fs//a", "/fs/a/../b", "/fs/a%00b", "/fs/a%ff", "/fs/"):
        assert_problem(client.raw("PUT", target, {}, b"x"), 400, "invalid_path")


def test_standing_alone_it_leaves_nothing_of_a_body_that_is_cut(standing_alone: TestCluster) -> None:
    client, content = GatewayClient(standing_alone.base_url), some_bytes(9 * CHUNK, "cut")
    wait_until(lambda: standing_alone.state()["replication"]["due_free_bytes"] == 0, "nothing waits to be freed")
    before = standing_alone.all_chunk_ids()
    chunk = f"{len(content):x}\r\n".encode() + content + b"\r\n"
    form = form_body([file_part("cut", content)], "B")
    heads = {
        "PUT /fs/cut HTTP/1.1\r\nContent-Length: 999999": content,
        "PUT /fs/cut HTTP/1.1\r\nTransfer-Encoding: chunked": chunk,
        "PUT /fs/cut HTTP/1.1\r\ntransfer-encoding:  Chunked": chunk[:-700],
        "PUT /fs/cut/half-a-size HTTP/1.1\r\nTransfer-Encoding: chunked": chunk + b"0",
        "PUT /fs/cut/no-size HTTP/1.1\r\nTransfer-Encoding: chunked": chunk + b"zz\r\n\r\n",
        "PUT /fs/cut/empty-size HTTP/1.1\r\nTransfer-Encoding: chunked": chunk + b"\r\n\r\n",
        "PUT /fs/cut/no-end HTTP/1.1\r\nTransfer-Encoding: chunked": chunk + b"0\r\n",
        "PUT /fs/cut/too-short HTTP/1.1\r\nTransfer-Encoding: chunked": b"5\r\n" + content[:9] + b"\r\n0\r\n\r\n",
        f"POST /files HTTP/1.1\r\nContent-Type: multipart/form-data; boundary=B\r\nContent-Length: {len(form)}": form[
            :-9
        ],
    }
    for head, sent in heads.items():
        answer = client.break_off(f"{head}\r\nHost: localhost\r\n\r\n".encode(), sent)
        assert not answer or b" 400 " in answer[:20], answer[:200]
    assert client.paths("cut") == []
    wait_until(lambda: standing_alone.all_chunk_ids() == before, "the chunks have left the disks")


def test_standing_alone_it_serves_the_rest(standing_alone: TestCluster) -> None:
    client = GatewayClient(standing_alone.base_url)
    _use_everything(standing_alone, client)
    assert_problem(client.raw("GET", "/files", {"Host": "files.example.com"}), 401, "unauthorized")
    page = client.call("GET", "/", headers={"Accept": "text/html"})
    assert (page.status_code, "<form" in page.text) == (200, True)
    posted = client.post_form([file_part("by form", b"x")], headers={"Accept": "text/html"})
    assert posted.status_code == 303


def test_standing_alone_it_survives_a_worker_killed_and_stops_cleanly(standing_alone: TestCluster) -> None:
    client, content = GatewayClient(standing_alone.base_url), some_bytes(20 * CHUNK, "killed")

    def body() -> Iterator[bytes]:
        yield content[: 8 * CHUNK]
        standing_alone.kill("worker_3")
        yield content[8 * CHUNK :]

    client.stored("killed", body())
    assert_same_bytes(client.get("killed").content, content)
    standing_alone.restart_ended()
    assert list(standing_alone.scratch.iterdir()) == []


@pytest.mark.skipif("DFS_TEST_MONGO_URI" not in os.environ, reason="DFS_TEST_MONGO_URI names no MongoDB server")
def test_the_cluster_runs_on_a_mongodb_server(tmp_path: Path) -> None:
    variables = {
        "MONGO_URI": os.environ["DFS_TEST_MONGO_URI"],
        "MONGO_DATABASE": f"dfs_test_{secrets.token_hex(6)}",
    }
    cluster = TestCluster(tmp_path / "mongo", variables=variables, workers=("worker_1", "worker_2", "worker_3"))
    with cluster.running():
        client = GatewayClient(cluster.base_url)
        content = some_bytes(5 * CHUNK + 1, "mongo")
        client.stored("mongo/file", content)
        assert_same_bytes(client.get("mongo/file").content, content)
        client.stored("mongo/file", content[::-1])
        assert_same_bytes(client.get("mongo/file").content, content[::-1])
        _use_everything(cluster, client)
        leader = cluster.state()["leader"]
        cluster.kill(leader)
        client.stored("mongo/after", content)
        assert_same_bytes(client.get("mongo/after").content, content)
        cluster.restart_ended()
        assert client.paths("mongo/") == ["mongo/after", "mongo/file"]
        assert not (cluster.home / "databases").exists() or not list((cluster.home / "databases").glob("*.sqlite3"))
        _drop_database(variables)


def _use_everything(cluster: TestCluster, client: GatewayClient) -> None:
    """Overwrite, rename, list, delete, restore and free a file."""
    first = client.stored("all/one", b"one")
    second = client.stored("all/one", b"second")
    assert (second["file_id"], second["version"]) == (first["file_id"], 2)
    address = f"/files/{first['file_id']}"
    assert client.call("PATCH", address, json={"path": "all/two/renamed"}).status_code == 200
    client.stored("all/other", b"")
    assert client.paths("all/") == ["all/other", "all/two/renamed"]
    assert client.listing(prefix="all/", delimiter="/")["prefixes"] == ["all/two/"]
    assert client.call("HEAD", "/fs/all/two/renamed").headers["Content-Length"] == "6"
    assert client.call("DELETE", "/fs/all/two/renamed").status_code == 200
    assert_problem(client.get("all/two/renamed"), 404, "file_not_found")
    assert client.call("POST", f"{address}/restore").status_code == 200
    assert client.call("POST", f"{address}/restore", json={"version": 1}).status_code == 200
    assert client.get("all/two/renamed").content == b"one"
    assert client.delete(first["file_id"], permanent=True).status_code == 200
    wait_until(
        lambda: not any(name.startswith(first["version_id"]) for name in cluster.all_chunk_ids()),
        "the file's chunks have left the disks",
    )


def _drop_database(variables: dict[str, str]) -> None:
    import pymongo

    with pymongo.MongoClient(variables["MONGO_URI"]) as server:
        server.drop_database(variables["MONGO_DATABASE"])
