"""Versions, trash, restore, rename, listing and /cluster, and every error as problem+json with its stable code."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.client import GatewayClient, assert_problem, some_bytes
from tests.support.cluster import KIB, MASTERS, WORKERS, TestCluster
from tests.support.waiting import wait_until

CHUNK = 64 * KIB
NOBODY = "0" * 32
FILE_FIELDS = {
    "file_id", "path", "file_name", "size", "content_type", "checksum", "etag", "version", "chunk_size",
    "chunk_count", "replication_factor", "status", "created_at", "modified_at",
}  # fmt: skip


def test_an_overwrite_is_a_new_version_of_the_same_file(client: GatewayClient) -> None:
    first = client.stored("versions/a", b"one")
    answer = client.put("versions/a", b"two, longer")
    assert answer.status_code == 200
    assert "Location" not in answer.headers
    second = answer.json()
    assert second["file_id"] == first["file_id"]
    assert (first["version"], second["version"]) == (1, 2)
    assert second["created_at"] == first["created_at"]
    assert client.get("versions/a").content == b"two, longer"
    assert client.paths("versions/a") == ["versions/a"]


def test_an_old_version_can_be_restored_and_the_present_one_becomes_old(client: GatewayClient) -> None:
    contents = [some_bytes(size, "versions") for size in (CHUNK + 1, 1, 0)]
    file_id, *others = [client.stored("versions/restored", content)["file_id"] for content in contents]
    assert others == [file_id, file_id]
    for wanted in (contents[0], contents[1], contents[2], contents[0]):
        old = client.info(file_id)["old_versions"]
        number = next(item["version"] for item in old if item["size"] == len(wanted))
        restored = client.call("POST", f"/files/{file_id}/restore", json={"version": number})
        assert restored.status_code == 200, restored.text
        assert client.download(file_id).content == wanted
        assert client.get("versions/restored").content == wanted
        assert len(client.info(file_id)["old_versions"]) == 2
    answer = client.call("POST", f"/files/{file_id}/restore", json={"version": 99})
    assert_problem(answer, 404, "version_not_found")
    assert client.download(file_id).content == contents[0]


def test_a_deleted_file_is_in_the_trash_and_comes_back(client: GatewayClient) -> None:
    file = client.stored("trash/a", b"content")
    deleted = client.delete(file["file_id"])
    assert (deleted.status_code, deleted.json()["status"]) == (200, "deleted")
    assert_problem(client.get("trash/a"), 404, "file_not_found")
    assert_problem(client.download(file["file_id"]), 410, "file_deleted")
    assert client.info(file["file_id"])["status"] == "deleted"
    assert client.paths("trash/") == []
    assert [item["path"] for item in client.listing(prefix="trash/", status="deleted")["files"]] == ["trash/a"]
    assert client.delete(file["file_id"]).json()["status"] == "deleted"
    restored = client.call("POST", f"/files/{file['file_id']}/restore")
    assert (restored.status_code, restored.json()["status"]) == (200, "active")
    assert client.get("trash/a").content == b"content"
    assert client.listing(prefix="trash/", status="deleted")["files"] == []


def test_a_restore_onto_a_path_that_is_taken_again_needs_another_path(client: GatewayClient) -> None:
    old = client.stored("trash/taken", b"old")
    assert client.call("DELETE", "/fs/trash/taken").status_code == 200
    new = client.stored("trash/taken", b"new")
    assert new["file_id"] != old["file_id"]
    assert_problem(client.call("POST", f"/files/{old['file_id']}/restore"), 409, "path_taken")
    answer = client.call("POST", f"/files/{old['file_id']}/restore", json={"path": "trash/elsewhere"})
    assert answer.status_code == 200
    assert client.get("trash/elsewhere").content == b"old"
    assert client.get("trash/taken").content == b"new"


def test_a_permanent_delete_frees_the_disks(cluster: TestCluster, client: GatewayClient) -> None:
    for path in ("purge/active", "purge/trashed"):
        file = client.stored(path, some_bytes(4 * CHUNK, path))
        client.stored(path, some_bytes(2 * CHUNK + 1, path))
        versions = {name.partition("-")[0] for name in cluster.all_chunk_ids()}
        assert {file["version_id"], client.info(file["file_id"])["version_id"]} <= versions
        if path == "purge/trashed":
            client.delete(file["file_id"])
        current = client.info(file["file_id"])["version_id"]
        assert client.delete(file["file_id"], permanent=True).status_code == 200
        assert_problem(client.call("GET", f"/files/{file['file_id']}"), 404, "file_not_found")
        assert client.delete(file["file_id"], permanent=True).json()["status"] == "purged"
        assert_problem(client.get(path), 404, "file_not_found")
        gone = {file["version_id"], current}
        wait_until(
            lambda gone=gone: not gone & {name.partition("-")[0] for name in cluster.all_chunk_ids()},
            "the chunks of both versions have left the disks",
        )
    wait_until(lambda: cluster.state()["replication"]["due_free_bytes"] == 0, "nothing waits to be freed")


def test_a_rename_keeps_the_file_and_a_taken_path_refuses_it(client: GatewayClient) -> None:
    file = client.stored("rename/from", b"moved")
    other = client.stored("rename/taken", b"other")
    address = f"/files/{file['file_id']}"
    assert client.call("PATCH", address, json={"path": "rename/to"}).json()["path"] == "rename/to"
    assert client.get("rename/to").content == b"moved"
    assert_problem(client.get("rename/from"), 404, "file_not_found")
    assert_problem(client.call("PATCH", address, json={"path": "rename/taken"}), 409, "path_taken")
    assert client.get("rename/taken").content == b"other"
    assert client.get("rename/to").content == b"moved"
    assert client.call("PATCH", address, json={"path": "rename/to"}).status_code == 200
    client.delete(file["file_id"])
    assert_problem(client.call("PATCH", address, json={"path": "rename/again"}), 410, "file_deleted")
    assert client.info(other["file_id"])["path"] == "rename/taken"


def test_a_listing_folds_folders_and_goes_on_behind_its_cursor(client: GatewayClient) -> None:
    paths = ["list/a", "list/b/1", "list/b/2", "list/b/c/3", "list/d", "list/e/", "list/e/4", "list/f"]
    for path in paths:
        client.stored(path, b"")
    assert client.paths("list/") == paths
    page = client.listing(prefix="list/", delimiter="/")
    assert [file["path"] for file in page["files"]] == ["list/a", "list/d", "list/f"]
    assert page["prefixes"] == ["list/b/", "list/e/"]
    assert page["next_cursor"] is None
    inner = client.listing(prefix="list/b/", delimiter="/")
    assert ([file["path"] for file in inner["files"]], inner["prefixes"]) == (["list/b/1", "list/b/2"], ["list/b/c/"])
    for limit in (1, 2, 3, 4, 5):
        found: list[str] = []
        cursor: str | None = ""
        while cursor is not None:
            step = client.listing(prefix="list/", delimiter="/", limit=limit, **({"cursor": cursor} if cursor else {}))
            entries = sorted([file["path"] for file in step["files"]] + step["prefixes"])
            assert 1 <= len(entries) <= limit
            found += entries
            cursor = step["next_cursor"]
        assert found == ["list/a", "list/b/", "list/d", "list/e/", "list/f"]
    assert client.listing(prefix="list/none")["files"] == []


def test_a_files_json_has_every_promised_field(client: GatewayClient) -> None:
    file = client.stored("shape/of file.txt", b"12345")
    for shown in (file, client.info(file["file_id"]), client.listing(prefix="shape/")["files"][0]):
        assert set(shown) >= FILE_FIELDS
        assert shown["file_name"] == "of file.txt"
        assert (shown["size"], shown["status"], shown["replication_factor"]) == (5, "active", 3)
        assert shown["created_at"].endswith("Z")


def test_the_cluster_shows_every_node(client: GatewayClient) -> None:
    def complete() -> dict[str, Any] | None:
        """The state, once no heartbeat is late."""
        state: dict[str, Any] = client.call("GET", "/cluster").json()
        return state if {item["state"] for item in state["masters"] + state["workers"]} == {"alive"} else None

    state = wait_until(complete, "every node is alive")
    assert state is not None
    assert state["leader"] in MASTERS
    assert [item["master_id"] for item in state["masters"]] == list(MASTERS)
    assert [item["master_id"] for item in state["masters"] if item["is_leader"]] == [state["leader"]]
    assert [item["worker_id"] for item in state["workers"]] == list(WORKERS)
    for worker in state["workers"]:
        assert 0 <= worker["used_bytes"] < worker["capacity_bytes"]
        assert worker["chunk_count"] >= 0
        assert 0 <= worker["last_heartbeat_age_seconds"] < 3
    assert state["replication"]["replication_factor"] == 3
    assert client.call("GET", "/health").json() == {"status": "ok"}


def test_every_service_is_healthy_and_keeps_strangers_out(cluster: TestCluster) -> None:
    masters = [("master", node) for node in cluster.config.masters.values()]
    workers = [("worker", node) for node in cluster.config.workers.values()]
    for service, node in masters + workers:
        stranger = GatewayClient(node.url, service=service)
        assert stranger.call("GET", "/health").json() == {"status": "ok"}
        for headers in ({}, {"X-DFS-Signature": "0" * 32}):
            for target in ("/cluster", "/files", f"/chunks/{NOBODY}-00000000", "/nothing"):
                assert_problem(stranger.call("GET", target, headers=headers), 403, "cluster_secret_rejected")


_ERRORS: list[tuple[str, str, Any, int, str]] = [
    ("GET", "/nothing", None, 404, "not_found"),
    ("GET", "/fs", None, 404, "not_found"),
    ("GET", f"/files/{NOBODY}", None, 404, "file_not_found"),
    ("GET", "/files/no-id", None, 404, "file_not_found"),
    ("GET", "/files/%00%ff", None, 404, "file_not_found"),
    ("GET", f"/files/{NOBODY}/download", None, 404, "file_not_found"),
    ("GET", f"/files/{NOBODY}/chunks", None, 404, "file_not_found"),
    ("DELETE", f"/files/{NOBODY}", None, 404, "file_not_found"),
    ("DELETE", f"/files/{NOBODY}?permanent=true", None, 404, "file_not_found"),
    ("DELETE", f"/files/{NOBODY}?permanent=maybe", None, 400, "invalid_request"),
    ("POST", f"/files/{NOBODY}/delete", None, 404, "file_not_found"),
    ("POST", f"/files/{NOBODY}/restore", None, 404, "file_not_found"),
    ("POST", f"/files/{NOBODY}/restore", {"version": "one"}, 400, "invalid_request"),
    ("POST", f"/files/{NOBODY}/restore", {"version": -1}, 400, "invalid_request"),
    ("PATCH", f"/files/{NOBODY}", {"path": "x"}, 404, "file_not_found"),
    ("PATCH", f"/files/{NOBODY}", {}, 400, "invalid_request"),
    ("PATCH", f"/files/{NOBODY}", [], 400, "invalid_request"),
    ("PATCH", f"/files/{NOBODY}", b"{", 400, "invalid_request"),
    ("PATCH", f"/files/{NOBODY}", b"\xff", 400, "invalid_request"),
    ("PATCH", f"/files/{NOBODY}", b"[" * 100_000, 400, "invalid_request"),
    ("PATCH", f"/files/{NOBODY}", b" " * (1024 * 1024 + 1), 413, "too_large"),
    ("PUT", "/files", b"x", 405, "method_not_allowed"),
    ("POST", "/fs/x", b"x", 405, "method_not_allowed"),
    ("DELETE", "/", None, 405, "method_not_allowed"),
    ("GET", "/fs/not/there", None, 404, "file_not_found"),
    ("DELETE", "/fs/not/there", None, 404, "file_not_found"),
    ("GET", "/files?limit=0", None, 400, "invalid_request"),
    ("GET", "/files?limit=1001", None, 400, "invalid_request"),
    ("GET", "/files?limit=x", None, 400, "invalid_request"),
    ("GET", "/files?cursor=x", None, 400, "invalid_request"),
    ("GET", "/files?cursor=%C3%A9", None, 400, "invalid_request"),
    ("GET", "/files?status=none", None, 400, "invalid_request"),
    ("GET", f"/files/{NOBODY}/chunks?start=-1", None, 400, "invalid_request"),
    ("POST", "/files", b"x", 400, "invalid_form"),
]


@pytest.mark.parametrize(
    ("method", "target", "body", "status", "code"), _ERRORS, ids=[f"{row[0]} {row[1]} {row[4]}" for row in _ERRORS]
)
def test_every_error_is_problem_json_with_a_stable_code(
    client: GatewayClient, method: str, target: str, body: Any, status: int, code: str
) -> None:
    encoded = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"} if encoded is not None else {}
    answer = client.raw(method, target, headers, encoded)
    assert_problem(answer, status, code)
    if status == 405:
        assert answer.headers["Allow"]


def test_the_request_id_of_the_client_is_kept_and_a_strange_one_is_not(client: GatewayClient) -> None:
    assert client.call("GET", "/health", headers={"X-Request-ID": "my-id.1"}).headers["X-Request-ID"] == "my-id.1"
    assert client.call("GET", "/health", headers={"X-Request-ID": "a b<>"}).headers["X-Request-ID"] != "a b<>"
