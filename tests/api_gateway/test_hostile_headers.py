"""Header fields that are made to be slow to read: no other thread of the gateway runs while one is searched."""

from __future__ import annotations

import subprocess
import sys

import pytest

from common.environment import PROJECT_ROOT

_READ = """
import sys
from api_gateway.routes.answers import GatewayServices, is_html_form, wanted_map
from common.calls import Call
from common.ranges import parse_range

call = Call({"REQUEST_METHOD": "GET", "dfs.fields": {sys.argv[1]: eval(sys.argv[2])}})
assert not is_html_form(call)
assert parse_range(call.headers.get("Range"), 10) is None
assert wanted_map(GatewayServices(None, None, None, None, None, 1, None, 0, None), call).start == 0
"""


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("accept", "'text/html' + ' ' * 60_000 + 'x'"),
        ("range", "'bytes=0-' + ' ' * 60_000 + 'x'"),
        ("range", "'bytes=-' + ' ' * 60_000 + 'x'"),
        ("range", "'bytes' + ' ' * 60_000 + 'x'"),
    ],
)
def test_a_hostile_field_does_not_hold_everything_up(name: str, value: str) -> None:
    subprocess.run([sys.executable, "-c", _READ, name, value], cwd=PROJECT_ROOT, check=True, timeout=10)
