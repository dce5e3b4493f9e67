"""What the headers of a write ask for; what is possible is for the masters to say."""

from __future__ import annotations

import pytest

from api_gateway.redundancy import AS_CONFIGURED, Redundancy, read_redundancy
from common.errors import InvalidRequest
from common.wire import Headers


@pytest.mark.parametrize(
    ("headers", "wanted"),
    [
        ({}, AS_CONFIGURED),
        ({"x-dfs-consistency": "all"}, Redundancy("all", None)),
        ({"x-dfs-consistency": "nonsense"}, Redundancy("nonsense", None)),
        ({"x-dfs-replication": "5"}, Redundancy(None, 5)),
        ({"x-dfs-replication": "0"}, Redundancy(None, 0)),
        ({"x-dfs-consistency": "one", "x-dfs-replication": "0002"}, Redundancy("one", 2)),
    ],
)
def test_what_is_asked_for_is_passed_on(headers: dict[str, str], wanted: Redundancy) -> None:
    assert read_redundancy(Headers(headers)) == wanted


@pytest.mark.parametrize("text", ["", "-1", "+3", "3.0", "three", "3,3", "٣", "10000", "9" * 5000])
def test_a_factor_that_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest, match="X-DFS-Replication must be a whole number"):
        read_redundancy(Headers({"x-dfs-replication": text}))


def test_another_factor_leaves_the_consistency() -> None:
    assert Redundancy("all", 3).with_factor("the field", "2") == Redundancy("all", 2)
