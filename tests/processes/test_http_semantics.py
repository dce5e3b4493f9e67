"""Ranges, conditions and headers of a download, as RFC 9110 has them, over real HTTP."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from typing import Any

import pytest

from tests.support.client import GatewayClient, assert_problem, some_bytes
from tests.support.cluster import KIB
from tests.support.waiting import wait_until

CHUNK = 64 * KIB
SIZE = 3 * CHUNK + 1000
CONTENT = some_bytes(SIZE, "ranges")


@pytest.fixture(scope="module")
def file(client: GatewayClient) -> dict[str, Any]:
    return client.stored("http/file.bin", CONTENT, headers={"Content-Type": "text/html; charset=utf-8"})


@pytest.fixture(scope="module")
def empty(client: GatewayClient) -> dict[str, Any]:
    return client.stored("http/empty.bin", b"")


SATISFIABLE = [
    ("bytes=0-0", 0, 1),
    ("bytes=-1", SIZE - 1, SIZE),
    (f"bytes={SIZE - 1}-{SIZE - 1}", SIZE - 1, SIZE),
    (f"bytes={SIZE - 1}-", SIZE - 1, SIZE),
    ("bytes=0-", 0, SIZE),
    (f"bytes=0-{SIZE - 1}", 0, SIZE),
    (f"bytes=0-{SIZE}", 0, SIZE),
    (f"bytes={SIZE - 10}-{SIZE + 10}", SIZE - 10, SIZE),
    ("bytes=5-999999999999999999", 5, SIZE),
    (f"bytes=-{SIZE}", 0, SIZE),
    (f"bytes=-{SIZE + 1}", 0, SIZE),
    ("bytes=-1500", SIZE - 1500, SIZE),
    ("bytes=100-199", 100, 200),
    (f"bytes={CHUNK - 1}-{CHUNK - 1}", CHUNK - 1, CHUNK),
    (f"bytes={CHUNK}-{CHUNK}", CHUNK, CHUNK + 1),
    (f"bytes={CHUNK - 1}-{CHUNK}", CHUNK - 1, CHUNK + 1),
    (f"bytes={CHUNK}-{2 * CHUNK - 1}", CHUNK, 2 * CHUNK),
    (f"bytes={CHUNK - 1}-{3 * CHUNK}", CHUNK - 1, 3 * CHUNK + 1),
    ("BYTES = 1 - 2", 1, 3),
]


@pytest.mark.parametrize(("header", "start", "stop"), SATISFIABLE)
def test_a_range_gives_exactly_its_bytes(
    client: GatewayClient, file: dict[str, Any], header: str, start: int, stop: int
) -> None:
    answer = client.download(file["file_id"], headers={"Range": header})
    assert answer.status_code == 206
    assert answer.content == CONTENT[start:stop]
    assert answer.headers["Content-Range"] == f"bytes {start}-{stop - 1}/{SIZE}"
    assert answer.headers["Content-Length"] == str(stop - start)
    assert client.get("http/file.bin", headers={"Range": header}).content == CONTENT[start:stop]


@pytest.mark.parametrize("header", [f"bytes={SIZE}-", f"bytes={SIZE}-{SIZE}", f"bytes={SIZE + 5}-", "bytes=-0"])
def test_a_range_beyond_the_end_is_answered_416_with_the_size(
    client: GatewayClient, file: dict[str, Any], header: str
) -> None:
    for answer in (
        client.download(file["file_id"], headers={"Range": header}),
        client.get("http/file.bin", headers={"Range": header}),
    ):
        assert_problem(answer, 416, "range_not_satisfiable")
        assert answer.headers["Content-Range"] == f"bytes */{SIZE}"


@pytest.mark.parametrize(
    "header",
    ["bytes=0-0,2-3", "bytes=0-0, -1", "bytes=5-4", "bytes=-", "bytes=a-b", "lines=1-2", "bytes", "bytes=0x1-2", ""],
)
def test_several_ranges_and_what_is_no_range_give_the_whole_file(
    client: GatewayClient, file: dict[str, Any], header: str
) -> None:
    answer = client.download(file["file_id"], headers={"Range": header})
    assert answer.status_code == 200
    assert answer.content == CONTENT
    assert "Content-Range" not in answer.headers


@pytest.mark.parametrize("header", ["bytes=0-0", "bytes=-1", "bytes=0-"])
def test_no_range_of_an_empty_file_can_be_satisfied(client: GatewayClient, empty: dict[str, Any], header: str) -> None:
    answer = client.download(empty["file_id"], headers={"Range": header})
    assert_problem(answer, 416, "range_not_satisfiable")
    assert answer.headers["Content-Range"] == "bytes */0"


@pytest.mark.parametrize("path", ["http/file.bin", "http/empty.bin"])
def test_head_answers_what_get_answers_without_the_bytes(
    client: GatewayClient, file: dict[str, Any], empty: dict[str, Any], path: str
) -> None:
    got = client.get(path)
    for headed in (client.call("HEAD", f"/fs/{path}"), client.call("HEAD", f"/files/{_id_of(client, path)}/download")):
        assert headed.status_code == 200
        assert headed.content == b""
        ignored = {"Date", "X-Request-ID", "Connection", "Server"}
        assert {k: v for k, v in headed.headers.items() if k not in ignored} == {
            k: v for k, v in got.headers.items() if k not in ignored
        }
        assert headed.headers["Content-Length"] == str(len(got.content))


def test_head_of_a_range_says_its_length(client: GatewayClient, file: dict[str, Any]) -> None:
    answer = client.call("HEAD", "/fs/http/file.bin", headers={"Range": "bytes=10-19"})
    assert answer.content == b""
    if answer.status_code == 206:
        assert (answer.headers["Content-Length"], answer.headers["Content-Range"]) == ("10", f"bytes 10-19/{SIZE}")
    else:
        assert (answer.status_code, answer.headers["Content-Length"]) == (200, str(SIZE))


def test_stored_content_is_never_run_as_a_page(client: GatewayClient, file: dict[str, Any]) -> None:
    for answer in (client.download(file["file_id"]), client.get("http/file.bin", headers={"Range": "bytes=0-0"})):
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert "sandbox" in answer.headers["Content-Security-Policy"]
        assert answer.headers["Content-Disposition"] == 'attachment; filename="file.bin"'
        assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
        assert answer.headers["Accept-Ranges"] == "bytes"


def test_the_entity_tag_stays_over_a_rename_and_changes_with_the_content(client: GatewayClient) -> None:
    first = client.stored("http/tag", b"one")
    assert client.get("http/tag").headers["ETag"] == first["etag"]
    client.call("PATCH", f"/files/{first['file_id']}", json={"path": "http/tag-renamed"})
    assert client.get("http/tag-renamed").headers["ETag"] == first["etag"]
    second = client.stored("http/tag-renamed", b"one")
    assert second["file_id"] == first["file_id"]
    assert second["etag"] != first["etag"]


def _http_date(file: dict[str, Any], seconds: int = 0) -> str:
    moment = datetime.strptime(file["modified_at"], "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=timezone.utc)
    return format_datetime(moment + timedelta(seconds=seconds), usegmt=True)


def test_conditions_on_the_entity_tag(client: GatewayClient, file: dict[str, Any]) -> None:
    tag, other = file["etag"], '"ffffffffffffffffffffffffffffffff"'
    table = [
        ({"If-None-Match": tag}, 304),
        ({"If-None-Match": f"W/{tag}"}, 304),
        ({"If-None-Match": f"{other}, {tag}"}, 304),
        ({"If-None-Match": "*"}, 304),
        ({"If-None-Match": other}, 200),
        ({"If-None-Match": tag, "Range": "bytes=0-0"}, 304),
        ({"If-Match": tag}, 200),
        ({"If-Match": f"{other}, {tag}"}, 200),
        ({"If-Match": "*"}, 200),
        ({"If-Match": other}, 412),
        ({"If-Match": f"W/{tag}"}, 412),
        ({"If-Match": other, "If-None-Match": tag}, 412),
        ({"If-Range": tag, "Range": "bytes=0-0"}, 206),
        ({"If-Range": other, "Range": "bytes=0-0"}, 200),
        ({"If-Range": f"W/{tag}", "Range": "bytes=0-0"}, 200),
        ({"If-Range": other, "Range": f"bytes={SIZE}-"}, 200),
    ]
    for headers, status in table:
        for method in ("GET", "HEAD"):
            answer = client.call(method, "/fs/http/file.bin", headers=headers)
            # A range is defined for GET alone.
            assert answer.status_code == (200 if status == 206 and method == "HEAD" else status), (method, headers)
            if status == 304:
                assert answer.content == b""
                assert answer.headers["ETag"] == tag
        if status == 412:
            assert_problem(client.get("http/file.bin", headers=headers), 412, "precondition_failed")


def test_conditions_on_the_date(client: GatewayClient, file: dict[str, Any]) -> None:
    def is_older_than_three_seconds() -> bool:
        now = client.get("http/file.bin", headers={"Range": "bytes=0-0"}).headers["Date"]
        return now > _http_date(file, 3) or now[:16] != _http_date(file)[:16]

    wait_until(is_older_than_three_seconds, "the date of the file is precise enough for If-Range")
    table = [
        ({"If-Modified-Since": _http_date(file)}, 304),
        ({"If-Modified-Since": _http_date(file, 100)}, 304),
        ({"If-Modified-Since": _http_date(file, -1)}, 200),
        ({"If-Modified-Since": "yesterday"}, 200),
        ({"If-Modified-Since": _http_date(file, 100), "If-None-Match": '"other"'}, 200),
        ({"If-Unmodified-Since": _http_date(file)}, 200),
        ({"If-Unmodified-Since": _http_date(file, -1)}, 412),
        ({"If-Unmodified-Since": _http_date(file, -1), "If-Match": file["etag"]}, 200),
        ({"If-Range": _http_date(file), "Range": "bytes=0-0"}, 206),
        ({"If-Range": _http_date(file, 1), "Range": "bytes=0-0"}, 200),
        ({"If-Range": _http_date(file, -1), "Range": "bytes=0-0"}, 200),
    ]
    for headers, status in table:
        assert client.get("http/file.bin", headers=headers).status_code == status, headers
    assert client.get("http/file.bin").headers["Last-Modified"] == _http_date(file)


def test_a_put_with_a_condition_that_does_not_hold_changes_nothing(client: GatewayClient) -> None:
    first = client.stored("http/conditional", b"first", headers={"If-None-Match": "*"})
    refused = [{"If-None-Match": "*"}, {"If-Match": '"ffffffffffffffffffffffffffffffff"'}]
    for headers in refused:
        assert_problem(client.put("http/conditional", b"refused", headers=headers), 412, "precondition_failed")
    assert client.get("http/conditional").content == b"first"
    assert client.put("http/conditional", b"second", headers={"If-Match": first["etag"]}).status_code == 200
    assert_problem(
        client.put("http/conditional", b"third", headers={"If-Match": first["etag"]}), 412, "precondition_failed"
    )
    assert client.get("http/conditional").content == b"second"
    assert_problem(client.put("http/absent", b"x", headers={"If-Match": "*"}), 412, "precondition_failed")
    assert_problem(client.get("http/absent"), 404, "file_not_found")


@pytest.mark.parametrize(
    ("name", "announced", "served"),
    [
        ("a.txt", None, "text/plain"),
        ("a.unknown-kind", None, "application/octet-stream"),
        ("a.txt", "image/x-own", "image/x-own"),
    ],
)
def test_the_content_type_is_the_announced_one_else_guessed(
    client: GatewayClient, name: str, announced: str | None, served: str
) -> None:
    client.stored(f"types/{name}", b"x", headers={"Content-Type": announced} if announced else {})
    assert client.get(f"types/{name}").headers["Content-Type"].partition(";")[0] == served


def _id_of(client: GatewayClient, path: str) -> str:
    file_id: str = client.listing(prefix=path)["files"][0]["file_id"]
    return file_id
