"""The bound that a gateway states is the sum of what its settings allow."""

from __future__ import annotations

from dataclasses import replace

from api_gateway.memory import ARCHIVE_BYTES, BASE_BYTES, CONNECTION_BYTES, memory_bound_bytes
from common.settings import MIB, GatewaySettings

SETTINGS = replace(GatewaySettings(), buffer_count=4, small_chunk_bytes=MIB, max_connections=8, max_archives=1)


def test_every_setting_that_takes_memory_counts() -> None:
    assert memory_bound_bytes(SETTINGS, 4 * MIB) == BASE_BYTES + 16 * MIB + MIB + 8 * CONNECTION_BYTES + ARCHIVE_BYTES


def test_more_of_anything_raises_the_bound_by_what_it_takes() -> None:
    bound = memory_bound_bytes(SETTINGS, 4 * MIB)
    assert memory_bound_bytes(replace(SETTINGS, buffer_count=5), 4 * MIB) == bound + 4 * MIB
    assert memory_bound_bytes(replace(SETTINGS, small_chunk_bytes=2 * MIB), 4 * MIB) == bound + MIB
    assert memory_bound_bytes(replace(SETTINGS, max_connections=9), 4 * MIB) == bound + CONNECTION_BYTES
    assert memory_bound_bytes(replace(SETTINGS, max_archives=3), 4 * MIB) == bound + 2 * ARCHIVE_BYTES
