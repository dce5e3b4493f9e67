"""`/quotas`, the same at the gateway and at the masters."""

from __future__ import annotations

from common.errors import DFSError, QuotaUnknown, TooLarge
from common.openapi.model import Operation, Parameter, array, json_body, json_reply, record, ref
from common.openapi.schemas import QUOTA_LIMITS, TEXT
from common.paths import MAX_PATH_BYTES

_PREFIX = Parameter(
    "prefix", "query", "The paths that start with it.", {**TEXT, "maxLength": MAX_PATH_BYTES}, is_required=True
)


def quota_operations(change_errors: tuple[type[DFSError], ...] = ()) -> tuple[Operation, ...]:
    """change_errors: what a change may be answered besides."""
    return (
        Operation(
            "GET",
            "/quotas",
            "listQuotas",
            "cluster",
            "Every quota, and what is used of it",
            {200: json_reply("All of them.", record({"quotas": array(ref("Quota"))}))},
        ),
        Operation(
            "PUT",
            "/quotas",
            "setQuota",
            "cluster",
            "Limit the bytes or files below a prefix",
            {200: json_reply("The quota.", ref("Quota"))},
            (*change_errors, TooLarge),
            (_PREFIX,),
            json_body("What is left out is not limited; one of them is given.", QUOTA_LIMITS),
        ),
        Operation(
            "DELETE",
            "/quotas",
            "removeQuota",
            "cluster",
            "Limit it no more",
            {200: json_reply("It is gone.", record({"prefix": TEXT}))},
            (*change_errors, QuotaUnknown),
            (_PREFIX,),
        ),
    )
