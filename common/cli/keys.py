"""`keys` and `link`: who may do what, and addresses that work without a key for a while."""

from __future__ import annotations

from argparse import Namespace
from typing import Any
from urllib.parse import quote

from common.cli.console import shown
from common.cli.context import Context
from common.cli.failures import OK
from common.cli.remote import wanted_path

RIGHTS = ("read", "write", "delete", "admin")


def make(context: Context, options: Namespace) -> int:
    """Make a key; its text is shown this once."""
    wanted = {"name": options.name, "rights": options.rights, "prefix": options.prefix}
    made = context.gateway.send("POST", "/keys", value=wanted)
    context.console.note("the key is shown this once; keep it where others cannot read it")
    context.console.emit(made, shown(str(made["key"])))
    return OK


def list_keys(context: Context, options: Namespace) -> int:  # noqa: ARG001 - every command has options
    """All keys, without their texts."""
    after: str | None = ""
    while after is not None:
        answer = context.gateway.ask("/keys", {"after": after} if after else None)
        for key in answer["keys"]:
            context.console.emit(key, shown(_describe(key)))
        after = answer.get("next_after")
    return OK


def revoke(context: Context, options: Namespace) -> int:
    """A revoked key stops working within seconds."""
    revoked = context.gateway.send("DELETE", f"/keys/{quote(options.key_id, safe='')}")
    context.console.emit({"key_id": options.key_id, **revoked}, f"revoked {shown(options.key_id)}")
    return OK


def link(context: Context, options: Namespace) -> int:
    """An address for one file and one method that works without a key until it expires."""
    wanted = {"path": wanted_path(options.path), "method": options.method, "seconds": options.seconds}
    made = context.gateway.send("POST", "/links", value=wanted)
    context.console.emit(made, shown(str(made["url"])))
    return OK


def _describe(key: dict[str, Any]) -> str:
    rights = ",".join(key.get("rights", []))
    where = f" below {key['prefix']}" if key.get("prefix") else ""
    state = f", revoked {key['revoked_at']}" if key.get("revoked_at") else ""
    return f"{key['key_id']}  {key.get('name', '')}: {rights}{where}, made {key.get('created_at', '')}{state}"
