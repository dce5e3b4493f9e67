"""The gateways that the tests of this folder share, to keep the number of starts small."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.ring import SmallRing, small_ring


@pytest.fixture(scope="package")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallRing]:
    """A gateway with an operator's key."""
    with small_ring(tmp_path_factory.mktemp("keyed")) as ring:
        yield ring
