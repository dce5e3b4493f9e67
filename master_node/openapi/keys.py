"""The keys of the gateway's clients, for the gateway alone."""

from __future__ import annotations

from common.errors import AdminNeeded, Conflict, InvalidPath, KeyUnknown, TooLarge
from common.openapi.model import Operation, Parameter, array, json_body, json_reply, record, ref
from common.openapi.schemas import FLAG, KEY, TEXT

_HEX = {"type": "string", "pattern": "^[0-9a-f]*$"}

SCHEMAS = {
    "Key": record(
        {**KEY["properties"], "salt": _HEX, "digest": _HEX}, text="A key with the salted hash of its secret."
    ),
}

KEY_OPERATIONS = (
    Operation(
        "POST",
        "/keys",
        "putKey",
        "keys",
        "Keep a new key",
        {201: json_reply("It is kept.", ref("Key"))},
        (Conflict, InvalidPath, TooLarge),
        body=json_body("The key.", ref("Key")),
    ),
    Operation(
        "GET",
        "/keys",
        "listKeys",
        "keys",
        "One page of the keys, by id",
        {200: json_reply("The page.", record({"keys": array(ref("Key"))}))},
        parameters=(
            Parameter("after", "query", "The last id of the page before.", TEXT),
            Parameter("limit", "query", "Of one page.", {"type": "integer", "minimum": 1, "maximum": 1000}),
            Parameter("active", "query", "Without revoked ones.", FLAG),
        ),
    ),
    Operation(
        "GET",
        "/keys/{key_id}",
        "findKey",
        "keys",
        "One key, also a revoked one",
        {200: json_reply("The key.", ref("Key"))},
        (KeyUnknown,),
    ),
    Operation(
        "DELETE",
        "/keys/{key_id}",
        "revokeKey",
        "keys",
        "Revoke a key, for good",
        {200: json_reply("The key.", ref("Key"))},
        (KeyUnknown, AdminNeeded),
    ),
)
