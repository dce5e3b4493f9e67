"""The note of a chunk: written beside it, carried along by copies, told on request, never in the way of its bytes."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from common.chunk_notes import MAX_NOTE_BYTES, ChunkNote, decode_header, encode_header
from common.errors import ChunkCorrupt, InvalidRequest
from storage.chunk_file import ALIGNMENT, ChunkFile, encode_tail, file_size
from storage.chunk_store import ChunkStore
from tests.support.chunks import BLOCK, make_chunk, open_store, pieces, read_data
from tests.support.served import served_workers

NOTES = [b"{}", ChunkNote("a/path", uploaded_at="2026-01-31T12:00:00.000Z").encode(), b"n" * MAX_NOTE_BYTES]
SIZES = [0, 1, BLOCK, 4 * BLOCK + 1, 64 * BLOCK]


def put_noted(store: ChunkStore, size: int, note: bytes) -> str:
    chunk = make_chunk(size)
    store.write(chunk.chunk_id, pieces(chunk.content), size, chunk.checksum, lambda: note)
    return chunk.chunk_id


@pytest.mark.parametrize("note", NOTES, ids=len)
@pytest.mark.parametrize("size", SIZES)
def test_a_chunk_and_its_note_are_read_as_they_were_written(store: ChunkStore, size: int, note: bytes) -> None:
    chunk_id = put_noted(store, size, note)
    assert read_data(store, make_chunk(size)) == make_chunk(size).content
    assert [(one.chunk_id, one.size_bytes, one.note) for one in store.describe([chunk_id])] == [(chunk_id, size, note)]
    assert Path(store.path(chunk_id)).stat().st_size == file_size(size, len(note))
    assert store.usage().used_bytes == file_size(size, len(note))
    assert store.verify(chunk_id)


def test_a_chunk_without_a_note_has_none_and_is_as_long_as_before(store: ChunkStore) -> None:
    chunk_id = put_noted(store, 100, b"")
    assert store.describe([chunk_id])[0].note == b""
    assert Path(store.path(chunk_id)).stat().st_size == ALIGNMENT


def test_chunks_of_which_there_is_no_file_are_not_described(store: ChunkStore) -> None:
    assert store.describe([make_chunk(number=5).chunk_id]) == []


@pytest.mark.parametrize("from_end", [41, 45, 53, 60])
def test_a_changed_byte_of_the_note_or_of_its_end_is_found(root: Path, from_end: int) -> None:
    """The footer has 40 bytes, the note's end 12 before it."""
    store = open_store(root)
    path = Path(store.path(put_noted(store, 100, b"a note of some length")))
    content = bytearray(path.read_bytes())
    content[-from_end] ^= 1
    path.write_bytes(content)
    with pytest.raises(ChunkCorrupt), ChunkFile(str(path)) as file:
        file.read_header()


def test_a_note_that_claims_to_be_longer_than_the_file_is_refused(tmp_path: Path) -> None:
    tail = bytearray(encode_tail(1, b"d" * 16, b"note"))
    tail[-52:-48] = struct.pack("<I", MAX_NOTE_BYTES)
    path = tmp_path / "chunk"
    path.write_bytes(b"x" + tail)
    with pytest.raises(ChunkCorrupt), ChunkFile(str(path)) as file:
        file.read_header()


def test_a_copy_carries_the_note_along(tmp_path: Path) -> None:
    chunk, note = make_chunk(), b'{"path":"somewhere"}'
    with served_workers(tmp_path, ("one", "two")) as workers:
        one, two = workers.urls["one"], workers.urls["two"]
        workers.client.put_chunk(one, chunk.chunk_id, chunk.content, chunk.checksum, note=encode_header(note))
        workers.client.copy_chunk(
            two, chunk.chunk_id, one, size_bytes=len(chunk.content), checksum=chunk.checksum, epoch=1
        )
        described = workers.client.describe_chunks(two, [chunk.chunk_id])
    assert [(found.note, found.checksum) for found in described] == [(note, chunk.checksum)]


@pytest.mark.parametrize("header", ["not base64!", encode_header(b"n" * (MAX_NOTE_BYTES + 1))])
def test_a_header_that_is_no_note_is_refused(header: str) -> None:
    with pytest.raises(InvalidRequest):
        decode_header(header)


def test_the_longest_path_fits_into_a_note_and_what_is_no_path_is_left_out() -> None:
    longest = "\x01" * 1024
    assert ChunkNote.decode(ChunkNote(longest, uploaded_at="now").encode()) == ChunkNote(longest, uploaded_at="now")
    far_too_long = ChunkNote("p" * 100_000, "n" * 100_000, uploaded_at="now").last(3, 4).encode()
    assert ChunkNote.decode(far_too_long) == ChunkNote(uploaded_at="now", chunk_count=3, size_bytes=4)


@pytest.mark.parametrize("written", [b"", b"[]", b"\xff", b"5"])
def test_what_is_no_note_says_nothing(written: bytes) -> None:
    assert ChunkNote.decode(written) is None
