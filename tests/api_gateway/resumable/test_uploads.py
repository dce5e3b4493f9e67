"""Resumable uploads through a gateway, a master and a worker in this process: every answer of the protocol."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from api_gateway.resumable.service import MAX_REPLACED
from tests.support.client import some_bytes
from tests.support.ring import WORKER, SmallRing, make_key, small_ring
from tests.support.tus import MEDIA_TYPE, DrippingBody, HeldBody, Tus, encode_metadata
from tests.support.waiting import InBackground, wait_until

CHUNK = 65536
MAX_FILE_BYTES = 40 * CHUNK


@pytest.fixture(scope="module")
def ring(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallRing]:
    with small_ring(tmp_path_factory.mktemp("tus"), max_file_bytes=MAX_FILE_BYTES) as running:
        yield running


@pytest.fixture
def tus(ring: SmallRing) -> Tus:
    return Tus(ring)


def send(tus: Tus, url: str, content: bytes, cuts: list[int]) -> None:
    """Append the content in pieces that end at `cuts`; each answer says how far it is."""
    offset = 0
    for stop in [*cuts, len(content)]:
        answer = tus.append(url, offset, content[offset:stop])
        assert (answer.status_code, answer.headers["Upload-Offset"]) == (204, str(stop)), answer.text
        offset = stop


def chunk_folder(ring: SmallRing) -> Path:
    return ring.config.data_dir(WORKER) / "chunks"


def sha1(content: bytes) -> dict[str, str]:
    return {"Upload-Checksum": f"sha1 {base64.b64encode(hashlib.sha1(content).digest()).decode()}"}


CUTS = {
    "at the chunks": [CHUNK, 2 * CHUNK],
    "a byte before each": [CHUNK - 1, 2 * CHUNK - 1, 3 * CHUNK - 1],
    "a byte behind each": [CHUNK + 1, 2 * CHUNK + 1],
    "one and a half chunks each": [CHUNK * 3 // 2, 3 * CHUNK],
    "a little at the seam": [CHUNK - 2048, CHUNK - 1024, CHUNK, CHUNK + 1024, CHUNK + 1025],
    "first one byte": [1, 2],
    "all at once": [],
}


# Each way with a file of whole chunks and with another; all at once, and by the first byte, with every edge of a chunk.
SIZES = [(name, size) for name in CUTS for size in (3 * CHUNK, 2 * CHUNK + 5)]
SIZES += [(name, size) for name in ("all at once", "first one byte") for size in (1, 2, CHUNK - 1, CHUNK, CHUNK + 1)]


@pytest.mark.parametrize(("name", "size"), SIZES)
def test_a_file_that_comes_in_pieces_is_the_same_file(tus: Tus, name: str, size: int) -> None:
    content = some_bytes(size, f"{name} {size}")
    path = f"pieces/{name}/{size}"
    url = tus.begin(size, path)
    assert tus.content(path) is None
    send(tus, url, content, [cut for cut in CUTS[name] if cut < size])
    assert tus.content(path) == content
    file = tus.ask("GET", f"/fs/{path}")
    assert file.headers["X-DFS-Checksum"] == f"sha256={hashlib.sha256(content).hexdigest()}"
    assert tus.offset(url) == size


def test_the_last_answer_names_the_file(tus: Tus) -> None:
    answer = tus.append(tus.begin(2, "named/é %.txt"), 0, b"hi")
    assert answer.headers["X-DFS-Path"] == "named/%C3%A9%20%25.txt"
    file = tus.ask("GET", f"/files/{answer.headers['X-DFS-File-Id']}").json
    assert (file["path"], file["content_type"], file["size"]) == ("named/é %.txt", "text/plain", 2)


def test_an_upload_shows_the_file_that_it_has_become_also_when_that_has_other_bytes_by_now(tus: Tus) -> None:
    """Who may only write has to see what was stored."""
    url = tus.begin(2, "shown")
    assert tus.ask("GET", url).json["file"] is None
    file_id = tus.append(url, 0, b"hi").headers["X-DFS-File-Id"]
    shown = tus.ask("GET", url).json["file"]
    assert shown == tus.ask("GET", f"/files/{file_id}").json
    for number in range(MAX_REPLACED):
        tus.ask("PUT", "/fs/shown", data=str(number).encode())
    assert tus.ask("GET", url).json["file"]["checksum"] == shown["checksum"]
    tus.ask("PUT", "/fs/shown", data=b"once more")
    assert tus.ask("GET", url).json["file"] is None


def test_an_upload_does_not_show_where_its_file_has_been_moved(tus: Tus) -> None:
    url = tus.begin(2, "moved")
    file_id = tus.append(url, 0, b"hi").headers["X-DFS-File-Id"]
    assert tus.ask("PATCH", f"/files/{file_id}", json={"path": "elsewhere"}).status_code == 200
    assert tus.ask("GET", url).json["file"] is None
    tus.ask("DELETE", f"/files/{file_id}?permanent=true")
    assert tus.ask("GET", url).json["file"] is None


def test_an_upload_says_what_it_was_begun_with(tus: Tus) -> None:
    metadata = encode_metadata(filename="begun.bin", filetype="image/png", other="x") + ",flag"
    created = tus.create(10, {"Upload-Metadata": metadata})
    assert "Upload-Expires" in created.headers
    assert created.headers["Tus-Resumable"] == "1.0.0"
    tus.append(created.headers["Location"], 0, b"abc")
    seen = tus.ask("HEAD", created.headers["Location"])
    assert seen.headers["Upload-Metadata"] == metadata
    assert (seen.headers["Upload-Length"], seen.headers["Upload-Offset"]) == ("10", "3")
    assert "Upload-Expires" in seen.headers
    described = tus.ask("GET", created.headers["Location"]).json
    assert (described["path"], described["content_type"], described["offset"]) == ("begun.bin", "image/png", 3)


def test_an_empty_file_needs_no_second_request(tus: Tus) -> None:
    answer = tus.create(0, path="empty")
    assert (answer.status_code, answer.headers["Upload-Offset"]) == (201, "0")
    assert tus.content("empty") == b""
    assert tus.offset(answer.headers["Location"]) == 0


@pytest.mark.parametrize("length", [0, None])
def test_an_empty_file_leaves_a_chunk_on_the_workers_that_tells_of_it(tus: Tus, length: int | None) -> None:
    created = tus.create(length, path=f"told of {length}")
    url = created.headers["Location"]
    if length is None:
        assert tus.append(url, 0, b"", {"Upload-Length": "0"}).status_code == 204
    version_id = tus.ask("GET", f"/fs/told of {length}").headers["ETag"].strip('"')
    (held,) = (tus.ring.config.data_dir(WORKER) / "chunks").glob(f"*/{version_id}-00000000-*")
    assert f"told of {length}".encode() in held.read_bytes()
    assert tus.ask("HEAD", url).headers["Upload-Offset"] == "0"


def test_bytes_may_come_with_the_first_request(tus: Tus) -> None:
    content = some_bytes(CHUNK + 10, "with")
    headers = {"Content-Type": MEDIA_TYPE, "Upload-Metadata": encode_metadata(path="with/some")}
    some = tus.ask("POST", "/uploads", {**headers, "Upload-Length": str(CHUNK + 10)}, data=content[:CHUNK])
    assert (some.status_code, some.headers["Upload-Offset"]) == (201, str(CHUNK))
    assert tus.append(some.headers["Location"], CHUNK, content[CHUNK:]).status_code == 204
    headers["Upload-Metadata"] = encode_metadata(path="with/all")
    whole = tus.ask("POST", "/uploads", {**headers, "Upload-Length": str(len(content)), **sha1(content)}, data=content)
    assert (whole.status_code, whole.headers["X-DFS-Path"]) == (201, "with/all")
    assert tus.content("with/some") == tus.content("with/all") == content


@pytest.mark.parametrize("size", [0, 10, CHUNK, CHUNK + 10])
def test_a_length_may_come_last(tus: Tus, size: int) -> None:
    content, path = some_bytes(size, "deferred"), f"deferred/{size}"
    url = tus.begin(None, path)
    assert tus.ask("HEAD", url).headers["Upload-Defer-Length"] == "1"
    if size:
        assert tus.append(url, 0, content).status_code == 204
    assert tus.content(path) is None
    answer = tus.append(url, size, b"", {"Upload-Length": str(size)})
    assert (answer.status_code, answer.headers["X-DFS-Path"]) == (204, path)
    assert tus.content(path) == content


def test_a_length_that_was_said_never_changes(tus: Tus) -> None:
    url = tus.begin(None, "deferred/changing")
    assert tus.append(url, 0, b"abc", {"Upload-Length": "6"}).status_code == 204
    assert tus.append(url, 3, b"d", {"Upload-Length": "9"}).status_code == 400
    assert tus.append(url, 3, b"", {"Upload-Length": "2"}).status_code == 400
    assert tus.append(url, 3, b"def", {"Upload-Length": "6"}).status_code == 204
    assert tus.content("deferred/changing") == b"abcdef"


def test_a_method_may_be_named_in_a_header(tus: Tus) -> None:
    url = tus.begin(3, "overridden")
    headers = {"Upload-Offset": "0", "Content-Type": MEDIA_TYPE, "X-HTTP-Method-Override": "PATCH"}
    assert tus.ask("POST", url, headers, data=b"abc").status_code == 204
    assert tus.content("overridden") == b"abc"
    other = tus.begin(3, "overridden too")
    assert tus.ask("POST", other, {"X-HTTP-Method-Override": "DELETE"}).status_code == 204
    assert tus.ask("HEAD", other).status_code == 410
    assert tus.ask("POST", other, {"X-HTTP-Method-Override": "PUT"}).status_code == 405


def test_options_tell_what_the_server_can_do(tus: Tus) -> None:
    for target in ("/uploads", tus.begin(1, "options")):
        answer = tus.ask("OPTIONS", target)
        assert answer.status_code == 204
        assert answer.headers["Tus-Version"] == "1.0.0"
        assert answer.headers["Tus-Max-Size"] == str(MAX_FILE_BYTES)
        assert "concatenation" in answer.headers["Tus-Extension"].split(",")
        assert "sha1" in answer.headers["Tus-Checksum-Algorithm"].split(",")


# --- what goes wrong ---


def test_a_request_of_another_version_changes_nothing(tus: Tus) -> None:
    url = tus.begin(3, "version")
    for headers in ({"Tus-Resumable": "0.2.2"}, {"Tus-Resumable": ""}):
        for answer in (
            tus.create(3, headers, path="version"),
            tus.append(url, 0, b"abc", headers),
            tus.ask("DELETE", url, headers),
        ):
            assert (answer.status_code, answer.json["code"]) == (412, "tus_version_unsupported")
            assert (answer.headers["Tus-Version"], answer.headers["Tus-Resumable"]) == ("1.0.0", "1.0.0")
        assert tus.ask("HEAD", url, headers).status_code == 412
    assert tus.offset(url) == 0


def test_another_offset_is_a_conflict_that_names_the_right_one(tus: Tus) -> None:
    url = tus.begin(10, "offset")
    tus.append(url, 0, b"abc")
    for offset in (0, 2, 4, 10, 11):
        answer = tus.append(url, offset, b"x")
        assert (answer.status_code, answer.json["code"], answer.json["offset"]) == (409, "offset_conflict", 3)
    assert tus.offset(url) == 3


def test_more_than_was_announced_is_refused(tus: Tus) -> None:
    url = tus.begin(5, "more")
    assert tus.append(url, 0, b"abc").status_code == 204
    answer = tus.append(url, 3, b"defg")
    assert (answer.status_code, answer.json["code"]) == (413, "too_large")
    in_chunks = HeldBody(b"defg").cut().environ(is_announced=False)
    assert tus.append(url, 3, None, environ=in_chunks).status_code == 413
    assert tus.append(url, 3, b"de").status_code == 204
    assert tus.content("more") == b"abcde"


def test_a_file_that_is_too_large_is_refused_before_it_comes(tus: Tus) -> None:
    assert tus.create(MAX_FILE_BYTES + 1, path="large").status_code == 413
    url = tus.begin(None, "large")
    assert tus.append(url, 0, b"abc", {"Upload-Length": str(MAX_FILE_BYTES + 1)}).status_code == 413


def test_what_is_not_there_or_not_there_any_more(tus: Tus) -> None:
    unknown = "/uploads/" + "0" * 32
    for target in (unknown, "/uploads/no-id"):
        assert tus.ask("HEAD", target).status_code == 404
        assert tus.ask("DELETE", target).status_code == 404
        assert tus.append(target, 0, b"x").json["code"] == "upload_not_found"
    url = tus.begin(5, "terminated")
    tus.append(url, 0, b"abc")
    assert tus.ask("DELETE", url).status_code == 204
    for answer in (tus.append(url, 3, b"de"), tus.ask("GET", url)):
        assert (answer.status_code, answer.json["code"]) == (410, "upload_gone")
    assert tus.content("terminated") is None


def test_an_ordinary_upload_is_no_resumable_one(tus: Tus) -> None:
    version_id = tus.ask("PUT", "/fs/ordinary", data=b"x").json["version_id"]
    assert tus.ask("HEAD", f"/uploads/{version_id}").status_code == 404
    assert tus.ask("DELETE", f"/uploads/{version_id}").status_code == 404
    assert tus.content("ordinary") == b"x"


def test_a_finished_upload_takes_nothing_more_and_is_not_terminated(tus: Tus) -> None:
    url = tus.begin(3, "finished")
    tus.append(url, 0, b"abc")
    assert tus.append(url, 3, b"").status_code == 204
    assert tus.append(url, 3, b"d").json["code"] == "upload_finished"
    assert tus.append(url, 0, b"abc").json["code"] == "offset_conflict"
    assert tus.ask("DELETE", url).json["code"] == "upload_finished"
    assert tus.content("finished") == b"abc"


def test_a_body_that_breaks_off_leaves_what_came_of_it(tus: Tus) -> None:
    content = some_bytes(3 * CHUNK, "broken")
    url = tus.begin(len(content), "broken")
    for offset, stop in ((0, 100), (100, CHUNK + 7), (CHUNK + 7, 2 * CHUNK)):
        cut = HeldBody(content[offset:stop], content[stop:]).cut().environ()
        assert tus.append(url, offset, None, environ=cut).json["code"] == "incomplete_body"
        assert tus.offset(url) == stop
    assert tus.append(url, 2 * CHUNK, content[2 * CHUNK :]).status_code == 204
    assert tus.content("broken") == content


def test_who_takes_an_upload_over_fences_the_other_off(tus: Tus) -> None:
    content = some_bytes(3 * CHUNK, "taken over")
    url = tus.begin(len(content), "taken over")
    stream = HeldBody(bytes(CHUNK + 10), bytes(2 * CHUNK - 10))
    first = InBackground(lambda: tus.append(url, 0, None, environ=stream.environ()))
    assert stream.is_waiting.wait(30)
    offset = wait_until(lambda: tus.offset(url), "the first chunk is recorded")
    assert offset == CHUNK
    assert tus.append(url, CHUNK, content[CHUNK : CHUNK + 50]).status_code == 204
    stream.go_on()
    answer = first.result()
    assert (answer.status_code, answer.json["code"]) == (423, "upload_taken_over")  # type: ignore[attr-defined]
    assert tus.append(url, CHUNK + 50, content[CHUNK + 50 :]).status_code == 204
    assert tus.content("taken over") == bytes(CHUNK) + content[CHUNK:]


# --- checksums ---


def test_bytes_with_a_wrong_checksum_do_not_count(tus: Tus) -> None:
    content = some_bytes(3 * CHUNK + 9, "checked")
    url = tus.begin(len(content), "checked")
    for start, stop in ((0, 10), (10, 2 * CHUNK + 5), (2 * CHUNK + 5, len(content))):
        piece = content[start:stop]
        wrong = bytes([piece[0] ^ 1]) + piece[1:]
        answer = tus.append(url, start, wrong, sha1(piece))
        assert (answer.status_code, answer.json["code"]) == (460, "checksum_mismatch")
        assert tus.offset(url) == start
        assert tus.append(url, start, piece, sha1(piece)).status_code == 204
    # The same where no byte is left to come.
    assert tus.append(url, len(content), b"", sha1(b"x")).status_code == 460
    assert tus.append(url, len(content), b"", sha1(b"")).status_code == 204
    assert tus.content("checked") == content
    checksum = tus.ask("HEAD", "/fs/checked").headers["X-DFS-Checksum"]
    assert checksum == f"sha256={hashlib.sha256(content).hexdigest()}"


def test_nothing_counts_of_a_checked_body_that_breaks_off(tus: Tus) -> None:
    content = some_bytes(2 * CHUNK, "checked and cut")
    url = tus.begin(len(content), "checked and cut")
    cut = HeldBody(content[: CHUNK + 5], content[CHUNK + 5 :]).cut().environ()
    assert tus.append(url, 0, None, sha1(content), environ=cut).json["code"] == "incomplete_body"
    assert tus.offset(url) == 0
    assert tus.append(url, 0, content, sha1(content)).status_code == 204
    assert tus.content("checked and cut") == content


def test_more_than_can_be_checked_before_it_counts_is_refused_before_it_comes(tus: Tus) -> None:
    url = tus.begin(None, "checked and huge")
    announced = {**HeldBody(b"").cut().environ(), "CONTENT_LENGTH": str(2**30 + 1)}
    assert tus.append(url, 0, None, sha1(b""), environ=announced).status_code == 413


def test_an_algorithm_that_is_not_offered_is_refused(tus: Tus) -> None:
    url = tus.begin(1, "unknown algorithm")
    assert tus.append(url, 0, b"x", {"Upload-Checksum": "sha512 eA=="}).status_code == 400


# --- concatenation ---


def partial(tus: Tus, content: bytes, cut: int) -> str:
    url = tus.create(len(content), {"Upload-Concat": "partial"}).headers["Location"]
    send(tus, url, content, [cut])
    return url


def test_partial_uploads_are_put_together(tus: Tus) -> None:
    contents = [some_bytes(size, f"part {size}") for size in (CHUNK + 3, 5, 2 * CHUNK)]
    urls = [partial(tus, content, 2) for content in contents]
    assert tus.ask("HEAD", urls[0]).headers["Upload-Concat"] == "partial"
    assert tus.offset(urls[0]) == CHUNK + 3
    text = f"final;{urls[0]} http://localhost{urls[1]} {urls[2]}"
    headers = {"Upload-Concat": text, "Upload-Metadata": encode_metadata(path="put together")}
    answer = tus.ask("POST", "/uploads", headers)
    assert answer.status_code == 201, answer.text
    assert tus.content("put together") == b"".join(contents)
    seen = tus.ask("HEAD", answer.headers["Location"])
    assert (seen.headers["Upload-Concat"], seen.headers["Upload-Length"]) == (text, seen.headers["Upload-Offset"])
    assert tus.append(answer.headers["Location"], 0, b"x").status_code == 403
    assert tus.append(answer.headers["Location"], int(seen.headers["Upload-Offset"]), b"").status_code == 403


def test_only_finished_partial_uploads_are_put_together(tus: Tus) -> None:
    whole = partial(tus, b"abc", 1)
    unfinished = tus.create(5, {"Upload-Concat": "partial"}).headers["Location"]
    for urls in (unfinished, f"{whole} {unfinished}", tus.begin(1, "no part"), "/uploads/" + "0" * 32, "/files/x"):
        headers = {"Upload-Concat": f"final;{urls}", "Upload-Metadata": encode_metadata(path="never")}
        assert tus.ask("POST", "/uploads", headers).status_code in (400, 404), urls
    assert tus.content("never") is None


# --- the file that it becomes ---


def test_a_path_that_is_taken_gets_a_new_version(tus: Tus) -> None:
    first = tus.ask("PUT", "/fs/twice", data=b"one").json
    tus.append(tus.begin(3, "twice"), 0, b"two")
    assert tus.ask("GET", f"/files/{first['file_id']}").json["version"] == 2
    assert tus.content("twice") == b"two"


def test_a_file_that_must_be_new_replaces_none(tus: Tus) -> None:
    created = tus.create(3, path="new", if_none_match="*")
    tus.ask("PUT", "/fs/new", data=b"other")
    assert tus.create(3, path="new", if_none_match="*").json["code"] == "precondition_failed"
    answer = tus.append(created.headers["Location"], 0, b"abc")
    assert (answer.status_code, answer.json["code"]) == (412, "precondition_failed")
    assert tus.content("new") == b"other"
    assert tus.ask("HEAD", created.headers["Location"]).status_code == 410


def test_a_complete_upload_that_lacks_room_never_looks_done_and_says_when_to_look_again(tus: Tus) -> None:
    first, second = (tus.begin(6, f"tight/{name}") for name in ("a", "b"))
    assert tus.ask("PUT", "/quotas?prefix=tight/", json={"max_bytes": 10}).status_code == 200
    wait_until(lambda: tus.ask("GET", "/quotas").json["quotas"][0]["is_counted"], "the quota counts")
    assert tus.append(first, 0, b"abcdef").status_code == 204
    assert tus.append(second, 0, b"abcdef").status_code == 507
    looked = tus.ask("HEAD", second)
    assert (looked.status_code, looked.headers["Retry-After"]) == (507, "60")
    assert "Upload-Offset" not in looked.headers
    assert tus.ask("DELETE", "/fs/tight/a?permanent=true").status_code == 200
    assert tus.offset(second) == 6
    assert tus.content("tight/b") == b"abcdef"
    assert tus.ask("DELETE", "/quotas?prefix=tight/").status_code == 200


def test_an_upload_that_could_not_be_committed_is_so_when_it_is_looked_at(ring: SmallRing, tus: Tus) -> None:
    url = tus.begin(CHUNK + 3, "limited/file")
    assert tus.append(url, 0, bytes(CHUNK)).status_code == 204
    assert tus.ask("PUT", "/quotas?prefix=limited/", json={"max_bytes": 10}).status_code == 200
    wait_until(lambda: tus.ask("GET", "/quotas").json["quotas"][0]["is_counted"], "the quota counts")
    for answer in (tus.append(url, CHUNK, b"abc"), tus.append(url, CHUNK, b"abc"), tus.ask("GET", url)):
        assert answer.json["code"] == "larger_than_quota"
    assert tus.ask("DELETE", "/quotas?prefix=limited/").status_code == 200
    ring.restart_gateway()
    assert tus.offset(url) == CHUNK + 3
    assert tus.content("limited/file") == bytes(CHUNK) + b"abc"


def test_another_process_goes_on_and_knows_the_whole_files_checksum(ring: SmallRing, tus: Tus) -> None:
    content = some_bytes(3 * CHUNK + 100, "restarted")
    url = tus.begin(len(content), "restarted")
    tus.append(url, 0, content[: CHUNK + 50])
    ring.restart_gateway()
    tus.append(url, CHUNK + 50, content[CHUNK + 50 : 2 * CHUNK + 1])
    ring.restart_gateway()
    assert tus.append(url, 2 * CHUNK + 1, content[2 * CHUNK + 1 :]).status_code == 204
    assert tus.content("restarted") == content
    checksum = tus.ask("HEAD", "/fs/restarted").headers["X-DFS-Checksum"]
    assert checksum == f"sha256={hashlib.sha256(content).hexdigest()}"


def test_no_buffer_stays_behind(ring: SmallRing) -> None:
    """The last test of this module that sends bytes: whatever happened before, all buffers are free again."""
    metrics = ring.client.get("/metrics", headers={"Authorization": f"Bearer {Tus(ring).key}"}).text
    assert "\ndfs_gateway_buffers_in_use 0.0" in metrics
    assert "\ndfs_gateway_uploads_open 0.0" in metrics


def test_an_upload_whose_bytes_come_slowly_does_not_expire(tmp_path_factory: pytest.TempPathFactory) -> None:
    with small_ring(tmp_path_factory.mktemp("dripping"), master={"resumable_idle_seconds": 4}) as ring:
        tus = Tus(ring)
        url = tus.begin(None, "dripping")
        left = [4.0]

        def has_life() -> bool:
            """Whether the upload has more time left than when it was last looked at."""
            left.append(tus.ask("GET", url).json["expires_in_seconds"])
            return left[-1] > left[-2]

        body = DrippingBody(has_life)
        assert tus.append(url, 0, None, environ=body.environ()).status_code == 204
        assert 0 < tus.offset(url) < CHUNK


def test_a_request_whose_upload_is_given_up_meanwhile_says_so(ring: SmallRing, tus: Tus) -> None:
    """Also where it notices by bytes that are gone."""
    url = tus.begin(2 * CHUNK, "given up")
    assert tus.append(url, 0, b"tail").status_code == 204
    body = HeldBody(b"", b"more")
    request = InBackground(lambda: tus.append(url, 4, None, environ=body.environ()))
    assert body.is_waiting.wait(30)
    assert tus.ask("DELETE", url).status_code == 204
    name = url.rpartition("/")[2]
    wait_until(lambda: not list(chunk_folder(ring).glob(f"*/{name}-*")), "its bytes are freed")
    body.go_on()
    assert request.result().json["code"] == "upload_gone"  # type: ignore[attr-defined]


def test_an_upload_without_progress_expires(tmp_path_factory: pytest.TempPathFactory) -> None:
    idle = {"resumable_idle_seconds": 1}
    with small_ring(tmp_path_factory.mktemp("expiring"), master=idle) as ring:
        tus = Tus(ring)
        url = tus.begin(2 * CHUNK, "expiring")
        assert tus.append(url, 0, bytes(CHUNK + 1)).status_code == 204
        wait_until(lambda: tus.ask("HEAD", url).status_code in (404, 410), "the upload has expired")
        assert tus.append(url, CHUNK + 1, b"x").status_code in (404, 410)
        wait_until(lambda: not list(chunk_folder(ring).glob("*/*")), "its bytes are freed")


# --- who may ---


def test_a_key_with_a_prefix_reaches_uploads_below_it_only(ring: SmallRing, tus: Tus) -> None:
    bound = Tus(ring, make_key(ring, ["write"], prefix="mine/")["key"])
    assert bound.create(3, path="other/x").json["code"] == "outside_prefix"
    assert bound.create(3, {"Upload-Concat": "partial"}).json["code"] == "outside_prefix"
    other = tus.begin(3, "other/x")
    for answer in (bound.append(other, 0, b"abc"), bound.ask("GET", other), bound.ask("DELETE", other)):
        assert answer.json["code"] == "outside_prefix"
    assert tus.offset(other) == 0
    own = bound.begin(3, "mine/x")
    assert bound.append(own, 0, b"a").status_code == 204
    assert bound.offset(own) == 1
    assert bound.ask("DELETE", own).status_code == 204
    foreign = partial(tus, b"secret", 1)
    headers = {"Upload-Concat": f"final;{foreign}", "Upload-Metadata": encode_metadata(path="mine/stolen")}
    assert bound.ask("POST", "/uploads", headers).json["code"] == "outside_prefix"


def test_a_key_that_may_only_read_uploads_nothing(ring: SmallRing, tus: Tus) -> None:
    reader = Tus(ring, make_key(ring, ["read"])["key"])
    url = tus.begin(3, "not by a reader")
    for answer in (reader.create(3, path="x"), reader.append(url, 0, b"abc"), reader.ask("DELETE", url)):
        assert answer.json["code"] == "right_missing"


def test_the_audit_log_has_what_changes_and_not_each_piece(ring: SmallRing, tus: Tus) -> None:
    url = tus.begin(3, "audited")
    tus.append(url, 0, b"a")
    tus.append(url, 1, b"b")
    tus.append(url, 2, b"c")
    gone = tus.begin(3, "audited and given up")
    tus.ask("DELETE", gone)
    lines = [line for line in ring.audit() if line["target"] in ("/uploads", url, gone)]
    told = [(line["event"], line["target"], tuple(line.get("paths", ()))) for line in lines[-4:]]
    assert told == [
        ("POST", "/uploads", ("audited",)),
        ("PATCH", url, ("audited",)),
        ("POST", "/uploads", ("audited and given up",)),
        ("DELETE", gone, ()),
    ]
