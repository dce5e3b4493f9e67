"""Documents hold every field of a value, under its name and in its order, and give the value back."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import pytest

from master_node import documents
from master_node.attempts import Resumable, Sealed
from master_node.model import Chunk, CommitTarget, File, Upload
from tests.support.metadata import hex_id, make_file, make_old, make_upload, make_version

FILES = [
    make_file("a"),
    make_file("\U0001f600", size_bytes=2**50, old_versions=(make_old("v1"), replace(make_old("v2"), is_released=True))),
    replace(make_file("bar"), version=None, expires_at=5.5),
    replace(make_file("unsummed"), version=replace(make_version("unsummed"), checksum=None)),
]
UPLOADS = [
    make_upload("u"),
    replace(make_upload("t"), target=CommitTarget("f", "p", 3, is_insert=False), workers=("w1", "w2"), refusal="no"),
    replace(make_upload("s"), resumable=Resumable("p", 9, "", "t", "", False, sealed=Sealed(9, 1, None, "t"))),
]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.path)
def test_a_file_keeps_every_field(file: File) -> None:
    written = json.dumps(documents.file_to_document(file))
    assert written == json.dumps(asdict(file))
    assert documents.file_from_document(json.loads(written)) == file


@pytest.mark.parametrize("upload", UPLOADS, ids=["new", "with a target", "sealed"])
def test_an_upload_keeps_every_field(upload: Upload) -> None:
    written = json.dumps(documents.upload_to_document(upload))
    # Left out where there is nothing to say, for most uploads are not resumable.
    fields = {name: value for name, value in asdict(upload).items() if name != "resumable" or value is not None}
    assert written == json.dumps(fields)
    assert documents.upload_from_document(json.loads(written)) == upload


def test_an_upload_of_an_earlier_release_is_read_with_a_majority_as_its_quorum() -> None:
    written = documents.upload_to_document(replace(make_upload("u"), replication_factor=4))
    del written["write_quorum"]
    assert documents.upload_from_document(written).write_quorum == 3


def test_a_chunk_keeps_every_field() -> None:
    chunk = Chunk(hex_id("v"), 7, 1, "c", ("w1", "w2"), 1, ("w3",))
    written = json.dumps(documents.chunk_to_document(chunk))
    assert written == json.dumps(asdict(chunk))
    assert documents.chunk_from_document(json.loads(written)) == chunk
