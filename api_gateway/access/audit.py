"""The audit log: who did what to which path, from where, with what outcome. Never a key, a signature or a cookie."""

from __future__ import annotations

import re

from api_gateway.access.needs import need_of
from common.actors import NOBODY
from common.calls import Call
from common.logs import EventLog

_REFUSALS = (401, 403, 429)
_SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
_CONVERTER = re.compile(r"<\w+:")


class Audit:
    """Writes a line for each request to a route that reads or changes files, keys, links or the cluster."""

    def __init__(self, log: EventLog, *, has_reads: bool) -> None:
        """has_reads: whether reads that were allowed are lines, too."""
        self._log = log
        self._has_reads = has_reads

    def note(self, call: Call, status: int) -> None:
        """After the request was answered, or as soon as the answer's body is about to be sent."""
        if not need_of(call.method, call.rule).is_audited:
            return
        if call.method in _SAFE_METHODS and not self._has_reads and status not in _REFUSALS:
            return
        if call.is_step and status < 400:
            return
        actor = call.actor or NOBODY
        fields: dict[str, object] = {"actor": actor.label}
        if actor.key_id:
            fields["key_id"] = actor.key_id
        if actor.key_name:
            fields["key_name"] = actor.key_name
        fields["route"] = _CONVERTER.sub("<", call.rule)
        fields["target"] = _as_text(call.path)
        if call.subjects:
            fields["paths"] = call.subjects
        if call.about:
            fields["about"] = call.about
        self._log.info(call.method, **fields, client=call.client, status=status)


def _as_text(path: str) -> str:
    """A request's path as people read it; WSGI has each byte of it as a character."""
    return path if path.isascii() else path.encode("latin-1", "replace").decode("utf-8", "replace")
