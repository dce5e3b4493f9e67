"""Which requests are lines of the audit log; what stands in a line is tried on the whole gateway."""

from __future__ import annotations

import pytest

from api_gateway.access.audit import Audit
from common.calls import Call
from tests.support.logs import recording_log


def lines(method: str, rule: str, status: int, *, has_reads: bool = True) -> list[str]:
    log, events = recording_log()
    call = Call({"REQUEST_METHOD": method, "PATH_INFO": "/fs/a", "REMOTE_ADDR": "192.0.2.1"})
    call.rule = rule
    Audit(log, has_reads=has_reads).note(call, status)
    return events.names


@pytest.mark.parametrize(
    ("method", "rule", "status", "is_line", "is_line_without_reads"),
    [
        ("GET", "/fs/<anypath:path>", 200, True, False),
        ("HEAD", "/fs/<anypath:path>", 404, True, False),
        ("GET", "/keys", 200, True, False),
        ("GET", "/fs/<anypath:path>", 401, True, True),
        ("GET", "/fs/<anypath:path>", 403, True, True),
        ("GET", "/fs/<anypath:path>", 429, True, True),
        ("PUT", "/fs/<anypath:path>", 201, True, True),
        ("PUT", "/fs/<anypath:path>", 503, True, True),
        ("POST", "/sign-in", 401, True, True),
        ("POST", "/links", 201, True, True),
        ("GET", "/sign-in", 200, False, False),
        ("GET", "/health", 200, False, False),
        ("GET", "", 404, False, False),
    ],
)
def test_reads_changes_and_refusals(
    method: str, rule: str, status: int, is_line: bool, is_line_without_reads: bool
) -> None:
    assert lines(method, rule, status) == [method] * is_line
    assert lines(method, rule, status, has_reads=False) == [method] * is_line_without_reads
