"""What lies on this disk, for the masters to compare with their records. No byte of a chunk's data is read."""

from __future__ import annotations

from common.calls import Answer, Call, json_answer
from common.edge import Edge
from common.errors import InvalidRequest
from common.worker_client import INVENTORY_FOLDERS, MAX_DESCRIBED, MAX_INVENTORY_PAGE
from storage.chunk_store import ChunkStore
from storage.routes.arguments import check_id, chunk_ids_of

_FOLDER_NAMES = {f"{number:02x}": number for number in range(INVENTORY_FOLDERS)}


def add_inventory_routes(edge: Edge, store: ChunkStore) -> None:
    """Make the edge tell what `store` holds."""

    @edge.route("GET", "/inventory/<folder>")
    def list_inventory(call: Call, folder: str) -> Answer:
        """One page of the chunks in one folder, in the order of their ids."""
        if folder not in _FOLDER_NAMES:
            raise InvalidRequest("a folder of the inventory is two hexadecimal digits")
        after = call.query.get("after", "")
        if after:
            check_id(after)
        limit = call.number("limit", 1000, MAX_INVENTORY_PAGE, minimum=1)
        chunks = store.list_folder(_FOLDER_NAMES[folder], after, limit)
        return json_answer({"chunks": [chunk.to_json() for chunk in chunks]})

    @edge.route("POST", "/chunks/held")
    def find_held(call: Call) -> Answer:
        """Those of the chunks asked for that there is a file of."""
        return json_answer({"held": store.find_held(chunk_ids_of(call))})

    @edge.route("POST", "/chunks/notes")
    def describe_chunks(call: Call) -> Answer:
        """Size, checksum and note of those of the chunks asked for that are here."""
        chunk_ids = chunk_ids_of(call)
        if len(chunk_ids) > MAX_DESCRIBED:
            raise InvalidRequest(f"at most {MAX_DESCRIBED} chunks are described at once")
        return json_answer({"chunks": [chunk.to_json() for chunk in store.describe(chunk_ids)]})
