"""What the leading master orders: free, fetch and put aside chunks. Every order carries its epoch."""

from __future__ import annotations

import re

from common.calls import Answer, Call, json_answer
from common.edge import Edge
from common.errors import InvalidRequest
from common.fields import take
from common.logs import EventLog
from storage.chunk_store import ChunkStore
from storage.copying import ReplicaCopier
from storage.epoch import EpochGate
from storage.receiving import MAX_CHUNK_BYTES
from storage.routes.arguments import admit_order, check_id, chunk_ids_of

_CHECKSUM = re.compile(r"[0-9a-f]{32}")


def add_order_routes(edge: Edge, store: ChunkStore, epochs: EpochGate, copier: ReplicaCopier, log: EventLog) -> None:
    """Make the edge take the leader's orders."""

    @edge.route("DELETE", "/chunks/<chunk_id>")
    def delete_chunk(call: Call, chunk_id: str) -> Answer:
        """Free one chunk."""
        check_id(chunk_id)
        epoch = admit_order(call, epochs)
        return json_answer({"deleted": store.delete([chunk_id], lambda: epochs.step(epoch))})

    @edge.route("POST", "/chunks/delete")
    def delete_chunks(call: Call) -> Answer:
        """Free many chunks by one order."""
        chunk_ids = chunk_ids_of(call)
        epoch = admit_order(call, epochs)
        return json_answer({"deleted": store.delete(chunk_ids, lambda: epochs.step(epoch))})

    @edge.route("POST", "/chunks/<chunk_id>/copy")
    def copy_chunk(call: Call, chunk_id: str) -> Answer:
        """Fetch a replica from another worker; answered once it is verified and on the disk."""
        check_id(chunk_id)
        order = call.json()
        source_url, size_bytes = take(order, "source_url", str), take(order, "size_bytes", int)
        checksum = take(order, "checksum", str)
        if not 0 <= size_bytes <= MAX_CHUNK_BYTES or not _CHECKSUM.fullmatch(checksum):
            raise InvalidRequest(f"a copy needs a size from 0 to {MAX_CHUNK_BYTES} and a checksum")
        admit_order(call, epochs)
        copier.copy(chunk_id, source_url, size_bytes, checksum)
        return json_answer({"chunk_id": chunk_id, "size_bytes": size_bytes, "checksum": checksum})

    @edge.route("POST", "/chunks/quarantine")
    def quarantine_chunks(call: Call) -> Answer:
        """Put chunks aside that no record names."""
        chunk_ids = chunk_ids_of(call)
        admit_order(call, epochs)
        count = store.put_aside(chunk_ids)
        if count:
            log.warning("unknown_chunks_quarantined", count=count)
        return json_answer({"quarantined": count})
