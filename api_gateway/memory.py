"""How much memory a gateway can come to take: what its settings allow, whatever clients and files there are."""

from __future__ import annotations

from api_gateway.archive.service import MAX_DIRECTORY_BYTES
from common.settings import MIB, GatewaySettings

# The interpreter and all that is imported, the threads that transfers share, and what the allocator cannot use again.
BASE_BYTES = 96 * MIB
# A connection's thread, the head of its request, and what the parser of a form carries from one read to the next.
CONNECTION_BYTES = 512 * 1024
# An archive's central directory, the paths that were chosen for it, and the form that brought them.
ARCHIVE_BYTES = MAX_DIRECTORY_BYTES + 16 * MIB


def memory_bound_bytes(settings: GatewaySettings, chunk_size_bytes: int) -> int:
    """The bound on the resident size of the serving process, in bytes."""
    return (
        BASE_BYTES
        + settings.buffer_count * chunk_size_bytes
        + settings.small_chunk_bytes
        + settings.max_connections * CONNECTION_BYTES
        + settings.max_archives * ARCHIVE_BYTES
    )
