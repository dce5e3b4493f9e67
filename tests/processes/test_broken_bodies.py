"""A client that breaks off leaves nothing visible, and the space it took comes back."""

from __future__ import annotations

import pytest

from tests.support.client import (
    GatewayClient,
    assert_problem,
    assert_same_bytes,
    file_part,
    form_body,
    path_part,
    some_bytes,
)
from tests.support.cluster import KIB, TestCluster
from tests.support.waiting import wait_until

CHUNK = 64 * KIB
CONTENT = some_bytes(12 * CHUNK + 77, "broken")
SENT = 9 * CHUNK + 5


@pytest.fixture(autouse=True)
def _nothing_is_left(cluster: TestCluster, client: GatewayClient) -> object:
    """After every test: not one chunk more on the disks than before, and nothing waiting to be freed."""
    wait_until(lambda: cluster.state()["replication"]["due_free_bytes"] == 0, "nothing waits to be freed")
    before, paths = cluster.all_chunk_ids(), client.paths("")
    pending = cluster.state()["replication"]["pending_free_bytes"]
    yield
    assert client.paths("") == paths
    # What an earlier test broke off may go meanwhile.
    wait_until(lambda: cluster.all_chunk_ids() <= before, "the chunks of the broken upload have left the disks")
    wait_until(
        lambda: cluster.state()["replication"]["pending_free_bytes"] <= pending,
        "/cluster shows no more pending than before",
    )
    _wait_for_used_bytes(cluster)


def _wait_for_used_bytes(cluster: TestCluster) -> None:
    """What the workers report is what lies on their disks."""

    def agrees() -> bool:
        reported = {worker["worker_id"]: worker["used_bytes"] for worker in cluster.state()["workers"]}
        return reported == {
            name: sum(path.stat().st_size for path in cluster.chunk_files(name).values()) for name in cluster.workers
        }

    wait_until(agrees, "the workers report what is on their disks")


def test_a_body_shorter_than_its_length_leaves_nothing(cluster: TestCluster, client: GatewayClient) -> None:
    head = _head("PUT /fs/broken/length", f"Content-Length: {len(CONTENT)}")
    _assert_refused(client.break_off(head, CONTENT[:SENT]))
    assert_problem(client.get("broken/length"), 404, "file_not_found")


def test_a_chunked_body_without_its_end_leaves_nothing(cluster: TestCluster, client: GatewayClient) -> None:
    head = _head("PUT /fs/broken/chunked", "Transfer-Encoding: chunked")
    piece = CONTENT[:SENT]
    whole_chunk = f"{len(piece):x}\r\n".encode() + piece + b"\r\n"
    for sent in (whole_chunk, whole_chunk[:-2], whole_chunk[:-5000], whole_chunk + b"0\r\n"[:1], whole_chunk + b"zz"):
        _assert_refused(client.break_off(head, sent))
        assert_problem(client.get("broken/chunked"), 404, "file_not_found")


def test_a_form_that_is_cut_anywhere_leaves_nothing(cluster: TestCluster, client: GatewayClient) -> None:
    body = form_body([path_part("broken/form"), file_part("name", CONTENT), file_part("second", b"x")], "BOUND")
    type_line = "Content-Type: multipart/form-data; boundary=BOUND"
    for cut in (10, 60, 200, SENT, len(CONTENT) + 240, len(body) - 30, len(body) - 10, len(body) - 3):
        head = _head("POST /files", type_line, f"Content-Length: {len(body)}")
        _assert_refused(client.break_off(head, body[:cut]))


def test_a_form_of_full_length_without_its_final_boundary_is_refused(
    cluster: TestCluster, client: GatewayClient
) -> None:
    body = form_body([path_part("broken/final"), file_part("name", CONTENT)], "BOUND")
    headers = {"Content-Type": "multipart/form-data; boundary=BOUND"}
    for cut in (10, 60, 200, SENT, len(body) - 12):
        assert_problem(client.raw("POST", "/files", headers, body[:cut]), 400, "invalid_form")


def test_an_overwrite_that_breaks_off_leaves_the_old_file(cluster: TestCluster, client: GatewayClient) -> None:
    file = client.stored("broken/overwrite", b"old")
    head = _head("PUT /fs/broken/overwrite", f"Content-Length: {len(CONTENT)}")
    _assert_refused(client.break_off(head, CONTENT[:SENT]))
    assert client.get("broken/overwrite").content == b"old"
    assert client.info(file["file_id"])["version"] == 1
    assert client.delete(file["file_id"], permanent=True).status_code == 200


def test_a_refused_commit_gives_the_space_back(cluster: TestCluster, client: GatewayClient) -> None:
    file = client.stored("broken/refused", b"old")
    answer = client.put("broken/refused", CONTENT, headers={"If-None-Match": "*"})
    assert_problem(answer, 412, "precondition_failed")
    assert client.delete(file["file_id"], permanent=True).status_code == 200


def test_a_reader_that_breaks_off_costs_nothing(cluster: TestCluster, client: GatewayClient) -> None:
    file = client.stored("broken/reader", CONTENT)
    for _ in range(40):
        with client.get("broken/reader", stream=True) as answer:
            assert answer.raw.read(10) == CONTENT[:10]
    # More than all buffers were in use at one time or another; every one must have come back.
    assert_same_bytes(client.get("broken/reader").content, CONTENT)
    assert client.delete(file["file_id"], permanent=True).status_code == 200


def test_a_content_length_that_is_no_number_is_refused(cluster: TestCluster, client: GatewayClient) -> None:
    for length in ("-1", "abc", "1 2", "0x10", "+5"):
        answer = client.break_off(_head("PUT /fs/broken/number", f"Content-Length: {length}"), b"x" * 20)
        assert answer.split(b" ")[1] == b"400", answer


def _head(request_line: str, *headers: str) -> bytes:
    return "\r\n".join([f"{request_line} HTTP/1.1", "Host: localhost", *headers, "", ""]).encode()


def _assert_refused(answer: bytes) -> None:
    """Either no answer at all or a refusal; never a success."""
    assert not answer or answer.split(b" ")[1] == b"400", answer[:300]
