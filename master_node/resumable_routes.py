"""The master's routes of resumable uploads that other uploads do not have."""

from __future__ import annotations

from common.calls import Answer, Call, json_answer
from common.edge import Edge
from common.fields import take, take_optional
from master_node.resumables import Resumables


def add_resumable_routes(edge: Edge, resumables: Resumables) -> None:
    @edge.route("GET", "/uploads/<upload_id>")
    def find_upload(_call: Call, upload_id: str) -> Answer:
        return json_answer(resumables.find(upload_id).to_json())

    @edge.route("POST", "/uploads/<upload_id>/resume")
    def resume_upload(call: Call, upload_id: str) -> Answer:
        body = call.json()
        resumed = resumables.resume(
            upload_id,
            take(body, "offset", int),
            take_optional(body, "length", int),
            take(body, "place", int),
            take(body, "session", str),
        )
        return json_answer(resumed.to_json())
