"""What a client may ask of one request: how many replicas, how many before the answer, how fresh, on what condition."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests

from tests.support.client import GatewayClient, Part, assert_problem, assert_same_bytes, file_part, fs, some_bytes
from tests.support.cluster import KIB, TestCluster
from tests.support.waiting import wait_until

CHUNK = 256 * KIB
CONSISTENCY, FACTOR, LEVEL = "X-DFS-Consistency", "X-DFS-Replication", "X-DFS-Read-Consistency"


@pytest.fixture
def client(ring: TestCluster) -> GatewayClient:
    return GatewayClient(ring.base_url)


def holders(client: GatewayClient, file: dict[str, Any]) -> list[set[str]]:
    """The workers whose replicas count, of each chunk."""
    chunks = client.call("GET", f"/files/{file['file_id']}/chunks").json()["chunks"]
    return [{replica["worker_id"] for replica in chunk["replicas"]} for chunk in chunks]


# --- how many replicas, and how many of them before the answer ---


@pytest.mark.parametrize("consistency", ["one", "quorum", "all"])
@pytest.mark.parametrize("factor", [1, 2, 5])
def test_a_file_has_as_many_replicas_as_asked_for(
    ring: TestCluster, client: GatewayClient, factor: int, consistency: str
) -> None:
    content, path = some_bytes(2 * CHUNK + 1, factor), f"factors/{factor}/{consistency}"
    file = client.stored(path, content, headers={FACTOR: str(factor), CONSISTENCY: consistency})
    assert file["replication_factor"] == factor
    assert_same_bytes(client.get(path).content, content)
    if consistency == "all":
        assert [len(names) for names in holders(client, file)] == [factor] * 3
        for index in range(3):
            assert len(ring.replicas(f"{file['version_id']}-{index:08x}")) == factor


def test_another_version_may_have_another_factor(client: GatewayClient) -> None:
    for factor in (1, 4):
        file = client.stored("factors/again", b"x", headers={FACTOR: str(factor), CONSISTENCY: "all"})
        assert client.info(file["file_id"])["replication_factor"] == factor
        assert [len(names) for names in holders(client, file)] == [factor]


def _with_factor(value: str, *files: Part) -> list[Part]:
    return [Part("replication_factor", value.encode()), *files]


def test_a_form_asks_by_field_or_by_header(client: GatewayClient) -> None:
    for parts, headers, expected in (
        (_with_factor("2", file_part("form/a", b"a")), {}, 2),
        (_with_factor("2", file_part("form/b", b"b")), {FACTOR: "4"}, 2),
        (_with_factor("", file_part("form/c", b"c")), {FACTOR: "4"}, 4),
        ([file_part("form/d", b"d")], {FACTOR: "1", CONSISTENCY: "all"}, 1),
    ):
        answer = client.post_form(parts, headers=headers)
        assert (answer.status_code, answer.json()["replication_factor"]) == (201, expected)
    answer = client.post_form(_with_factor("2", file_part("form/e", b"e"), file_part("form/f", b"f")))
    assert [file["replication_factor"] for file in answer.json()["files"]] == [2, 2]


@pytest.mark.parametrize(
    ("headers", "says"),
    [
        ({CONSISTENCY: "two"}, "one, quorum, all"),
        ({CONSISTENCY: ""}, "one, quorum, all"),
        ({CONSISTENCY: "ALL"}, "one, quorum, all"),
        ({FACTOR: "0"}, "from 1 to 5"),
        ({FACTOR: "6"}, "from 1 to 5"),
        ({FACTOR: "-1"}, "whole number"),
        ({FACTOR: "many"}, "whole number"),
    ],
)
def test_what_cannot_be_is_refused_and_the_answer_names_what_can(
    client: GatewayClient, headers: dict[str, str], says: str
) -> None:
    for answer in (
        client.put("refused", b"x", headers=headers),
        client.post_form([file_part("refused", b"x")], headers=headers),
    ):
        assert says in assert_problem(answer, 400, "invalid_request")["detail"]
    assert_problem(client.get("refused"), 404, "file_not_found")


def test_a_factor_behind_the_files_of_a_form_is_refused(client: GatewayClient) -> None:
    answer = client.post_form([file_part("refused", b"x"), Part("replication_factor", b"2")])
    assert_problem(answer, 400, "invalid_form")
    assert_problem(client.get("refused"), 404, "file_not_found")


def test_with_a_worker_down_all_of_five_is_refused_and_leaves_nothing_and_a_quorum_of_five_is_not(
    ring: TestCluster, client: GatewayClient
) -> None:
    before = ring.all_chunk_ids()
    content = some_bytes(2 * CHUNK, "down")
    strict, usual = {FACTOR: "5", CONSISTENCY: "all"}, {FACTOR: "5", CONSISTENCY: "quorum"}
    ring.kill("worker_1")
    problem = assert_problem(client.put("down/all", content, headers=strict), 503, "quorum_not_reached")
    assert (problem["stored"], problem["needed"]) == (4, 5)
    wait_until(lambda: _states(ring)["worker_1"] == "dead", "the masters have noticed")
    answer = client.put("down/all", content, headers=strict)
    problem = assert_problem(answer, 503, "not_enough_workers")
    assert (problem["alive"], problem["needed"]) == (4, 5)
    assert answer.headers["Retry-After"]
    assert_problem(client.get("down/all"), 404, "file_not_found")
    assert client.paths("down/") == []
    file = client.stored("down/quorum", content, headers=usual)
    assert file["replication_factor"] == 5
    assert_same_bytes(client.get("down/quorum").content, content)
    assert all("worker_1" not in names for names in holders(client, file))
    ring.restart_ended()
    wait_until(
        lambda: {name for name in ring.all_chunk_ids() - before if not name.startswith(file["version_id"])} == set(),
        "the refused upload's chunks have left the disks",
    )


def test_with_one_worker_left_one_replica_is_enough_for_who_asks_for_no_more(
    ring: TestCluster, client: GatewayClient
) -> None:
    for name in ring.workers[1:]:
        ring.kill(name)
    wait_until(lambda: Counter(_states(ring).values())["dead"] == 4, "the masters have noticed")
    content = some_bytes(CHUNK + 1, "one")
    assert_problem(client.put("last/usual", content), 503, "not_enough_workers")
    file = client.stored("last/one", content, headers={CONSISTENCY: "one"})
    assert file["replication_factor"] == 3
    assert holders(client, file) == [{ring.workers[0]}] * 2
    assert_same_bytes(client.get("last/one").content, content)


def _states(ring: TestCluster) -> dict[str, str]:
    return {worker["worker_id"]: worker["state"] for worker in ring.state()["workers"]}


# --- how fresh ---


@pytest.mark.parametrize("level", ["linearizable", "majority", "eventual"])
def test_a_read_at_every_level_finds_what_was_written(client: GatewayClient, level: str) -> None:
    """One database that all masters share is never behind, so here every level is as good as the strongest."""
    headers, content = {LEVEL: level}, some_bytes(CHUNK + 1, level)
    path = f"levels/{level}/file"
    file = client.stored(path, content)
    assert_same_bytes(client.get(path, headers=headers).content, content)
    assert client.call("HEAD", fs(path), headers=headers).headers["ETag"] == file["etag"]
    by_id = f"/files/{file['file_id']}"
    assert client.call("GET", by_id, headers=headers).json() == file
    assert_same_bytes(client.call("GET", f"{by_id}/download", headers=headers).content, content)
    assert len(client.call("GET", f"{by_id}/chunks", headers=headers).json()["chunks"]) == 2
    listed = client.call("GET", "/files", params={"prefix": f"levels/{level}/"}, headers=headers).json()["files"]
    assert [item["file_id"] for item in listed] == [file["file_id"]]


def test_another_level_is_refused_on_every_read(client: GatewayClient) -> None:
    file = client.stored("levels/refused", b"x")
    by_id = f"/files/{file['file_id']}"
    for target in (fs("levels/refused"), "/files", by_id, f"{by_id}/chunks", f"{by_id}/download"):
        answer = client.call("GET", target, headers={LEVEL: "strong"})
        assert "linearizable, majority, eventual" in assert_problem(answer, 400, "invalid_request")["detail"]
        assert client.call("HEAD", target, headers={LEVEL: "strong"}).status_code == 400


# --- on which condition ---

RIVALS = 50


def _race(
    put: Callable[[int, Iterator[bytes]], requests.Response], contents: Sequence[bytes]
) -> list[requests.Response]:
    """Every client has sent its request's head, and been let in, before the first sends its body."""
    together = threading.Barrier(len(contents))

    def put_one(number: int) -> requests.Response:
        def body() -> Iterator[bytes]:
            together.wait(30)
            yield contents[number]

        return put(number, body())

    with ThreadPoolExecutor(len(contents)) as pool:
        return list(pool.map(put_one, range(len(contents))))


def _assert_one_won(answers: Sequence[requests.Response], status: int) -> int:
    assert Counter(answer.status_code for answer in answers) == {status: 1, 412: RIVALS - 1}
    for answer in answers:
        if answer.status_code == 412:
            assert_problem(answer, 412, "precondition_failed")
    return [answer.status_code for answer in answers].index(status)


def test_of_fifty_that_create_one_path_one_does_and_the_others_are_told(client: GatewayClient) -> None:
    contents = [some_bytes(1000 + number, f"create {number}") for number in range(RIVALS)]
    answers = _race(lambda _, body: client.put("race/create", body, headers={"If-None-Match": "*"}), contents)
    winner = _assert_one_won(answers, 201)
    assert client.get("race/create").content == contents[winner]
    file = client.info(answers[winner].json()["file_id"])
    assert (file["version"], file["old_versions"]) == (1, [])


def test_of_fifty_that_replace_one_content_one_does_and_the_others_are_told(client: GatewayClient) -> None:
    contents = [some_bytes(1000 + number, f"replace {number}") for number in range(RIVALS)]
    first = client.stored("race/replace", b"first")
    answers = _race(lambda _, body: client.put("race/replace", body, headers={"If-Match": first["etag"]}), contents)
    winner = _assert_one_won(answers, 200)
    assert client.get("race/replace").content == contents[winner]
    file = client.info(first["file_id"])
    assert (file["version"], [old["version"] for old in file["old_versions"]]) == (2, [1])


def test_fifty_that_count_by_replacing_what_they_read_lose_no_count(client: GatewayClient) -> None:
    """The use of If-Match: read, change, write back if nobody was faster, else again."""
    client.stored("race/counter", b"0")

    def count(_: int) -> None:
        while True:
            read = client.get("race/counter")
            body = str(int(read.content) + 1).encode()
            if client.put("race/counter", body, headers={"If-Match": read.headers["ETag"]}).status_code == 200:
                return

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(count, range(RIVALS)))
    assert client.get("race/counter").content == str(RIVALS).encode()
