"""The header fields of tus 1.0.0: what they say, and what is refused."""

from __future__ import annotations

import base64
import hashlib
import zlib

import pytest

from api_gateway.resumable.checksums import ALGORITHMS, ExpectedChecksum, parse_checksum
from api_gateway.resumable.concatenation import partial_ids
from api_gateway.resumable.hashes import HashState, HashTable
from api_gateway.resumable.metadata import Destination, parse_metadata, read_destination, recall, remember
from api_gateway.resumable.protocol import (
    CONTENT_TYPE,
    Addition,
    Concatenation,
    read_addition,
    read_creation,
    require_version,
)
from common.errors import (
    ChecksumMismatch,
    InvalidPath,
    InvalidRequest,
    TusVersionUnsupported,
    UnsupportedMediaType,
)
from common.wire import Headers

BYTES = {"Content-Type": CONTENT_TYPE, "Content-Length": "3"}
ID = "0123456789abcdef" * 2


def headers(**fields: str) -> Headers:
    return Headers({name.lower().replace("_", "-"): value for name, value in fields.items()})


def of(fields: dict[str, str]) -> Headers:
    return Headers({name.lower(): value for name, value in fields.items()})


def encoded(text: str | bytes) -> str:
    return base64.b64encode(text.encode() if isinstance(text, str) else text).decode()


def metadata(**fields: str) -> str:
    return ",".join(f"{name} {encoded(value)}" for name, value in fields.items())


def test_another_version_is_refused() -> None:
    require_version(headers(tus_resumable="1.0.0"))
    for given in (headers(), headers(tus_resumable="0.2.2"), headers(tus_resumable="1.0.0, 1.0.0")):
        with pytest.raises(TusVersionUnsupported):
            require_version(given)


def test_a_creation_says_its_length_now_or_later() -> None:
    assert read_creation(headers(upload_length="0")).length == 0
    assert read_creation(headers(upload_defer_length="1")).length is None
    assert not read_creation(headers(upload_length="7", content_length="0")).has_body
    assert read_creation(of({"Upload-Length": "7", **BYTES})).has_body
    chunked = {"Upload-Length": "7", "Content-Type": CONTENT_TYPE, "Transfer-Encoding": "chunked"}
    assert read_creation(of(chunked)).has_body


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"Upload-Length": "1", "Upload-Defer-Length": "1"},
        {"Upload-Defer-Length": "0"},
        {"Upload-Length": "-1"},
        {"Upload-Length": "+1"},
        {"Upload-Length": "1.0"},
        {"Upload-Length": ""},
        {"Upload-Length": "²"},
        {"Upload-Length": "9" * 19},
        {"Upload-Length": "1, 1"},
        {"Upload-Length": "1", "Upload-Concat": "whole"},
        {"Upload-Concat": "final;"},
        {"Upload-Concat": "final;/uploads/a", "Upload-Length": "1"},
        {"Upload-Concat": "final;/uploads/a", "Upload-Defer-Length": "1"},
        {"Upload-Concat": "final;/uploads/a", **BYTES},
        {"Upload-Length": "1", "Upload-Checksum": "sha1"},
    ],
    ids=str,
)
def test_a_creation_that_says_too_little_or_too_much_is_refused(fields: dict[str, str]) -> None:
    with pytest.raises(InvalidRequest):
        read_creation(of(fields))


@pytest.mark.parametrize("given", ["text/plain", "", "application/octet-stream"])
def test_bytes_of_another_media_type_are_refused(given: str) -> None:
    with pytest.raises(UnsupportedMediaType):
        read_creation(of({"Upload-Length": "3", "Content-Length": "3", "Content-Type": given}))
    with pytest.raises(UnsupportedMediaType):
        read_addition(of({"Upload-Offset": "3", "Content-Type": given}))


def test_partial_and_final_uploads() -> None:
    partial = read_creation(headers(upload_length="1", upload_concat="partial"))
    assert partial.is_partial
    final = read_creation(headers(upload_concat=f"final;/uploads/{ID} http://h/uploads/{ID}"))
    assert final.concatenation == Concatenation(
        f"final;/uploads/{ID} http://h/uploads/{ID}", False, (f"/uploads/{ID}", f"http://h/uploads/{ID}")
    )
    assert partial_ids(final.concatenation.partials) == [ID, ID]
    for url in ("", "/", f"/files/{ID}", "/uploads/short", f"/uploads/{ID.upper()}", f"/uploads/{ID}/x"):
        with pytest.raises(InvalidRequest):
            partial_ids([url])


def test_an_addition_says_where_it_begins() -> None:
    given = {"Content-Type": CONTENT_TYPE, "Upload-Offset": "7"}
    assert read_addition(of(given)) == Addition(7)
    assert read_addition(of({**given, "Upload-Length": "9"})) == Addition(7, 9)
    for offset in ({}, {"Upload-Offset": "x"}, {"Upload-Offset": "-1"}):
        with pytest.raises(InvalidRequest):
            read_addition(of({"Content-Type": CONTENT_TYPE, **offset}))


# --- metadata ---


def test_metadata_is_pairs_of_a_key_and_a_value_in_base64() -> None:
    assert parse_metadata("") == {}
    assert parse_metadata(f"a {encoded('x y')},is_private,b ,c {encoded(b'')}") == {
        "a": b"x y",
        "is_private": b"",
        "b": b"",
        "c": b"",
    }
    assert parse_metadata(f"a {encoded('1')}, b {encoded('2')}") == {"a": b"1", "b": b"2"}


@pytest.mark.parametrize("text", [",", "a,a", "a x,a y", "a =", "a b c", "ä eA==", " ,b", "a e A=="])
def test_metadata_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest):
        parse_metadata(text)


@pytest.mark.parametrize(
    ("fields", "path", "name"),
    [
        ({"filename": "a.txt"}, "a.txt", "a.txt"),
        ({"path": "x/y.txt"}, "x/y.txt", ""),
        ({"path": "x/y.txt", "filename": "a.txt"}, "x/y.txt", "a.txt"),
        ({"path": "x/", "filename": "a.txt"}, "x/a.txt", "a.txt"),
        ({"path": "", "filename": "ä b"}, "ä b", "ä b"),
    ],
)
def test_a_path_goes_before_a_name(fields: dict[str, str], path: str, name: str) -> None:
    found = read_destination(metadata(**fields))
    assert (found.path, found.file_name) == (path, name)


def test_the_media_type_is_the_clients_or_goes_by_the_name() -> None:
    assert read_destination(metadata(filename="a.txt")).content_type == "text/plain"
    assert read_destination(metadata(filename="a.txt", filetype="image/x")).content_type == "image/x"
    assert read_destination(metadata(filename="a.txt", filetype="a\r\nb")).content_type == "text/plain"


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"path": "x/"},
        {"filename": "a/b"},
        {"path": "x/", "filename": "a/b"},
        {"filename": ".."},
        {"path": "../x"},
        {"path": "/x"},
        {"path": "a\0b"},
        {"path": "x" * 1025},
    ],
    ids=str,
)
def test_where_no_file_may_go_none_is_begun(fields: dict[str, str]) -> None:
    with pytest.raises(InvalidPath):
        read_destination(metadata(**fields))


def test_other_metadata_that_means_something_must_mean_it() -> None:
    assert read_destination(metadata(filename="a", if_none_match="*")).if_none_match == "*"
    with pytest.raises(InvalidRequest):
        read_destination(metadata(filename="a", if_none_match='"x"'))
    with pytest.raises(InvalidRequest):
        read_destination(f"filename {encoded(bytes([255]))}")
    assert read_destination("", is_partial=True) == Destination(None, "", "application/octet-stream", None)


def test_what_is_kept_with_an_upload_gives_both_headers_again() -> None:
    for pair in (("", ""), ("a eA==", ""), ("", "partial"), ("a eA==,b", "final;/uploads/1 /uploads/2")):
        assert recall(remember(*pair)) == pair
    with pytest.raises(InvalidRequest):
        remember("x" * 4096, "")


# --- checksums ---


def test_every_checksum_that_is_offered_is_that_of_its_name() -> None:
    content = b"some bytes" * 1000
    right = {
        "sha1": hashlib.sha1(content, usedforsecurity=False).digest(),
        "sha256": hashlib.sha256(content).digest(),
        "md5": hashlib.md5(content, usedforsecurity=False).digest(),
        "crc32": zlib.crc32(content).to_bytes(4, "big"),
    }
    assert set(ALGORITHMS) == set(right)
    for name, digest in right.items():
        expected = parse_checksum(f"{name} {encoded(digest)}")
        assert expected == ExpectedChecksum(name, digest)
        hasher = expected.new_hasher()
        hasher.update(memoryview(content)[:77])
        hasher.update(content[77:])
        expected.require(hasher.digest())
        with pytest.raises(ChecksumMismatch):
            expected.require(bytes(len(digest)))


@pytest.mark.parametrize(
    "text", ["", "sha1", "sha1 ", "sha512 eA==", "sha1 eA==", "sha1 $$$", "SHA1 " + "A" * 27 + "="]
)
def test_a_checksum_that_is_none_or_not_offered_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest):
        parse_checksum(text)


# --- how far whole-file checksums are ---


def state(content: bytes) -> HashState:
    return HashState(hashlib.sha256(content), len(content))


def test_a_state_is_given_to_one_and_then_forgotten() -> None:
    table = HashTable()
    table.keep(ID, state(b"abc"))
    assert table.take(ID, 3).hasher.digest() == hashlib.sha256(b"abc").digest()
    assert table.take(ID, 3).covered_bytes == 0


def test_of_two_states_the_one_that_covers_more_is_kept() -> None:
    table = HashTable()
    for content in (b"ab", b"abcd", b"abc", b""):
        table.keep(ID, state(content))
    assert table.take(ID, 9).covered_bytes == 4


def test_a_state_beyond_the_offset_is_worth_nothing() -> None:
    table = HashTable()
    table.keep(ID, state(b"abc"))
    assert table.take(ID, 2).covered_bytes == 0


def test_the_oldest_states_make_room() -> None:
    table = HashTable(most=2)
    for name in ("a", "b", "a", "c"):
        table.keep(name, state(b"x"))
    assert [table.take(name, 1).covered_bytes for name in ("a", "b", "c")] == [1, 0, 1]
