"""What the worker's routes read from a request, checked."""

from __future__ import annotations

from common.calls import Call
from common.errors import InvalidRequest
from common.fields import take
from common.records import is_chunk_id
from common.worker_client import EPOCH_HEADER
from storage.epoch import EpochGate


def check_id(chunk_id: object) -> None:
    if not isinstance(chunk_id, str) or not is_chunk_id(chunk_id):
        raise InvalidRequest("a chunk id is 32 hexadecimal digits, '-', 8 hexadecimal digits, and of an attempt 8 more")


def chunk_ids_of(call: Call) -> list[str]:
    """The chunks that a request names in its body."""
    chunk_ids: list[str] = take(call.json(), "chunk_ids", list)
    for chunk_id in chunk_ids:
        check_id(chunk_id)
    return chunk_ids


def admit_order(call: Call, epochs: EpochGate) -> int:
    """The epoch that an order carries; raises StaleEpoch for that of a leader who has been replaced."""
    text = call.headers.get(EPOCH_HEADER, "")
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise InvalidRequest(f"an order needs the leader's epoch in the header {EPOCH_HEADER}")
    epoch = int(text)
    epochs.admit(epoch)
    return epoch
