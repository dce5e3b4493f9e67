"""The master's routes for the keys of the gateway's clients. What they answer is for the gateway alone."""

from __future__ import annotations

from common.api_keys import KeyRecord
from common.calls import Answer, Call, json_answer
from common.edge import Edge
from master_node.keys import Keys

MAX_KEY_PAGE = 1000


def add_key_routes(edge: Edge, keys: Keys) -> None:
    @edge.route("POST", "/keys")
    def put_key(call: Call) -> Answer:
        return json_answer(keys.put(KeyRecord.from_json(call.json())).to_json(), 201)

    @edge.route("GET", "/keys")
    def list_keys(call: Call) -> Answer:
        limit = call.number("limit", MAX_KEY_PAGE, MAX_KEY_PAGE, minimum=1)
        found = keys.list(call.query.get("after", ""), limit, call.flag("active"))
        return json_answer({"keys": [key.to_json() for key in found]})

    @edge.route("GET", "/keys/<key_id>")
    def find_key(_call: Call, key_id: str) -> Answer:
        return json_answer(keys.find(key_id).to_json())

    @edge.route("DELETE", "/keys/<key_id>")
    def revoke_key(_call: Call, key_id: str) -> Answer:
        return json_answer(keys.revoke(key_id).to_json())
