"""`/quotas`: how many bytes and files may lie below a path prefix."""

from __future__ import annotations

from common.calls import Answer, Call, json_answer
from common.edge import Edge
from common.errors import InvalidRequest
from common.master_client import MasterClient


def add_quota_routes(edge: Edge, masters: MasterClient) -> None:
    @edge.route("GET", "/quotas")
    def list_quotas(_call: Call) -> Answer:
        return json_answer(masters.list_quotas())

    @edge.route("PUT", "/quotas")
    def set_quota(call: Call) -> Answer:
        """{"max_bytes": ..., "max_files": ...}; what is left out, or null, is not limited."""
        quota = masters.set_quota(_prefix(call), call.json())
        call.about = {name: quota[name] for name in ("max_bytes", "max_files")}
        return json_answer(quota)

    @edge.route("DELETE", "/quotas")
    def remove_quota(call: Call) -> Answer:
        return json_answer(masters.remove_quota(_prefix(call)))


def _prefix(call: Call) -> str:
    prefix = call.query.get("prefix")
    if prefix is None:
        raise InvalidRequest("the parameter 'prefix' says which paths the quota is for; it may be empty")
    call.permit(prefix)
    return prefix
