"""The gateway that the tests of this folder share, to keep the number of starts small."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask.testing import FlaskClient

from tests.support.ring import SmallRing, small_ring


@pytest.fixture(scope="package")
def ring(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallRing]:
    """Without any key, so that this machine is served."""
    with small_ring(
        tmp_path_factory.mktemp("routes"), has_operator=False, max_archives=2, buffer_wait_seconds=0.2
    ) as ring:
        yield ring


@pytest.fixture
def browser(ring: SmallRing) -> FlaskClient:
    return ring.client
