"""The master's routes about quotas."""

from __future__ import annotations

from common.calls import Answer, Call, json_answer
from common.edge import Edge
from common.errors import InvalidRequest
from common.fields import take_optional
from common.paths import MAX_PATH_BYTES
from master_node.quotas.ledger import Ledger


def add_quota_routes(edge: Edge, ledger: Ledger) -> None:
    @edge.route("GET", "/quotas")
    def list_quotas(_call: Call) -> Answer:
        return json_answer({"quotas": [quota.describe() for quota in ledger.list_all()]})

    @edge.route("PUT", "/quotas")
    def set_quota(call: Call) -> Answer:
        limits = call.json()
        max_bytes, max_files = (take_optional(limits, name, int) for name in ("max_bytes", "max_files"))
        return json_answer(ledger.set_limits(_prefix(call), max_bytes, max_files).describe())

    @edge.route("DELETE", "/quotas")
    def remove_quota(call: Call) -> Answer:
        prefix = _prefix(call)
        ledger.remove(prefix)
        return json_answer({"prefix": prefix})


def _prefix(call: Call) -> str:
    prefix = call.query.get("prefix")
    if prefix is None or len(prefix.encode(errors="replace")) > MAX_PATH_BYTES:
        raise InvalidRequest(f"the parameter 'prefix' has at most {MAX_PATH_BYTES} bytes; it may be empty")
    return prefix
