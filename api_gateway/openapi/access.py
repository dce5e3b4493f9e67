"""`/keys`, `/links`, `/sign-in`, `/sign-out`: who may come in."""

from __future__ import annotations

from api_gateway.openapi.parts import HTML, HTML_PAGE
from common.actors import RIGHTS
from common.errors import AdminNeeded, Conflict, CrossSiteRequest, InvalidForm, InvalidPath, KeyUnknown, TooLarge
from common.openapi.model import Body, Operation, Parameter, Reply, array, json_body, json_reply, nullable, record, ref
from common.openapi.schemas import FLAG, KEY, KEY_ID, TEXT, TIME

_RIGHTS = {**array({"enum": list(RIGHTS)}), "minItems": 1}
_NEXT = Parameter("next", "query", "Where to go afterwards; a path of this gateway.", TEXT)

SCHEMAS = {
    "Key": KEY,
    "NewKey": record(
        {**KEY["properties"], "key": {"type": "string", "description": "The key itself, shown this once."}},
        text="A key that was just made.",
    ),
    "Keys": record({"keys": array(ref("Key")), "next_after": nullable(KEY_ID)}, text="One page, by id."),
    "Link": record({"url": TEXT, "path": TEXT, "method": {"enum": ["GET", "PUT"]}, "expires_at": TIME}),
}

ACCESS_OPERATIONS = (
    Operation(
        "POST",
        "/keys",
        "makeKey",
        "access",
        "Make an API key",
        {201: json_reply("The key.", ref("NewKey"), ("Location",))},
        (CrossSiteRequest, AdminNeeded, Conflict, InvalidPath, TooLarge),
        body=json_body(
            "prefix: the beginning of every path that the key is for.",
            record({"name": TEXT, "rights": _RIGHTS, "prefix": nullable(TEXT)}, optional=("prefix",)),
            example={"name": "backup", "rights": ["read"], "prefix": "photos/"},
        ),
    ),
    Operation(
        "GET",
        "/keys",
        "listKeys",
        "access",
        "One page of the keys, revoked ones too",
        {200: json_reply("The page.", ref("Keys"))},
        parameters=(
            Parameter("after", "query", "`next_after` of the page before.", TEXT),
            Parameter("limit", "query", "Of one page.", {"type": "integer", "minimum": 1, "maximum": 1000}),
            Parameter("active", "query", "Without revoked ones.", FLAG),
        ),
    ),
    Operation(
        "DELETE",
        "/keys/{key_id}",
        "revokeKey",
        "access",
        "Revoke a key, for good",
        {200: json_reply("The key.", ref("Key"))},
        (CrossSiteRequest, KeyUnknown, AdminNeeded),
    ),
    Operation(
        "POST",
        "/links",
        "makeLink",
        "access",
        "Make a URL that works without a key for some time",
        {201: json_reply("The link.", ref("Link"))},
        (CrossSiteRequest, InvalidPath, TooLarge),
        body=json_body(
            "For one file, and GET or PUT.",
            record({"path": TEXT, "method": {"enum": ["GET", "PUT"]}, "seconds": {"type": "integer", "minimum": 1}}),
        ),
    ),
    Operation(
        "GET",
        "/sign-in",
        "getSignIn",
        "access",
        "The form to sign in with",
        {200: Reply("The form.", {HTML_PAGE: HTML})},
        parameters=(_NEXT,),
        is_open=True,
    ),
    Operation(
        "POST",
        "/sign-in",
        "signIn",
        "access",
        "Sign a browser in with a key",
        {303: Reply("Signed in.", headers=("Location", "Set-Cookie"))},
        (CrossSiteRequest, InvalidForm),
        body=Body(
            "The form.",
            {"application/x-www-form-urlencoded": record({"key": TEXT, "next": TEXT}, optional=("next",))},
        ),
    ),
    Operation(
        "POST",
        "/sign-out",
        "signOut",
        "access",
        "End the session of this browser",
        {303: Reply("Signed out.", headers=("Location", "Set-Cookie"))},
        (CrossSiteRequest,),
    ),
)
